#include "apps/model/pretrained.h"

#include "apps/model/weight_names.h"
#include "io/checkpoint_file.h"
#include "io/sha256.h"
#include "nn/models/densenet.h"
#include "tests/weights/http_server.h"
#include "tests/weights/weights_test.h"

namespace ar::apps {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

io::Value state_of(const nn::Module& network) { return io::Value::dict(network.state_dict()); }

void expect_equal(const nn::StateDict& a, const nn::StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_EQ(a[i].second.shape(), b[i].second.shape()) << a[i].first;
    EXPECT_EQ(a[i].second.to_vector<double>(), b[i].second.to_vector<double>()) << a[i].first;
  }
}

nn::StateDict snapshot(const nn::Module& network) {
  nn::StateDict state = network.state_dict();
  for (auto& [name, tensor] : state) tensor = tensor.clone();
  return state;
}

PretrainedOptions from(const std::string& source) { return {.source = source}; }

// ---- torchvision's files ----

class SmallDenseNet : public testing::Test {
 protected:
  nn::DenseNet network_{{.growth_rate = 4, .block_config = {2, 1}, .num_init_features = 8, .classes = 5}};
  void expect_logits() {
    network_.eval();
    const io::Value file = io::load_checkpoint_file(fixture("densenet_logits.safetensors"));
    const std::vector<double> wanted = file.at("logits").tensor().to_vector<double>();
    const std::vector<double> got = network_(file.at("images").tensor()).value().to_vector<double>();
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-4);
  }
};

TEST_F(SmallDenseNet, BothFormatsGiveTorchvisionsLogits) {
  for (const char* name : {"densenet.pt", "densenet_legacy.pth", "densenet_old_names.pth"}) {
    SCOPED_TRACE(name);
    network_ = nn::DenseNet({.growth_rate = 4, .block_config = {2, 1}, .num_init_features = 8, .classes = 5});
    const Pretrained done = load_pretrained(network_, "densenet121", from(fixture(name)));
    EXPECT_EQ(done.file, fixture(name));
    EXPECT_THAT(done.notes, testing::IsEmpty());
    expect_logits();
  }
}

TEST_F(SmallDenseNet, AHeadOfAnotherSizeIsLeftOutWithANote) {
  nn::DenseNet other({.growth_rate = 4, .block_config = {2, 1}, .num_init_features = 8, .classes = 3});
  const std::vector<float> head = other.state_dict().back().second.to_vector<float>();
  const Pretrained done = load_pretrained(other, "densenet121", from(fixture("densenet.pt")));
  EXPECT_THAT(done.notes, ElementsAre(fixture("densenet.pt") +
                                      ": its classifier 'classifier' for 5 classes is left out; the network's own for "
                                      "3 starts afresh"));
  EXPECT_EQ(other.state_dict().back().second.to_vector<float>(), head);
  load_pretrained(network_, "densenet121", from(fixture("densenet.pt")));
  EXPECT_EQ(other.state_dict()[0].second.to_vector<float>(), network_.state_dict()[0].second.to_vector<float>());
}

TEST_F(SmallDenseNet, ANetworkWithoutHeadNeedsNone) {
  nn::DenseNet bare({.growth_rate = 4, .block_config = {2, 1}, .num_init_features = 8, .classes = 0});
  EXPECT_THAT(load_pretrained(bare, "densenet121", from(fixture("densenet.pt"))).notes, testing::IsEmpty());
}

TEST_F(SmallDenseNet, AnotherNetworkIsAnErrorThatNamesAll) {
  nn::DenseNet other({.growth_rate = 4, .block_config = {2, 2}, .num_init_features = 8, .classes = 5});
  const nn::StateDict before = snapshot(other);
  EXPECT_ERROR(load_pretrained(other, "densenet121", from(fixture("densenet.pt"))),
               AllOf(StartsWith(fixture("densenet.pt") + ": is not for densenet121: "),
                     HasSubstr("features.denseblock2.denselayer2.norm1.weight"),
                     HasSubstr("features.denseblock2.denselayer2.conv2.weight"), HasSubstr("features.norm5.weight")));
  expect_equal(snapshot(other), before);
  EXPECT_ERROR(load_pretrained(other, "densenet121", from(fixture("villain.pt"))), HasSubstr("is not allowed"));
  EXPECT_ERROR(load_pretrained(other, "densenet121", from("nowhere.pt")), HasSubstr("nowhere.pt: cannot be opened"));
}

// ---- names ----

