// Runs a program of the build as a user would.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ar {

/// What every training of the tests has in common: a small network of random weights on the images of `data`.
std::vector<std::string> small_training(const std::filesystem::path& data, const std::filesystem::path& checkpoint);

struct Outcome {
  int code = 0;  // exit code; 128 + number where a signal ended it
  std::string out, err;
};

/// A started program. Its output goes to files below `folder`.
class Program {
 public:
  /// `in_child` runs in the new process, before the program.
  Program(const std::string& name, const std::vector<std::string>& arguments, const std::filesystem::path& folder,
          const std::function<void()>& in_child = nullptr);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  void signal(int number) const;
  bool running();
  Outcome wait();
  /// What it has written on standard error so far.
  std::string err_so_far() const;

 private:
  std::filesystem::path out_, err_;
  pid_t process_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// Starts and waits.
Outcome run(const std::string& name, const std::vector<std::string>& arguments, const std::filesystem::path& folder,
            const std::function<void()>& in_child = nullptr);

}  // namespace ar
