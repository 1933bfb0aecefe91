// Event files as TensorBoard reads them: TFRecord frames around Event messages, written by hand.
//
// A frame is the data's length (u64), the length's masked CRC-32C, the data, the data's masked CRC-32C; masking is
// ((crc >> 15) | (crc << 17)) + 0xa282ead8. The messages are TensorBoard's event.proto, summary.proto and, for the
// HPARAMS tab, the hparams plugin's plugin_data.proto.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ar::io {

/// The value of an option as the HPARAMS tab shows it.
using HParam = std::variant<bool, double, std::string>;

/// A metric of the HPARAMS tab: the scalar `tag` in the run's sub-folder `group` ("" for the run's own folder, which is
/// the one that is found wherever TensorBoard is started).
struct HParamMetric {
  std::string group, tag, display_name;
};

/// One frame of a TFRecord file around these bytes.
std::string tf_record(std::string_view data);

/// Writes one event file. Each start of a program makes a file of its own, whose name sorts after those already in
/// the folder: an earlier file that ends in a torn record (after a kill) harms nothing.
class EventFile {
 public:
  /// Creates the folder and the file. What earlier files of the folder hold for `start_step` and later steps is
  /// superseded, so that a resumed run's curves neither double nor run back. Throws Error "PATH: ...".
  explicit EventFile(const std::filesystem::path& folder, int64_t start_step = 0);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(std::string_view tag, int64_t step, double value);
  /// The bytes of a PNG or GIF file; throws Error for anything else.
  void image(std::string_view tag, int64_t step, std::string_view file);
  /// Markdown.
  void text(std::string_view tag, int64_t step, std::string_view markdown);
  /// What the HPARAMS tab shows of this run; once, at the start.
  void hparams(const std::vector<std::pair<std::string, HParam>>& options, const std::vector<HParamMetric>& metrics);
  /// The run is over, for the HPARAMS tab.
  void session_end(bool success);

  /// Everything goes to the file; by itself that happens every few seconds.
  void flush();
  const std::filesystem::path& path() const { return path_; }

 private:
  void add(int64_t step, int field, const std::string& message);

  std::filesystem::path path_;
  int fd_ = -1;
  std::string pending_;
  std::chrono::steady_clock::time_point flushed_;
};

}  // namespace ar::io
