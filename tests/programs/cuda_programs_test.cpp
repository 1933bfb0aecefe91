// --device cuda, on kernels compiled for the CPU (cuda/emulation): the programs compute there what they compute on the
// CPU, checkpoints go from one to the other, and what goes wrong is said in one line.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "io/checkpoint_file.h"
#include "io/image_write.h"
#include "tests/errors.h"
#include "tests/programs/run.h"
#include "tests/video/make_video.h"

namespace ar {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kSide = 64;
const char* const kClasses[] = {"dark", "light"};

/// Noise, darker or lighter.
void noise(int label, unsigned seed, uint8_t* rgb) {
  std::mt19937 random(seed);
  for (int i = 0; i < 3 * kSide * kSide; ++i) rgb[i] = uint8_t(random() % 150 + (label ? 100 : 0));
}

using Environment = std::vector<std::pair<std::string, std::string>>;

/// Pictures and videos, made once for all tests.
class CudaPrograms : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = fs::temp_directory_path() / ("ar_cuda_programs_" + std::to_string(getpid()));
    unsigned seed = 1;
    for (int label = 0; label < 2; ++label) {
      fs::create_directories(folder / "images" / kClasses[label]);
      fs::create_directories(folder / "videos" / kClasses[label]);
      for (int i = 0; i < 7; ++i, ++seed) {
        io::Image image(kSide, kSide);
        std::vector<uint8_t> rgb(size_t(3 * kSide * kSide));
        noise(label, seed, rgb.data());
        for (int y = 0; y < kSide; ++y) std::copy_n(rgb.data() + 3 * kSide * y, 3 * kSide, image.view().row(y));
        const std::vector<uint8_t> png = io::encode_png(image);
        std::ofstream(folder / "images" / kClasses[label] / (std::to_string(i) + ".png"), std::ios::binary)
            .write(reinterpret_cast<const char*>(png.data()), std::streamsize(png.size()));
      }
      for (int i = 0; i < 5; ++i, seed += 20)
        test::make_video((folder / "videos" / kClasses[label] / (std::to_string(i) + ".mp4")).string(),
                         {.width = kSide,
                          .height = kSide,
                          .pts = test::steps(12),
                          .options = {{"crf", "20"}, {"preset", "ultrafast"}},
                          .draw = [=](int frame, uint8_t* out) { noise(label, seed + unsigned(frame), out); }});
    }
    setenv("AR_CACHE", (folder / "cache").c_str(), 1);
  }
  static void TearDownTestSuite() {
    unsetenv("AR_CACHE");
    fs::remove_all(folder);
  }
  void SetUp() override {
    if (!*AR_EMULATED_CUDA) GTEST_SKIP() << "this build has no emulated device";
  }
  void TearDown() override { fs::remove_all(folder / "m"); }

  static std::string path(const std::string& name) { return (folder / name).string(); }
  /// With the emulated device's library, and more of the environment.
  static Outcome on_device(const std::string& program, const std::vector<std::string>& arguments,
                           const Environment& more = {}) {
    return run(program, arguments, folder, [&] {
      setenv("AR_CUDA_LIBRARY", AR_EMULATED_CUDA, 1);
      for (const auto& [name, value] : more) setenv(name.c_str(), value.c_str(), 1);
    });
  }
  static std::vector<std::string> images(const std::string& device, const std::string& model,
                                         const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = small_training(folder / "images", folder / "m" / (model + ".pt"));
    all.insert(all.end(), {"--device", device, "--batch-size", "4", "--learning-rate", "0.00001", "--validation-split",
                           "0.2", "--logdir", path("m/" + model + ".log")});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static Outcome train_images(const std::string& device, const std::string& model,
                              const std::vector<std::string>& more = {}, const Environment& environment = {}) {
    return on_device("ar-train-image", images(device, model, more), environment);
  }
  static Outcome train_videos(const std::string& device, const std::string& model, bool frozen,
                              const std::string& epochs, const std::vector<std::string>& more = {},
                              Environment environment = {}) {
    std::vector<std::string> all{"--dataset",
                                 "folder",
                                 "--data-dir",
                                 path("videos"),
                                 "--frames-per-clip",
                                 "4",
                                 "--resize",
                                 "36x40",
                                 "--crop-size",
                                 "32",
                                 "--clips-per-video",
                                 "1",
                                 "--batch-size",
                                 "2",
                                 "--threads",
                                 "1",
                                 "--validation-split",
                                 "0.2",
                                 "--epochs",
                                 epochs,
                                 "--learning-rate",
                                 "0.0001",
                                 "--device",
                                 device,
                                 "--save-checkpoint",
                                 path("m/" + model + ".pt"),
                                 "--logdir",
                                 path("m/" + model + ".log"),
                                 "--resume-checkpoint",
                                 "auto"};
    all.insert(all.end(), more.begin(), more.end());
    all.insert(all.end(), {"LRCN", "--pretrained", "none", "--feature-extractor", "tiny_darknet", "--rnn-units", "8",
                           "--bidirectional"});
    if (frozen) all.emplace_back("--freeze-fe");
    environment.emplace_back("AR_EMULATION_DEFERRED", "1");
    return on_device("ar-train-video", all, environment);
  }
  /// Values of a metric in the order of the log: "steps", "loss".
  static std::vector<double> curve(const std::string& model, const std::string& split, const std::string& name) {
    std::ifstream file(path("m/" + model + ".log/metrics.jsonl"));
    std::vector<double> values;
    for (std::string line; std::getline(file, line);) {
      const auto entry = nlohmann::json::parse(line);
      if (entry["split"] == split) values.push_back(entry[name].get<double>());
    }
    return values;
  }
  static nlohmann::json json(const std::string& file) { return nlohmann::json::parse(std::ifstream(path(file))); }
  static inline fs::path folder;
};

