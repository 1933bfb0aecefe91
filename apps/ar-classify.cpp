// Names what images show: the classes that a trained network finds most probable.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/common/json_text.h"
#include "apps/common/program.h"
#include "apps/model/image_model.h"
#include "apps/train/options.h"
#include "io/image_folder.h"
#include "tensor/parallel.h"

namespace {

using namespace ar;
using namespace ar::apps;
namespace fs = std::filesystem;

struct Options {
  fs::path checkpoint, class_names;
  std::string feature_extractor, weights = "auto";
  std::vector<std::string> inputs;
  int top = 5;
  int64_t batch_size = 16;
  bool json = false;
  MachineOptions machine;
};

ImageModel load_model(const Options& o) {
  if (!o.checkpoint.empty()) return load_image_model(o.checkpoint);
  AR_CHECK(!o.feature_extractor.empty(), "--checkpoint is missing (or --feature-extractor, for a published network)");
  AR_CHECK(!o.class_names.empty(), "--class-names is missing: a published network does not know them");
  return load_published_model(o.feature_extractor, {.source = o.weights}, read_class_names(o.class_names));
}

/// Adds all files below a folder. Links are followed, but not in circles (`above`: the folders that we are in). Returns
/// how many folders cannot be listed, each with a line on the terminal.
int add_files(const fs::path& folder, std::vector<fs::path>& above, std::vector<fs::path>& files) {
  int failed = 0;
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (std::find(above.begin(), above.end(), real) != above.end()) return 0;
  above.push_back(real);
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    std::error_code ignored;  // a link that leads nowhere is no file
    const fs::file_type type = at->status(ignored).type();
    if (type == fs::file_type::directory)
      failed += add_files(at->path(), above, files);
    else if (type == fs::file_type::regular)
      files.push_back(at->path());
  }
  above.pop_back();
  if (!error) return failed;
  std::fprintf(stderr, "error: %s: cannot be listed: %s\n", folder.c_str(), error.message().c_str());
  return failed + 1;
}

/// Files as they are, the files below folders, and the lines of standard input for "-". `failed` counts folders that
/// cannot be listed.
std::vector<fs::path> files_of(const std::vector<std::string>& inputs, int& failed) {
  std::vector<fs::path> files;
  for (const std::string& input : inputs) {
    if (input == "-") {
      for (std::string line; std::getline(std::cin, line);)
        if (!line.empty()) files.emplace_back(line);
    } else if (std::error_code error; fs::is_directory(input, error)) {
      std::vector<fs::path> above, found;
      failed += add_files(input, above, found);
      std::sort(found.begin(), found.end());
      files.insert(files.end(), found.begin(), found.end());
    } else {
      files.emplace_back(input);
    }
  }
  AR_CHECK(!files.empty(), "there are no images to classify");
  return files;
}

void print(const Options& o, const fs::path& file, const std::vector<std::string>& classes,
           std::span<const float> log_probs) {
  std::vector<size_t> order(log_probs.size());
  std::iota(order.begin(), order.end(), size_t(0));
  const size_t top = std::min(order.size(), size_t(o.top));
  std::partial_sort(order.begin(), order.begin() + ptrdiff_t(top), order.end(), [&](size_t a, size_t b) {
    return log_probs[a] != log_probs[b] ? log_probs[a] > log_probs[b] : a < b;
  });
  order.resize(top);
  if (o.json) {
    nlohmann::json line{{"path", file.string()}, {"top", nlohmann::json::array()}};
    for (size_t c : order) line["top"].push_back({{"class", classes[c]}, {"probability", std::exp(log_probs[c])}});
    std::cout << json_text(line) << '\n';
    return;
  }
  std::cout << file.string() << '\n';
  for (size_t c : order) std::printf("  %6.2f %%  %s\n", 100 * std::exp(log_probs[c]), classes[c].c_str());
}

int run(const Options& o) {
  apply_machine_options(o.machine);
  int failed = 0;
  const std::vector<fs::path> files = files_of(o.inputs, failed);
  const ImageModel model = load_model(o);
  const auto side = model.info.image_size;
  const io::ImageTransform transform = model.info.transform();
  for (size_t begin = 0; begin < files.size(); begin += size_t(o.batch_size)) {
    const int64_t n = std::min(o.batch_size, int64_t(files.size() - begin));
    Tensor images = zeros({n, 3, side, side}, {.dtype = Dtype::u8});
    std::vector<std::string> problems(static_cast<size_t>(n));
    parallel_for(n, 1, [&](int64_t from, int64_t to) {
      io::Image picture;
      for (int64_t i = from; i < to; ++i) try {
          io::decode_image_file(files[begin + size_t(i)], {}, picture);
          io::transform_image(picture, transform, {}, io::image_view(images[i]));
        } catch (const Error& e) {
          problems[size_t(i)] = e.what();
        }
    });
    const Tensor log_probs = model.log_probs(images);
    const std::vector<float> values = log_probs.to_vector<float>();
    const auto classes = size_t(log_probs.size(1));
    for (size_t i = 0; i < size_t(n); ++i) {
      if (!problems[i].empty()) {
        std::fprintf(stderr, "error: %s\n", problems[i].c_str());
        ++failed;
        continue;
      }
      print(o, files[begin + i], model.info.classes, {values.data() + i * classes, classes});
    }
  }
  return failed ? kFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Names what images show, with probabilities.");
  add_common_options(app);
  Options o;
  app.add_option("images", o.inputs, "image files, folders (with all below them), or - for a list on standard input")
      ->required();
  app.add_option("--checkpoint", o.checkpoint, "a checkpoint of ar-train-image");
  app.add_option("--feature-extractor", o.feature_extractor,
                 "instead of a checkpoint: a network with its published classifier")
      ->check(CLI::IsMember(nn::backbone_names()))
      ->excludes("--checkpoint");
  app.add_option("--weights", o.weights, "its weights: auto, a file or a URL, as --pretrained of ar-train-image");
  app.add_option("--class-names", o.class_names, "its class names, one a line, in order; the first 1000 are used")
      ->check(CLI::ExistingFile);
  app.add_option("--top", o.top, "how many classes to name")->check(CLI::PositiveNumber);
  app.add_option("--batch-size", o.batch_size, "images computed together")->check(CLI::PositiveNumber);
  app.add_flag("--json", o.json, "one JSON object a line: {\"path\", \"top\": [{\"class\", \"probability\"}]}");
  add_machine_options(app, o.machine);
  return run_program(app, argc, argv, [&] { return run(o); });
}
