#include "io/ffmpeg/handles.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>

namespace ar::io::ffmpeg {
namespace {

thread_local std::string last;

void keep_message(void*, int level, const char* format, va_list args) {
  // Transport streams report lost packets in a mere warning.
  if (level > AV_LOG_ERROR && std::strncmp(format, "Packet corrupt", 14) != 0) return;
  char text[256];
  std::vsnprintf(text, sizeof(text), format, args);
  std::string line = text;
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ' || line.back() == '.')) line.pop_back();
  for (char& c : line)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  if (!line.empty()) last = line;
}

template <class T>
T checked(T p) {
  if (!p) throw std::bad_alloc();
  return p;
}

}  // namespace

Packet new_packet() { return checked(Packet(av_packet_alloc())); }
Frame new_frame() { return checked(Frame(av_frame_alloc())); }

std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return text;
}

void silence_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(keep_message); });
}

std::string last_message() {
  std::string text;
  text.swap(last);
  return text;
}

}  // namespace ar::io::ffmpeg
