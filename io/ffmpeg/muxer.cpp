#include "io/ffmpeg/muxer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "tensor/error.h"

namespace ar::io::ffmpeg {
namespace {

bool sync_to_disk(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = ::fsync(fd) == 0;
  const int code = errno;
  ::close(fd);
  errno = code;
  return ok;
}

}  // namespace

Muxer::Muxer(const std::string& path) : path_(path), temporary_(path + ".tmp") {
  silence_log();
  std::error_code code;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, code);
  AR_CHECK(!code, path, ": its folder cannot be made (", code.message(), ")");
  check(avformat_alloc_output_context2(&format_, nullptr, "mp4", temporary_.c_str()), "cannot be written");
  // The protocol is named, so that no name of a file is taken for one.
  const int opened = avio_open(&format_->pb, ("file:" + temporary_).c_str(), AVIO_FLAG_WRITE);
  if (opened < 0) {
    avformat_free_context(format_);
    fail(path, ": cannot be written (", error_text(opened), ")");
  }
  exists_ = true;
  av_free(format_->url);  // of the file that is opened again to move the index to its front
  format_->url = av_strdup(("file:" + temporary_).c_str());
}

Muxer::~Muxer() {
  avio_closep(&format_->pb);
  avformat_free_context(format_);
  if (exists_) std::remove(temporary_.c_str());
}

void Muxer::check(int code, const char* what) const {
  if (code >= 0) return;
  const std::string message = last_message();
  // libav tells of a full disk in the code; what a codec or container cannot do, in its message.
  fail(path_, ": ", what, " (", code == AVERROR(EINVAL) && !message.empty() ? message : error_text(code), ")");
}

AVStream* Muxer::new_stream() {
  AVStream* stream = avformat_new_stream(format_, nullptr);
  if (!stream) throw std::bad_alloc();
  return stream;
}

void Muxer::write_header() {
  AVDictionary* options = nullptr;
  av_dict_set(&options, "movflags", "faststart", 0);
  last_message();
  const int code = avformat_write_header(format_, &options);
  av_dict_free(&options);
  check(code, "cannot be written");
}

void Muxer::write(AVPacket* packet, AVStream* stream, AVRational time_base) {
  packet->stream_index = stream->index;
  av_packet_rescale_ts(packet, time_base, stream->time_base);
  check(av_interleaved_write_frame(format_, packet), "cannot be written");
  check(format_->pb->error, "cannot be written");
}

void Muxer::finish() {
  check(av_write_trailer(format_), "cannot be written");
  check(format_->pb->error, "cannot be written");
  check(avio_closep(&format_->pb), "cannot be written");
  AR_CHECK(sync_to_disk(temporary_, 0), path_, ": cannot be written (", std::strerror(errno), ")");
}

void Muxer::commit() {
  AR_CHECK(std::rename(temporary_.c_str(), path_.c_str()) == 0, path_, ": cannot be renamed into place (",
           std::strerror(errno), ")");
  exists_ = false;
  const auto folder = std::filesystem::path(path_).parent_path();
  sync_to_disk(folder.empty() ? "." : folder.string(), O_DIRECTORY);
}

}  // namespace ar::io::ffmpeg
