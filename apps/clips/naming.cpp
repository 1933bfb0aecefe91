#include "apps/clips/naming.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "io/crc32c.h"
#include "tensor/error.h"

namespace ar::apps {
namespace {

constexpr size_t kLongest = 80;

std::string in_small_letters(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool is_device(const std::string& name) {
  const std::string stem = in_small_letters(name.substr(0, name.find('.')));
  for (const char* device : {"con", "prn", "aux", "nul"})
    if (stem == device) return true;
  return stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && std::isdigit(stem[3]);
}

}  // namespace

std::string digits_of(std::string_view text) {
  char digits[16];
  std::snprintf(digits, sizeof(digits), "-%08x", unsigned(io::crc32c(text)));
  return digits;
}

std::string safe_name(std::string_view text) {
  std::string name;
  bool changed = text.size() > kLongest || text.empty();
  for (const char c : text.substr(0, kLongest)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    name += plain ? c : '_';
    changed |= !plain && c != ' ';
  }
  if (!name.empty() && (name.front() == '.' || name.front() == '-')) name.front() = '_', changed = true;
  if (!name.empty() && name.back() == '.') name.back() = '_', changed = true;
  if (is_device(name)) name.insert(name.begin(), '_'), changed = true;
  return changed ? name + digits_of(text) : name;
}

std::string clip_path(const std::string& video, double start, double end, const std::string& label) {
  char times[64];
  std::snprintf(times, sizeof(times), "_%08lld_%08lld_", std::llround(start * 1000), std::llround(end * 1000));
  return label + "/" + video + times + label + ".mp4";
}

void VideoNames::remember(const std::string& name, const std::string& path) { path_of_[in_small_letters(name)] = path; }

std::string VideoNames::claim(const std::string& path) {
  const std::string plain = safe_name(std::filesystem::path(path).stem().string());
  for (const std::string& name : {plain, plain + digits_of(path)}) {
    const auto [at, fresh] = path_of_.emplace(in_small_letters(name), path);
    if (fresh || at->second == path) return name;
  }
  fail(path, ": its name cannot be told from that of another video");
}

}  // namespace ar::apps
