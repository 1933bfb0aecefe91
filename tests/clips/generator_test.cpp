// Whole runs over small videos, with a classifier that reads the number burnt into each frame.
#include "apps/clips/generator.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "apps/clips/naming.h"
#include "io/video_reader.h"
#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// "walk dog" responds around frame 100, "jump" around frame 350.
FrameClassifier number_reader(int delay_ms = 0) {
  FrameClassifier c{.classes = {"walk dog", "jump", "none"}, .image_size = 64};
  c.probabilities = [delay_ms](const Tensor& frames) {
    const Tensor p = empty({frames.size(0), 3}, {.layout = Layout::channels_first});
    auto* out = p.mutable_data<float>();
    for (int64_t i = 0; i < frames.size(0); ++i, out += 3) {
      const int n = test::burnt_number(frames[i]);
      out[0] = 0.6f * std::exp(-float((n - 100) * (n - 100)) / 5000);
      out[1] = 0.9f * std::exp(-float((n - 350) * (n - 350)) / 5000);
      out[2] = 1 - out[0] - out[1];
    }
    if (delay_ms) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    return p;
  };
  return c;
}

GenerateOptions quick(const std::string& out) {
  GenerateOptions o{.out_dir = out, .action = "jump"};
  o.selection.clip_len = 4;
  o.every = 5;
  o.batch_size = 16;
  o.quiet = true;
  o.cut.preset = "ultrafast";
  return o;
}

void make(const std::string& path, int frames = 500) {
  test::make_video(path, {.pts = test::steps(frames), .gop = 50});
}

int64_t files_in(const std::string& folder, const std::string& ending) {
  int64_t n = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) n += entry.path().extension() == ending;
  return n;
}

TEST(GenerateClips, CutsAroundTheResponse) {
  const TempDir dir;
  make(dir / "a video.mp4");
  const GenerateResult r = generate_clips({dir / "a video.mp4"}, number_reader(), quick(dir / "out"));
  EXPECT_EQ(r.videos, 1);
  EXPECT_EQ(r.clips, 1);  // a single peak
  const std::string clip = dir / "out/jump/a_video_00012000_00016000_jump.mp4";
  ASSERT_TRUE(fs::exists(clip)) << text_of(dir / "out/clips.csv");
  io::VideoReader reader(clip);
  Tensor picture;
  ASSERT_TRUE(reader.next(&picture));
  EXPECT_EQ(test::burnt_number(picture), 300);
  EXPECT_EQ(io::index_video(clip).frames(), 100);
  EXPECT_THAT(text_of(dir / "out/clips.csv"), testing::HasSubstr("jump,a video,12.000,16.000,,0."));
  EXPECT_TRUE(fs::exists(dir / "out/scores/a_video.jsonl"));
  const std::string page = text_of(dir / "out/index.html");
  EXPECT_THAT(page, testing::HasSubstr("src=\"jump/a_video_00012000_00016000_jump.mp4\" poster=\"data:image/jpeg;"));
  EXPECT_THAT(page, testing::HasSubstr("<svg"));
}

TEST(GenerateClips, AnyTakesTheBestOfAllClasses) {
  const TempDir dir;
  make(dir / "a.mp4");
  GenerateOptions o = quick(dir / "out");
  o.action = "any";
  o.selection.n_clips = 4;
  o.selection.min_score = 0.2;
  generate_clips({dir / "a.mp4"}, number_reader(), o);
  EXPECT_EQ(files_in(dir / "out/jump", ".mp4"), 1);
  EXPECT_EQ(files_in(dir / "out/none", ".mp4"), 3);
}

TEST(GenerateClips, ASecondRunDoesNothing) {
  const TempDir dir;
  make(dir / "a.mp4");
  generate_clips({dir / "a.mp4"}, number_reader(), quick(dir / "out"));
  const std::string journal = text_of(dir / "out/journal.jsonl"), table = text_of(dir / "out/clips.csv");
  FrameClassifier untouched = number_reader();
  untouched.probabilities = [](const Tensor&) -> Tensor { throw Error("must not be asked"); };
  const GenerateResult again = generate_clips({dir / "a.mp4"}, untouched, quick(dir / "out"));
  EXPECT_EQ(again.skipped, 1);
  EXPECT_EQ(again.clips, 0);
  EXPECT_EQ(text_of(dir / "out/journal.jsonl"), journal);
  EXPECT_EQ(text_of(dir / "out/clips.csv"), table);
}

