#include "tensor/profile.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "tensor/error.h"
#include "tensor/peak.h"

namespace ar::profile {
namespace {

using Clock = std::chrono::steady_clock;

struct Recording {
  std::mutex mutex;
  Clock::time_point begin;
  std::thread::id owner;
  double owner_kernels = 0;  // microseconds
  int64_t page_faults = 0;
  std::map<std::pair<std::string, Dtype>, Row> rows;
  std::map<std::string, Phase> phases;
  std::vector<Event> events;
  int64_t events_left_out = 0;
};
Recording& recording() {
  static Recording r;
  return r;
}

int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

int thread_number() {
  static std::atomic<int> count{0};
  thread_local const int mine = count++;
  return mine;
}

void keep(Recording& r, Event event) {
  event.thread = thread_number();
  if (int64_t(r.events.size()) < kMaxEvents)
    r.events.push_back(std::move(event));
  else
    ++r.events_left_out;
}

std::string format(const char* form, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, form, values...);
  return text;
}

/// As a JSON string, with its quotes.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= ' ') out += c;
  }
  return out + '"';
}

/// The part of a peak that a row reaches: of its multiply-adds, or of the memory's bandwidth, whichever is more.
double share_of_peak(const Row& row, const Peak& peak) {
  const double rate = row.dtype == Dtype::bf16 ? peak.bf16 : row.dtype == Dtype::f64 ? peak.f32 / 2 : peak.f32;
  const double computing = rate > 0 ? row.gflop / row.seconds / rate : 0;
  return std::max(computing, peak.bandwidth > 0 ? row.gigabytes / row.seconds / peak.bandwidth : 0);
}

}  // namespace

namespace detail {

double now() { return std::chrono::duration<double, std::micro>(Clock::now() - recording().begin).count(); }

void add(Event event) {
  Recording& r = recording();
  event.duration = now() - event.begin;
  std::lock_guard lock(r.mutex);
  if (std::string_view(event.category) == "phase") {
    Phase& phase = r.phases[event.name];
    phase.name = event.name, phase.calls += 1, phase.seconds += 1e-6 * event.duration;
  }
  keep(r, std::move(event));
}

void add(Event event, const Row& call) {
  Recording& r = recording();
  event.duration = now() - event.begin;
  std::lock_guard lock(r.mutex);
  Row& row = r.rows[{call.kind, call.dtype}];
  row.kind = call.kind, row.dtype = call.dtype, row.calls += 1;
  row.seconds += 1e-6 * event.duration, row.gflop += call.gflop, row.gigabytes += call.gigabytes;
  if (std::this_thread::get_id() == r.owner) r.owner_kernels += event.duration;
  keep(r, std::move(event));
}

}  // namespace detail

void start() {
  Recording& r = recording();
  std::lock_guard lock(r.mutex);
  r.rows.clear(), r.phases.clear(), r.events.clear();
  r.events_left_out = 0, r.owner_kernels = 0;
  r.owner = std::this_thread::get_id(), r.page_faults = page_faults(), r.begin = Clock::now();
  detail::on = true;
}

Report stop() {
  Recording& r = recording();
  std::lock_guard lock(r.mutex);
  AR_CHECK(detail::on.exchange(false), "profile: stop without start");
  Report report;
  report.seconds = 1e-6 * detail::now();
  report.outside = report.seconds - 1e-6 * r.owner_kernels;
  report.page_faults = page_faults() - r.page_faults;
  for (auto& [key, row] : r.rows) report.rows.push_back(std::move(row));
  for (auto& [name, phase] : r.phases) report.phases.push_back(std::move(phase));
  const auto longer = [](const auto& a, const auto& b) { return a.seconds > b.seconds; };
  std::stable_sort(report.rows.begin(), report.rows.end(), longer);
  std::stable_sort(report.phases.begin(), report.phases.end(), longer);
  report.events = std::exchange(r.events, {});
  report.events_left_out = r.events_left_out;
  return report;
}

Peak measure_peak() { return {.f32 = peak_gflops(), .bf16 = peak_gflops_bf16(), .bandwidth = peak_bandwidth()}; }

std::string table(const Report& report, const Peak& peak) {
  size_t width = std::string("not in a kernel").size();
  for (const Row& row : report.rows) width = std::max(width, row.kind.size());
  for (const Phase& phase : report.phases) width = std::max(width, phase.name.size());
  const auto line = [&](const std::string& kind, const std::string& rest) {
    return kind + std::string(width - std::min(width, kind.size()), ' ') + rest + "\n";
  };
  std::string text = line("", "             calls         ms  share  GFLOP/s     GB/s  of peak");
  for (const Row& row : report.rows) {
    const double rate = row.seconds > 0 ? 1 / row.seconds : 0, share = share_of_peak(row, peak);
    text += line(row.kind,
                 format(" %8s %7lld %10.1f %5.1f%% ", std::string(name_of(row.dtype)).c_str(),
                        static_cast<long long>(row.calls), 1e3 * row.seconds, 100 * row.seconds / report.seconds) +
                     (row.gflop > 0 ? format("%8.1f", row.gflop * rate) : std::string(8, ' ')) +
                     (row.gigabytes > 0 ? format(" %8.1f", row.gigabytes * rate) : std::string(9, ' ')) +
                     (share > 0 ? format("  %6.0f%%", 100 * share) : ""));
  }
  text += line("not in a kernel",
               format("                  %10.1f %5.1f%%", 1e3 * report.outside, 100 * report.outside / report.seconds));
  for (const Phase& phase : report.phases)
    text += line(phase.name, format("          %7lld %10.1f %5.1f%%", static_cast<long long>(phase.calls),
                                    1e3 * phase.seconds, 100 * phase.seconds / report.seconds));
  text += format("%.3f s, %lld page faults", report.seconds, static_cast<long long>(report.page_faults));
  if (peak.f32 > 0) text += format("; peak %.0f GFLOP/s f32", peak.f32);
  if (peak.bf16 > 0) text += format(", %.0f bf16", peak.bf16);
  if (peak.bandwidth > 0) text += format("; memory %.1f GB/s", peak.bandwidth);
  return text + "\n";
}

void write_trace(const Report& report, const std::filesystem::path& path) {
  std::ofstream out(path);
  out << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
  const char* between = "\n";
  for (const Event& e : report.events) {
    out << between << "{\"ph\": \"X\", \"pid\": 1, \"tid\": " << e.thread
        << format(", \"ts\": %.3f, \"dur\": %.3f, \"cat\": ", e.begin, e.duration) << quoted(e.category)
        << ", \"name\": " << quoted(e.name);
    if (!e.detail.empty()) out << ", \"args\": {\"shapes\": " << quoted(e.detail) << "}";
    out << "}";
    between = ",\n";
  }
  out << "\n]}\n";
  out.close();
  AR_CHECK(out, path.string(), ": the trace cannot be written");
}

}  // namespace ar::profile