void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  ASSERT_FALSE(got.empty());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

/// The largest difference of two checkpoints' weights.
double distance(const std::string& a, const std::string& b) {
  const auto x = io::load_checkpoint_file(a).at("model").tensors(),
             y = io::load_checkpoint_file(b).at("model").tensors();
  EXPECT_EQ(x.size(), y.size());
  double most = 0;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    const auto p = x[i].second.to_vector<double>(), q = y[i].second.to_vector<double>();
    EXPECT_EQ(p.size(), q.size()) << x[i].first;
    for (size_t k = 0; k < std::min(p.size(), q.size()); ++k) most = std::max(most, std::abs(p[k] - q[k]));
  }
  return most;
}

TEST_F(CudaPrograms, ImagesAreLearntAsOnTheCpuAndCheckpointsGoBothWays) {
  for (const char* device : {"cpu", "cuda"}) {
    const Outcome trained = train_images(device, device, {"--epochs", "2"});
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  expect_near(curve("cuda", "steps", "loss"), curve("cpu", "steps", "loss"), 0.02);
  expect_near(curve("cuda", "validation", "loss"), curve("cpu", "validation", "loss"), 0.02);
  EXPECT_LT(distance(path("m/cuda.last.pt"), path("m/cpu.last.pt")), 0.02);

  // One epoch and one more are two, to the bit: with streams as late as they may be, and saved as safetensors.
  const Environment late{{"AR_EMULATION_DEFERRED", "1"}, {"AR_EMULATION_ORDER", "reverse"}};
  const std::vector<std::string> half{"--save-checkpoint", path("m/half.safetensors"), "--resume-checkpoint", "auto"};
  for (const char* epochs : {"1", "2"}) {
    std::vector<std::string> more = half;
    more.insert(more.end(), {"--epochs", epochs});
    std::vector<std::string> all = images("cuda:0", "half", more);
    all.erase(std::find(all.begin(), all.end(), "--save-checkpoint"),
              std::find(all.begin(), all.end(), "--save-checkpoint") + 2);
    const Outcome trained = on_device("ar-train-image", all, late);
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  EXPECT_EQ(distance(path("m/half.last.safetensors"), path("m/cuda.last.pt")), 0);

  // Either goes on from the other's state.
  for (const auto& [from, on] : {std::pair{"cpu", "auto"}, {"cuda", "cpu"}}) {
    const Outcome trained =
        train_images(on, std::string("from_") + from,
                     {"--epochs", "3", "--resume-checkpoint", path(std::string("m/") + from + ".last.pt")});
    ASSERT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(trained.err.find("computing on cuda:0") != std::string::npos, std::string(on) == "auto") << trained.err;
  }
  EXPECT_LT(distance(path("m/from_cpu.last.pt"), path("m/from_cuda.last.pt")), 0.05);

  for (const char* device : {"cpu", "cuda"}) {
    const std::vector<std::string> machine{"--device", device, "--threads", "1"};
    std::vector<std::string> evaluate{"--checkpoint", path("m/cuda.pt"), "--data-dir",
                                      path("images"), "--json",          path(std::string("m/") + device + ".json")};
    evaluate.insert(evaluate.end(), machine.begin(), machine.end());
    const Outcome evaluated = on_device("ar-evaluate-image", evaluate, late);
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  }
  EXPECT_NEAR(json("m/cuda.json")["loss"].get<double>(), json("m/cpu.json")["loss"].get<double>(), 1e-3);
}

TEST_F(CudaPrograms, HalvesAndAccumulatedGradientsToo) {
  const std::vector<std::string> more{"--epochs",    "1", "--precision", "bf16",  "--grad-accum-steps", "2",
                                      "--clip-norm", "1", "--optimizer", "AdamW", "--balance",          "weights"};
  const Outcome trained = train_images("cuda", "bf16", more);
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.err.find("note: --precision"), std::string::npos) << trained.err;
  std::vector<std::string> plain = more;
  plain[3] = "f32";
  ASSERT_EQ(train_images("cpu", "f32", plain).code, 0);
  expect_near(curve("bf16", "steps", "loss"), curve("f32", "steps", "loss"), 0.1);
}

constexpr char kRepeated[] = "steps are repeated as a CUDA graph (--no-cuda-graph does without)\n";

TEST_F(CudaPrograms, RepeatedStepsAreTheUsualOnesToTheBit) {
  // Four full batches an epoch and a short one; a rate that changes, dropout, a norm.
  const auto train = [](const std::string& model, const std::string& epochs, bool repeated) {
    std::vector<std::string> all =
        images("cuda", model,
               {"--epochs", epochs, "--scheduler", "Step", "--lr-step-size", "2", "--clip-norm", "0.5", "--dropout",
                "0.3", "--optimizer", "AdamW", "--resume-checkpoint", "auto", "--balance", "weights"});
    *(std::find(all.begin(), all.end(), "--batch-size") + 1) = "3";
    *(std::find(all.begin(), all.end(), "--validation-split") + 1) = "0";
    if (!repeated) all.emplace_back("--no-cuda-graph");
    const Outcome trained = on_device("ar-train-image", all, {{"AR_EMULATION_DEFERRED", "1"}});
    EXPECT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(trained.err.find(kRepeated) != std::string::npos, repeated) << trained.err;
  };
  train("usual", "3", false);
  train("repeated", "3", true);
  for (const char* epochs : {"1", "2", "3"}) train("stopped", epochs, true);
  for (const char* model : {"repeated", "stopped"}) {
    EXPECT_EQ(distance(path(std::string("m/") + model + ".last.pt"), path("m/usual.last.pt")), 0) << model;
    EXPECT_EQ(curve(model, "steps", "loss"), curve("usual", "steps", "loss")) << model;
    EXPECT_EQ(curve(model, "steps", "lr"), curve("usual", "steps", "lr")) << model;
  }
  EXPECT_GE(curve("usual", "steps", "loss").size(), 3u);
}

TEST_F(CudaPrograms, ALossOfRepeatedStepsThatIsNoNumberIsExplained) {
  std::string usual;
  for (const bool repeated : {false, true}) {
    std::vector<std::string> all = images("cuda", "nan", {"--epochs", "9"});
    *(std::find(all.begin(), all.end(), "--batch-size") + 1) = "2";
    *(std::find(all.begin(), all.end(), "--learning-rate") + 1) = "30";
    if (!repeated) all.emplace_back("--no-cuda-graph");
    const Outcome outcome = on_device("ar-train-image", all);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err.find(kRepeated) != std::string::npos, repeated) << outcome.err;
    const std::string line = outcome.err.substr(std::min(outcome.err.rfind("error: "), outcome.err.size()));
    EXPECT_THAT(line, HasSubstr("of feature_extractor."));
    if (repeated)
      EXPECT_EQ(line, usual);
    else
      usual = line;
    fs::remove_all(folder / "m");
  }
}