TEST(GenerateClips, ANameThatIsNoUtf8IsKnownAgain) {
  const TempDir dir;
  make(dir / "caf\xe9.mp4");
  for (const int64_t done : {0, 1, 1}) {
    const GenerateResult r = generate_clips({dir / "caf\xe9.mp4"}, number_reader(), quick(dir / "out"));
    EXPECT_EQ(r.skipped, done);
    EXPECT_EQ(r.failed, 0);
  }
  EXPECT_EQ(files_in(dir / "out/jump", ".mp4"), 1);
}

TEST(GenerateClips, TheTableAndThePageLeaveOutWhatIsGone) {
  const TempDir dir;
  make(dir / "a.mp4");
  GenerateOptions o = quick(dir / "out");
  o.action = "any";
  generate_clips({dir / "a.mp4"}, number_reader(), o);
  fs::remove_all(dir / "out/jump");
  EXPECT_EQ(generate_clips({dir / "a.mp4"}, number_reader(), o).clips, 0);
  for (const char* file : {"out/clips.csv", "out/index.html"}) {
    EXPECT_THAT(text_of(dir / file), testing::Not(testing::HasSubstr("_jump.mp4"))) << file;
    EXPECT_THAT(text_of(dir / file), testing::HasSubstr("_none.mp4")) << file;
  }
}

TEST(GenerateClips, ClipsAreRightWhereTimestampsStartAgain) {
  const TempDir dir;
  make(dir / "a.ts", 300);
  make(dir / "b.ts", 500);
  test::join_files({dir / "a.ts", dir / "b.ts"}, dir / "both.ts");
  testing::internal::CaptureStderr();
  generate_clips({dir / "both.ts"}, number_reader(), quick(dir / "out"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("both.ts: its timestamps go back"));
  io::VideoReader reader(dir / "out/jump/both_00024000_00028000_jump.mp4");
  Tensor picture;
  ASSERT_TRUE(reader.next(&picture));
  EXPECT_EQ(test::burnt_number(picture), 300);
}

TEST(GenerateClips, OneBadVideoDoesNotStopTheOthers) {
  const TempDir dir;
  make(dir / "a.mp4");
  make(dir / "c.mp4");
  std::ofstream(dir / "b.mp4") << "no video at all, but long enough to be probed for one";
  GenerateOptions o = quick(dir / "out");
  o.jobs = 2;
  testing::internal::CaptureStderr();
  const GenerateResult r =
      generate_clips({dir / "a.mp4", dir / "b.mp4", dir / "none.mp4", dir / "c.mp4"}, number_reader(), o);
  const std::string errors = testing::internal::GetCapturedStderr();
  EXPECT_EQ(r.videos, 2);
  EXPECT_EQ(r.failed, 2);
  EXPECT_THAT(errors, testing::HasSubstr("b.mp4: is not a video"));
  EXPECT_THAT(errors, testing::HasSubstr("none.mp4: cannot be read"));
  EXPECT_EQ(files_in(dir / "out/jump", ".mp4"), 2);
}

TEST(GenerateClips, VideosOfTheSameNameGiveDifferentClips) {
  const TempDir dir;
  fs::create_directories(dir / "x");
  fs::create_directories(dir / "y");
  make(dir / "x/a.mp4");
  make(dir / "y/a.mp4");
  generate_clips(find_videos({dir.path()}), number_reader(), quick(dir / "out"));
  EXPECT_EQ(files_in(dir / "out/jump", ".mp4"), 2);
}

TEST(GenerateClips, FromFolderNamesTheAction) {
  const TempDir dir;
  fs::create_directories(dir / "Walk_Dog");
  make(dir / "Walk_Dog/a.mp4");
  GenerateOptions o = quick(dir / "out");
  o.action = "from-folder";
  generate_clips({dir / "Walk_Dog/a.mp4"}, number_reader(), o);
  EXPECT_TRUE(fs::exists(dir / "out/walk_dog/a_00002000_00006000_walk_dog.mp4"));
  for (const std::string label : {"shooting goal (soccer)", "massaging person's head"})
    EXPECT_EQ(wanted_classes("from-folder", "/c/" + safe_name(label) + "/v.mp4", {"a", label}),
              std::vector<int64_t>{1});
  EXPECT_MESSAGE(wanted_classes("swim", "v.mp4", {"a", "b"}), "--action \"swim\" is none of the classifier's classes");
  EXPECT_MESSAGE(wanted_classes("from-folder", "/c/v.mp4", {"a", "b"}), "/c/v.mp4: its folder \"c\"");
}

TEST(GenerateClips, ADryRunWritesNothing) {
  const TempDir dir;
  make(dir / "a.mp4", 400);
  GenerateOptions o = quick(dir / "out");
  o.dry_run = true;
  testing::internal::CaptureStderr();
  const GenerateResult r = generate_clips({dir / "a.mp4"}, number_reader(), o);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("0:12 to 0:16  jump"));
  EXPECT_EQ(r.clips, 1);
  EXPECT_FALSE(fs::exists(dir / "out"));
}