class Names : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Networks, Names,
                         testing::Values("densenet121", "resnet18", "resnet50", "mobilenet_v2", "tiny_darknet"),
                         [](const auto& info) { return info.param; });

TEST_P(Names, AClassifierIsSavedAsTheWholeNetwork) {
  const nn::ImageClassifier classifier({.feature_extractor = GetParam(), .classes = 7});
  const nn::StateDict saved = whole_model_state(classifier);
  auto whole = nn::make_backbone(GetParam(), 7);
  ASSERT_NO_THROW(whole->load_state_dict(saved));
  std::vector<std::string> saved_names, names;
  for (const auto& [name, tensor] : saved) saved_names.push_back(name);
  for (const auto& [name, tensor] : whole->state_dict()) names.push_back(name);
  EXPECT_EQ(saved_names, names);

  nn::ImageClassifier back({.feature_extractor = GetParam(), .classes = 7});
  load_whole_model_state(back, whole->state_dict());
  expect_equal(snapshot(back), snapshot(classifier));
}

TEST_P(Names, ACheckpointServesAsPretrainedWeights) {
  const TemporaryFolder folder;
  const nn::ImageClassifier trained({.feature_extractor = GetParam(), .classes = 7});
  io::Value checkpoint;
  checkpoint["model"] = io::Value::dict(whole_model_state(trained));
  checkpoint["epoch"] = 3;
  io::save_checkpoint_file(folder / "model.safetensors", checkpoint);
  nn::ImageClassifier same({.feature_extractor = GetParam(), .classes = 7});
  EXPECT_THAT(load_pretrained(same, from(folder / "model.safetensors")).notes, testing::IsEmpty());
  expect_equal(snapshot(same), snapshot(trained));
  nn::ImageClassifier other({.feature_extractor = GetParam(), .classes = 4});
  EXPECT_THAT(load_pretrained(other, from("file://" + folder / "model.safetensors")).notes,
              ElementsAre(HasSubstr("for 7 classes is left out")));
}

TEST(Names, CaffeNetsOwnClassifierIsLeftOut) {
  const TemporaryFolder folder;
  auto whole = nn::make_backbone("caffenet", 3);
  const Tensor bias = whole->state_dict().back().second;
  bias.fill(3);
  io::save_checkpoint_file(folder / "x.pt", state_of(*whole));
  nn::ImageClassifier classifier({.feature_extractor = "caffenet", .classes = 3});
  EXPECT_THAT(load_pretrained(classifier, from(folder / "x.pt")).notes, ElementsAre(HasSubstr("has no classifier")));
  bias.fill(0);
  load_pretrained(*whole, "caffenet", from(folder / "x.pt"));
  EXPECT_EQ(bias.to_vector<int>(), (std::vector<int>{3, 3, 3}));
}

TEST(Names, WrappersAndPrefixesAreSeenThrough) {
  io::Value inner;
  inner["module._orig_mod.features.denseblock1.denselayer12.norm.1.running_mean"] = zeros({1});
  inner["module._orig_mod.features.conv0.weight"] = zeros({1});
  for (const char* wrapper : {"", "model", "state_dict", "model_state_dict"}) {
    io::Value file = inner;
    if (*wrapper) {
      file = io::Value();
      file["epoch"] = 1;
      file["rng"] = zeros({3});
      file[wrapper] = inner;
    }
    const nn::StateDict state = model_state(file);
    EXPECT_EQ(state[0].first, "features.denseblock1.denselayer12.norm1.running_mean");
    EXPECT_EQ(state[1].first, "features.conv0.weight");
  }
  io::Value none;
  none["epoch"] = 3;
  none.set_origin("x.pt");
  EXPECT_MESSAGE(model_state(none), "x.pt: holds no weights of a network");
  EXPECT_MESSAGE(model_state(io::Value(3)), "holds no weights of a network");
}

// ---- where files come from ----

class Sources : public testing::Test {
 protected:
  Sources() { ::setenv("no_proxy", "127.0.0.1", 1); }
  const TemporaryFolder folder_;
  nn::ImageClassifier network_{{.feature_extractor = "tiny_darknet", .classes = 3}};
  /// A checkpoint of the network, as bytes.
  std::string file() {
    io::save_checkpoint_file(folder_ / "source.pt", io::Value::dict(whole_model_state(network_)));
    return read_file(folder_ / "source.pt");
  }
  PretrainedOptions options(const std::string& source) { return {.source = source, .cache = folder_ / "cache"}; }
};

