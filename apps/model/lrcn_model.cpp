#include "apps/model/lrcn_model.h"

#include "apps/model/image_model.h"
#include "apps/train/options.h"
#include "apps/train/pretrained_weights.h"
#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "nn/models/lrcn.h"

namespace ar::apps {
namespace {

class LrcnModel : public VideoModel {
 public:
  explicit LrcnModel(const nn::LRCNOptions& options) : lrcn_(options) {}

  nn::Module& module() override { return lrcn_; }
  nn::Backbone& extractor() override { return lrcn_.feature_extractor(); }
  bool frozen() const override { return lrcn_.options().freeze; }
  std::string title() const override { return "LRCN (" + lrcn_.options().feature_extractor + ")"; }
  int64_t feature_size() const override { return lrcn_.feature_size(); }
  Variable features(const Variable& clips) const override { return lrcn_.features(clips); }
  ClipScores score(const Variable& features, const Tensor& targets, double label_smoothing) const override {
    const Variable states = lrcn_.states_of(features);
    ClipScores scores{.loss = lrcn_.head().loss(states, targets, label_smoothing), .log_probs = {}};
    const NoGrad no_grad;
    scores.log_probs = lrcn_.head()(states.detach()).value();
    return scores;
  }
  Variable log_probs(const Variable& features) const override { return lrcn_.head()(lrcn_.states_of(features)); }
  std::string feature_layer() const override {
    return lrcn_.options().feature_extractor + "." + lrcn_.options().features;
  }

  io::Value architecture() const override {
    const nn::LRCNOptions& o = lrcn_.options();
    io::Value value;
    value["feature-extractor"] = o.feature_extractor;
    value["features"] = o.features;
    value["freeze-fe"] = o.freeze;
    value["rnn-units"] = o.rnn_units;
    value["rnn-layers"] = o.rnn_layers;
    value["bidirectional"] = o.bidirectional;
    value["head"] = o.head;
    value["dropout"] = o.head_dropout;
    value["feature-dropout"] = o.feature_dropout;
    value["rnn-dropout"] = o.rnn_dropout;
    return value;
  }

 private:
  nn::LRCN lrcn_;
};

class LrcnOptions : public VideoModelOptions {
 public:
  void add_to(CLI::App& app) override {
    add_extractor_options(app, extractor_);
    app.add_option("--image-checkpoint", image_checkpoint_,
                   "start with the feature extractor of this checkpoint of ar-train-image, in place of --pretrained")
        ->check(CLI::ExistingFile);
    app.add_option("--features", options_.features,
                   "layer that the features come from: fc6, fc7 (of caffenet) or pool; default: the first that it has")
        ->check(CLI::IsMember({"", "fc6", "fc7", "pool"}));
    auto* const rnn = app.add_option_group("LSTM and head");
    rnn->add_option("--rnn-units", options_.rnn_units, "units of the LSTM")->check(CLI::Range(1, 1 << 16));
    rnn->add_option("--rnn-layers", options_.rnn_layers, "layers of the LSTM")->check(CLI::Range(1, 64));
    rnn->add_flag("--bidirectional,!--no-bidirectional", options_.bidirectional, "also backwards in time");
    rnn->add_option("--head,--fusion-mode", options_.head,
                    "how steps become one answer: paper (each step answers, and the mean counts), or the states fused "
                    "by sum, avg, last, attn or weighted")
        ->check(CLI::IsMember(nn::lrcn_head_names()));
    rnn->add_option("--dropout", options_.head_dropout, "share of states left out behind the LSTM")
        ->check(CLI::Range(0.0, 0.99));
    rnn->add_option("--feature-dropout", options_.feature_dropout, "share of features left out before the LSTM")
        ->check(CLI::Range(0.0, 0.99));
    rnn->add_option("--rnn-dropout", options_.rnn_dropout, "share of states left out between layers of the LSTM")
        ->check(CLI::Range(0.0, 0.99));
  }

  std::unique_ptr<VideoModel> create_empty(int64_t classes) const override {
    nn::LRCNOptions options = options_;
    options.feature_extractor = extractor_.feature_extractor;
    options.freeze = extractor_.freeze_fe;
    options.classes = classes;
    return std::make_unique<LrcnModel>(options);
  }

  std::unique_ptr<VideoModel> create(int64_t classes) const override {
    auto model = create_empty(classes);
    std::string source = extractor_.pretrained;
    if (!image_checkpoint_.empty()) {
      source = image_checkpoint_;
      const ImageModelInfo info = image_model_info(io::load_checkpoint_file(source));
      AR_CHECK(info.feature_extractor == extractor_.feature_extractor, source, ": its feature extractor is ",
               info.feature_extractor, ", not ", extractor_.feature_extractor, "; give --feature-extractor ",
               info.feature_extractor);
    }
    show_pretrained(source, [&](const PretrainedOptions& options) {
      return load_pretrained(model->extractor(), extractor_.feature_extractor, options);
    });
    return model;
  }

 private:
  nn::LRCNOptions options_;
  ExtractorOptions extractor_;
  std::string image_checkpoint_;
};

}  // namespace

std::unique_ptr<VideoModelOptions> lrcn_options() { return std::make_unique<LrcnOptions>(); }

std::unique_ptr<VideoModel> load_lrcn(const io::Field& saved, int64_t classes) {
  return std::make_unique<LrcnModel>(nn::LRCNOptions{.feature_extractor = saved.at("feature-extractor").string(),
                                                     .features = saved.at("features").string(),
                                                     .classes = classes,
                                                     .rnn_units = saved.at("rnn-units").integer(),
                                                     .rnn_layers = saved.at("rnn-layers").integer(),
                                                     .bidirectional = saved.at("bidirectional").boolean(),
                                                     .feature_dropout = saved.at("feature-dropout").real(),
                                                     .rnn_dropout = saved.at("rnn-dropout").real(),
                                                     .head_dropout = saved.at("dropout").real(),
                                                     .freeze = saved.at("freeze-fe").boolean(),
                                                     .head = saved.at("head").string()});
}

}  // namespace ar::apps