TEST(GenerateClips, TinyVideosGiveOneClip) {
  const TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = {0}});
  const GenerateResult r = generate_clips({dir / "a.mp4"}, number_reader(), quick(dir / "out"));
  EXPECT_EQ(r.clips, 1);
  EXPECT_EQ(r.failed, 0);
}

TEST(GenerateClips, AKilledRunGoesOnWhereItWas) {
  const TempDir dir;
  std::vector<std::string> videos;
  for (const char* name : {"a.mp4", "b.mp4", "c.mp4", "d.mp4"}) {
    videos.push_back(dir / name);
    make(videos.back(), 250);
  }
  GenerateOptions o = quick(dir / "out");
  o.action = "any";
  o.every = 1;
  o.batch_size = 32;
  for (int kill_at = 1; kill_at <= 3; ++kill_at) {
    const pid_t child = fork();
    if (child == 0) {
      generate_clips(videos, number_reader(10), o);
      _exit(0);
    }
    const auto lines = [&] {
      const std::string text = text_of(dir / "out/journal.jsonl");
      return std::count(text.begin(), text.end(), '\n');
    };
    int status = 0;
    while (lines() < 3 * kill_at + 1 && waitpid(child, &status, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  int asked = 0;
  FrameClassifier counting = number_reader();
  const auto inner = counting.probabilities;
  counting.probabilities = [&](const Tensor& t) { return asked += int(t.size(0)), inner(t); };
  const GenerateResult rest = generate_clips(videos, counting, o);
  EXPECT_EQ(rest.failed, 0);
  EXPECT_LT(asked, 4 * 250);  // at least the first video was not scored again

  GenerateOptions whole = o;
  whole.out_dir = dir / "whole";
  generate_clips(videos, number_reader(), whole);
  EXPECT_EQ(text_of(dir / "out/clips.csv"), text_of(dir / "whole/clips.csv"));
  EXPECT_EQ(files_in(dir / "out", ".mp4"), files_in(dir / "whole", ".mp4"));
  EXPECT_EQ(files_in(dir / "out", ".tmp"), 0);
}

TEST(GenerateClips, StopsWhenAsked) {
  const TempDir dir;
  make(dir / "a.mp4");
  std::atomic<bool> stop = true;
  GenerateOptions o = quick(dir / "out");
  o.stop = &stop;
  const GenerateResult r = generate_clips({dir / "a.mp4"}, number_reader(), o);
  EXPECT_TRUE(r.stopped);
  EXPECT_EQ(r.videos, 0);
}

TEST(FindVideos, SearchesFoldersAndNeedsSome) {
  const TempDir dir;
  fs::create_directories(dir / "x/y");
  for (const char* name : {"x/b.MP4", "x/y/a.webm", "x/notes.txt"}) std::ofstream(dir / name) << "x";
  EXPECT_EQ(find_videos({dir / "x"}), (std::vector<std::string>{dir / "x/b.MP4", dir / "x/y/a.webm"}));
  fs::create_directories(dir / "none");
  EXPECT_MESSAGE(find_videos({dir / "none"}), "none: holds no video");
}

TEST(FindVideos, NamesAFileOnceAndLeavesTheOutputOut) {
  const TempDir dir;
  fs::create_directories(dir / "x/out/jump");
  for (const char* name : {"x/b.mp4", "x/c.mp4", "x/out/jump/b_1_2.mp4"}) std::ofstream(dir / name) << "x";
  fs::create_symlink("c.mp4", dir / "x/a.mp4");
  fs::create_symlink("nowhere.mp4", dir / "x/aa.mp4");
  EXPECT_EQ(find_videos({dir / "x", dir / "x/../x/b.mp4", dir / "no.mp4", dir / "x/c.mp4"}, dir / "x/./out/"),
            (std::vector<std::string>{dir / "x/a.mp4", dir / "x/b.mp4", dir / "no.mp4"}));
  EXPECT_EQ(find_videos({dir / "x"}, dir / "new").size(), 3u);
  EXPECT_MESSAGE(find_videos({dir / "x/out"}, dir / "x/out"), "x/out: is the output folder too");
}

}  // namespace
}  // namespace ar::apps
