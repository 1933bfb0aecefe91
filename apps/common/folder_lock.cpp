#include "apps/common/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tensor/error.h"

namespace ar::apps {

FileLock::FileLock(const std::string& file, const std::string& held, const std::string& kind) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  std::error_code code;
  if (!folder.empty()) std::filesystem::create_directories(folder, code);
  AR_CHECK(!code, folder.string(), ": cannot be made (", code.message(), ")");
  file_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  AR_CHECK(file_ >= 0, held, ": cannot be written (", std::strerror(errno), ")");
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(file_);
  fail(held, ": another run is writing here; wait for it, or choose another ", kind);
}

FileLock::~FileLock() { ::close(file_); }

}  // namespace ar::apps
