// ar-train-image, ar-evaluate-image and ar-classify as a user runs them, on pictures drawn here.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "io/checkpoint_file.h"
#include "io/image_write.h"
#include "tests/errors.h"
#include "tests/programs/run.h"

namespace ar {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void write_file(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A bright bar in one of four places, on noise.
void draw(const fs::path& path, int place, unsigned seed) {
  std::mt19937 random(seed);
  io::Image image(40, 40);
  const io::MutableImageView view = image.view();
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 120; ++x) view.row(y)[x] = uint8_t(random() % 140 + (y / 10 == place ? 110 : 0));
  const std::vector<uint8_t> png = io::encode_png(image);
  write_file(path, {png.begin(), png.end()});
}

const char* const kClasses[] = {"clapping", "playing \"kubb\" & more", "Zähne putzen"};

class ImagePrograms : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("ar_image_programs_" + std::to_string(getpid()));
    data = folder / "data";
    for (int c = 0; c < 3; ++c)
      for (unsigned i = 0; i < 10; ++i) draw(data / kClasses[c] / (std::to_string(i) + ".png"), c, 100 * c + i);
    setenv("AR_CACHE", (folder / "cache").c_str(), 1);
  }
  void TearDown() override {
    unsetenv("AR_CACHE");
    fs::remove_all(folder);
  }
  /// The options of a run that takes a second or two, and more.
  std::vector<std::string> options(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = small_training(data, folder / "m" / "model.pt");
    all.insert(all.end(), {"--batch-size", "4", "--learning-rate", "0.02", "--epochs", "2"});
    for (const std::string& option : more) {
      const auto same = option.starts_with("--") ? std::find(all.begin(), all.end(), option) : all.end();
      if (same != all.end()) all.erase(same, same + 2);
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome train(const std::vector<std::string>& more = {}, const std::function<void()>& in_child = nullptr) const {
    return run("ar-train-image", options(more), folder, in_child);
  }
  /// The message of a failing run: one line, and no more than that.
  std::string error_of_training(const std::vector<std::string>& more, int code = 1) const {
    const Outcome outcome = train(more);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    const size_t at = outcome.err.rfind("error: ");
    EXPECT_TRUE(at == 0 || (at != std::string::npos && outcome.err[at - 1] == '\n')) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n', at), outcome.err.size() - 1) << outcome.err;
    return outcome.err.substr(at);
  }
  std::string path(const char* name) const { return (folder / name).string(); }
  fs::path folder, data;
};

void expect_same_weights(const std::string& a, const std::string& b) {
  const auto x = io::load_checkpoint_file(a).at("model").tensors(),
             y = io::load_checkpoint_file(b).at("model").tensors();
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(x[i].second.to_vector<double>(), y[i].second.to_vector<double>()) << x[i].first;
}

TEST_F(ImagePrograms, TrainEvaluateAndClassify) {
  const Outcome trained = train({"--epochs", "12", "--optimizer", "Adam", "--learning-rate", "0.003", "--augment",
                                 "none", "--logdir", path("log")});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("epoch 12/12: training loss"));
  for (const char* file : {"log/report.html", "log/metrics.jsonl", "m/model.pt", "m/model.last.pt"})
    EXPECT_TRUE(fs::exists(folder / file)) << file;

  const Outcome evaluated = run("ar-evaluate-image",
                                {"--checkpoint", path("m/model.pt"), "--data-dir", data.string(), "--json",
                                 path("scores.json"), "--report", path("scores.html")},
                                folder);
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const auto scores = nlohmann::json::parse(std::ifstream(folder / "scores.json"));
  EXPECT_GT(scores["top1"].get<double>(), 0.8) << trained.err;
  EXPECT_EQ(scores["top3"].get<double>(), 1);
  EXPECT_EQ(scores["per_class"].size(), 3u);
  EXPECT_EQ(scores["classes"][2], kClasses[1]);  // by the names' bytes
  EXPECT_TRUE(fs::exists(folder / "scores.html"));
  EXPECT_THAT(evaluated.err, HasSubstr("note: of these 30 images the checkpoint was trained on 27 and validated on 3"));
  EXPECT_EQ(scores["trained_on"], 27);
  EXPECT_EQ(scores["validated_on"], 3);

  const Outcome named =
      run("ar-classify", {"--checkpoint", path("m/model.pt"), "--json", (data / kClasses[0]).string()}, folder);
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(std::count(named.out.begin(), named.out.end(), '\n'), 10);
  const auto first = nlohmann::json::parse(named.out.substr(0, named.out.find('\n')));
  double sum = 0;
  for (const auto& entry : first["top"]) sum += entry["probability"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(ImagePrograms, NamesThatAreNoTextCostNothing) {
  const std::string here = path("caf\xe9");
  fs::rename(data, here);
  fs::rename(fs::path(here) / kClasses[0], fs::path(here) / "na\xefve");
  const std::vector<std::string> more{"--data-dir", here, "--logdir", path("log"), "--resume-checkpoint", "auto"};
  for (const char* epochs : {"1", "2"}) {
    std::vector<std::string> all = more;
    all.insert(all.end(), {"--epochs", epochs});
    const Outcome trained = train(all);
    ASSERT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(trained.err.find("the log ends here"), std::string::npos) << trained.err;
  }
  const io::Value saved = io::load_checkpoint_file(path("m/model.last.pt"));
  EXPECT_EQ(nlohmann::json::parse(saved.at("options").string())["data-dir"], path("caf\xef\xbf\xbd"));
  const Outcome evaluated = run("ar-evaluate-image",
                                {"--checkpoint", path("m/model.pt"), "--data-dir", here, "--json", path("scores.json"),
                                 "--report", path("scores.html")},
                                folder);
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(nlohmann::json::parse(std::ifstream(folder / "scores.json"))["classes"][1], "na\xef\xbf\xbdve");
}

TEST_F(ImagePrograms, TwoRunsDoNotWriteTheSameFiles) {
  Program first("ar-train-image", options({"--epochs", "100000"}), folder);
  while (first.running() && !fs::exists(folder / "m/model.last.pt")) usleep(5000);
  fs::create_directories(folder / "second");
  const Outcome second = run("ar-train-image", options(), folder / "second");
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(second.err, "error: " + path("m/model.pt") +
                            ": another run is writing here; wait for it, or choose another --save-checkpoint\n");
  EXPECT_TRUE(first.running());
  EXPECT_FALSE(fs::exists(folder / "m/model.previous.pt"));
  first.signal(SIGKILL);
  first.wait();
  EXPECT_EQ(train({"--epochs", "1"}).code, 0);
}

TEST_F(ImagePrograms, AnEvaluationThatIsStoppedIsNoError) {
  ASSERT_EQ(train({"--epochs", "0", "--image-size", "448"}).code, 0);
  Program program("ar-evaluate-image",
                  {"--checkpoint", path("m/model.last.pt"), "--data-dir", data.string(), "--batch-size", "1",
                   "--threads", "1", "--json", path("scores.json")},
                  folder);
  while (program.running() && program.err_so_far().find(" classes in ") == std::string::npos) usleep(1000);
  program.signal(SIGTERM);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.code, 128 + SIGTERM);
  EXPECT_THAT(outcome.err, HasSubstr("\nstopped after "));
  EXPECT_FALSE(fs::exists(folder / "scores.json"));
}

TEST_F(ImagePrograms, ClassifyFollowsLinksAsTrainingDoes) {
  ASSERT_EQ(train({"--epochs", "0"}).code, 0);
  const fs::path mixed = folder / "mixed";
  draw(mixed / "own" / "0.png", 0, 1);
  fs::create_symlink(data / kClasses[0], mixed / "linked");
  fs::create_symlink("loop", mixed / "loop");
  fs::create_directory_symlink(mixed, mixed / "own" / "up");
  const auto classify = [&] {
    return run("ar-classify", {"--checkpoint", path("m/model.last.pt"), "--json", mixed.string()}, folder);
  };
  const Outcome outcome = classify();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 11);
  if (geteuid() == 0) return;  // for root there are no unreadable folders
  fs::create_directories(mixed / "secret");
  fs::permissions(mixed / "secret", fs::perms::none);
  const Outcome partly = classify();
  fs::permissions(mixed / "secret", fs::perms::owner_all);
  EXPECT_EQ(partly.code, 1);
  EXPECT_THAT(partly.err, HasSubstr("secret: cannot be listed"));
  EXPECT_EQ(partly.out, outcome.out);
}

