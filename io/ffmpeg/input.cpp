#include "io/ffmpeg/input.h"

extern "C" {
#include <libavutil/display.h>
#include <libavutil/parseutils.h>
#include <libavutil/pixdesc.h>
}
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tensor/error.h"

namespace ar::io::ffmpeg {
namespace {

constexpr int kBuffer = 1 << 16;
constexpr int kMaxReadErrors = 64;                    // in a row, before a file counts as ended
constexpr int64_t kMaxPixels = int64_t{8192} * 8192;  // of one picture: a damaged header must not ask for all memory
constexpr const char* kEncrypted = ": is encrypted (DRM or password), and cannot be decoded";

const uint8_t* side_data(const AVStream* stream, AVPacketSideDataType type, size_t least) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)  // FFmpeg 6.1
  const AVPacketSideData* found =
      av_packet_side_data_get(stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, type);
  return found && found->size >= least ? found->data : nullptr;
#else
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(stream, type, &size);
  return data && size >= least ? data : nullptr;
#endif
}

/// The matrix maps stored (x, y) to shown (a x + c y, b x + d y); ISO/IEC 14496-12, 8.3.2. Angles between the four
/// right ones are rounded.
Orientation orientation_of(const AVStream* stream) {
  Orientation o;
  const uint8_t* data = side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
  if (!data) return o;
  int32_t m[9];
  std::memcpy(m, data, sizeof(m));
  const int64_t a = m[0], b = m[1], c = m[3], d = m[4];
  o.transpose = std::abs(a) + std::abs(d) < std::abs(b) + std::abs(c);
  o.flip_x = (o.transpose ? c : a) < 0;
  o.flip_y = (o.transpose ? b : d) < 0;
  return o;
}

bool is_encrypted(const AVStream* stream) {
  return stream->codecpar->codec_tag == MKTAG('e', 'n', 'c', 'v') ||
         side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, 1) ||
         av_dict_get(stream->metadata, "enc_key_id", nullptr, 0);
}

int refuse_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

Rational rational(AVRational r) { return r.den ? Rational{r.num, r.den} : Rational{}; }

}  // namespace

/// Bytes of a file or of memory behind libav's reading callbacks.
struct Input::Source {
  int fd = -1;
  std::span<const std::byte> bytes;
  int64_t position = 0, size = 0;
  AVIOContext* io = nullptr;

  ~Source() {
    drop_io();
    if (fd >= 0) ::close(fd);
  }
  void drop_io() {
    if (io) av_freep(&io->buffer);
    avio_context_free(&io);
  }
  void make_io() {
    drop_io();
    position = 0;
    auto* buffer = static_cast<uint8_t*>(av_malloc(kBuffer));
    io = buffer ? avio_alloc_context(buffer, kBuffer, 0, this, &read, nullptr, &seek) : nullptr;
    if (!io) {
      av_free(buffer);
      throw std::bad_alloc();
    }
  }
  static int read(void* self, uint8_t* to, int count) {
    auto& s = *static_cast<Source*>(self);
    int64_t got = 0;
    if (s.fd >= 0) {
      do got = ::pread(s.fd, to, size_t(count), s.position);
      while (got < 0 && errno == EINTR);
      if (got < 0) return AVERROR(errno);
    } else {
      got = std::clamp<int64_t>(s.size - s.position, 0, count);
      if (got > 0) std::memcpy(to, s.bytes.data() + s.position, size_t(got));
    }
    s.position += got;
    return got > 0 ? int(got) : AVERROR_EOF;
  }
  static int64_t seek(void* self, int64_t offset, int whence) {
    auto& s = *static_cast<Source*>(self);
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return s.size;
    if (whence == SEEK_CUR) offset += s.position;
    if (whence == SEEK_END) offset += s.size;
    if (offset < 0) return AVERROR(EINVAL);
    return s.position = offset;
  }
};

Input::Input(const std::string& path) : path_(path), source_(std::make_unique<Source>()) {
  source_->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // not to wait for a pipe's other end
  AR_CHECK(source_->fd >= 0, path, ": cannot be read (", std::strerror(errno), ")");
  struct stat info {};
  AR_CHECK(::fstat(source_->fd, &info) == 0, path, ": cannot be read (", std::strerror(errno), ")");
  AR_CHECK(!S_ISDIR(info.st_mode), path, ": is a folder, not a video");
  AR_CHECK(S_ISREG(info.st_mode), path, ": is not a plain file");
  source_->size = info.st_size;
  open();
}

