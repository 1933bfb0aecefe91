// ar-generate-action-clip and ar-dedup-clips as a user runs them, with a classifier that ar-train-image made: the
// "actions" are stripes along one axis or the other, on videos that show one after the other.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <random>

#include "io/image_write.h"
#include "io/video_index.h"
#include "tests/errors.h"
#include "tests/programs/run.h"
#include "tests/video/make_video.h"

namespace ar {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kSide = 64, kFrames = 300;  // 12 s
const char* const kClasses[] = {"lying", "standing"};

/// Noisy stripes of some width, a picture of kSide x kSide in RGB.
void stripes(int along, unsigned seed, uint8_t* rgb) {
  std::mt19937 random(seed);
  const int width = 4 + int(random() % 4), shift = int(random() % 8);
  for (int r = 0; r < kSide; ++r)
    for (int c = 0; c < kSide; ++c, rgb += 3) {
      const bool bright = ((along ? c : r) + shift) / width % 2;
      for (int k = 0; k < 3; ++k) rgb[k] = uint8_t(random() % 60 + (bright ? 160 : 30));
    }
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Lying stripes first, standing ones from the middle on.
void film(const fs::path& path, unsigned seed) {
  test::make_video(path.string(),
                   {.width = kSide,
                    .height = kSide,
                    .pts = test::steps(kFrames),
                    .options = {{"crf", "20"}, {"preset", "ultrafast"}},
                    .draw = [=](int i, uint8_t* rgb) { stripes(i >= kFrames / 2, seed + unsigned(i) / 10, rgb); }});
}

class ClipPrograms : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = fs::temp_directory_path() / ("ar_clip_programs_" + std::to_string(getpid()));
    for (unsigned i = 0; i < 40; ++i) {
      io::Image image(kSide, kSide);
      std::vector<uint8_t> rgb(size_t(3 * kSide * kSide));
      stripes(int(i % 2), 1000 + i, rgb.data());
      for (int r = 0; r < kSide; ++r) std::copy_n(rgb.begin() + r * 3 * kSide, 3 * kSide, image.view().row(r));
      const std::vector<uint8_t> png = io::encode_png(image);
      const fs::path file = folder / "images" / kClasses[i % 2] / (std::to_string(i) + ".png");
      fs::create_directories(file.parent_path());
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(png.data()), std::streamsize(png.size()));
    }
    fs::create_directories(folder / "videos");
    film(folder / "videos" / "one.mp4", 1);
    film(folder / "videos" / "zwei & \"drei\".mp4", 500);
    std::ofstream(folder / "names.txt") << "lying\r\nstanding\r\n\r\n";
    const Outcome trained = run("ar-train-image",
                                {"--data-dir",
                                 path("images"),
                                 "--feature-extractor",
                                 "tiny_darknet",
                                 "--pretrained",
                                 "none",
                                 "--image-size",
                                 "32",
                                 "--batch-size",
                                 "8",
                                 "--epochs",
                                 "8",
                                 "--optimizer",
                                 "Adam",
                                 "--learning-rate",
                                 "0.002",
                                 "--augment",
                                 "none",
                                 "--save-checkpoint",
                                 path("model.pt")},
                                folder);
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  static void TearDownTestSuite() { fs::remove_all(folder); }

  static std::string path(const std::string& name) { return (folder / name).string(); }
  static std::vector<std::string> options(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"--video-path",
                                 path("videos"),
                                 "--image-classifier-checkpoint",
                                 path("model.pt"),
                                 "--out-dir",
                                 path(out),
                                 "--clip-len",
                                 "4",
                                 "--n-clips",
                                 "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static fs::path folder;
};
fs::path ClipPrograms::folder;

TEST_F(ClipPrograms, ClipsAreCutWhereTheActionIs) {
  const Outcome made = run("ar-generate-action-clip",
                           options("out", {"--class-names", path("names.txt"), "--action", "standing"}), folder);
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("2 clips of 2 videos\nclassifier "));
  std::istringstream table(text_of(folder / "out/clips.csv"));
  std::string line;
  std::getline(table, line);
  int clips = 0;
  for (; std::getline(table, line); ++clips) {
    EXPECT_TRUE(line.starts_with("standing,")) << line;
    const std::string file = line.substr(line.rfind(',') + 1);
    const std::string name = file.substr(0, file.find_last_not_of('\r') + 1);
    EXPECT_EQ(io::index_video(path("out/" + name)).frames(), 100) << name;
    const int start = std::stoi(name.substr(name.find("_0") + 1));  // milliseconds; the action begins at 6000
    EXPECT_GE(start, 5000) << name;
  }
  EXPECT_EQ(clips, 2);
  EXPECT_TRUE(fs::exists(folder / "out/index.html"));

