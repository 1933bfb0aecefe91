#include "apps/report/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "apps/report/text.h"

namespace ar::apps {
namespace {

constexpr double kRedrawEvery = 0.1, kLineEvery = 10, kLineAtLeastEvery = 60;  // seconds

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool terminal_shows_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value && *value) {
      std::string text(value);
      std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c | 32 : c; });
      return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
    }
  }
  return false;
}

/// Columns of the terminal behind fd, 0 if it is none (or one that cannot redraw a line).
int terminal_columns(int fd) {
  if (!isatty(fd)) return 0;
  const char* term = std::getenv("TERM");
  if (!term || !*term || std::string_view(term) == "dumb") return 0;
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// Nobody is there to tell if standard error cannot be written.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(size_t(n));
  }
}

std::string bar(double fraction, int cells, bool unicode) {
  if (!unicode) {
    const int full = std::clamp(int(fraction * (cells - 2)), 0, cells - 2);
    return std::string("[").append(size_t(full), '#').append(size_t(cells - 2 - full), '.').append("]");
  }
  static const char* const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int filled = std::clamp(int(fraction * cells * 8), 0, cells * 8);
  std::string out = "▕";
  for (int i = 0; i < filled / 8; ++i) out += "█";
  out += eighths[filled % 8];
  for (int i = (filled + 7) / 8; i < cells; ++i) out += " ";
  return out + "▏";
}

}  // namespace

struct Progress::State {
  struct Mark {
    double time = 0;
    int64_t done = 0;
  };

  ProgressOptions options;
  bool unicode = terminal_shows_unicode();
  int64_t done = 0;
  double start = 0, drawn_at = -1e9, line_at = 0;
  int64_t line_tenth = 0;
  Mark older, newer;  // where the rate is measured from
  std::vector<std::pair<std::string, std::string>> fields;
  int drawn_width = 0;  // columns now on the terminal's line; 0: nothing
  bool finished = false;

  double now() const { return options.clock ? options.clock() : steady_seconds(); }

  void note() {
    // Marks at doubling times since the start: the older one always lies half to three quarters of the time back.
    const double t = now();
    if (t - start >= 2 * (newer.time - start) && t - start >= 0.5) {
      older = newer;
      newer = {t, done};
    }
  }

  double rate() const {
    const double span = now() - older.time;
    return span > 0 ? double(done - older.done) / span : 0;
  }

  std::string eta() const {
    const double r = rate();
    return r > 0 && now() - start > 0.2 ? format_duration(double(options.total - done) / r) : "-:--";
  }

  std::string tail(size_t count) const {
    std::string out;
    for (size_t i = 0; i < std::min(count, fields.size()); ++i) {
      if (!fields[i].second.empty()) out += "  " + fields[i].first + " " + fields[i].second;
    }
    return out;
  }

  std::string count() const {
    std::string text = std::to_string(done);
    if (options.total > 0) text.append("/").append(std::to_string(options.total));
    return text.append(" ").append(options.unit);
  }

  std::string speed() const {
    const double r = rate();
    char text[32];
    std::snprintf(text, sizeof(text), r >= 100 ? "%.0f " : r >= 10 ? "%.1f " : "%.2f ", r);
    return r > 0 ? std::string("  ").append(text).append(options.unit).append("/s") : "";
  }

  double fraction() const { return options.total > 0 ? std::min(1.0, double(done) / double(options.total)) : 0; }

  /// The line for so many columns: fields give way from the last on, then the bar shrinks, then rate and count go.
  std::string line(int columns) const {
    const std::string label = options.label.empty() ? "" : options.label + " ";
    if (options.total <= 0) {
      const std::string base = label + count() + "  " + format_duration(now() - start);
      for (size_t n = fields.size() + 1; n-- > 0;) {
        const std::string text = base + speed() + tail(n);
        if (display_width(text) <= columns) return text;
      }
      return fit(base, columns, unicode);
    }
    char percent[16];
    std::snprintf(percent, sizeof(percent), " %3d%% ", int(fraction() * 100));
    const std::string time = "  ETA " + eta();
    const auto with_bar = [&](int smallest, const std::string& rest) {
      const int room = columns - display_width(label) - display_width(percent + rest) - 2;
      return room < smallest ? "" : label + bar(fraction(), std::min(room, 30), unicode) + percent + rest;
    };
    for (size_t n = fields.size() + 1; n-- > 0;) {
      if (std::string text = with_bar(10, count() + speed() + time + tail(n)); !text.empty()) return text;
    }
    for (const std::string& rest : {count() + time, time.substr(2), std::string()}) {
      if (std::string text = with_bar(5, rest); !text.empty()) return text;
    }
    const std::string_view short_percent(percent + 1, 4);
    return fit(fit(label, columns - 4, unicode).append(short_percent), columns, unicode);
  }

