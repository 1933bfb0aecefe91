// Small videos for tests, written through libav, with the frame's number burnt in as blocks that survive compression.
#pragma once
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace ar::test {

struct Movie {
  std::string codec = "libx264";
  int width = 64, height = 48;
  int time_base_num = 1, time_base_den = 25;  // seconds per unit of pts
  std::vector<int64_t> pts = {};              // one per frame
  int gop = 12, b_frames = 2;
  int turned = 0;          // degrees clockwise that a player must turn the stored picture by
  bool mirrored = false;   // left and right exchanged by the display matrix
  bool audio = false;      // a tone of 48 kHz that is loud in even seconds and silent in odd ones
  double audio_start = 0;  // seconds
  std::string pixel_format = "yuv420p";
  std::map<std::string, std::string> options = {}, muxer_options = {};  // of encoder and muxer
  /// Draws frame i as rows of RGB, in place of the burnt-in number.
  std::function<void(int i, uint8_t* rgb)> draw = {};
};

/// 0, step, 2 step, ...
std::vector<int64_t> steps(int n, int64_t step = 1);
/// Writes the movie; the file's ending chooses the container.
void make_video(const std::string& path, const Movie& movie);
/// One file behind the other, as `cat` does: in a transport stream, timestamps start again.
void join_files(const std::vector<std::string>& paths, const std::string& joined);
/// The first sound stream, as a player would play it from time 0: mono, 48 kHz.
std::vector<float> read_sound(const std::string& path);
/// The number burnt into a frame of a stored size of at least 64 x 48, as read from its shown (3,H,W) picture.
int burnt_number(const Tensor& picture, int turned = 0, bool mirrored = false);

/// A folder that disappears with its owner.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "ar-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace ar::test