TEST_F(ImagePrograms, TwoEpochsAndTwoMoreAreFour) {
  ASSERT_EQ(train({"--epochs", "4", "--save-checkpoint", path("whole/model.pt")}).code, 0);
  ASSERT_EQ(train({"--epochs", "2"}).code, 0);
  const Outcome resumed = train({"--epochs", "4", "--resume-checkpoint", "auto"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("going on from"));
  expect_same_weights(path("whole/model.last.pt"), path("m/model.last.pt"));
}

TEST_F(ImagePrograms, KilledOrStoppedAtAnyMomentItGoesOnAsIfNothingHadHappened) {
  const std::vector<std::string> more{"--epochs", "6", "--dropout", "0.3", "--resume-checkpoint", "auto"};
  std::vector<std::string> whole = more;
  whole.insert(whole.end(), {"--save-checkpoint", path("whole/model.pt")});
  ASSERT_EQ(train(whole).code, 0);
  std::mt19937 random(1);
  for (int attempt = 0; attempt < 12; ++attempt) {
    Program program("ar-train-image", options(more), folder);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 900));
    program.signal(attempt % 2 ? SIGKILL : SIGTERM);
    const Outcome outcome = program.wait();
    if (outcome.code == 0) break;
    EXPECT_TRUE(outcome.code == 128 + SIGKILL || outcome.code == 128 + SIGTERM) << outcome.code << outcome.err;
    if (fs::exists(folder / "m/model.last.pt")) {
      EXPECT_NO_THROW(io::load_checkpoint_file(path("m/model.last.pt")));
    }
  }
  ASSERT_EQ(train(more).code, 0);
  expect_same_weights(path("whole/model.last.pt"), path("m/model.last.pt"));
}

