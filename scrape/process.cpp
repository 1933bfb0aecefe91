#include "scrape/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "scrape/error.h"

extern char** environ;

namespace ar::scrape {
namespace {

// ---- after fork: only system calls from here on, since other threads' locks may be held -----------------------------

/// Parent of process `pid`, 0 when it is gone.
pid_t parent_of(const char* pid) {
  char path[64] = "/proc/";
  if (strlen(pid) > 20) return 0;
  strcat(path, pid);
  strcat(path, "/stat");
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[512];
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return 0;
  text[size] = 0;
  const char* at = strrchr(text, ')');  // "pid (name) state ppid ...", and the name may hold anything
  if (at == nullptr || at[1] == 0 || at[2] == 0 || at[3] == 0) return 0;
  pid_t parent = 0;
  for (at += 4; *at >= '0' && *at <= '9'; ++at) parent = parent * 10 + (*at - '0');
  return parent;
}

void kill_children() {
  const pid_t self = getpid();
  const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) return;
  alignas(8) char buffer[4096];
  for (long size; (size = syscall(SYS_getdents64, proc, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || parent_of(entry->d_name) != self) continue;
      pid_t pid = 0;
      for (const char* c = entry->d_name; *c != 0; ++c) pid = pid * 10 + (*c - '0');
      ::kill(pid, SIGKILL);
    }
  }
  close(proc);
}

[[noreturn]] void run_program(char** argv, char** env, const char* path, int log, int null) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // in case somebody kills the guard
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  close_range(3, ~0U, 0);
  execve(path, argv, env);
  _exit(127);
}

/// Ends this process by one that removes `folder`. (The functions that walk a folder may allocate.)
[[noreturn]] void remove_and_exit(const char* folder) {
  for (int i = 0; i < 3; ++i) open("/dev/null", O_RDWR);  // 0, 1 and 2
  const char* const argv[] = {"rm", "-rf", "--", folder, nullptr};
  const char* const env[] = {nullptr};
  for (const char* rm : {"/bin/rm", "/usr/bin/rm"}) execve(rm, const_cast<char**>(argv), const_cast<char**>(env));
  _exit(0);
}

[[noreturn]] void guard(int control, char** argv, char** env, const char* path, int log, int null, const char* folder) {
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child_ended, nullptr);

  const pid_t program = fork();
  if (program == 0) {
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_DFL);
    run_program(argv, env, path, log, null);
  }
  // Keep nothing open but the pipe: a lock or a socket of ours must not outlive us in here.
  const int pipe = fcntl(control, F_DUPFD_CLOEXEC, 3);
  if (pipe > 3) close_range(3, static_cast<unsigned>(pipe) - 1, 0);
  close_range(static_cast<unsigned>(pipe) + 1, ~0U, 0);
  for (const int standard : {0, 1, 2}) close(standard);
  const int signals = signalfd(-1, &child_ended, SFD_CLOEXEC);

  bool ended = program < 0;
  while (!ended) {
    pollfd wait[2] = {{pipe, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(wait, 2, -1) < 0 && errno != EINTR) break;
    if (wait[0].revents != 0) break;
    if (wait[1].revents != 0) {
      signalfd_siginfo info;
      if (read(signals, &info, sizeof info) < 0) break;
    }
    for (pid_t pid; (pid = waitpid(-1, nullptr, WNOHANG)) > 0;) ended = ended || pid == program;
  }
  // What we kill leaves its children to us: go on until there are none.
  for (;;) {
    kill_children();
    const pid_t pid = waitpid(-1, nullptr, 0);
    if (pid < 0 && errno != EINTR) break;
  }
  if (*folder != 0) remove_and_exit(folder);
  _exit(0);
}

}  // namespace

std::string find_program(const std::string& name) {
  const auto executable = [](const std::string& path) {
    struct stat info;
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) return executable(name) ? name : "";
  const char* path = std::getenv("PATH");
  std::stringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (executable(candidate)) return candidate;
  }
  return "";
}

Process::Process(const Options& options) {
  const std::string path = find_program(options.command.at(0));
  if (path.empty()) fail(options.command[0], ": there is no such program");

  // Everything is made ready before fork: afterwards nothing may allocate.
  std::vector<std::string> arguments = options.command;
  std::vector<std::string> settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string setting = *entry;
    const auto replaced = [&](const auto& pair) { return setting.starts_with(pair.first + "="); };
    bool keep = true;
    for (const auto& pair : options.environment) keep = keep && !replaced(pair);
    if (keep) settings.push_back(setting);
  }
  for (const auto& [name, value] : options.environment) settings.push_back(name + "=" + value);
  std::vector<char*> argv, env;
  for (std::string& text : arguments) argv.push_back(text.data());
  for (std::string& text : settings) env.push_back(text.data());
  argv.push_back(nullptr);
  env.push_back(nullptr);

  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log =
      options.log.empty() ? null : open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  int ends[2] = {-1, -1};
  if (null < 0 || log < 0 || pipe2(ends, O_CLOEXEC) != 0) {
    const std::string reason = system_error();
    if (null >= 0) close(null);
    if (log >= 0 && log != null) close(log);
    fail(options.log.empty() ? options.command[0] : options.log, ": cannot start the program, ", reason);
  }
  guard_ = fork();
  if (guard_ == 0) {
    close(ends[1]);
    guard(ends[0], argv.data(), env.data(), path.c_str(), log, null, options.folder.c_str());
  }
  const std::string reason = system_error();
  close(ends[0]);
  close(null);
  if (log != null) close(log);
  control_ = ends[1];
  if (guard_ < 0) {
    close(control_);
    fail(path, ": cannot start the program, ", reason);
  }
}

Process::Process(Process&& other) noexcept
    : guard_(std::exchange(other.guard_, -1)), control_(std::exchange(other.control_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  kill();
  guard_ = std::exchange(other.guard_, -1);
  control_ = std::exchange(other.control_, -1);
  return *this;
}

bool Process::running() {
  if (guard_ < 0) return false;
  const pid_t ended = waitpid(guard_, nullptr, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return true;
  guard_ = -1;
  kill();
  return false;
}

void Process::kill() noexcept {
  if (control_ >= 0) close(std::exchange(control_, -1));
  if (guard_ < 0) return;
  while (waitpid(guard_, nullptr, 0) < 0 && errno == EINTR) {
  }
  guard_ = -1;
}

std::string output_of(const std::vector<std::string>& command, double timeout_s) {
  // A file in memory rather than a pipe: a program that never ends must not block us, and the guard ends it.
  const int file = memfd_create("output", MFD_CLOEXEC);
  if (file < 0) return "";
  std::string text;
  try {
    Process program({.command = command, .environment = {}, .log = "/proc/self/fd/" + std::to_string(file)});
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    while (program.running() && std::chrono::steady_clock::now() < until) usleep(10'000);
    program.kill();
    text.resize(65536);
    const ssize_t size = pread(file, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  } catch (const Error&) {
    text.clear();
  }
  close(file);
  return text;
}

}  // namespace ar::scrape
