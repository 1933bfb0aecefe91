// Where the time goes: every kernel that runs is timed, with the operations and bytes that its arguments tell, and
// spans (layers, backward steps, phases of a program) may be put around them. Costs nothing while it is off.
//
//   profile::start();
//   ... some steps ...
//   const profile::Report report = profile::stop();
//   std::cout << profile::table(report, profile::measure_peak());
//   profile::write_trace(report, "trace.json");  // for ui.perfetto.dev or chrome://tracing
#pragma once
#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "tensor/device.h"
#include "tensor/kernels.h"

namespace ar::profile {

/// All calls of one kind of kernel, "conv 3x3 weight gradient", on one type of numbers.
struct Row {
  std::string kind;
  Dtype dtype = Dtype::f32;  // of the activations
  int64_t calls = 0;
  double seconds = 0;
  double gflop = 0;  // 1e9 operations of the plain formula, a multiply-add counts two; 0: bound by memory, not counted
  double gigabytes = 0;  // 1e9 bytes: each element that is read or written, once
};

/// One thing that ran, in microseconds since start().
struct Event {
  std::string name = "", detail = "";
  const char* category = "";  // "kernel", "layer", "backward", "phase"
  double begin = 0, duration = 0;
  int thread = 0;
};

/// All spans of category "phase" of one name. They do not lie within one another.
struct Phase {
  std::string name;
  int64_t calls = 0;
  double seconds = 0;
};

struct Report {
  std::vector<Row> rows;      // the longest first
  std::vector<Phase> phases;  // likewise
  double seconds = 0;         // from start to stop
  double outside = 0;         // of these, of the thread that called start(): not in a kernel
  int64_t page_faults = 0;
  std::vector<Event> events;
  int64_t events_left_out = 0;  // beyond kMaxEvents; the rows count them
};
inline constexpr int64_t kMaxEvents = 1'000'000;

/// Begins anew. On a GPU each kernel is then waited for, so that steps take longer than they do without.
void start();
/// Ends it. Throws Error unless it was started.
Report stop();

/// What the machine can do with all threads: GFLOP/s of multiply-adds in a loop, GB/s of a triad over memory; 0 where
/// it cannot be told. Takes about a third of a second.
struct Peak {
  double f32 = 0, bf16 = 0, bandwidth = 0;
};
Peak measure_peak();

/// The rows as text: calls, time, share of the time, GFLOP/s, GB/s, and the larger share of the two peaks. Then phases.
std::string table(const Report& report, const Peak& peak);
/// The events in Chrome's trace format (JSON). Throws Error naming the path.
void write_trace(const Report& report, const std::filesystem::path& path);

namespace detail {
inline std::atomic<bool> on{false};
/// The kernels of a device, each wrapped so that it is timed.
const Kernels& timed_kernels(Device device);
double now();           // microseconds since start()
void add(Event event);  // that ends now
/// The same of a kernel: what it did counts for its row.
void add(Event event, const Row& call);
}  // namespace detail

inline bool enabled() { return detail::on.load(std::memory_order_relaxed); }

/// Times a scope. The name is a text, or a function that makes one, called only while profiling.
class Span {
 public:
  template <class Name>
  Span(const char* category, const Name& name) {
    if (!enabled()) return;
    if constexpr (std::is_invocable_v<Name>)
      event_ = {.name = name(), .category = category, .begin = detail::now()};
    else
      event_ = {.name = name, .category = category, .begin = detail::now()};
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() {
    if (event_) detail::add(std::move(*event_));
  }

 private:
  std::optional<Event> event_;
};

}  // namespace ar::profile
