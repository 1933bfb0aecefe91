// Ctrl-C and SIGTERM as a flag, so that a run can save its work before it ends.
#pragma once
#include <atomic>

#include "tensor/error.h"

namespace ar::apps {

/// Work ended because a signal came. run_program() prints what() and returns 128 and the number of the signal.
class Stopped : public Error {
 public:
  using Error::Error;
};

/// While it lives, the first SIGINT or SIGTERM (also SIGHUP: a closed terminal) sets the flag; the second ends the
/// program at once, as without it. A signal that was ignored before (SIGHUP under nohup) stays so. One at a time in a
/// process.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Which signal has come; 0: none.
  static int received();
  /// For code that polls: becomes true with the first signal.
  static const std::atomic<bool>& flag();
};

}  // namespace ar::apps
