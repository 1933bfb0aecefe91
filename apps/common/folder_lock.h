// Keeps two runs from writing into one folder.
#pragma once
#include <string>

namespace ar::apps {

/// Holds FOLDER/.lock while it lives; the system lets go of it with the process, however that ends.
class FolderLock {
 public:
  /// Makes the folder where there is none. Throws Error where it cannot be written, or another run holds it.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace ar::apps