  const Outcome again = run("ar-generate-action-clip",
                            options("out", {"--class-names", path("names.txt"), "--action", "standing"}), folder);
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.out, HasSubstr("0 clips of 0 videos, 2 done before"));
}

TEST_F(ClipPrograms, BadUseIsOneLine) {
  const auto error_of = [](const std::vector<std::string>& more, int code) {
    const Outcome o = run("ar-generate-action-clip", options("bad", more), folder);
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    return o.err;
  };
  std::ofstream(folder / "other.txt") << "lying\njumping\n";
  EXPECT_THAT(error_of({"--class-names", path("other.txt")}, 1),
              HasSubstr("other.txt: name 2 is \"jumping\", the checkpoint has \"standing\" there"));
  EXPECT_THAT(error_of({"--action", "flying"}, 1),
              HasSubstr("--action \"flying\" is none of the classifier's classes"));
  EXPECT_FALSE(fs::exists(folder / "bad"));
}

TEST_F(ClipPrograms, AFullDiskLeavesNoHalfClip) {
  // Where no file may grow beyond 9 kB the first clip cannot be written.
  const Outcome o = run("ar-generate-action-clip", options("full", {"--no-report"}), folder, [] {
    const rlimit limit{9'000, 9'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, SIG_IGN);
  });
  EXPECT_EQ(o.code, 1) << o.err;
  EXPECT_THAT(o.err, HasSubstr("error: "));
  for (const auto& entry : fs::recursive_directory_iterator(folder / "full"))
    EXPECT_NE(entry.path().extension(), ".mp4") << entry.path();
  const Outcome resumed = run("ar-generate-action-clip", options("full", {"--no-report"}), folder);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("2 clips of 2 videos"));
}

TEST_F(ClipPrograms, DuplicatesAreFoundListedAndRemoved) {
  fs::create_directories(folder / "double/b");
  film(folder / "double/a.mp4", 1);
  film(folder / "double/b/same.mp4", 1);
  test::make_video(path("double/c.mp4"), {.width = 64, .height = 48, .pts = test::steps(50)});
  const std::vector<std::string> arguments{
      path("double"), "--image-classifier-checkpoint", path("model.pt"), "--csv", path("double.csv"), "--threshold",
      "0.999"};
  const Outcome shown = run("ar-dedup-clips", arguments, folder);
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("3 clips, 1 duplicates\n"));
  EXPECT_THAT(text_of(folder / "double.csv"),
              HasSubstr("a.mp4,1,1,1.0000\r\n" + path("double/b/same.mp4") + ",1,0,1.0000"));
  EXPECT_TRUE(fs::exists(folder / "double/b/same.mp4"));

  std::vector<std::string> removing = arguments;
  removing.push_back("--remove");
  EXPECT_EQ(run("ar-dedup-clips", removing, folder).code, 0);
  EXPECT_TRUE(fs::exists(folder / "double/a.mp4"));
  EXPECT_FALSE(fs::exists(folder / "double/b/same.mp4"));
  EXPECT_TRUE(fs::exists(folder / "double/c.mp4"));

  std::ofstream(folder / "double/d.mp4") << "not a video";
  const Outcome broken = run("ar-dedup-clips", arguments, folder);
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, HasSubstr("d.mp4: is not a video"));
  EXPECT_THAT(broken.out, HasSubstr("2 clips, 0 duplicates"));
}

TEST_F(ClipPrograms, AClipNamedTwiceIsNotItsOwnDuplicate) {
  fs::create_directories(folder / "twice");
  film(folder / "twice/b.mp4", 1);
  fs::create_symlink("b.mp4", folder / "twice/a.mp4");
  const Outcome o = run(
      "ar-dedup-clips",
      {path("twice"), path("twice/b.mp4"), "--image-classifier-checkpoint", path("model.pt"), "--remove", "--quiet"},
      folder);
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.out, HasSubstr("1 clips, 0 duplicates"));
  EXPECT_TRUE(fs::exists(folder / "twice/a.mp4"));
  EXPECT_TRUE(fs::exists(folder / "twice/b.mp4"));
}

}  // namespace
}  // namespace ar
