#include "apps/common/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tensor/error.h"

namespace ar::apps {

FolderLock::FolderLock(const std::string& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  AR_CHECK(!code, folder, ": cannot be made (", code.message(), ")");
  file_ = ::open((folder + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  AR_CHECK(file_ >= 0, folder, ": cannot be written (", std::strerror(errno), ")");
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(file_);
  fail(folder, ": another run is writing here; wait for it, or choose another folder");
}

FolderLock::~FolderLock() { ::close(file_); }

}  // namespace ar::apps
