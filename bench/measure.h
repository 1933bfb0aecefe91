// Timing samples that can be trusted on a machine which others use too. bench/peer/measure.py does the same.
#pragma once
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace ar::bench {

inline double clock_seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// What all cores have worked since the machine started, including what a hypervisor took away; 0 where unknown.
inline double busy_seconds() {
  long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (FILE* f = std::fopen("/proc/stat", "r")) {
    if (std::fscanf(f, "cpu %ld %ld %ld %ld %ld %ld %ld %ld", &user, &nice, &system, &idle, &iowait, &irq, &softirq,
                    &steal) != 8)
      user = 0;
    std::fclose(f);
  }
  return double(user + nice + system + irq + softirq + steal) / double(sysconf(_SC_CLK_TCK));
}

/// The most memory this process ever had in use, in MiB.
inline double peak_rss_mb() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

/// Pages that this process touched for the first time or had to fetch.
inline long page_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

struct Sample {
  double seconds;  // of one step
  double cpu;      // processor seconds of one step, all threads together
  double faults;   // page faults of one step
  double foreign;  // share of all cores' time that other processes took meanwhile
};

template <class F>
Sample sample(F& step, int repeats) {
  const long faults = page_faults();
  const double busy = busy_seconds(), cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID),
               start = clock_seconds(CLOCK_MONOTONIC);
  for (int i = 0; i < repeats; ++i) step();
  const double wall = clock_seconds(CLOCK_MONOTONIC) - start, own = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  const double all = wall * double(sysconf(_SC_NPROCESSORS_CONF));
  return {wall / repeats, own / repeats, double(page_faults() - faults) / repeats,
          std::max(0.0, busy_seconds() - busy - own) / all};
}

inline constexpr double kForeignLimit = 0.05;
inline constexpr double kMinSeconds = 0.6;  // of one sample; /proc/stat counts in hundredths of a second
inline constexpr double kMaxSeconds = 20;   // of all samples of a slow step

struct Measured {
  std::vector<Sample> samples;  // from the least disturbed to the most
  int discarded = 0;
  bool disturbed() const { return samples.back().foreign > kForeignLimit; }
  double median(double Sample::*what) const {
    std::vector<double> v;
    for (const Sample& s : samples) v.push_back(s.*what);
    std::sort(v.begin(), v.end());
    const size_t n = v.size();
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
  }
};

/// Takes `samples` (>= 1) undisturbed samples of step(); fewer of slow steps, and gives up after three times as many.
template <class F>
Measured measure(F&& step, int samples, int warmup = 2) {
  double seconds = kMinSeconds;
  for (int i = 0; i < warmup; ++i) seconds = sample(step, 1).seconds;
  const int repeats = std::max(1, int(std::lround(kMinSeconds / seconds)));
  Measured result;
  auto& all = result.samples;
  int clean = 0;
  const double start = clock_seconds(CLOCK_MONOTONIC);
  while (clean < samples && int(all.size()) < 3 * samples) {
    all.push_back(sample(step, repeats));
    clean += all.back().foreign <= kForeignLimit;
    const double spent = clock_seconds(CLOCK_MONOTONIC) - start;
    if (spent > 3 * kMaxSeconds || (spent > kMaxSeconds && clean >= 2)) break;
  }
  std::stable_sort(all.begin(), all.end(), [](const Sample& a, const Sample& b) { return a.foreign < b.foreign; });
  const size_t taken = all.size(), kept = std::min(taken, size_t(clean >= 2 ? clean : samples));
  all.resize(kept);
  result.discarded = int(taken - kept);
  return result;
}

}  // namespace ar::bench
