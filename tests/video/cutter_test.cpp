// Clips: the frames of the window and no other, at their times, with their sound; nothing half written.
#include "io/video_cutter.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <iterator>

#include "io/video_reader.h"
#include "tests/errors.h"
#include "tests/video/kinds.h"

namespace ar {
namespace {

using io::cut_clip;
using test::make_video;
using test::TempDir;

struct Shown {
  std::vector<int> numbers;
  std::vector<double> seconds;
  io::VideoFacts facts;
};

Shown frames_of(const std::string& path, const test::Movie& m, double start = -1e9, double end = 1e9) {
  io::VideoReader reader(path);
  Shown all;
  all.facts = reader.facts();
  Tensor picture;
  while (const auto time = reader.next(&picture)) {
    if (time->seconds < start - 1e-9 || time->seconds >= end - 1e-9) continue;
    all.numbers.push_back(test::burnt_number(picture, m.turned, m.mirrored));
    all.seconds.push_back(time->seconds);
  }
  return all;
}

double loudness(const std::vector<float>& x, double from, double to) {
  double sum = 0;
  for (auto i = size_t(from * 48000); i < size_t(to * 48000); ++i) sum += i < x.size() ? double(x[i]) * x[i] : 1e9;
  return std::sqrt(sum / ((to - from) * 48000));
}

class CutKinds : public testing::TestWithParam<test::Kind> {};
INSTANTIATE_TEST_SUITE_P(Video, CutKinds, testing::ValuesIn(test::kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(CutKinds, TheFramesOfTheWindowComeAtTheirTimes) {
  const test::Movie& m = GetParam().movie;
  const TempDir dir;
  const std::string path = dir / GetParam().file, out = dir / "clip.out.mp4";
  make_video(path, m);
  for (const auto& [start, end] : {std::pair{0.5, 1.0}, {0.0, 0.28}, {0.76, 100.0}, {-3.0, 100.0}, {0.40001, 0.9}}) {
    const Shown source = frames_of(path, m, start, end);
    ASSERT_FALSE(source.numbers.empty());
    const io::Cut cut = cut_clip(path, start, end, out, {.threads = 1});
    const Shown clip = frames_of(out, m);
    EXPECT_EQ(clip.numbers, source.numbers) << start;
    EXPECT_EQ(cut.frames, int64_t(source.numbers.size()));
    EXPECT_NEAR(cut.start, source.seconds[0], 1e-9);
    for (size_t i = 0; i < std::min(clip.seconds.size(), source.seconds.size()); ++i)
      ASSERT_NEAR(clip.seconds[i], source.seconds[i] - source.seconds[0], 1e-6) << "frame " << i;
    EXPECT_EQ(clip.facts.width, source.facts.width / 2 * 2);
    EXPECT_EQ(clip.facts.height, source.facts.height / 2 * 2);
    EXPECT_EQ(cut.cropped, (m.width | m.height) % 2 == 1);
    EXPECT_EQ(clip.facts.orientation, source.facts.orientation);
    EXPECT_FALSE(std::filesystem::exists(out + ".tmp"));
  }
}

TEST(Cutter, CopyingStartsAtTheKeyFrameBeforeAndSaysByHowMuch) {
  const TempDir dir;
  for (const int b_frames : {0, 3}) {
    const test::Movie m{.pts = test::steps(90), .gop = 12, .b_frames = b_frames, .audio = true};
    make_video(dir / "a.mp4", m);
    const auto index = io::index_video(dir / "a.mp4");
    const io::Cut cut = cut_clip(dir / "a.mp4", 1.2, 2.2, dir / "clip.mp4", {.copy = true});
    const Shown clip = frames_of(dir / "clip.mp4", m);
    const int first = int(index.key_frame_before(index.frame_at(1.2)));
    ASSERT_FALSE(clip.numbers.empty());
    EXPECT_EQ(clip.numbers[0], first);
    EXPECT_NEAR(cut.lead, 1.2 - first * 0.04, 1e-6);
    EXPECT_EQ(cut.frames, int64_t(clip.numbers.size()));
    EXPECT_TRUE(cut.audio);
    for (int i = first; i < 55; ++i) EXPECT_EQ(clip.numbers[size_t(i - first)], i);
    EXPECT_LE(clip.numbers.back(), 54 + 4);
  }
}

TEST(Cutter, CopyingFromTransportStreamsTakesTheWindowAndNoMore) {
  const TempDir dir;
  for (const char* open_group : {"open-gop=0", "open-gop=1"}) {
    const test::Movie m{.pts = test::steps(250), .b_frames = 3, .options = {{"x264-params", open_group}}};
    make_video(dir / "a.ts", m);
    const auto index = io::index_video(dir / "a.ts");
    for (const double start : {0.0, 1.2, 2.6, 4.44, 7.0}) {
      const io::Cut cut = cut_clip(dir / "a.ts", start, start + 1, dir / "clip.mp4", {.copy = true});
      const Shown clip = frames_of(dir / "clip.mp4", m);
      const int asked = int(index.frame_at(start)), first = int(index.key_frame_before(asked)), end = asked + 25;
      ASSERT_GE(int(clip.numbers.size()), end - first) << open_group << " " << start;
      for (int i = first; i < end; ++i) EXPECT_EQ(clip.numbers[size_t(i - first)], i) << open_group << " " << start;
      EXPECT_LE(clip.numbers.back(), end + 3);
      EXPECT_NEAR(cut.lead, start - first * 0.04, 1e-4);
    }
  }
}

TEST(Cutter, CopyingNeedsToKnowWhenFramesAreShown) {
  const TempDir dir;
  make_video(dir / "a.avi", {.codec = "mpeg4", .pts = test::steps(90), .b_frames = 2});
  make_video(dir / "a.mpg", {.codec = "mpeg2video", .pts = test::steps(90)});
  for (const char* file : {"a.avi", "a.mpg"}) {
    EXPECT_MESSAGE(cut_clip(dir / file, 1.2, 2.2, dir / "clip.mp4", {.copy = true}), "cannot be copied; cut with h264");
    EXPECT_FALSE(std::filesystem::exists(dir / "clip.mp4"));
  }
}

TEST(Cutter, CopyingDoesNotBeginAtAFrameThatIsNoKeyFrame) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.codec = "mpeg4", .pts = test::steps(90), .b_frames = 0});
  std::fstream file(dir / "a.mp4", std::ios::in | std::ios::out | std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  file.seekp(std::streamoff(bytes.rfind("stss")));
  file << "free" << std::flush;  // without a list of key frames, all are
  EXPECT_EQ(cut_clip(dir / "a.mp4", 0.96, 2.2, dir / "clip.mp4", {.copy = true}).lead, 0);
  EXPECT_MESSAGE(cut_clip(dir / "a.mp4", 1.2, 2.2, dir / "other.mp4", {.copy = true}),
                 "a.mp4: the frame at 1.2 s is marked as a key frame and is none");
  EXPECT_FALSE(std::filesystem::exists(dir / "other.mp4"));
}

TEST(Cutter, WhereTimestampsGoBackTimesAreThoseOfReadingOn) {
  const TempDir dir;
  const test::Movie m{.pts = test::steps(150), .audio = true};
  make_video(dir / "a.ts", m);
  test::join_files({dir / "a.ts", dir / "a.ts"}, dir / "twice.ts");
  io::VideoReader reader(dir / "twice.ts");
  while (reader.decode()) continue;
  EXPECT_TRUE(reader.stats().times_corrected);
  for (const double start : {2.0, 5.6, 8.0}) {
    const Shown source = frames_of(dir / "twice.ts", m, start, start + 1);
    EXPECT_EQ(source.numbers.size(), 25u);
    const io::Cut cut = cut_clip(dir / "twice.ts", start, start + 1, dir / "clip.mp4", {.from_start = true});
    EXPECT_EQ(cut.audio, start < 6);
    if (start == 2.0) {
      EXPECT_GT(loudness(test::read_sound(dir / "clip.mp4"), 0.1, 0.9), 0.2);
    }
    EXPECT_EQ(frames_of(dir / "clip.mp4", m).numbers, source.numbers) << start;
  }
  EXPECT_MESSAGE(cut_clip(dir / "twice.ts", 8, 9, dir / "clip.mp4", {.copy = true, .from_start = true}),
                 "its timestamps go back");
}

TEST(Cutter, FullRangeStaysFull) {
  const TempDir dir;
  const auto draw = [](int, uint8_t* rgb) { std::fill_n(rgb + 3 * 64 * 24, 3 * 64 * 24, uint8_t{255}); };
  for (const char* format : {"yuvj420p", "yuvj422p"}) {
    make_video(dir / "a.mov",
               {.codec = "mjpeg", .pts = test::steps(10), .b_frames = 0, .pixel_format = format, .draw = draw});
    cut_clip(dir / "a.mov", 0, 1, dir / "clip.mp4");
    Tensor picture;
    ASSERT_TRUE(io::VideoReader(dir / "clip.mp4").next(&picture));
    EXPECT_LT(picture.at({1, 8, 8}), 6) << format;
    EXPECT_GT(picture.at({1, 40, 8}), 249) << format;
  }
}

TEST(Cutter, SoundStaysWithThePicture) {
  const TempDir dir;
  for (const char* file : {"a.mp4", "a.webm"}) {
    test::Movie m{.pts = test::steps(125), .audio = true};
    if (std::string(file) == "a.webm") m.codec = "libvpx", m.options = {{"deadline", "realtime"}};
    make_video(dir / file, m);
    const io::Cut cut = cut_clip(dir / file, 1.52, 3.52, dir / "clip.mp4");
    EXPECT_TRUE(cut.audio);
    EXPECT_EQ(cut.frames, 50);
    const std::vector<float> x = test::read_sound(dir / "clip.mp4");
    EXPECT_NEAR(double(x.size()) / 48000, 2.0, 0.03) << file;
    EXPECT_LT(loudness(x, 0.01, 0.465), 0.03) << file;  // the second from 1 to 2 is silent
    EXPECT_GT(loudness(x, 0.495, 0.6), 0.2) << file;
    EXPECT_GT(loudness(x, 1.3, 1.465), 0.2) << file;
    EXPECT_LT(loudness(x, 1.52, 1.9), 0.03) << file;
  }
}

TEST(Cutter, SoundThatStartsLateDoesNotMakeTheClipLonger) {
  const TempDir dir;
  make_video(dir / "a.mkv", {.pts = test::steps(125), .audio = true, .audio_start = 4});
  cut_clip(dir / "a.mkv", 0.52, 2.52, dir / "clip.mp4");
  const std::vector<float> x = test::read_sound(dir / "clip.mp4");
  EXPECT_NEAR(double(x.size()) / 48000, 2.0, 0.03);
  EXPECT_LT(loudness(x, 0, 1.9), 0.01);
  cut_clip(dir / "a.mkv", 3.52, 4.92, dir / "clip.mp4");
  EXPECT_GT(loudness(test::read_sound(dir / "clip.mp4"), 0.52, 1.3), 0.2);
}

TEST(Cutter, WithoutSoundOnRequest) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(50), .audio = true});
  EXPECT_FALSE(cut_clip(dir / "a.mp4", 0, 1, dir / "clip.mp4", {.audio = false}).audio);
  EXPECT_FALSE(io::VideoReader(dir / "clip.mp4").facts().has_audio);
  EXPECT_FALSE(cut_clip(dir / "a.mp4", 0, 1, dir / "clip.mp4", {.copy = true, .audio = false}).audio);
  EXPECT_FALSE(io::VideoReader(dir / "clip.mp4").facts().has_audio);
}