TEST_F(CudaPrograms, RepeatedStepsOfVideosToo) {
  for (const bool frozen : {false, true})
    for (const char* library : {"0", "1"}) {
      const Environment environment{{"AR_EMULATION_LSTM", library}};
      const Outcome usual = train_videos("cuda", "usual", frozen, "2", {"--no-cuda-graph"}, environment),
                    repeated = train_videos("cuda", "repeated", frozen, "2", {}, environment);
      ASSERT_EQ(usual.code, 0) << usual.err;
      ASSERT_EQ(repeated.code, 0) << repeated.err;
      EXPECT_EQ(usual.err.find(kRepeated), std::string::npos);
      EXPECT_THAT(repeated.err, HasSubstr(kRepeated));
      EXPECT_EQ(distance(path("m/repeated.last.pt"), path("m/usual.last.pt")), 0);
      EXPECT_EQ(curve("repeated", "steps", "loss"), curve("usual", "steps", "loss"));
      fs::remove_all(folder / "m");
    }
}

TEST_F(CudaPrograms, VideosAreLearntAsOnTheCpu) {
  for (const bool frozen : {false, true}) {
    fs::remove_all(folder / "m");
    for (const char* device : {"cpu", "cuda"}) {
      const Outcome trained = train_videos(device, device, frozen, "2");
      ASSERT_EQ(trained.code, 0) << trained.err;
    }
    expect_near(curve("cuda", "steps", "loss"), curve("cpu", "steps", "loss"), 0.02);
    expect_near(curve("cuda", "validation", "loss"), curve("cpu", "validation", "loss"), 0.02);
    EXPECT_LT(distance(path("m/cuda.last.pt"), path("m/cpu.last.pt")), 0.02);
    if (frozen) break;
    for (const char* epochs : {"1", "2"}) ASSERT_EQ(train_videos("cuda", "half", frozen, epochs).code, 0);
    EXPECT_EQ(distance(path("m/half.last.pt"), path("m/cuda.last.pt")), 0);
  }
  for (const char* device : {"cpu", "cuda"}) {
    const Outcome evaluated = on_device(
        "ar-evaluate-video", {"--dataset", "folder", "--data-dir", path("videos"), "--checkpoint", path("m/cuda.pt"),
                              "--device", device, "--json", path(std::string("m/") + device + ".json")});
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    const Outcome predicted = on_device("ar-predict-video", {"--checkpoint", path("m/cuda.pt"), "--device", device,
                                                             "--json", "--timeline", path("videos/dark/0.mp4")});
    EXPECT_EQ(predicted.code, 0) << predicted.err;
  }
  EXPECT_EQ(json("m/cuda.json")["video"], json("m/cpu.json")["video"]);
}

