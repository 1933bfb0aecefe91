// ar-train-video, ar-evaluate-video and ar-predict-video as a user runs them, on videos made here: classes are the
// direction of a motion, which no single frame shows.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "io/checkpoint_file.h"
#include "io/image_write.h"
#include "tests/errors.h"
#include "tests/programs/run.h"
#include "tests/video/make_video.h"

namespace ar {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr int kSide = 64, kFrames = 20, kTrain = 40, kTest = 6;
const char* const kDirections[] = {"Down", "Left", "Right", "Up"};

/// A square moves along one axis; its colour tells its place. Where it is in a frame says nothing about the class: a
/// way there is as likely as the way back, and across the motion it stands where some moment of another way would have
/// it.
void film(const fs::path& path, int direction, unsigned seed) {
  constexpr int kSpeed = 2, kSpan = kSpeed * (kFrames - 1);
  std::mt19937 random(seed);
  const int from = int(random() % (kSide - kSpan)),
            across = int(random() % (kSide - kSpan)) + kSpeed * int(random() % kFrames);
  const bool horizontal = direction == 1 || direction == 2, backwards = direction == 1 || direction == 3;
  const auto wrap = [](int v) { return ((v % kSide) + kSide) % kSide; };
  fs::create_directories(path.parent_path());
  test::make_video(path.string(), {.codec = "libx264",
                                   .width = kSide,
                                   .height = kSide,
                                   .pts = test::steps(kFrames),
                                   .options = {{"crf", "8"}, {"preset", "ultrafast"}},
                                   .muxer_options = {},
                                   .draw = [=](int i, uint8_t* rgb) {
                                     const int along = from + kSpeed * (backwards ? kFrames - 1 - i : i);
                                     const int x = horizontal ? along : across, y = horizontal ? across : along;
                                     for (int r = 0; r < kSide; ++r)
                                       for (int c = 0; c < kSide; ++c, rgb += 3) {
                                         const bool inside = wrap(r - y) < 56 && wrap(c - x) < 56;
                                         rgb[0] = inside ? uint8_t(4 * x) : 0;
                                         rgb[1] = inside ? uint8_t(4 * y) : 0;
                                         rgb[2] = inside ? 128 : 30;
                                       }
                                   }});
}

/// A data set with lists in UCF-101's form, made once for all tests.
class VideoPrograms : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder() = fs::temp_directory_path() / ("ar_video_programs_" + std::to_string(getpid()));
    fs::create_directories(folder() / "lists");
    std::ofstream classes(folder() / "lists/classInd.txt"), train(folder() / "lists/trainlist01.txt"),
        test(folder() / "lists/testlist01.txt");
    unsigned seed = 1;
    for (int c = 0; c < 4; ++c) {
      const std::string name = kDirections[c];
      classes << c + 1 << " " << name << "\r\n";
      for (int i = 0; i < kTrain + kTest; ++i) {
        char file[64];
        std::snprintf(file, sizeof file, "%s/v_%s_g%02d_c01.avi", name.c_str(), name.c_str(), i);
        film(folder() / "videos" / file, c, seed++);
        (i < kTrain ? train : test) << file;
        if (i < kTrain) train << " " << c + 1;
        (i < kTrain ? train : test) << "\r\n";
      }
    }
    setenv("AR_CACHE", (folder() / "cache").c_str(), 1);
  }
  static void TearDownTestSuite() {
    unsetenv("AR_CACHE");
    fs::remove_all(folder());
  }
  void TearDown() override { fs::remove_all(folder() / "m"); }

  static fs::path& folder() {
    static fs::path path;
    return path;
  }
  static std::string path(const std::string& name) { return (folder() / name).string(); }
  static std::vector<std::string> data() {
    return {"--dataset", "UCF-101", "--data-dir", path("videos"), "--annots-dir", path("lists")};
  }
  /// The options of a small run; of those given twice the later counts.
  static std::vector<std::string> options(const std::vector<std::string>& run_options,
                                          const std::vector<std::string>& model_options) {
    std::vector<std::string> all = data();
    const auto add = [&](const std::vector<std::string>& more) {
      for (const std::string& option : more) {
        const auto same = option.starts_with("--") ? std::find(all.begin(), all.end(), option) : all.end();
        if (same != all.end()) all.erase(same, same + 2);
      }
      all.insert(all.end(), more.begin(), more.end());
    };
    add({"--frames-per-clip", "8", "--clips-per-video", "2", "--resize", "64x64", "--crop-size", "64", "--batch-size",
         "8", "--threads", "1", "--epochs", "2", "--learning-rate", "0.01", "--save-checkpoint", path("m/model.pt")});
    add(run_options);
    all.insert(all.end(), {"--no-mirror", "LRCN", "--pretrained", "none", "--rnn-units", "32"});
    if (std::find(model_options.begin(), model_options.end(), "--feature-extractor") == model_options.end())
      all.insert(all.end(), {"--feature-extractor", "tiny_darknet"});
    all.insert(all.end(), model_options.begin(), model_options.end());
    return all;
  }
  static Outcome train(const std::vector<std::string>& run_options = {},
                       const std::vector<std::string>& model_options = {}) {
    return run("ar-train-video", options(run_options, model_options), folder());
  }
  static std::string error_of_training(const std::vector<std::string>& run_options, int code = 1,
                                       const std::vector<std::string>& model_options = {}) {
    const Outcome outcome = train(run_options, model_options);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    const size_t at = outcome.err.rfind("error: ");
    EXPECT_TRUE(at == 0 || (at != std::string::npos && outcome.err[at - 1] == '\n')) << outcome.err;
    if (at == std::string::npos) return outcome.err;
    EXPECT_EQ(outcome.err.find('\n', at), outcome.err.size() - 1) << outcome.err;
    return outcome.err.substr(at);
  }
  /// Four videos of a class below m/some.
  static void link_some(const std::string& name) {
    fs::create_directories(folder() / "m/some" / name);
    for (int i = 40; i < 44; ++i) {
      const std::string file = name + "/v_" + name + "_g" + std::to_string(i) + "_c01.avi";
      fs::create_symlink(folder() / "videos" / file, folder() / "m/some" / file);
    }
  }
  static Outcome evaluate(const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = data();
    all.insert(all.end(), {"--checkpoint", path("m/model.pt"), "--threads", "1"});
    all.insert(all.end(), more.begin(), more.end());
    return run("ar-evaluate-video", all, folder());
  }
};

