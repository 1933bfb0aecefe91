#include "tests/video/kinds.h"

namespace ar::test {
namespace {

std::vector<int64_t> uneven(int n) {
  std::vector<int64_t> pts;
  for (int64_t i = 0, t = 0; i < n; ++i, t += 17 + i * i % 83) pts.push_back(t);
  return pts;
}

}  // namespace

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  const auto add = [&](std::string name, std::string file, Movie m) { all.push_back({name, file, std::move(m)}); };
  add("h264_b_frames", "a.mp4", {.pts = steps(90), .b_frames = 3});
  add("h264_open_group", "a.mp4", {.pts = steps(90), .b_frames = 3, .options = {{"x264-params", "open-gop=1"}}});
  add("h264_matroska", "a.mkv", {.pts = steps(90), .b_frames = 3});
  add("h264_transport_stream", "a.ts", {.pts = steps(90), .b_frames = 2});
  const std::map<std::string, std::string> x265 = {{"x265-params", "log-level=none:pools=1"}};
  add("hevc_transport_stream", "a.ts", {.codec = "libx265", .pts = steps(90), .b_frames = 3, .options = x265});
  add("hevc_matroska", "a.mkv", {.codec = "libx265", .pts = steps(90), .b_frames = 3, .options = x265});
  add("mpeg4_transport_stream", "a.ts", {.codec = "mpeg4", .pts = steps(90), .b_frames = 2});
  add("h264_intra_refresh", "a.mp4",
      {.width = 320,
       .height = 240,
       .pts = steps(90),
       .gop = 30,
       .b_frames = 0,
       .options = {{"x264-params", "intra-refresh=1"}}});
  add("h264_fragments", "a.mp4", {.pts = steps(90), .muxer_options = {{"movflags", "frag_keyframe+empty_moov"}}});
  add("mpeg4_avi", "a.avi", {.codec = "mpeg4", .pts = steps(90), .b_frames = 0});
  add("mpeg4_avi_b_frames", "a.avi", {.codec = "mpeg4", .pts = steps(90), .b_frames = 2});
  add("vp9_webm", "a.webm", {.codec = "libvpx-vp9", .pts = steps(60), .options = {{"deadline", "realtime"}}});
  add("vp8_webm", "a.webm",
      {.codec = "libvpx", .pts = steps(60), .options = {{"auto-alt-ref", "1"}, {"lag-in-frames", "10"}}});
  add("variable_rate", "a.mp4", {.time_base_den = 1000, .pts = uneven(70)});
  add("ntsc", "a.mp4", {.time_base_num = 1001, .time_base_den = 30000, .pts = steps(60)});
  add("mpeg2_program_stream", "a.mpg", {.codec = "mpeg2video", .pts = steps(60)});
  add("flash", "a.flv", {.pts = steps(60)});
  add("windows_media", "a.wmv", {.codec = "wmv2", .pts = steps(60), .b_frames = 0});
  add("mjpeg_mov", "a.mov", {.codec = "mjpeg", .pts = steps(30), .b_frames = 0, .pixel_format = "yuvj422p"});
  add("odd_size", "a.mp4", {.width = 67, .height = 51, .pts = steps(30), .pixel_format = "yuv444p"});
  add("ten_bits", "a.mkv", {.pts = steps(30), .pixel_format = "yuv420p10le"});
  for (const int by : {90, 180, 270}) {
    Movie m{.width = 96, .pts = steps(30)};
    m.turned = by;
    add("turned_" + std::to_string(by), "a.mp4", m);
    m.mirrored = true;
    add("turned_mirrored_" + std::to_string(by), "a.mp4", m);
  }
  return all;
}

}  // namespace ar::test
