// Progress of a long run on standard error: one line redrawn in place on a terminal, now and then a plain line
// elsewhere.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ar::apps {

struct ProgressOptions {
  std::string label{};              // "epoch 3/8"
  int64_t total = 0;                // 0: not known; then neither bar nor ETA
  int64_t resumed = 0;              // done before this start: counts as done, but neither for the rate nor for the ETA
  std::string unit = "items";       // what is counted: "images", "videos"
  bool quiet = false;               // draws nothing; lines logged are still printed
  int fd = 2;                       // the file descriptor to draw on
  std::function<double()> clock{};  // seconds; by default the steady clock
};

/// A progress display:
///
///     epoch 3/8 ▕█████████▎    ▏  66% 480/720 images  12.3 images/s  ETA 0:19  loss 1.204  top-1 58.3 %  wait 2 %
///
/// On a terminal the line is redrawn at most ten times a second and fits its width (asked for at each drawing, so that
/// a changed window needs no signal handler); what does not fit goes, the last fields first. Elsewhere a plain line
/// comes after at least 10 s, at each tenth of the work or each minute. The rate is that of about the last half of the
/// time, so that a slow start is forgotten; the ETA follows from it.
///
/// Displays nest: a newer one hides an older one until it ends. All members may be called from several threads.
class Progress {
 public:
  explicit Progress(ProgressOptions options);
  /// Takes an unfinished line away.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t n = 1);
  void update(int64_t done);
  /// Work may turn out larger or smaller than thought.
  void set_total(int64_t total);
  /// A field behind the ETA, in order of first mention (the most important first); an empty text removes it.
  void set(std::string_view name, std::string_view text);
  void set(std::string_view name, double value);

  /// Work per second of late, without what a resumed run had done before; 0 while unknown.
  double rate() const;
  /// Seconds since the start.
  double elapsed() const;

  /// Ends the display with this line in its place; an empty text leaves the last state.
  void finish(std::string_view line = {});

  struct State;

 private:
  std::shared_ptr<State> state_;
};

/// Prints a line on standard error (or the descriptor of the display shown) without tearing a progress line.
void log_line(std::string_view text);

}  // namespace ar::apps