Input::Input(std::span<const std::byte> bytes, const std::string& name)
    : path_(name), source_(std::make_unique<Source>()) {
  source_->bytes = bytes;
  source_->size = int64_t(bytes.size());
  open();
}

Input::~Input() { close(); }

void Input::close() { avformat_close_input(&format_); }

void Input::open() {
  silence_log();
  AR_CHECK(source_->size > 0, path_, ": is empty (0 bytes)");
  try {
    source_->make_io();
    format_ = avformat_alloc_context();
    if (!format_) throw std::bad_alloc();
    format_->pb = source_->io;
    format_->flags |= AVFMT_FLAG_CUSTOM_IO;
    format_->io_open = refuse_open;
    format_->protocol_whitelist = av_strdup("none");
    last_message();
    int code = avformat_open_input(&format_, path_.c_str(), nullptr, nullptr);
    if (code < 0) {
      const std::string message = last_message();
      fail(path_, ": is not a video that can be read (", message.empty() ? error_text(code) : message, ")");
    }
    const std::string container = format_->iformat->name;
    AR_CHECK(container != "image2", path_, ": is a still image, not a video");
    AR_CHECK(!container.ends_with("_pipe"), path_, ": is a still image (", container.substr(0, container.find('_')),
             "), not a video");
    code = avformat_find_stream_info(format_, nullptr);
    AR_CHECK(code >= 0, path_, ": is not a video that can be read (", error_text(code), ")");
    choose_streams();
    read_facts();
    keep_streams(with_audio_);
  } catch (...) {
    close();
    throw;
  }
}

void Input::choose_streams() {
  stream_ = audio_ = nullptr;
  bool any_audio = false, picture = false, encrypted = false;
  const AVStream* unknown = nullptr;
  int64_t most = -1;
  facts_ = {};
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    AVStream* s = format_->streams[i];
    const AVCodecParameters& p = *s->codecpar;
    any_audio |= p.codec_type == AVMEDIA_TYPE_AUDIO;
    if (p.codec_type != AVMEDIA_TYPE_VIDEO) continue;
    if (s->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS)) {
      picture = true;
      continue;
    }
    ++facts_.video_streams;
    if (is_encrypted(s)) {
      encrypted = true;
      continue;
    }
    if (!avcodec_find_decoder(p.codec_id) || p.width <= 0 || p.height <= 0) {
      unknown = s;
      continue;
    }
    const int64_t area = int64_t{p.width} * p.height;
    if (area > most) {
      most = area;
      stream_ = s;
    }
  }
  AR_CHECK(stream_ || !encrypted, path_, kEncrypted);
  if (!stream_ && unknown)
    fail(path_, ": has a video stream (", avcodec_get_name(unknown->codecpar->codec_id),
         ") of which no picture can be decoded");
  AR_CHECK(stream_, path_, ": has no video stream",
           picture ? " (only a cover picture)" : (any_audio ? " (audio only)" : ""));
  AR_CHECK(most <= kMaxPixels, path_, ": pictures of ", stream_->codecpar->width, " x ", stream_->codecpar->height,
           " are larger than ", kMaxPixels, " pixels");
  const int best = av_find_best_stream(format_, AVMEDIA_TYPE_AUDIO, -1, stream_->index, nullptr, 0);
  if (best >= 0 && avcodec_find_decoder(format_->streams[best]->codecpar->codec_id)) audio_ = format_->streams[best];
}

