#include "io/video_index.h"

#include <algorithm>
#include <utility>

#include "io/ffmpeg/input.h"
#include "io/video_reader.h"

namespace ar::io {
namespace {

using namespace ffmpeg;

/// Codecs of which every packet is one shown frame. (VP8 and VP6, for two, also store frames that are never shown.)
bool packet_is_frame(AVCodecID id) {
  switch (id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_MJPEG:
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
    case AV_CODEC_ID_H263:
      return true;
    default:
      return false;
  }
}

struct Entry {
  int64_t pts;
  bool key;
};

/// False when the packets do not tell.
bool scan_packets(Input& input, std::vector<Entry>& entries) {
  const AVCodecParameters& p = *input.stream()->codecpar;
  if (!packet_is_frame(p.codec_id)) return false;
  const Packet packet = new_packet();
  int64_t last_dts = INT64_MIN;
  while (input.read(packet.get())) {
    if (packet->size == 0 || (packet->flags & AV_PKT_FLAG_DISCARD)) continue;
    int64_t pts = packet->pts;
    if (pts == AV_NOPTS_VALUE && p.video_delay == 0) pts = packet->dts;  // decoded in the order shown
    if (pts == AV_NOPTS_VALUE) return false;
    if (packet->dts != AV_NOPTS_VALUE && std::exchange(last_dts, packet->dts) > packet->dts) return false;
    entries.push_back({pts, (packet->flags & AV_PKT_FLAG_KEY) != 0});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.pts < b.pts; });
  return std::adjacent_find(entries.begin(), entries.end(),
                            [](const Entry& a, const Entry& b) { return a.pts == b.pts; }) == entries.end();
}

}  // namespace

int64_t VideoIndex::frame_at(double seconds) const {
  return std::lower_bound(pts.begin(), pts.end(), facts.pts_at(seconds)) - pts.begin();
}

int64_t VideoIndex::key_frame_before(int64_t i) const {
  const auto after = std::upper_bound(key_frames.begin(), key_frames.end(), i);
  return after == key_frames.begin() ? 0 : after[-1];
}

VideoIndex index_video(const std::string& path) {
  VideoIndex index;
  std::vector<Entry> entries;
  bool exact = false;
  {
    Input input(path);
    index.facts = input.facts();
    exact = scan_packets(input, entries);
  }
  if (exact) {
    for (const Entry& e : entries) {
      if (e.key) index.key_frames.push_back(index.frames());
      index.pts.push_back(e.pts);
    }
  } else {
    VideoReader reader(path, {.threads = 0});
    while (const auto time = reader.decode()) index.pts.push_back(time->pts);
    index.key_frames = {0};
  }
  AR_CHECK(!index.pts.empty(), path, ": no frame can be decoded");
  return index;
}

}  // namespace ar::io
