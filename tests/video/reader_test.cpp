// Frames, timestamps and seeking of videos of many kinds.
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "io/ffmpeg/scaler.h"
#include "io/video_reader.h"
#include "tests/errors.h"
#include "tests/video/kinds.h"

namespace ar {
namespace {

using io::VideoReader;
using test::burnt_number;
using test::make_video;
using test::Movie;
using test::TempDir;
using ::testing::HasSubstr;

class Kinds : public testing::TestWithParam<test::Kind> {
 protected:
  Kinds() : path(dir / GetParam().file) { make_video(path, movie); }
  int number(const Tensor& picture) const { return burnt_number(picture, movie.turned, movie.mirrored); }
  const Movie& movie = GetParam().movie;
  TempDir dir;
  std::string path;
};

INSTANTIATE_TEST_SUITE_P(Video, Kinds, testing::ValuesIn(test::kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Kinds, EveryFrameComesOnceAtItsTime) {
  for (const int threads : {1, 3}) {
    VideoReader reader(path, {.threads = threads});
    EXPECT_EQ(reader.facts().width, movie.turned % 180 ? movie.height : movie.width);
    EXPECT_EQ(reader.facts().orientation.degrees() % 180, movie.turned % 180);
    const double unit = double(movie.time_base_num) / movie.time_base_den;
    // Containers round timestamps to their own units: 1 ms in Matroska, 1/90000 s in MPEG.
    const double tolerance = reader.facts().time_base.value() * 0.51 + 1e-9;
    Tensor picture;
    // AVI cannot say when the first of reordered frames is shown.
    const double shift = GetParam().name == "mpeg4_avi_b_frames" ? unit : 0;
    int n = 0;
    while (const auto time = reader.next(&picture)) {
      ASSERT_LT(n, int(movie.pts.size()));
      ASSERT_EQ(number(picture), n);
      ASSERT_NEAR(time->seconds, double(movie.pts[size_t(n)]) * unit + shift, tolerance) << "frame " << n;
      ++n;
    }
    EXPECT_EQ(n, int(movie.pts.size()));
    EXPECT_TRUE(reader.stats().at_end);
    EXPECT_FALSE(reader.stats().damaged()) << reader.stats().missing_seconds;
    EXPECT_FALSE(reader.stats().times_corrected);
    EXPECT_EQ(reader.stats().frames, n);
  }
}

TEST_P(Kinds, TheIndexHasTheDecodersTimestamps) {
  const io::VideoIndex index = io::index_video(path);
  VideoReader reader(path);
  std::vector<int64_t> decoded;
  while (const auto time = reader.decode()) decoded.push_back(time->pts);
  EXPECT_EQ(index.pts, decoded);
  ASSERT_FALSE(index.key_frames.empty());
  EXPECT_EQ(index.key_frames[0], 0);
  for (int64_t i = 0; i < index.frames(); ++i) EXPECT_EQ(index.frame_at(index.seconds(i)), i);
  EXPECT_EQ(index.frame_at(1e6), index.frames());
}

TEST_P(Kinds, SeekingIsExactForEveryFrame) {
  const io::VideoIndex index = io::index_video(path);
  VideoReader reader(path);
  Tensor picture;
  for (int64_t k = 0; k < index.frames(); ++k) {
    const int64_t i = k * 37 % index.frames();
    reader.seek(index.seconds(i));
    const auto time = reader.next(&picture);
    ASSERT_TRUE(time) << "frame " << i;
    ASSERT_EQ(number(picture), i);
    ASSERT_EQ(time->pts, index.pts[size_t(i)]);
    if (i + 1 < index.frames()) {
      ASSERT_TRUE(reader.next(&picture));
      ASSERT_EQ(number(picture), i + 1);
    }
  }
  reader.seek(-5);
  ASSERT_TRUE(reader.next(&picture));
  EXPECT_EQ(number(picture), 0);
  reader.seek(1e5);
  EXPECT_FALSE(reader.next(&picture));
}

TEST_P(Kinds, SelectedFramesComeAndNoOther) {
  const io::VideoIndex index = io::index_video(path);
  VideoReader reader(path, {.threads = 2});
  Tensor picture;
  const std::vector<std::vector<int64_t>> selections = {
      {0, 1, 2, 3}, {5, 7, 9, 11, 13, 28}, {index.frames() - 1}, {1, index.frames() - 2}, {4, 20, 21}, {}};
  for (const auto& frames : selections) {
    reader.select(index, frames);
    for (const int64_t i : frames) {
      const auto time = reader.next(&picture);
      ASSERT_TRUE(time) << "frame " << i;
      ASSERT_EQ(number(picture), i);
      ASSERT_EQ(time->pts, index.pts[size_t(i)]);
    }
    EXPECT_FALSE(reader.next(&picture));
  }
}

TEST(VideoReader, SlotsOfAnyPitchGetTheSamePixelsAndNothingElseIsTouched) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(2)});
  for (int width = 1; width <= 70; ++width) {
    const int height = 5 + width % 7;
    VideoReader reader(dir / "a.mp4");
    ASSERT_TRUE(reader.decode());
    Tensor padded = io::frame_batch(3, height, width);
    padded.fill(77);
    reader.write(padded[1]);
    // Dense rows, between two frames that must stay as they are.
    const Tensor dense = full({3, 3, height, width}, 77, {.dtype = Dtype::u8});
    reader.write(dense[1]);
    for (const Tensor& batch : {padded, dense}) {
      ASSERT_EQ(batch[1].to_vector<int>(), dense[1].to_vector<int>()) << width;
      const std::vector<int> before(size_t(3 * height * width), 77);
      ASSERT_EQ(batch[0].to_vector<int>(), before) << width;
      ASSERT_EQ(batch[2].to_vector<int>(), before) << width;
    }
  }
}