void expect_same_weights(const std::string& a, const std::string& b) {
  const io::Value first = io::load_checkpoint_file(a), second = io::load_checkpoint_file(b);
  const auto x = first.at("model").tensors(), y = second.at("model").tensors();
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(x[i].second.to_vector<double>(), y[i].second.to_vector<double>()) << x[i].first;
  EXPECT_EQ(first.at("single_frame").at("weight").tensor().to_vector<double>(),
            second.at("single_frame").at("weight").tensor().to_vector<double>());
}

#if defined(AR_SANITIZE)
constexpr bool kTrainedToTheEnd =
    false;  // learning takes 20 minutes in a sanitized build; one epoch runs the same code
#else
constexpr bool kTrainedToTheEnd = true;
#endif

TEST_F(VideoPrograms, OnlyTheLSTMSeesTheDirectionOfMotion) {
  const Outcome trained =
      train({"--epochs",          kTrainedToTheEnd ? "40" : "1",
             "--optimizer",       "Adam",
             "--scheduler",       "Cosine",
             "--learning-rate",   "0.01",
             "--batch-size",      "16",
             "--frames-per-clip", "16",
             "--clips-per-video", kTrainedToTheEnd ? "3" : "1",
             "--resize",          "32x32",
             "--crop-size",       "32",
             "--logdir",          path("m/log")},
            {"--freeze-fe", "--dropout", "0", "--bidirectional", "--feature-extractor", "resnet18"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  for (const char* file : {"m/log/report.html", "m/log/metrics.jsonl", "m/model.pt", "m/model.last.pt"})
    EXPECT_TRUE(fs::exists(folder() / file)) << file;
  const Outcome evaluated = evaluate({"--json", path("m/scores.json"), "--report", path("m/scores.html")});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const auto scores = nlohmann::json::parse(std::ifstream(folder() / "m/scores.json"));
  if (kTrainedToTheEnd) {
    EXPECT_GE(scores["video"]["top1"].get<double>(), 0.95) << evaluated.out << trained.err;
    EXPECT_GE(scores["clip"]["top1"].get<double>(), 0.8);
    EXPECT_LE(scores["single_frame"]["top1"].get<double>(), 0.5) << "four classes; chance is a quarter";
  }
  for (const char* which : {"video", "clip", "single_frame"})
    for (const char* k : {"top1", "top3", "top5"}) EXPECT_TRUE(scores[which].contains(k)) << which << k;
  EXPECT_EQ(scores["missing"], 0);
  EXPECT_EQ(scores["per_class"].size(), 4u);
  EXPECT_EQ(scores["confusion"].size(), 4u);
  EXPECT_TRUE(fs::exists(folder() / "m/scores.html"));

  // Ten views, and features from the cache, say much the same.
  ASSERT_EQ(evaluate({"--json", path("m/again.json")}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(std::ifstream(folder() / "m/again.json")), scores);
  EXPECT_EQ(evaluate({"--ten-crop"}).code, 0);

  const Outcome predicted = run("ar-predict-video",
                                {"--checkpoint", path("m/model.pt"), "--json", "--timeline",
                                 path("videos/Left/v_Left_g43_c01.avi"), path("nowhere.avi")},
                                folder());
  EXPECT_EQ(predicted.code, 1);  // one of them cannot be read
  EXPECT_THAT(predicted.err, HasSubstr("nowhere.avi"));
  const auto line = nlohmann::json::parse(predicted.out.substr(0, predicted.out.find('\n')));
  if (kTrainedToTheEnd) {
    EXPECT_EQ(line["top"][0]["class"], "Left");
  }
  EXPECT_EQ(line["top"].size(), 4u);
  EXPECT_FALSE(line["timeline"].empty());
}

TEST_F(VideoPrograms, TwoEpochsAndTwoMoreAreFour) {
  for (const std::vector<std::string>& model : {std::vector<std::string>{}, {"--freeze-fe"}}) {
    fs::remove_all(folder() / "m");
    const std::vector<std::string> more{"--clips-per-video", "1"};
    const auto run_of = [&](const char* epochs, const char* file, const char* resume) {
      std::vector<std::string> all = more;
      all.insert(all.end(), {"--epochs", epochs, "--save-checkpoint", path(file)});
      if (resume) all.insert(all.end(), {"--resume-checkpoint", resume});
      const Outcome outcome = train(all, model);
      EXPECT_EQ(outcome.code, 0) << outcome.err;
    };
    run_of("4", "m/whole/model.pt", nullptr);
    run_of("2", "m/model.pt", nullptr);
    run_of("4", "m/model.pt", "auto");
    expect_same_weights(path("m/whole/model.last.pt"), path("m/model.last.pt"));
  }
}

TEST_F(VideoPrograms, StoppedWithinAnEpochItGoesOnAsIfNothingHadHappened) {
  const std::vector<std::string> more{"--epochs", "3", "--clips-per-video", "1", "--resume-checkpoint", "auto"};
  std::vector<std::string> whole = more;
  whole.insert(whole.end(), {"--save-checkpoint", path("m/whole/model.pt")});
  ASSERT_EQ(train(whole).code, 0);
  std::mt19937 random(3);
  for (int attempt = 0; attempt < 4; ++attempt) {
    Program program("ar-train-video", options(more, {}), folder());
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + random() % 1500));
    program.signal(attempt == 2 ? SIGKILL : SIGTERM);
    if (program.wait().code == 0) break;
  }
  const Outcome last = train(more);
  ASSERT_EQ(last.code, 0) << last.err;
  expect_same_weights(path("m/whole/model.last.pt"), path("m/model.last.pt"));
}

TEST_F(VideoPrograms, MissingAndBrokenVideosAreCountedAndListed) {
  fs::create_directories(folder() / "m");
  fs::copy(folder() / "lists", folder() / "m/lists");
  std::ofstream(folder() / "m/lists/trainlist01.txt", std::ios::app) << "Up/v_Up_g90_c01.avi 4\n";
  std::ofstream(folder() / "videos/Up/v_Up_g91_c01.avi") << "this is no video";
  std::ofstream(folder() / "m/lists/trainlist01.txt", std::ios::app) << "Up/v_Up_g91_c01.avi 4\n";
  const std::vector<std::string> more{"--annots-dir", path("m/lists"), "--epochs", "1"};
  const Outcome outcome = train(more, {"--freeze-fe"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 video of the list missing"));
  EXPECT_THAT(outcome.err, HasSubstr("1 video cannot be read"));
  std::ifstream listed(folder() / "m/model.video-problems.txt");
  const std::string lines{std::istreambuf_iterator<char>(listed), {}};
  EXPECT_THAT(lines, HasSubstr("v_Up_g90_c01.avi"));
  EXPECT_THAT(lines, HasSubstr("v_Up_g91_c01.avi"));
  for (int i = 0; i < 9; ++i)
    std::ofstream(folder() / "m/lists/trainlist01.txt", std::ios::app) << "Up/v_Up_g8" << i << "_c01.avi 4\n";
  EXPECT_THAT(error_of_training(more), HasSubstr("--allow-missing"));
  fs::remove(folder() / "videos/Up/v_Up_g91_c01.avi");
}

TEST_F(VideoPrograms, ACacheThatCannotBeWrittenIsNotedOnce) {
  const Outcome outcome = run("ar-train-video", options({"--epochs", "1", "--clips-per-video", "1"}, {"--freeze-fe"}),
                              folder(), [] { setenv("AR_CACHE", "/dev/null/cache", 1); });
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::string note = "features that cannot be written are computed again";
  const size_t at = outcome.err.find(note);
  EXPECT_NE(at, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.rfind(note), at) << outcome.err;
}

TEST_F(VideoPrograms, FeaturesOfOtherFramesStay) {
  link_some("Left");
  link_some("Right");
  const auto training = [&](const char* clips) {
    return train({"--dataset", "folder", "--data-dir", path("m/some"), "--epochs", "1", "--batch-size", "2",
                  "--clips-per-video", clips, "--feature-cache", path("m/features")},
                 {"--freeze-fe"})
        .err;
  };
  EXPECT_THAT(training("1"), Not(HasSubstr(" 0 frames computed")));
  EXPECT_THAT(training("2"), Not(HasSubstr(" 0 frames computed")));
  EXPECT_THAT(training("1"), HasSubstr(" 0 frames computed"));
}

TEST_F(VideoPrograms, EvaluationNeedsNotAllClasses) {
  ASSERT_EQ(train({"--epochs", "1", "--clips-per-video", "1"}, {"--freeze-fe"}).code, 0);
  link_some("Right");
  const std::vector<std::string> arguments{"--checkpoint", path("m/model.pt"),   "--data-dir",
                                           path("m/some"), "--threads",          "1",
                                           "--json",       path("m/scores.json")};
  const Outcome outcome = run("ar-evaluate-video", arguments, folder());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto scores = nlohmann::json::parse(std::ifstream(folder() / "m/scores.json"));
  EXPECT_EQ(scores["classes"].size(), 4u);
  EXPECT_EQ(scores["per_class"][2]["support"], 4);
  EXPECT_EQ(scores["trained_on"], 0);
  EXPECT_THAT(outcome.err, Not(HasSubstr("the checkpoint was trained on")));

  fs::rename(folder() / "m/some/Right", folder() / "m/some/Sideways");
  const Outcome other = run("ar-evaluate-video", arguments, folder());
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("class 'Sideways' is not among the 4 known classes"));
}

TEST_F(VideoPrograms, AnotherFoldThanThatOfTheTrainingIsNoTest) {
  ASSERT_EQ(train({"--epochs", "1", "--clips-per-video", "1", "--validation-split", "0.5"}, {"--freeze-fe"}).code, 0);
  fs::copy(folder() / "lists", folder() / "m/lists");
  fs::rename(folder() / "m/lists/trainlist01.txt", folder() / "m/lists/trainlist02.txt");
  std::ofstream(folder() / "m/lists/testlist02.txt") << "Up/v_Up_g45_c01.avi\nUp/v_Up_g01_c01.avi\n";
  const Outcome outcome =
      run("ar-evaluate-video",
          {"--checkpoint", path("m/model.pt"), "--dataset", "UCF-101", "--fold", "2", "--data-dir", path("videos"),
           "--annots-dir", path("m/lists"), "--threads", "1", "--json", path("m/scores.json")},
          folder());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("note: of these 2 videos the checkpoint was trained on "));
  const auto scores = nlohmann::json::parse(std::ifstream(folder() / "m/scores.json"));
  EXPECT_EQ(scores["trained_on"].get<int>() + scores["validated_on"].get<int>(), 1);
}

TEST_F(VideoPrograms, ATimelineOutlivesAClockThatJumps) {
  ASSERT_EQ(train({"--epochs", "0"}).code, 0);
  std::vector<int64_t> pts = test::steps(40);
  for (size_t i = 20; i < pts.size(); ++i) pts[i] += 25 * int64_t{1'700'000'000};
  const std::string jump = path("m/jump.mkv");
  test::make_video(jump, {.width = kSide, .height = kSide, .pts = pts, .b_frames = 0});
  const Outcome outcome =
      run("ar-predict-video", {"--checkpoint", path("m/model.last.pt"), "--threads", "1", "--json", "--timeline", jump},
          folder(), [] {
            const rlimit limit{rlim_t{16} << 30, rlim_t{16} << 30};  // rather an error than a full machine
            setrlimit(RLIMIT_AS, &limit);
          });
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto timeline = nlohmann::json::parse(outcome.out)["timeline"];
  EXPECT_EQ(timeline.front()["second"], 0);
  EXPECT_GT(timeline.back()["second"].get<int64_t>(), 1'699'999'999);
  EXPECT_LT(timeline.size(), 100u);
}

TEST_F(VideoPrograms, BadUseIsOneLine) {
  EXPECT_THAT(error_of_training({"--frames-per-clip", "0"}, 2), HasSubstr("--frames-per-clip"));
  EXPECT_THAT(error_of_training({"--resize", "64"}), HasSubstr("--resize 64"));
  EXPECT_THAT(error_of_training({"--crop-size", "65"}), HasSubstr("65 x 65"));
  EXPECT_THAT(error_of_training({"--dataset", "UCF-102"}, 2), HasSubstr("UCF-101"));
  EXPECT_THAT(error_of_training({"--data-dir", path("nowhere")}), HasSubstr("nowhere: no such folder"));
  EXPECT_THAT(error_of_training({"--annots-dir", path("nowhere")}), HasSubstr("classInd.txt"));
  EXPECT_THAT(error_of_training({"--batch-size", "3000"}), HasSubstr("3000"));
  EXPECT_THAT(error_of_training({}, 2, {"--head", "none"}), HasSubstr("--head"));
  EXPECT_EQ(run("ar-train-video", {"--data-dir", "x", "--frames-per-clip", "4", "LSTM"}, folder()).code, 2);
  EXPECT_EQ(run("ar-train-video", {"--help"}, folder()).code, 0);
  EXPECT_EQ(run("ar-train-video", {"--data-dir", "x", "--frames-per-clip", "4", "LRCN", "--help"}, folder()).code, 0);
}

TEST_F(VideoPrograms, BadCheckpointsAreOneLine) {
  ASSERT_EQ(train({"--epochs", "1"}, {"--freeze-fe"}).code, 0);
  const std::string model = path("m/model.pt");
  EXPECT_THAT(error_of_training({"--resume-checkpoint", model}, 1, {"--freeze-fe", "--rnn-layers", "2"}),
              HasSubstr("give --rnn-layers 1"));
  EXPECT_THAT(error_of_training({"--resume-checkpoint", model, "--frames-per-clip", "9"}, 1, {"--freeze-fe"}),
              HasSubstr("--frames-per-clip 8"));

  const Outcome other =
      run("ar-evaluate-video", {"--checkpoint", model, "--dataset", "folder", "--data-dir", path("cache")}, folder());
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(std::count(other.err.begin(), other.err.end(), '\n'), 1) << other.err;
  EXPECT_EQ(
      run("ar-evaluate-video", {"--checkpoint", path("lists/classInd.txt"), "--data-dir", path("videos")}, folder())
          .code,
      1);
}

// ---- images that training and evaluation must not count ----

class ImagesLeftOut : public testing::Test {
 protected:
  ImagesLeftOut() { setenv("AR_CACHE", (folder / "cache").c_str(), 1); }
  ~ImagesLeftOut() override { unsetenv("AR_CACHE"); }
  /// Four pictures of noise.
  void draw(const std::string& name, unsigned seed) const {
    std::mt19937 random(seed);
    for (int i = 0; i < 4; ++i) {
      io::Image image(24, 24);
      for (int y = 0; y < 24; ++y)
        for (int x = 0; x < 72; ++x) image.view().row(y)[x] = uint8_t(random());
      const std::vector<uint8_t> png = io::encode_png(image);
      fs::create_directories(folder.path() / name);
      std::ofstream(folder.path() / name / (std::to_string(i) + ".png"), std::ios::binary)
          .write(reinterpret_cast<const char*>(png.data()), std::streamsize(png.size()));
    }
  }
  Outcome train(const std::vector<std::string>& more) const {
    std::vector<std::string> all = small_training(folder.path() / "data", folder / "model.pt");
    all.insert(all.end(), {"--batch-size", "2", "--epochs", "1"});
    all.insert(all.end(), more.begin(), more.end());
    return run("ar-train-image", all, folder.path());
  }
  const test::TempDir folder;
};

TEST_F(ImagesLeftOut, NoOtherIsScoredInPlaceOfAnUnreadableOne) {
  draw("data/a", 1);
  draw("data/b", 2);
  ASSERT_EQ(train({}).code, 0);
  const auto evaluate = [&] {
    return run("ar-evaluate-image",
               {"--checkpoint", folder / "model.pt", "--data-dir", folder / "data", "--json", folder / "scores.json",
                "--batch-size", "3", "--threads", "1"},
               folder.path());
  };
  EXPECT_EQ(evaluate().code, 0);
  const fs::path broken = folder.path() / "data/b/1.png";  // since it was looked at, unnoticed
  const auto size = fs::file_size(broken);
  const auto time = fs::last_write_time(broken);
  std::ofstream(broken, std::ios::binary) << std::string(size, '\0');
  fs::last_write_time(broken, time);
  const Outcome outcome = evaluate();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 image could not be read any more and left out, the first: " + broken.string()));
  const auto scores = nlohmann::json::parse(std::ifstream(folder / "scores.json"));
  EXPECT_EQ(scores["per_class"][0]["support"], 4);
  EXPECT_EQ(scores["per_class"][1]["support"], 3);
}

TEST_F(ImagesLeftOut, AValidationFolderWithCopiesOfAWholeClass) {
  draw("data/a", 1);
  draw("data/b", 2);
  draw("other/a", 1);
  draw("other/b", 3);
  const Outcome outcome = train({"--validation-dir", folder / "other"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("note: no image is left to validate class 'a' on"));
  draw("other/b", 2);
  EXPECT_THAT(train({"--validation-dir", folder / "other"}).err, HasSubstr("validate on others"));
}

}  // namespace
}  // namespace ar
