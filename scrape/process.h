// A child program of which nothing survives us: not the program, not what it started, however we end.
#pragma once
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace ar::scrape {

/// Starts a program under a guard: a forked process in a session of its own that adopts every descendant of the program
/// (PR_SET_CHILD_SUBREAPER) and holds the read end of a pipe whose write end is ours. When that pipe closes (kill(),
/// the destructor, our exit by any signal, even SIGKILL) or the program ends, the guard kills all descendants,
/// removes `folder`, and exits. The guard's session keeps a terminal's Ctrl-C away from the program.
class Process {
 public:
  struct Options {
    std::vector<std::string> command;                              ///< name or path, then arguments
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours, replacing
    std::string log;          ///< file to append standard output and error to; empty discards them
    std::string folder = {};  ///< removed, with all that is in it, when all processes are gone; empty: none
  };

  /// Throws Error when the program is not found or no process can be made.
  explicit Process(const Options& options);
  ~Process() { kill(); }
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  /// Whether the program still runs.
  bool running();
  /// Ends the program and everything it started; returns when all of it is gone, and the folder. Does nothing the
  /// second time.
  void kill() noexcept;

 private:
  pid_t guard_ = -1;
  int control_ = -1;
};

/// The path of `name` if it is executable: itself when it has a slash, else looked up in PATH; empty when there is
/// none.
std::string find_program(const std::string& name);

/// What a short-lived command prints on standard output and error (at most 64 KiB), waiting at most `timeout_s`
/// seconds; empty when it cannot run.
std::string output_of(const std::vector<std::string>& command, double timeout_s);

}  // namespace ar::scrape