TEST(VideoReader, ClipBatchesTakeFramesInPlace) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(4)});
  VideoReader reader(dir / "a.mp4");
  const Tensor clips = io::clip_batch(2, 4, 48, 64);
  EXPECT_EQ(clips.shape(), (Dims{2, 3, 4, 48, 64}));
  for (int t = 0; t < 4; ++t) ASSERT_TRUE(reader.next(clips[1].select(1, t)));
  for (int t = 0; t < 4; ++t) EXPECT_EQ(test::burnt_number(clips[1].select(1, t)), t);
}

TEST(VideoReader, ColoursAreRight) {
  const TempDir dir;
  for (const char* format : {"yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"}) {
    make_video(dir / "a.mkv", {.pts = test::steps(2), .pixel_format = format, .options = {{"crf", "4"}}});
    VideoReader reader(dir / "a.mkv");
    Tensor picture;
    ASSERT_TRUE(reader.next(&picture));
    const int expected[] = {200, 60, 40};
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(picture.at({c, 40, 30}), expected[c], 6) << format << " channel " << c;
  }
}

TEST(VideoReader, ColoursAreRightInEverySizeOfAStream) {
  io::ffmpeg::FrameScaler scaler("a.ts", {}, {});
  for (int size = 64; size < 640; size += 16) {
    const io::ffmpeg::Frame frame = io::ffmpeg::new_frame();
    frame->width = frame->height = size;
    frame->format = AV_PIX_FMT_YUV420P;
    frame->color_range = AVCOL_RANGE_JPEG;
    frame->colorspace = AVCOL_SPC_BT709;
    ASSERT_GE(av_frame_get_buffer(frame.get(), 0), 0);
    const int colour[] = {90, 80, 200};
    for (int i = 0; i < 3; ++i)
      std::memset(frame->data[i], colour[i], size_t(frame->linesize[i]) * size_t(i ? size / 2 : size));
    const Tensor slot = io::frame_batch(1, size / 3, size / 3)[0];
    scaler.write(*frame, slot);
    const int expected[] = {203, 65, 1};
    for (int c = 0; c < 3; ++c)
      ASSERT_NEAR(slot.at({c, size / 6, size / 6}), expected[c], 2) << size << " channel " << c;
  }
}

TEST(VideoReader, CoverTakesTheMiddle) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.width = 128, .pts = test::steps(1 + 1)});
  VideoReader stretched(dir / "a.mp4"), covered(dir / "a.mp4", {.fit = io::FrameFit::cover});
  const Tensor a = io::frame_batch(1, 48, 48)[0], whole = io::frame_batch(1, 48, 128)[0];
  ASSERT_TRUE(covered.next(a));
  ASSERT_TRUE(stretched.next(whole));
  double difference = 0;
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 48; ++x) difference += std::abs(a.at({1, y, x}) - whole.at({1, y, x + 40}));
  EXPECT_LT(difference / (48 * 48), 2);
}

// ---- bad and damaged files ----