TEST_F(CudaPrograms, ClassifiersOfOtherProgramsComputeThere) {
  ASSERT_EQ(train_images("cpu", "model", {"--epochs", "1"}).code, 0);
  const std::string model = path("m/model.pt");
  std::vector<std::vector<double>> scores(2), similar(2), doubts(2);
  for (const bool cuda : {false, true}) {
    const std::vector<std::string> machine{"--device", cuda ? "cuda" : "cpu", "--threads", "1"};
    const auto with = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.end(), machine.begin(), machine.end());
      return arguments;
    };
    const Outcome named = on_device("ar-classify", with({"--checkpoint", model, "--json", path("images/dark")}));
    ASSERT_EQ(named.code, 0) << named.err;
    const auto line = nlohmann::json::parse(named.out.substr(0, named.out.find('\n')));
    for (const auto& guess : line["top"]) scores[cuda].push_back(guess["probability"].get<double>());

    const std::string out = path(cuda ? "m/clips_cuda" : "m/clips_cpu");
    const Outcome cut = on_device("ar-generate-action-clip",
                                  with({"--video-path", path("videos"), "--image-classifier-checkpoint", model,
                                        "--out-dir", out, "--clip-len", "0.2", "--batch-size", "4", "--jobs", "2"}),
                                  {{"AR_EMULATION_DEFERRED", "1"}});
    ASSERT_EQ(cut.code, 0) << cut.err;
    EXPECT_THAT(cut.out, HasSubstr("of 10 videos"));
    std::ifstream file(out + "/scores/0.jsonl");
    for (std::string text; std::getline(file, text);)
      if (const auto entry = nlohmann::json::parse(text); entry.contains("p"))
        scores[cuda].push_back(entry["p"].begin().value().get<double>());

    const std::string csv = path(cuda ? "m/cuda.csv" : "m/cpu.csv");
    const Outcome dedup =
        on_device("ar-dedup-clips",
                  with({"--image-classifier-checkpoint", model, "--frames", "2", "--csv", csv, path("videos/dark")}));
    ASSERT_EQ(dedup.code, 0) << dedup.err;
    const Outcome clean =
        on_device("ar-clean-image-ds", with({"--data-dir", path("images"), "--checkpoint", model, "--no-folds", "--csv",
                                             path("m/doubts.csv"), "--report", path("m/doubts.html")}));
    ASSERT_EQ(clean.code, 0) << clean.err;
  }
  expect_near(scores[1], scores[0], 1e-3);
}