TEST(Cutter, ErrorsLeaveNothingBehind) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(50)});
  EXPECT_MESSAGE(cut_clip(dir / "none.mp4", 0, 1, dir / "c.mp4"), "none.mp4: cannot be read");
  EXPECT_MESSAGE(cut_clip(dir / "a.mp4", 7, 8, dir / "c.mp4"), "a.mp4: has no frame between 7 and 8 s");
  EXPECT_MESSAGE(cut_clip(dir / "a.mp4", 7, 8, dir / "c.mp4", {.copy = true}), "has no frame between 7 and 8 s");
  EXPECT_MESSAGE(cut_clip(dir / "a.mp4", 1, 1, dir / "c.mp4"), "cannot cut from 1 to 1 s");
  EXPECT_MESSAGE(cut_clip(dir / "a.mp4", 0, 1, "/proc/nowhere/c.mp4"), "/proc/nowhere/c.mp4: its folder");
  make_video(dir / "v.avi", {.codec = "wmv2", .pts = test::steps(50), .b_frames = 0});
  EXPECT_MESSAGE(cut_clip(dir / "v.avi", 0, 1, dir / "c.mp4", {.copy = true}), "c.mp4: cannot be written (");
  for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
    EXPECT_TRUE(entry.path().filename() == "a.mp4" || entry.path().filename() == "v.avi") << entry.path();
}

