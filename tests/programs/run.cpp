#include "tests/programs/run.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

namespace ar {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void redirect(const std::filesystem::path& file, int to) {
  dup2(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), to);
}

}  // namespace

std::vector<std::string> small_training(const std::filesystem::path& data, const std::filesystem::path& checkpoint) {
  return {"--data-dir",   data.string(), "--feature-extractor", "tiny_darknet",
          "--pretrained", "none",        "--image-size",        "32",
          "--threads",    "1",           "--save-checkpoint",   checkpoint.string()};
}

Program::Program(const std::string& name, const std::vector<std::string>& arguments,
                 const std::filesystem::path& folder, const std::function<void()>& in_child)
    : out_(folder / (name + ".out")), err_(folder / (name + ".err")) {
  const std::string path = std::string(AR_BIN_DIR) + "/" + name;
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  process_ = fork();
  if (process_ != 0) return;
  redirect(out_, 1);
  redirect(err_, 2);
  std::signal(SIGINT, SIG_DFL);  // a shell ignores it for what it runs in the background, and programs keep to that
  if (in_child) in_child();
  execv(path.c_str(), argv.data());
  _exit(127);
}

Program::~Program() {
  if (!running()) return;
  signal(SIGKILL);
  wait();
}

void Program::signal(int number) const { kill(process_, number); }

bool Program::running() {
  if (!ended_) ended_ = waitpid(process_, &status_, WNOHANG) == process_;
  return !ended_;
}

Outcome Program::wait() {
  if (!ended_) waitpid(process_, &status_, 0);
  ended_ = true;
  return {.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_),
          .out = content(out_),
          .err = content(err_)};
}

std::string Program::err_so_far() const { return content(err_); }

Outcome run(const std::string& name, const std::vector<std::string>& arguments, const std::filesystem::path& folder,
            const std::function<void()>& in_child) {
  return Program(name, arguments, folder, in_child).wait();
}

}  // namespace ar
