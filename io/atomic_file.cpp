#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "tensor/error.h"

namespace ar::io {
namespace fs = std::filesystem;
namespace {
constexpr size_t kBuffer = 1 << 16;
}

void AtomicFile::error(const char* what) const {
  const int code = errno;
  fail(path_, ": ", what, ": ", std::strerror(code));
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  std::error_code code;
  fs::path target = path_;
  if (fs::is_symlink(fs::symlink_status(target, code))) target = fs::weakly_canonical(target, code);
  const fs::file_status status = fs::status(target, code);
  AR_CHECK(target.has_filename() && !fs::is_directory(status), path_, ": is a folder, wanted a file name");
  AR_CHECK(!fs::exists(status) || fs::is_regular_file(status), path_, ": is no regular file");
  if (target.has_parent_path()) {
    fs::create_directories(target.parent_path(), code);
    AR_CHECK(!code, path_, ": its folder cannot be made: ", code.message());
  }
  target_ = target.string();
  temporary_ = target_ + ".tmp";
  open_temporary();
  if (fs::exists(status)) ::fchmod(file_, mode_t(status.permissions() & fs::perms::all));
}

// Two processes that save the same file at the same time must not mix their bytes: the temporary is locked. Between
// open and lock the other one may have renamed it, so it has to be the one of that name still.
void AtomicFile::open_temporary() {
  for (;;) {
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) error("cannot be written");
    const bool locked = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno == EWOULDBLOCK) {
      ::close(file_);
      fail(path_, ": another process is writing it");
    }
    struct stat mine = {}, named = {};
    if (::fstat(file_, &mine) == 0 && ::stat(temporary_.c_str(), &named) == 0 && mine.st_ino == named.st_ino) break;
    ::close(file_);
  }
  if (::ftruncate(file_, 0) != 0) {
    const int code = errno;
    ::close(file_);
    errno = code;
    error("cannot be written");
  }
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(file_);
}

void AtomicFile::write_through(const char* data, int64_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::write(file_, data, size_t(std::min<int64_t>(bytes, 1 << 30)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error("cannot be written");
    data += n, bytes -= n;
  }
}

void AtomicFile::flush() {
  write_through(buffer_.data(), int64_t(buffer_.size()));
  buffer_.clear();
}

void AtomicFile::write(const void* data, int64_t bytes) {
  const auto* text = static_cast<const char*>(data);
  position_ += bytes;
  if (buffer_.size() + size_t(bytes) > kBuffer) flush();
  if (size_t(bytes) > kBuffer)
    write_through(text, bytes);
  else
    buffer_.append(text, size_t(bytes));
}

void AtomicFile::commit() {
  flush();
  if (::fsync(file_) != 0) error("cannot be written");
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) error("cannot be renamed into place");
  ::close(file_);
  file_ = -1;
  // The new name is on the disk when the folder is.
  const std::string folder = fs::path(target_).parent_path().string();
  const int opened = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return;
  ::fsync(opened);
  ::close(opened);
}

void write_file_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace ar::io