TEST(Cutter, AFullDiskLeavesNoClip) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.width = 320, .height = 240, .pts = test::steps(100), .audio = true});
  const pid_t child = fork();
  if (child == 0) {
    // The system refuses to write more than so many bytes per file, as a full disk would.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20000, 20000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string text =
        error_of([&] { cut_clip(dir / "a.mp4", 0, 4, dir / "clip.mp4", {.crf = 1, .threads = 1}); });
    _exit(text.find("clip.mp4: cannot be written (") == std::string::npos);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_FALSE(std::filesystem::exists(dir / "clip.mp4"));
  EXPECT_FALSE(std::filesystem::exists(dir / "clip.mp4.tmp"));
}

TEST(Cutter, DamageInsideTheClipIsCounted) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(100)});
  EXPECT_EQ(cut_clip(dir / "a.mp4", 1, 2, dir / "clip.mp4").damaged, 0);
  const auto size = int(std::filesystem::file_size(dir / "a.mp4"));
  FILE* file = std::fopen((dir / "a.mp4").c_str(), "r+b");
  std::fseek(file, size * 3 / 10, SEEK_SET);
  uint32_t random = 1;
  for (int i = 0; i < size / 10; ++i) std::fputc(int((random = random * 1664525 + 1013904223) >> 24), file);
  std::fclose(file);
  EXPECT_GT(cut_clip(dir / "a.mp4", 0.5, 3.5, dir / "clip.mp4").damaged, 0);
}

}  // namespace
}  // namespace ar