void write_file(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(VideoReader, WhatIsNoVideoIsSaidInOneLine) {
  const TempDir dir;
  const auto error = [&](const std::string& name) { return error_of([&] { VideoReader reader(dir / name); }); };
  EXPECT_THAT(error("missing.mp4"), HasSubstr("missing.mp4: cannot be read (No such file"));
  std::filesystem::create_directory(dir / "folder.mp4");
  EXPECT_THAT(error("folder.mp4"), HasSubstr("is a folder"));
  ASSERT_EQ(::mkfifo((dir / "pipe.mp4").c_str(), 0600), 0);  // nobody writes to it: waiting would never end
  EXPECT_THAT(error("pipe.mp4"), HasSubstr("is not a plain file"));
  write_file(dir / "empty.mp4", "");
  EXPECT_THAT(error("empty.mp4"), HasSubstr("is empty"));
  write_file(dir / "text.mp4", std::string(5000, 'x'));
  EXPECT_THAT(error("text.mp4"), HasSubstr("not a video"));
  make_video(dir / "pictures.avi",
             {.codec = "mjpeg", .pts = test::steps(2), .b_frames = 0, .pixel_format = "yuvj420p"});
  const std::string avi = read_file(dir / "pictures.avi");
  const size_t jpeg = avi.find("\xff\xd8\xff");
  ASSERT_NE(jpeg, std::string::npos);
  write_file(dir / "still.mp4", avi.substr(jpeg, avi.find("\xff\xd9", jpeg) + 2 - jpeg));
  EXPECT_THAT(error("still.mp4"), HasSubstr("is a still image (jpeg)"));
  make_video(dir / "sound.mp4", {.pts = test::steps(25), .audio = true});
  for (const char* name : {"missing.mp4", "text.mp4", "still.mp4"}) {
    EXPECT_THAT(error(name), testing::StartsWith(dir / name));
    EXPECT_THAT(error(name), testing::Not(HasSubstr("\n")));
  }
}

TEST(VideoReader, EncryptedFilesAreNamedAsSuch) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(10),
                             .muxer_options = {{"encryption_scheme", "cenc-aes-ctr"},
                                               {"encryption_key", "00112233445566778899aabbccddeeff"},
                                               {"encryption_kid", "00112233445566778899aabbccddeeff"}}});
  EXPECT_MESSAGE(VideoReader(dir / "a.mp4").decode(), "a.mp4: is encrypted");
}

TEST(VideoReader, PlaylistsDoNotReadOtherFiles) {
  const TempDir dir;
  make_video(dir / "secret.ts", {.pts = test::steps(25)});
  write_file(dir / "list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n");
  EXPECT_THAT(error_of([&] { VideoReader reader(dir / "list.m3u8"); }), HasSubstr("list.m3u8"));
  write_file(dir / "list.mp4",
             "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:" + (dir / "secret.ts") + "\n#EXT-X-ENDLIST\n");
  EXPECT_THAT(error_of([&] { VideoReader reader(dir / "list.mp4"); }), HasSubstr("list.mp4"));
  write_file(dir / "concat.mp4", "ffconcat version 1.0\nfile secret.ts\n");
  EXPECT_THAT(error_of([&] { VideoReader reader(dir / "concat.mp4"); }), HasSubstr("concat.mp4"));
}

TEST(VideoReader, CutFilesGiveTheFramesThatAreThere) {
  const TempDir dir;
  for (const char* name : {"a.mp4", "a.mkv", "a.ts", "a.avi"}) {
    Movie m{.pts = test::steps(150), .muxer_options = {}};
    if (std::string(name) == "a.mp4") m.muxer_options = {{"movflags", "faststart"}};
    if (std::string(name) == "a.avi") m.codec = "mpeg4", m.b_frames = 0;
    make_video(dir / name, m);
    const std::string bytes = read_file(dir / name);
    write_file(dir / name, bytes.substr(0, bytes.size() * 6 / 10));
    VideoReader reader(dir / name);
    Tensor picture;
    int n = 0;
    while (reader.next(&picture)) {
      if (n < 35) {
        EXPECT_EQ(test::burnt_number(picture), n) << name;
      }
      ++n;
    }
    EXPECT_GT(n, 35) << name;
    EXPECT_LT(n, 130) << name;
    const auto stats = reader.stats();
    if (std::string(name) != "a.ts") {  // a transport stream does not declare its length
      EXPECT_TRUE(stats.damaged()) << name;
    }
  }
}

TEST(VideoReader, ALateStartAndLongerSoundAreNoDamage) {
  const TempDir dir;
  Movie late{.pts = test::steps(75)};
  for (int64_t& pts : late.pts) pts += 50;
  make_video(dir / "late.mkv", late);
  make_video(dir / "sound.mkv", {.pts = test::steps(75), .audio = true, .audio_start = 20});
  for (const char* name : {"late.mkv", "sound.mkv"}) {
    VideoReader reader(dir / name);
    while (reader.decode()) continue;
    EXPECT_FALSE(reader.stats().damaged()) << name << " " << reader.stats().missing_seconds;
  }
  EXPECT_NEAR(*VideoReader(dir / "late.mkv").facts().duration, 3, 0.1);
}

TEST(VideoReader, WithoutItsIndexAnMp4SaysWhatIsMissing) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(50)});
  const std::string bytes = read_file(dir / "a.mp4");
  write_file(dir / "a.mp4", bytes.substr(0, bytes.size() / 2));
  EXPECT_MESSAGE(VideoReader(dir / "a.mp4"), "moov atom not found");
}