TEST_F(Sources, NoneLeavesTheNetworkAsItIs) {
  const nn::StateDict before = snapshot(network_);
  EXPECT_EQ(load_pretrained(network_, options("none")).file, "");
  expect_equal(snapshot(network_), before);
}

TEST_F(Sources, TheNameIsCheckedAgainstTheContent) {
  const std::string content = file();
  const std::string hash = io::sha256_hex(io::ByteSource("x", content.data(), content.size())).substr(0, 8);
  const HttpServer server([&](const auto&, auto& response) { response.set_content(content, "application/zip"); });
  const Pretrained done = load_pretrained(network_, options(server.url("/models/tiny-" + hash + ".pt")));
  EXPECT_EQ(done.file, folder_ / ("cache/tiny-" + hash + ".pt"));
  EXPECT_ERROR(load_pretrained(network_, options(server.url("/models/tiny-01234567.pt"))),
               AllOf(HasSubstr("its SHA-256 is " + hash + "..., wanted 01234567"), HasSubstr("--pretrained none")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache/tiny-01234567.pt"));
}

TEST_F(Sources, ADownloadIsKept) {
  const std::string content = file();
  int requests = 0;
  const HttpServer server([&](const auto&, auto& response) {
    ++requests;
    response.set_content(content, "application/zip");
  });
  const std::string first = load_pretrained(network_, options(server.url("/a/model.pt"))).file;
  EXPECT_EQ(load_pretrained(network_, options(server.url("/a/model.pt"))).file, first);
  EXPECT_EQ(requests, 1);
  EXPECT_NE(load_pretrained(network_, options(server.url("/b/model.pt"))).file, first);
  EXPECT_EQ(requests, 2);
}

TEST_F(Sources, AutoChecksWhatItDownloads) {
  const HttpServer server([&](const auto& request, auto& response) {
    EXPECT_EQ(request.path, "/models/resnet18-f37072fd.pth");
    response.set_content("something else", "application/zip");
  });
  nn::ImageClassifier network({.feature_extractor = "resnet18", .classes = 3});
  PretrainedOptions o = options("auto");
  o.site = server.url("/models/");
  const nn::StateDict before = snapshot(network);
  EXPECT_ERROR(load_pretrained(network, o),
               AllOf(StartsWith("resnet18: its pretrained weights could not be downloaded ("), HasSubstr("SHA-256"),
                     HasSubstr("get " + server.url("/models/resnet18-f37072fd.pth") + " and put it at " +
                               folder_ / "cache/resnet18-f37072fd.pth"),
                     HasSubstr("--pretrained none")));
  expect_equal(snapshot(network), before);
}

TEST_F(Sources, AutoDoesNotTrustADamagedFileOfTheCache) {
  std::filesystem::create_directory(folder_ / "cache");
  write_file(folder_ / "cache/resnet18-f37072fd.pth", "something else");
  nn::ImageClassifier network({.feature_extractor = "resnet18", .classes = 3});
  EXPECT_ERROR(load_pretrained(network, options("auto")), AllOf(HasSubstr("is damaged"), HasSubstr("delete it")));
}

TEST_F(Sources, WithoutNetworkTheErrorSaysWhatToDo) {
  nn::ImageClassifier network({.feature_extractor = "resnet18", .classes = 3});
  PretrainedOptions o = options("auto");
  o.site = "http://no-such-host.invalid/models/";
  EXPECT_ERROR(
      load_pretrained(network, o),
      AllOf(HasSubstr("resnet18"), HasSubstr("get http://no-such-host.invalid/models/resnet18-f37072fd.pth"),
            HasSubstr("put it at " + folder_ / "cache/resnet18-f37072fd.pth"), HasSubstr("--pretrained none")));
}

TEST_F(Sources, AutoSaysWhereNothingIsPublished) {
  EXPECT_ERROR(
      load_pretrained(network_, options("auto")),
      AllOf(StartsWith("tiny_darknet: torchvision publishes no weights of it"), HasSubstr("--pretrained none")));
}

TEST_F(Sources, TheCacheIsWhereTheEnvironmentSays) {
  const char* former = std::getenv("AR_CACHE");
  const std::string kept = former ? former : "";
  ::setenv("AR_CACHE", "/somewhere", 1);
  EXPECT_EQ(cache_folder(), "/somewhere");
  ::unsetenv("AR_CACHE");
  EXPECT_THAT(cache_folder(), testing::EndsWith("/.cache/ar"));
  if (former) ::setenv("AR_CACHE", kept.c_str(), 1);
}

}  // namespace
}  // namespace ar::apps
