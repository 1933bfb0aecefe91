// The pool of threads: every part once, nested and concurrent regions, resizing, sleeping and waking, forking.
#include "tensor/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "tensor/error.h"

namespace ar {
namespace {

struct Threads {  // sets the number of threads for a scope
  explicit Threads(int n) : before(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
  const int before;
};

TEST(Parallel, RunsEveryPartOnce) {
  for (int threads : {1, 2, 3, 5}) {
    const Threads scope(threads);
    EXPECT_EQ(num_threads(), threads);
    for (int parts : {1, 2, 3, 4, 7, 64}) {
      std::vector<int> count(std::size_t(parts), 0);
      parallel_parts(parts, [&](int part, int of) {
        EXPECT_EQ(of, parts);
        ++count[std::size_t(part)];
      });
      EXPECT_EQ(count, std::vector<int>(std::size_t(parts), 1));
    }
  }
}

TEST(Parallel, ForSplitsTheWholeRangeByGrain) {
  const Threads scope(3);
  for (int64_t n : {0, 1, 2, 3, 10, 1000})
    for (int64_t grain : {1, 4, 400, 5000}) {
      std::vector<std::atomic<int>> count(std::size_t(n + 1));
      std::atomic<int> ranges{0};
      parallel_for(n, grain, [&](int64_t begin, int64_t end) {
        ++ranges;
        for (int64_t i = begin; i < end; ++i) ++count[std::size_t(i)];
      });
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(count[std::size_t(i)], 1);
      EXPECT_LE(ranges, std::min<int64_t>(3, (n + grain - 1) / grain));
    }
}

TEST(Parallel, NestedRegionsRunInOrderOnTheirThread) {
  const Threads scope(2);
  std::atomic<int> wrong{0};
  parallel_parts(2, [&](int, int) {
    const auto self = std::this_thread::get_id();
    int expected = 0;
    parallel_parts(5, [&](int part, int) {
      if (part != expected++ || std::this_thread::get_id() != self) ++wrong;
    });
    if (expected != 5) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Parallel, SeveralThreadsMayCompute) {
  const Threads scope(2);
  std::vector<std::thread> callers;
  std::atomic<int64_t> total{0};
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) parallel_for(100, 1, [&](int64_t begin, int64_t end) { total += end - begin; });
    });
  for (auto& c : callers) c.join();
  EXPECT_EQ(total, 3 * 500 * 100);
}

TEST(Parallel, WakesWorkersThatSleep) {
  const Threads scope(2);
  for (int i = 0; i < 20; ++i) {
    std::atomic<int> sum{0};
    parallel_parts(4, [&](int part, int) { sum += part; });
    EXPECT_EQ(sum, 6);
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 3));
  }
}

TEST(Parallel, WaitsForALongPart) {
  const Threads scope(2);
  std::atomic<int> done{0};
  parallel_parts(2, [&](int part, int) {
    if (part == 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ++done;
  });
  EXPECT_EQ(done, 2);
}

TEST(Parallel, AnExceptionReachesTheCaller) {
  const Threads scope(2);
  for (int thrower : {0, 1}) {
    std::atomic<int> others{0};
    auto run = [&] {
      parallel_parts(2, [&](int part, int) {
        if (part == thrower) throw std::bad_alloc();
        ++others;
      });
    };
    EXPECT_THROW(run(), std::bad_alloc);
    EXPECT_EQ(others, 1);
    parallel_parts(2, [&](int, int) { ++others; });  // the pool goes on
    EXPECT_EQ(others, 3);
  }
}

TEST(Parallel, IdleWorkersBurnNoProcessorTime) {
  const Threads scope(2);
  parallel_parts(2, [](int, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  auto used = [] {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
  };
  const double before = used();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(used() - before, 0.02);
}

TEST(Parallel, AForkedChildHasItsOwnPool) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not follow a fork of several threads";
#else
  const Threads scope(2);
  parallel_parts(2, [](int, int) {});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::atomic<int> sum{0};
    parallel_parts(4, [&](int part, int) { sum += part; });
    _exit(sum == 6 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
#endif
}

// In a child whose address space has no room for the stacks of that many threads.
TEST(Parallel, FewerThreadsThanWantedDoAllTheWork) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "sanitizers need an address space without a limit";
#else
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(30);  // rather than hang
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t limit = rlim_t(pages) * rlim_t(sysconf(_SC_PAGESIZE)) + (rlim_t{100} << 20);
    const rlimit room{limit, limit};
    if (setrlimit(RLIMIT_AS, &room) != 0) _exit(2);
    set_num_threads(1000);
    for (int round = 0; round < 3; ++round) {
      std::atomic<int> sum{0};
      parallel_parts(2000, [&](int part, int) { sum += part; });
      if (sum != 2000 * 1999 / 2) _exit(1);
    }
    int64_t threads = 0;
    std::ifstream status("/proc/self/status");
    for (std::string word; threads == 0 && status >> word;)
      if (word == "Threads:") status >> threads;
    _exit(threads > 0 && threads < 1000 ? 0 : 3);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
#endif
}

TEST(Parallel, RejectsNonsense) {
  EXPECT_THROW(set_num_threads(0), Error);
  EXPECT_THROW(set_num_threads(-1), Error);
  EXPECT_THROW(set_num_threads(1 << 20), Error);
}

TEST(Parallel, ScratchGrowsAndIsAligned) {
  for (int64_t bytes : {0, 1, 100, 5000, 100, 1 << 20}) {
    auto* p = static_cast<unsigned char*>(thread_scratch(bytes));
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0u);
    for (int64_t i = 0; i < bytes; ++i) p[i] = 1;
  }
}

}  // namespace
}  // namespace ar
