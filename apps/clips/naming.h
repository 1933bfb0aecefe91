// Names of clips that every file system takes and that never meet.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ar::apps {

/// "-f3ee6fa0": a '-' and 8 hexadecimal digits of the text's CRC-32C, which keep names of different texts apart.
std::string digits_of(std::string_view text);

/// The text as part of a file name: ASCII letters, digits, '.', '_' and '-' stay, all else becomes '_'; at most 80
/// characters; no leading dot or dash, no trailing dot, none of Windows' device names. A text that had to change gets
/// its digits_of() behind it, so that different texts stay different; spaces alone do not count as a change ("playing
/// cymbals" is "playing_cymbals").
std::string safe_name(std::string_view text);

/// "LABEL/VIDEO_00012340_00022340_LABEL.mp4": a clip's path inside the output folder, times in milliseconds with at
/// least 8 digits. Both names are safe_name()s.
std::string clip_path(const std::string& video, double start, double end, const std::string& label);

/// One name for each video of an output folder, from the stem of its path. A stem that another path has already, be it
/// in other capitals, gets digits of its path's CRC behind it.
class VideoNames {
 public:
  /// Name and path of a former run.
  void remember(const std::string& name, const std::string& path);
  std::string claim(const std::string& path);

 private:
  std::map<std::string, std::string> path_of_;  // by name in small letters
};

}  // namespace ar::apps
