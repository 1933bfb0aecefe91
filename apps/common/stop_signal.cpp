#include "apps/common/stop_signal.h"

#include <csignal>

namespace ar::apps {
namespace {

std::atomic<bool> stop{false};
std::atomic<int> which{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

bool is_ignored(int signal) {
  struct sigaction present = {};
  sigaction(signal, nullptr, &present);
  return present.sa_handler == SIG_IGN;
}

}  // namespace

StopSignal::StopSignal() {
  stop = false;
  which = 0;
  struct sigaction action = {};
  action.sa_handler = [](int signal) {
    which = signal;
    stop = true;
  };
  action.sa_flags = int(SA_RESETHAND | SA_RESTART);  // the second one finds the default handler
  for (int signal : kSignals)
    if (!is_ignored(signal)) sigaction(signal, &action, nullptr);
}

StopSignal::~StopSignal() {
  for (int signal : kSignals)
    if (!is_ignored(signal)) std::signal(signal, SIG_DFL);
}

int StopSignal::received() { return which; }
const std::atomic<bool>& StopSignal::flag() { return stop; }

}  // namespace ar::apps