TEST(VideoReader, DamageInTheMiddleIsPassedAndCounted) {
  const TempDir dir;
  for (const char* name : {"a.mp4", "a.mkv", "a.ts", "a.avi"}) {
    Movie m{.pts = test::steps(150), .options = {}};
    if (std::string(name) == "a.avi") m.codec = "mpeg4", m.b_frames = 0;
    make_video(dir / name, m);
    std::string bytes = read_file(dir / name);
    uint32_t random = 1;
    for (size_t i = bytes.size() * 4 / 10; i < bytes.size() / 2; ++i)
      bytes[i] = char((random = random * 1664525 + 1013904223) >> 24);
    write_file(dir / name, bytes);
    VideoReader reader(dir / name, {.threads = 2});
    Tensor picture;
    int last = -1, n = 0;
    while (reader.next(&picture)) {
      last = test::burnt_number(picture);
      ++n;
    }
    EXPECT_EQ(last, 149) << name;
    EXPECT_GT(n, 60) << name;  // Matroska goes on with its next cluster only
    EXPECT_TRUE(reader.stats().damaged()) << name << n;
  }
}

TEST(VideoReader, AnIndexThatCallsEveryFrameAKeyFrameIsNotBelieved) {
  const TempDir dir;
  for (const char* name : {"a.avi", "a.mp4"}) {
    make_video(dir / name, {.codec = "mpeg4", .pts = test::steps(90), .b_frames = 0});
    std::string bytes = read_file(dir / name);
    if (std::string(name) == "a.avi")
      for (size_t entry = bytes.rfind("idx1") + 8; entry + 16 <= bytes.size(); entry += 16)
        bytes.at(entry + 4) = 0x10;  // AVIIF_KEYFRAME
    else
      bytes.replace(bytes.rfind("stss"), 4, "free");  // without a list of key frames, all are
    write_file(dir / name, bytes);
    VideoReader reader(dir / name);
    Tensor picture;
    for (int k = 0; k < 90; ++k) {
      const int i = k * 37 % 90;
      reader.seek(i * 0.04);
      ASSERT_TRUE(reader.next(&picture));
      ASSERT_EQ(burnt_number(picture), i) << name;
    }
  }
}

TEST(VideoReader, PathsWithSpacesAndOtherLettersWork) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "mit Leerzeichen % ü 映画");
  const std::string path = dir / "mit Leerzeichen % ü 映画/a %03d : b.mp4";
  make_video("file:" + path, {.pts = test::steps(3)});
  VideoReader reader(path);
  EXPECT_TRUE(reader.decode());
}

TEST(VideoReader, OneFrameIsAVideo) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = {0}});
  VideoReader reader(dir / "a.mp4");
  EXPECT_TRUE(reader.decode());
  EXPECT_FALSE(reader.decode());
  EXPECT_EQ(io::index_video(dir / "a.mp4").frames(), 1);
}

TEST(VideoReader, MisuseIsAnError) {
  const TempDir dir;
  make_video(dir / "a.mp4", {.pts = test::steps(3)});
  VideoReader reader(dir / "a.mp4");
  EXPECT_MESSAGE(reader.write(io::frame_batch(1, 8, 8)[0]), "no frame was decoded yet");
  EXPECT_MESSAGE(reader.next(empty({3, 8, 8})), "u8 of shape (3,H,W)");
  EXPECT_MESSAGE(reader.next(empty({1, 3, 8, 8}, {.dtype = Dtype::u8, .layout = Layout::channels_first})[0]),
                 "memory order");
  EXPECT_MESSAGE(reader.seek(std::numeric_limits<double>::quiet_NaN()), "cannot seek to");
  const auto index = io::index_video(dir / "a.mp4");
  EXPECT_MESSAGE(reader.select(index, {3}), "has no frame 3, only 3");
  EXPECT_MESSAGE(reader.select(index, {1, 1}), "ascending");
}

TEST(VideoReader, RealVideosAreReadToTheirEnd) {
  const char* data = std::getenv("AR_TEST_DATA");
  if (!data || !*data) GTEST_SKIP() << "AR_TEST_DATA is not set: no real videos";
  int videos = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    const std::string ending = entry.path().extension();
    if (ending != ".avi" && ending != ".mp4" && ending != ".mkv") continue;
    const auto index = io::index_video(entry.path());
    VideoReader reader(entry.path());
    std::vector<int64_t> pts;
    while (const auto time = reader.decode()) pts.push_back(time->pts);
    EXPECT_EQ(index.pts, pts) << entry.path();
    EXPECT_FALSE(reader.stats().damaged()) << entry.path();
    ++videos;
  }
  EXPECT_GT(videos, 0);
}

}  // namespace
}  // namespace ar
