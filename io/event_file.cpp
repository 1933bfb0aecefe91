#include "io/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "io/crc32c.h"
#include "io/protobuf.h"
#include "tensor/error.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNameBegin = "events.out.tfevents.";
constexpr auto kFlushEvery = std::chrono::seconds(5);
constexpr size_t kMostPending = 1 << 20;

// Field numbers of the messages.
enum Event { wall_time = 1, step_number = 2, file_version = 3, summary = 5, session_log = 7 };
enum Value { tag_name = 1, simple_value = 2, image_value = 4, tensor_value = 8, metadata_value = 9 };
enum HParamsData { experiment = 2, session_start = 3, session_ended = 4 };

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Now in seconds, or later if that is needed to sort after the event files already in the folder.
int64_t sorting_time(const fs::path& folder) {
  auto time = int64_t(seconds_since_1970());
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kNameBegin, 0) != 0) continue;
    int64_t other = 0;
    std::from_chars(name.data() + kNameBegin.size(), name.data() + name.size(), other);
    if (other < 9'999'999'999) time = std::max(time, other + 1);
  }
  return time;
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return *name ? name : "localhost";
}

/// Summary.Metadata of a plugin.
Message metadata(std::string_view plugin, std::string_view content = {}) {
  return Message().message(1, Message().text(1, plugin).text(2, content));
}

Message hparams_value(std::string_view tag, HParamsData kind, const Message& content) {
  const Message data = Message().varint(1, 0).message(kind, content);
  // An empty float tensor: readers drop values that hold nothing.
  const Message nothing = Message().varint(1, 1).message(2, Message().message(2, Message().varint(1, 0)));
  return Message().message(1, Message()
                                  .text(tag_name, tag)
                                  .message(metadata_value, metadata("hparams", data.bytes()))
                                  .message(tensor_value, nothing));
}

/// google.protobuf.Value
Message protobuf_value(const HParam& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return Message().varint(4, *flag);
  if (const auto* number = std::get_if<double>(&value)) return Message().real(2, *number);
  return Message().text(3, std::get<std::string>(value));
}

uint32_t big_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | uint8_t(c);
  return value;
}

}  // namespace

std::string tf_record(std::string_view data) {
  std::string out;
  append_little_endian(out, uint64_t(data.size()));
  append_little_endian(out, masked_crc(out));
  out += data;
  append_little_endian(out, masked_crc(data));
  return out;
}

EventFile::EventFile(const fs::path& folder, int64_t start_step) : flushed_(std::chrono::steady_clock::now()) {
  std::error_code error;
  fs::create_directories(folder, error);
  AR_CHECK(!error, folder.string(), ": cannot create this folder for the log: ", error.message());
  std::string time = std::to_string(sorting_time(folder));
  time.insert(0, 10 - std::min<size_t>(time.size(), 10), '0');
  path_ =
      folder /
      std::string(kNameBegin).append(time).append(".").append(host_name()).append(".").append(std::to_string(getpid()));
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  AR_CHECK(fd_ >= 0, path_.string(), ": cannot create: ", std::strerror(errno));
  add(0, file_version, "brain.Event:2");
  // SessionLog.status = START at a step: readers forget what they have of this step and later ones.
  add(start_step, session_log, Message().varint(1, 1).bytes());
  flush();
}

EventFile::~EventFile() {
  try {
    flush();
  } catch (const Error&) {  // nobody is left to be told
  }
  if (fd_ >= 0) close(fd_);
}

void EventFile::add(int64_t step, int field, const std::string& message) {
  Message event;
  event.real(wall_time, seconds_since_1970());
  if (step != 0) event.varint(step_number, uint64_t(step));
  event.text(field, message);
  pending_ += tf_record(event.bytes());
  if (pending_.size() > kMostPending || std::chrono::steady_clock::now() - flushed_ > kFlushEvery) flush();
}

void EventFile::scalar(std::string_view tag, int64_t step, double value) {
  add(step, summary, Message().message(1, Message().text(tag_name, tag).single(simple_value, float(value))).bytes());
}

void EventFile::image(std::string_view tag, int64_t step, std::string_view file) {
  const bool png = file.size() > 24 && file.substr(0, 8) == "\x89PNG\r\n\x1a\n";
  const bool gif = file.size() > 10 && file.substr(0, 4) == "GIF8";
  AR_CHECK(png || gif, "EventFile::image: ", tag, " is neither a PNG nor a GIF file");
  const auto gif_size = [&](size_t at) { return uint32_t(uint8_t(file[at]) | uint8_t(file[at + 1]) << 8); };
  const uint32_t width = png ? big_endian(file.substr(16)) : gif_size(6);
  const uint32_t height = png ? big_endian(file.substr(20)) : gif_size(8);
  const Message image = Message().varint(1, height).varint(2, width).varint(3, 3).text(4, file);
  add(step, summary, Message().message(1, Message().text(tag_name, tag).message(image_value, image)).bytes());
}

void EventFile::text(std::string_view tag, int64_t step, std::string_view markdown) {
  constexpr int dt_string = 7;
  const Message shape = Message().message(2, Message().varint(1, 1));
  const Message tensor = Message().varint(1, dt_string).message(2, shape).text(8, markdown);
  add(step, summary,
      Message()
          .message(
              1, Message().text(tag_name, tag).message(metadata_value, metadata("text")).message(tensor_value, tensor))
          .bytes());
}

void EventFile::hparams(const std::vector<std::pair<std::string, HParam>>& options,
                        const std::vector<HParamMetric>& metrics) {
  enum Type { text_type = 1, bool_type = 2, number_type = 3 };
  const double now = seconds_since_1970();
  Message about, start;
  about.real(3, now);
  for (const auto& [name, value] : options) {
    const Type type = std::holds_alternative<bool>(value)     ? bool_type
                      : std::holds_alternative<double>(value) ? number_type
                                                              : text_type;
    about.message(4, Message().text(1, name).varint(4, type));
    start.message(1, Message().text(1, name).message(2, protobuf_value(value)));
  }
  for (const HParamMetric& metric : metrics) {
    const Message name = Message().text(1, metric.group).text(2, metric.tag);
    about.message(5, Message().message(1, name).text(3, metric.display_name));
  }
  start.real(5, now);
  add(0, summary, hparams_value("_hparams_/experiment", experiment, about).bytes());
  add(0, summary, hparams_value("_hparams_/session_start_info", session_start, start).bytes());
  flush();
}

void EventFile::session_end(bool success) {
  const Message end = Message().varint(1, success ? 1 : 2).real(2, seconds_since_1970());
  add(0, summary, hparams_value("_hparams_/session_end_info", session_ended, end).bytes());
  flush();
}

void EventFile::flush() {
  flushed_ = std::chrono::steady_clock::now();
  const std::string bytes = std::exchange(pending_, {});
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    AR_CHECK(n > 0, path_.string(), ": cannot write: ", std::strerror(errno));
    rest.remove_prefix(size_t(n));
  }
}

}  // namespace ar::io