TEST_F(ImagePrograms, BrokenFilesAreSkippedAndListed) {
  write_file(data / kClasses[0] / "empty.jpg", "");
  write_file(data / kClasses[1] / "page.png", "<!DOCTYPE html><html>not found</html>");
  std::ifstream good(data / kClasses[0] / "0.png", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(good), {}};
  write_file(data / kClasses[2] / "cut.png", bytes.substr(0, bytes.size() / 2));
  const Outcome outcome = train();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("3 files cannot be read"));
  std::ifstream log(folder / "m" / "model.bad-files.tsv");
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3) << lines;
  EXPECT_THAT(lines, HasSubstr("empty file"));
}

TEST_F(ImagePrograms, AProfileTellsWhereTheTimeWent) {
  const Outcome outcome = train({"--epochs", "1", "--profile=" + path("trace.json")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* row : {"\nconv 3x3 ", "\nnot in a kernel ", "\nbackward ", "\nwaiting for data ", "\ntrace: "})
    EXPECT_THAT(outcome.err, HasSubstr(row));
  const auto trace = nlohmann::json::parse(std::ifstream(folder / "trace.json"));
  std::set<std::string> categories;
  for (const auto& event : trace["traceEvents"]) categories.insert(event["cat"].get<std::string>());
  EXPECT_EQ(categories, (std::set<std::string>{"backward", "kernel", "layer", "phase"}));
  EXPECT_THAT(error_of_training({"--profile=" + path("nowhere/trace.json")}), HasSubstr("nowhere/trace.json: "));
}

TEST_F(ImagePrograms, AnEarlierRunIsNotWrittenOver) {
  ASSERT_EQ(train({"--epochs", "1"}).code, 0);
  fs::copy_file(folder / "m/model.pt", folder / "first.pt");
  ASSERT_EQ(train({"--epochs", "1", "--seed", "1"}).code, 0);
  expect_same_weights(path("first.pt"), path("m/model.previous.pt"));
}

TEST_F(ImagePrograms, OptionsFromAFile) {
  write_file(folder / "run.ini", "epochs = 1\nbatch-size = 5\nfeature-extractor = \"tiny_darknet\"\n");
  const Outcome outcome = run("ar-train-image",
                              {"--config", path("run.ini"), "--data-dir", data.string(), "--pretrained", "none",
                               "--image-size", "32", "--save-checkpoint", path("m/model.safetensors")},
                              folder);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const io::Value saved = io::load_checkpoint_file(path("m/model.last.safetensors"));
  EXPECT_EQ(saved.at("epoch").integer(), 1);
  EXPECT_EQ(nlohmann::json::parse(saved.at("options").string())["batch-size"], "5");
  write_file(folder / "run.ini", "epohcs = 1\n");
  EXPECT_THAT(error_of_training({"--config", path("run.ini")}, 2), HasSubstr("epohcs"));
}

/// An older processor runs the same programs, slowly and rightly.
TEST_F(ImagePrograms, OlderKernelsSayTheSame) {
  ASSERT_EQ(train().code, 0);
  const auto evaluated = [&](const std::string& kernels, const std::string& precision) {
    const std::string file = path((kernels + ".json").c_str());
    const Outcome outcome =
        run("ar-evaluate-image",
            {"--checkpoint", path("m/model.pt"), "--data-dir", data.string(), "--json", file, "--precision", precision},
            folder, [&] { setenv("AR_CPU", kernels.c_str(), 1); });
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("these kernels are " + kernels) != std::string::npos, precision == "bf16")
        << outcome.err;
    std::ifstream json(file);
    return nlohmann::json::parse(json);
  };
  const nlohmann::json best = evaluated("", "f32"), baseline = evaluated("baseline", "bf16");
  EXPECT_EQ(best["top1"], baseline["top1"]);
  EXPECT_NEAR(best["loss"].get<double>(), baseline["loss"].get<double>(), 1e-4);

  const Outcome trained =
      run("ar-train-image", options({"--epochs", "1"}), folder, [] { setenv("AR_CPU", "baseline", 1); });
  EXPECT_EQ(trained.code, 0) << trained.err;
  const Outcome unknown = run("ar-train-image", options(), folder, [] { setenv("AR_CPU", "mmx", 1); });
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("error: AR_CPU=mmx: this processor or build has no such kernels"));
}

