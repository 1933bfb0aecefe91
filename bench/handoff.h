// How far apart two cores are: on a virtual machine they may share a cache in one second and none in the next.
#pragma once
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "bench/measure.h"

namespace ar::bench {

/// Nanoseconds that a cache line takes from the first core of this process to its second one and back, the median of
/// many; 0 where there is one core only.
inline double handoff_ns() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return 0;
  const auto pin = [&](int index) {
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &allowed) && index-- == 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
      }
  };
  constexpr int kTurns = 2000, kTimes = 15;
  alignas(64) std::atomic<int> turn{0};
  std::vector<double> ns;
  std::thread other([&] {
    pin(1);
    for (int i = 0; i < kTurns * kTimes; ++i) {
      while (turn.load(std::memory_order_acquire) != 2 * i + 1) {
      }
      turn.store(2 * i + 2, std::memory_order_release);
    }
  });
  pin(0);
  for (int t = 0, i = 0; t < kTimes; ++t) {
    const double begin = clock_seconds(CLOCK_MONOTONIC);
    for (int n = 0; n < kTurns; ++n, ++i) {
      turn.store(2 * i + 1, std::memory_order_release);
      while (turn.load(std::memory_order_acquire) != 2 * i + 2) {
      }
    }
    ns.push_back((clock_seconds(CLOCK_MONOTONIC) - begin) / kTurns * 1e9);
  }
  other.join();
  std::nth_element(ns.begin(), ns.begin() + kTimes / 2, ns.end());
  return ns[kTimes / 2];
}

}  // namespace ar::bench