void Input::read_facts() {
  const AVCodecParameters& p = *stream_->codecpar;
  facts_.orientation = orientation_of(stream_);
  facts_.width = facts_.orientation.transpose ? p.height : p.width;
  facts_.height = facts_.orientation.transpose ? p.width : p.height;
  const AVRational aspect = av_guess_sample_aspect_ratio(format_, stream_, nullptr);
  if (aspect.num > 0 && aspect.den > 0) facts_.pixel_aspect = rational(aspect);
  facts_.frame_rate = rational(stream_->avg_frame_rate);
  facts_.nominal_frame_rate = rational(av_guess_frame_rate(format_, stream_, nullptr));
  if (facts_.frame_rate.num <= 0) facts_.frame_rate = facts_.nominal_frame_rate;
  facts_.time_base = rational(stream_->time_base);
  AR_CHECK(facts_.time_base.num > 0 && facts_.time_base.den > 0, path_, ": the video stream has no time base");
  if (stream_->start_time != AV_NOPTS_VALUE) facts_.start_pts = stream_->start_time;
  read_duration();
  facts_.container = format_->iformat->name;
  facts_.codec = avcodec_get_name(p.codec_id);
  if (const char* name = av_get_pix_fmt_name(AVPixelFormat(p.format))) facts_.pixel_format = name;
  facts_.streams = int(format_->nb_streams);
  facts_.has_audio = audio_ != nullptr;
}

void Input::read_duration() {
  facts_.duration_of_pictures = true;
  if (stream_->duration != AV_NOPTS_VALUE && stream_->duration > 0) {
    facts_.duration = double(stream_->duration) * facts_.time_base.value();
    return;
  }
  // These count from the container's time 0, at which the pictures need not begin.
  const AVDictionaryEntry* tag = av_dict_get(stream_->metadata, "DURATION", nullptr, 0);  // of one Matroska track
  int64_t microseconds = 0;
  if (!tag || av_parse_time(&microseconds, tag->value, 1) < 0) {
    microseconds = format_->duration != AV_NOPTS_VALUE ? format_->duration : 0;
    facts_.duration_of_pictures = format_->nb_streams == 1;
  }
  const double seconds = double(microseconds) / AV_TIME_BASE - double(facts_.start_pts) * facts_.time_base.value();
  if (seconds > 0) facts_.duration = seconds;
}

void Input::keep_streams(bool with_audio) {
  with_audio_ = with_audio;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    AVStream* s = format_->streams[i];
    s->discard = s == stream_ || (with_audio && s == audio_) ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
}

bool Input::read(AVPacket* packet) {
  for (int errors = 0; errors < kMaxReadErrors;) {
    av_packet_unref(packet);
    last_message();
    const int code = av_read_frame(format_, packet);
    // Some containers pass damage in silence, but for a message.
    if (!last_message().empty() || (code < 0 && code != AVERROR_EOF)) ++read_errors_;
    if (code == AVERROR_EOF) return false;
    if (code < 0) {
      ++errors;
      if (source_->position >= source_->size) return false;
      continue;
    }
    AR_CHECK(!av_packet_get_side_data(packet, AV_PKT_DATA_ENCRYPTION_INFO, nullptr), path_, kEncrypted);
    // A stream may appear in mid-file; nobody asked for it.
    if (packet->stream_index == stream_->index || (with_audio_ && audio_ && packet->stream_index == audio_->index))
      return true;
  }
  return false;
}

bool Input::seeks_exactly() const {
  const std::string& name = facts_.container;
  for (const char* container : {"mov,", "matroska,", "flv", "mpegts", "asf"})
    if (name.starts_with(container)) return true;
  return name == "avi" && stream_->codecpar->video_delay == 0;
}

bool Input::seek(int64_t pts) { return av_seek_frame(format_, stream_->index, pts, AVSEEK_FLAG_BACKWARD) >= 0; }

void Input::rewind() {
  close();
  open();
}

CodecContext open_decoder(const Input& input, AVStream* stream, int threads) {
  const AVCodec* codec = avcodec_find_decoder(stream->codecpar->codec_id);
  AR_CHECK(codec, input.path(), ": no decoder for ", avcodec_get_name(stream->codecpar->codec_id));
  CodecContext context(avcodec_alloc_context3(codec));
  if (!context) throw std::bad_alloc();
  int code = avcodec_parameters_to_context(context.get(), stream->codecpar);
  context->pkt_timebase = stream->time_base;
  context->thread_count = threads;
  context->max_pixels = kMaxPixels;
  if (code >= 0) code = avcodec_open2(context.get(), codec, nullptr);
  AR_CHECK(code >= 0, input.path(), ": the ", codec->name, " decoder does not start (", error_text(code), ")");
  return context;
}

}  // namespace ar::io::ffmpeg