TEST_F(ImagePrograms, BadUseIsOneLine) {
  EXPECT_THAT(error_of_training({"--epochs", "-1"}, 2), HasSubstr("--epochs"));
  EXPECT_THAT(error_of_training({"--feature-extractor", "densenet12"}, 2), HasSubstr("densenet121"));
  EXPECT_THAT(error_of_training({"--scheduler", "OneCycle", "--warmup-epochs", "1"}), HasSubstr("OneCycle"));
  EXPECT_THAT(error_of_training({"--save-checkpoint", path("m/model.onnx")}), HasSubstr(".safetensors"));
  EXPECT_EQ(run("ar-train-image", {}, folder).code, 2);
  EXPECT_EQ(run("ar-train-image", {"--help"}, folder).code, 0);
}

TEST_F(ImagePrograms, BadDataIsOneLine) {
  EXPECT_THAT(error_of_training({"--data-dir", path("nowhere")}), HasSubstr("nowhere: no such folder"));
  fs::create_directories(folder / "none");
  EXPECT_THAT(error_of_training({"--data-dir", path("none")}), HasSubstr("none: "));
  draw(folder / "one" / "a" / "0.png", 0, 1);
  EXPECT_THAT(error_of_training({"--data-dir", path("one")}), HasSubstr("one"));
  fs::create_directories(data / "nothing here");
  EXPECT_THAT(error_of_training({}), HasSubstr("nothing here"));
  fs::remove(data / "nothing here");
  EXPECT_THAT(error_of_training({"--batch-size", "300"}), HasSubstr("300"));
}

TEST_F(ImagePrograms, BadCheckpointsAreOneLine) {
  ASSERT_EQ(train({"--epochs", "1"}).code, 0);
  const std::string model = path("m/model.pt");
  EXPECT_THAT(error_of_training({"--resume-checkpoint", model, "--feature-extractor", "resnet18"}),
              HasSubstr("give --feature-extractor tiny_darknet"));
  EXPECT_THAT(error_of_training({"--resume-checkpoint", path("nowhere.pt")}), HasSubstr("nowhere.pt: "));
  std::ifstream good(model, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(good), {}};
  write_file(folder / "cut.pt", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error_of_training({"--resume-checkpoint", path("cut.pt")}), HasSubstr("cut.pt: "));
  write_file(folder / "text.pt", "this is no checkpoint");
  EXPECT_THAT(error_of_training({"--pretrained", path("text.pt")}), HasSubstr("text.pt: "));
  EXPECT_EQ(run("ar-classify", {"--checkpoint", path("cut.pt"), data.string()}, folder).code, 1);
}