  /// Takes the line off the terminal. A terminal that was made narrower has wrapped it: then its upper rows go too.
  std::string erased(int columns) {
    if (drawn_width == 0) return "";
    const int rows_above = columns > 0 ? (drawn_width - 1) / columns : 0;
    drawn_width = 0;
    std::string up = "\x1b[";
    up.append(std::to_string(rows_above)).append("A");
    return (rows_above > 0 ? up : "") + "\r\x1b[J";
  }

  void draw(bool forced) {
    if (options.quiet || finished) return;
    const double t = now();
    if (const int columns = terminal_columns(options.fd); columns > 0) {
      if (!forced && t - drawn_at < kRedrawEvery) return;
      drawn_at = t;
      const std::string text = line(columns - 1);  // the last column would wrap
      // Redrawn over itself and the rest erased: no flicker.
      const bool wrapped = drawn_width > columns;
      const std::string begin = wrapped ? erased(columns) : "\r";
      write_all(options.fd, begin + text + "\x1b[K");
      drawn_width = display_width(text);
    } else {
      const int64_t tenth = options.total > 0 ? done * 10 / options.total : 0;
      const bool due = t - line_at >= kLineEvery && (tenth > line_tenth || t - line_at >= kLineAtLeastEvery);
      if (!due) return;
      line_at = t;
      line_tenth = tenth;
      write_all(options.fd, plain() + "\n");
    }
  }

  std::string plain() const {
    std::string out = options.label.empty() ? "" : options.label + ": ";
    out += count();
    if (options.total > 0) out += " (" + std::to_string(int(fraction() * 100)) + " %)";
    return out + speed() + (options.total > 0 && done < options.total ? "  ETA " + eta() : "") + tail(fields.size());
  }

  void erase() {
    if (drawn_width > 0) write_all(options.fd, erased(terminal_columns(options.fd)));
  }
};

namespace {

/// The displays that live, the newest last: that one is shown.
struct Shown {
  std::mutex mutex;
  std::vector<std::shared_ptr<Progress::State>> stack;
};

Shown& shown() {
  static auto* all = new Shown;  // never destroyed: lines may be logged from destructors at exit
  return *all;
}

bool on_top(const std::shared_ptr<Progress::State>& state) {
  return !shown().stack.empty() && shown().stack.back() == state;
}

void remove(const std::shared_ptr<Progress::State>& state) { std::erase(shown().stack, state); }

}  // namespace

Progress::Progress(ProgressOptions options) : state_(std::make_shared<State>()) {
  State& s = *state_;
  s.options = std::move(options);
  s.options.label = printable(s.options.label);
  s.done = s.options.resumed;
  s.start = s.line_at = s.now();
  s.older = s.newer = {s.start, s.done};
  s.line_tenth = s.options.total > 0 ? s.done * 10 / s.options.total : 0;
  const std::lock_guard lock(shown().mutex);
  if (!shown().stack.empty()) shown().stack.back()->erase();
  shown().stack.push_back(state_);
  s.draw(true);
}

Progress::~Progress() {
  const std::lock_guard lock(shown().mutex);
  if (state_->finished) return;
  state_->erase();
  remove(state_);
  if (!shown().stack.empty()) shown().stack.back()->draw(true);
}

void Progress::advance(int64_t n) {
  const std::lock_guard lock(shown().mutex);
  state_->done += n;
  state_->note();
  if (on_top(state_)) state_->draw(false);
}

void Progress::update(int64_t done) {
  const std::lock_guard lock(shown().mutex);
  state_->done = done;
  state_->note();
  if (on_top(state_)) state_->draw(false);
}

void Progress::set_total(int64_t total) {
  const std::lock_guard lock(shown().mutex);
  state_->options.total = total;
}

void Progress::set(std::string_view name, std::string_view text) {
  const std::lock_guard lock(shown().mutex);
  auto& fields = state_->fields;
  const std::string key = printable(name);
  const auto at = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == key; });
  if (at != fields.end()) {
    at->second = printable(text);
  } else {
    fields.emplace_back(key, printable(text));
  }
}

void Progress::set(std::string_view name, double value) { set(name, format_number(value)); }

double Progress::rate() const {
  const std::lock_guard lock(shown().mutex);
  return state_->rate();
}

double Progress::elapsed() const {
  const std::lock_guard lock(shown().mutex);
  return state_->now() - state_->start;
}

void Progress::finish(std::string_view line) {
  const std::lock_guard lock(shown().mutex);
  State& s = *state_;
  if (s.finished) return;
  s.erase();
  if (!s.options.quiet) write_all(s.options.fd, (line.empty() ? s.plain() : printable(line)) + "\n");
  s.finished = true;
  remove(state_);
  if (!shown().stack.empty()) shown().stack.back()->draw(true);
}

void log_line(std::string_view text) {
  const std::lock_guard lock(shown().mutex);
  const auto& stack = shown().stack;
  if (stack.empty()) return write_all(2, printable(text) + "\n");
  Progress::State& s = *stack.back();
  s.erase();
  write_all(s.options.fd, printable(text) + "\n");
  if (terminal_columns(s.options.fd) > 0) s.draw(true);
}

}  // namespace ar::apps