TEST_F(CudaPrograms, WhatGoesWrongInMidRunLeavesTheLastCheckpoint) {
  ASSERT_EQ(train_images("cuda", "model", {"--epochs", "1"}).code, 0);
  fs::copy_file(path("m/model.last.pt"), path("m/before.pt"));
  struct Case {
    const char *variable, *value, *message;
  };
  for (const Case& c : {Case{"AR_EMULATION_MEMORY", "12000000", "cuda: out of memory: "},
                        Case{"AR_EMULATION_LOST_AFTER", "500", "the device is lost"}}) {
    const Outcome outcome =
        train_images("cuda", "model", {"--epochs", "9", "--resume-checkpoint", "auto"}, {{c.variable, c.value}});
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    const size_t at = outcome.err.rfind("error: ");
    ASSERT_NE(at, std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n', at), outcome.err.size() - 1) << outcome.err;
    EXPECT_THAT(outcome.err.substr(at), HasSubstr(c.message));
    EXPECT_THAT(outcome.err.substr(at), HasSubstr("model.last.pt holds the state of the last save"));
    EXPECT_EQ(distance(path("m/before.pt"), path("m/model.last.pt")), 0);
  }
  EXPECT_EQ(train_images("cuda", "model", {"--epochs", "2", "--resume-checkpoint", "auto"}).code, 0);

  // No video is blamed for the device's end.
  const Outcome cut = on_device("ar-generate-action-clip",
                                {"--video-path", path("videos"), "--image-classifier-checkpoint", path("m/model.pt"),
                                 "--out-dir", path("m/clips"), "--clip-len", "0.2", "--device", "cuda", "--quiet"},
                                {{"AR_EMULATION_LOST_AFTER", "300"}});
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.err, HasSubstr("error: cuda: a kernel: the device is lost"));
  EXPECT_EQ(std::count(cut.err.begin(), cut.err.end(), '\n'), 1) << cut.err;
}

TEST_F(CudaPrograms, ADeviceThatCannotBeUsedIsOneLine) {
  struct Case {
    const char *device, *variable, *value, *message;
  };
  const std::string text = path("videos/dark/0.mp4");
  for (const Case& c :
       {Case{"cuda", "AR_CUDA_LIBRARY", "/nowhere/libar_cuda.so", "the library of the CUDA backend cannot be opened"},
        Case{"cuda", "AR_CUDA_LIBRARY", text.c_str(), "cannot be opened"},
        Case{"cuda", "AR_EMULATION_DEVICES", "0", "--device cuda: no CUDA device is visible"},
        Case{"cuda:1", "AR_EMULATION_DEVICES", "1", "--device cuda:1: there is only 1 device, counted from 0"},
        Case{"cuda:99", "AR_EMULATION_DEVICES", "2", "--device cuda:99: there is no such device"},
        Case{"cuda:x", "AR_EMULATION_DEVICES", "1", "expected cpu, cuda or cuda:N"},
        Case{"gpu", "AR_EMULATION_DEVICES", "1", "--device gpu: not one of auto, cpu, cuda[:n]"}})
    for (const std::vector<std::string>& arguments :
         {images(c.device, "none"), std::vector<std::string>{"--checkpoint", "x", "--device", c.device, "y"}}) {
      const bool classify = arguments.front() == "--checkpoint";
      const Outcome outcome =
          on_device(classify ? "ar-classify" : "ar-train-image", arguments, {{c.variable, c.value}});
      EXPECT_EQ(outcome.code, 1) << outcome.err;
      EXPECT_THAT(outcome.err, HasSubstr("error: ")) << c.device;
      EXPECT_THAT(outcome.err, HasSubstr(c.message));
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    }
  // auto goes without.
  const Outcome outcome = train_images("auto", "auto", {"--epochs", "1"}, {{"AR_EMULATION_DEVICES", "0"}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace ar