TEST_F(ImagePrograms, WhereNothingCanBeWrittenItFailsBeforeTheWork) {
  write_file(folder / "file", "");
  EXPECT_THAT(error_of_training({"--save-checkpoint", path("file/model.pt")}), HasSubstr("file"));
}

TEST_F(ImagePrograms, AFullDiskLosesNothing) {
  ASSERT_EQ(train({"--epochs", "1"}).code, 0);
  fs::copy_file(folder / "m/model.last.pt", folder / "before.pt");
  // Files may grow to 1 MB only; the checkpoint has several.
  const Outcome outcome = train({"--epochs", "3", "--resume-checkpoint", "auto"}, [] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
  });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("error: "));
  expect_same_weights(path("before.pt"), path("m/model.last.pt"));
  for (const auto& entry : fs::directory_iterator(folder / "m")) EXPECT_NE(entry.path().extension(), ".tmp") << entry;
}

TEST_F(ImagePrograms, AnEpochThatEndsWithOneSampleIsTrained) {
  // 27 images: a batch of 26 and one image, whose last maps are of one pixel.
  const Outcome outcome = train({"--batch-size", "26", "--epochs", "1", "--feature-extractor", "mobilenet_v2"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("note: one sample would be alone in the last batch"));
}

/// Takes the place of one of the program's outputs: a pipe that nobody reads any more.
void close_reader(int output) {
  int ends[2];
  if (pipe(ends) != 0) _exit(126);
  close(ends[0]);
  dup2(ends[1], output);
}

TEST_F(ImagePrograms, ATrainingOutlivesItsTerminalAndItsLog) {
  EXPECT_EQ(train({}, [] { close_reader(STDERR_FILENO); }).code, 0);
  EXPECT_EQ(train({}, [] { close_reader(STDOUT_FILENO), dup2(STDOUT_FILENO, STDERR_FILENO); }).code, 0);
  write_file(folder / "log" / "steps", "a file where the log wants a folder");
  const Outcome outcome = train({"--logdir", path("log")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("note: the log ends here, the training goes on: " + path("log/steps")));
}

TEST_F(ImagePrograms, WhatCannotBePrintedIsAnError) {
  ASSERT_EQ(train({"--epochs", "0"}).code, 0);
  const std::vector<std::string> named{"--checkpoint", path("m/model.last.pt"), data.string()};
  for (const std::vector<std::string>& arguments : {named, {"--help"}}) {
    const Outcome full =
        run("ar-classify", arguments, folder, [] { dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO); });
    EXPECT_EQ(full.code, 1);
    EXPECT_THAT(full.err, HasSubstr("error: standard output cannot be written: No space left on device"));
    const Outcome closed = run("ar-classify", arguments, folder, [] { close_reader(STDOUT_FILENO); });
    EXPECT_EQ(closed.code, 128 + SIGPIPE);
    EXPECT_EQ(closed.err.find("error: "), std::string::npos) << closed.err;
  }
}

TEST_F(ImagePrograms, AResumedRunKeepsItsRatesAndItsBest) {
  ASSERT_EQ(train({"--epochs", "2", "--save-checkpoint", path("whole/model.pt")}).code, 0);
  ASSERT_EQ(train({"--epochs", "1"}).code, 0);
  EXPECT_THAT(error_of_training({"--resume-checkpoint", "auto", "--optimizer", "Adam"}),
              HasSubstr("trained with --optimizer SGD, not Adam; give --optimizer SGD"));
  fs::copy_file(folder / "m/model.pt", folder / "best.pt");
  const std::vector<std::string> elsewhere{
      "--resume-checkpoint", path("m/model.last.pt"), "--save-checkpoint", path("new/model.pt"), "--epochs", "1"};
  ASSERT_EQ(train(elsewhere).code, 0);
  expect_same_weights(path("best.pt"), path("new/model.pt"));
  const Outcome resumed = train({"--resume-checkpoint", "auto", "--learning-rate", "0.5"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("note: --learning-rate 0.02 of the checkpoint is kept"));
  expect_same_weights(path("whole/model.last.pt"), path("m/model.last.pt"));
}

}  // namespace
}  // namespace ar
