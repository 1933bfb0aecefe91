// ar-clean-image-ds as a user runs it, on pictures drawn here of which some lie in the wrong class.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "io/image_write.h"
#include "tests/programs/run.h"

namespace ar {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Noise with more of one colour.
void draw(const fs::path& path, int colour, unsigned seed) {
  std::mt19937 random(seed);
  io::Image image(40, 40);
  const io::MutableImageView view = image.view();
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 120; ++x) view.row(y)[x] = uint8_t(random() % 140 + (x % 3 == colour ? 110 : 0));
  const std::vector<uint8_t> png = io::encode_png(image);
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << std::string(png.begin(), png.end());
}

const char* const kClasses[] = {"blue, \"mostly\"", "green", "red"};

class CleanProgram : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::canonical(fs::temp_directory_path()) / ("ar_clean_program_" + std::to_string(getpid()));
    data = folder / "data";
    for (int c = 0; c < 3; ++c)
      for (unsigned i = 0; i < 20; ++i) {
        const bool wrong = i == 7 || (c == 1 && i == 11);
        const std::string path = std::string(kClasses[c]) + "/" + std::to_string(i) + ".png";
        draw(data / path, 2 - (wrong ? (c + 1) % 3 : c), 100 * unsigned(c) + i);
        if (wrong) misplaced.insert(path);
      }
    std::ofstream(data / "notes.txt") << "not of any class";
    setenv("AR_CACHE", (folder / "cache").c_str(), 1);
    before = contents();
  }
  void TearDown() override {
    unsetenv("AR_CACHE");
    fs::remove_all(folder);
  }
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(data))
      if (entry.is_regular_file()) all[entry.path().lexically_relative(data).string()] = read_file(entry.path());
    return all;
  }
  std::vector<std::string> options(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"--data-dir", data.string(),       "--csv",     path("doubts.csv"),
                                 "--report",   path("doubts.html"), "--threads", "1"};
    const auto given = [&](const char* option) { return std::find(more.begin(), more.end(), option) != more.end(); };
    if (!given("--checkpoint")) {
      all.insert(all.end(), {"--feature-extractor", "tiny_darknet", "--image-size", "32"});
      if (!given("--pretrained")) all.insert(all.end(), {"--pretrained", "none"});
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome clean(const std::vector<std::string>& more = {}) const {
    return run("ar-clean-image-ds", options(more), folder);
  }
  std::string error_of_cleaning(const std::vector<std::string>& more, int code = 1) const {
    const Outcome outcome = clean(more);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    const size_t at = outcome.err.rfind("error: ");
    EXPECT_NE(at, std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n', at), outcome.err.size() - 1) << outcome.err;
    return outcome.err.substr(std::min(at, outcome.err.size()));
  }
  /// The paths of the CSV's first lines.
  std::set<std::string> first_paths(size_t count) const {
    std::istringstream lines(read_file(folder / "doubts.csv"));
    std::set<std::string> paths;
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "rank,path,label,probability,suggested,suggested_probability");
    while (paths.size() < count && std::getline(lines, line)) {
      std::string path;
      size_t at = line.find(',') + 1;
      for (bool quoted = false; at < line.size() && (quoted || line[at] != ','); ++at) {
        if (line[at] != '"')
          path += line[at];
        else if (quoted && line[at + 1] == '"')
          path += line[++at];
        else
          quoted = !quoted;
      }
      paths.insert(path);
    }
    return paths;
  }
  std::string path(const char* name) const { return (folder / name).string(); }
  fs::path folder, data;
  std::set<std::string> misplaced;
  std::map<std::string, std::string> before;
};

TEST_F(CleanProgram, RanksMisplacedPicturesFirstAndTouchesNothing) {
  const Outcome outcome = clean();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("60 images judged"));
  EXPECT_EQ(first_paths(misplaced.size()), misplaced);
  EXPECT_TRUE(contents() == before);
  const std::string csv = read_file(folder / "doubts.csv"), page = read_file(folder / "doubts.html");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 61);
  EXPECT_THAT(page, HasSubstr("data:image/jpeg;base64,"));
  EXPECT_THAT(page, HasSubstr("rather <b>blue, &quot;mostly&quot;</b>"));
  EXPECT_EQ(page.find("http"), std::string::npos);
  ASSERT_EQ(clean().code, 0);
  EXPECT_EQ(read_file(folder / "doubts.csv"), csv);  // no chance in it
}

