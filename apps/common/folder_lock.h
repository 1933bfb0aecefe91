// Keeps two runs from writing into one folder or file.
#pragma once
#include <string>

namespace ar::apps {

/// Holds a lock file while it lives; the system lets go of it with the process, however that ends. The file stays.
class FileLock {
 public:
  /// `held`, a `kind` of thing ("folder"), is what the errors name. Makes the lock file, and its folder, where there is
  /// none. Throws Error where it cannot be written, or another run holds it. A file system that knows no locks holds
  /// nobody up.
  FileLock(const std::string& file, const std::string& held, const std::string& kind);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int file_ = -1;
};

/// Of a folder: FOLDER/.lock.
class FolderLock : public FileLock {
 public:
  explicit FolderLock(const std::string& folder) : FileLock(folder + "/.lock", folder, "folder") {}
};

}  // namespace ar::apps
