#include "apps/common/profiling.h"

#include <cstdio>

#include "tensor/profile.h"

namespace ar::apps {
namespace {
std::filesystem::path trace_file;
}

void begin_profile(const std::filesystem::path& trace) {
  profile::write_trace({}, trace);  // rather now than after hours
  trace_file = trace;
  profile::start();
}

void end_profile() {
  if (!profile::enabled()) return;
  const profile::Report report = profile::stop();
  std::fprintf(stderr, "%strace: %s", profile::table(report, profile::measure_peak()).c_str(),
               trace_file.string().c_str());
  if (report.events_left_out)
    std::fprintf(stderr, " (without the last %lld events)", static_cast<long long>(report.events_left_out));
  std::fputs("\n", stderr);
  profile::write_trace(report, trace_file);
}

}  // namespace ar::apps