TEST_F(CleanProgram, MovesExactlyTheSuspects) {
  const Outcome outcome = clean({"--move-to", path("aside"), "--threshold", "0.2", "--suggested-above", "0.6"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("moved 4 images")) << read_file(folder / "doubts.csv");
  for (const auto& [name, bytes] : before) {
    EXPECT_EQ(fs::exists(data / name), !misplaced.contains(name)) << name;
    EXPECT_TRUE(read_file((misplaced.contains(name) ? folder / "aside" : data) / name) == bytes) << name;
  }
  std::istringstream list(read_file(folder / "aside/moved.tsv"));
  for (std::string line; std::getline(list, line);) {
    const size_t tab = line.find('\t');
    fs::rename(line.substr(tab + 1), line.substr(0, tab));
  }
  EXPECT_TRUE(contents() == before);
}

TEST_F(CleanProgram, WithACheckpoint) {
  std::vector<std::string> training = small_training(data, path("m/model.pt"));
  training.insert(training.end(), {"--batch-size", "10", "--learning-rate", "0.003", "--optimizer", "Adam", "--epochs",
                                   "6", "--augment", "none"});
  const Outcome trained = run("ar-train-image", training, folder);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome folds = clean({"--checkpoint", path("m/model.pt")});
  ASSERT_EQ(folds.code, 0) << folds.err;
  EXPECT_EQ(first_paths(misplaced.size()), misplaced);
  const Outcome own = clean({"--checkpoint", path("m/model.pt"), "--no-folds"});
  ASSERT_EQ(own.code, 0) << own.err;
  EXPECT_THAT(own.out, HasSubstr("60 images judged"));
  EXPECT_THAT(read_file(folder / "doubts.html"), HasSubstr("Judged by the classifier of model.pt"));
  EXPECT_TRUE(contents() == before);
  fs::rename(data / "green", data / "verdant");
  EXPECT_THAT(error_of_cleaning({"--checkpoint", path("m/model.pt")}), HasSubstr("verdant"));
}

TEST_F(CleanProgram, AClassOfOnePictureIsNotJudged) {
  draw(data / "single" / "0.png", 0, 999);
  const Outcome outcome = clean({"--move-to", path("aside"), "--threshold", "1", "--suggested-above", "0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 images are not judged"));
  EXPECT_TRUE(fs::exists(data / "single" / "0.png"));
}

TEST_F(CleanProgram, BadUseIsOneLineAndWritesNothing) {
  EXPECT_THAT(error_of_cleaning({"--no-folds"}), HasSubstr("--checkpoint"));
  EXPECT_THAT(error_of_cleaning({"--move-to", (data / "green").string()}), HasSubstr("beside"));
  EXPECT_THAT(error_of_cleaning({"--move-to", folder.string()}), HasSubstr("beside"));
  EXPECT_THAT(error_of_cleaning({"--folds", "1"}, 2), HasSubstr("--folds"));
  EXPECT_THAT(error_of_cleaning({"--folds", "70"}), HasSubstr("70"));
  EXPECT_THAT(error_of_cleaning({"--pretrained", path("nowhere.pt")}), HasSubstr("nowhere.pt: "));
  EXPECT_THAT(error_of_cleaning({"--checkpoint", path("nowhere.pt")}), HasSubstr("nowhere.pt: "));
  EXPECT_EQ(run("ar-clean-image-ds", {"--data-dir", path("nowhere"), "--pretrained", "none"}, folder).code, 1);
  EXPECT_FALSE(fs::exists(folder / "doubts.csv"));
  EXPECT_FALSE(fs::exists(folder / "doubts.csv.tmp"));
  EXPECT_FALSE(fs::exists(folder / "doubts.html"));
  EXPECT_TRUE(contents() == before);
}

TEST_F(CleanProgram, EndsSoonWhenStopped) {
  Program program("ar-clean-image-ds", options({"--folds", "50", "--move-to", path("aside")}), folder);
  while (program.running() && program.err_so_far().find("features of") == std::string::npos) usleep(5000);
  program.signal(SIGINT);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.code, 128 + SIGINT);
  EXPECT_THAT(outcome.err, HasSubstr("\nstopped after"));
  EXPECT_FALSE(fs::exists(folder / "doubts.csv"));
  EXPECT_TRUE(contents() == before);
}

}  // namespace
}  // namespace ar
