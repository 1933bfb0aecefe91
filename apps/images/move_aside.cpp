#include "apps/images/move_aside.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "tensor/error.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;

bool within(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

fs::path resolved(const fs::path& path) {
  fs::path p = fs::weakly_canonical(fs::absolute(path));
  return p.has_filename() ? p : p.parent_path();  // without a '/' at the end
}

fs::path numbered(const fs::path& path, int number) {
  if (number == 1) return path;
  return path.parent_path() / (path.stem().string() + '-' + std::to_string(number) + path.extension().string());
}

/// link() never overwrites; where it cannot be had (on another disk, say) a copy takes its place.
void move_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error && !fs::exists(to)) {
    const fs::path part = to.string() + ".part";
    fs::copy_file(from, part, fs::copy_options::overwrite_existing, error);
    if (!error) fs::rename(part, to, error);
    std::error_code ignored;
    fs::remove(part, ignored);
  }
  AR_CHECK(!error, from.string(), ": cannot be moved to ", to.string(), ": ", error.message());
  fs::remove(from, error);
  AR_CHECK(!error, from.string(), ": is now also ", to.string(), ", but cannot be removed: ", error.message());
}

std::string why_not(const fs::path& file) {
  if (fs::is_symlink(fs::symlink_status(file))) return "a link";
  if (file.string().find_first_of("\t\r\n") != std::string::npos) return "a tab or line break in its name";
  return "";
}

}  // namespace

void check_aside(const fs::path& root, const fs::path& target) {
  const fs::path data = resolved(root), aside = resolved(target);
  AR_CHECK(!within(aside, data) && !within(data, aside), target.string(), ": must lie beside ", root.string(),
           ", neither in it nor around it");
  AR_CHECK(!fs::exists(aside) || fs::is_directory(aside), target.string(), ": is no folder");
}

MovedAside move_aside(const fs::path& root, const std::vector<std::string>& paths, const fs::path& target,
                      const std::atomic<bool>* stop) {
  check_aside(root, target);
  const fs::path data = resolved(root), aside = resolved(target), list_name = aside / "moved.tsv";
  MovedAside result;
  if (paths.empty()) return result;
  try {
    fs::create_directories(aside);
    std::ofstream list(list_name, std::ios::app);
    AR_CHECK(list, list_name.string(), ": cannot be written: ", std::strerror(errno));
    for (const std::string& path : paths) {
      if (stop && *stop) break;
      const fs::path from = data / path;
      if (const std::string why = why_not(from); !why.empty()) {
        result.skipped.push_back(from.string() + ": " + why);
        continue;
      }
      fs::path to = aside / path;
      fs::create_directories(to.parent_path());
      for (int number = 1; fs::exists(fs::symlink_status(to)); to = numbered(aside / path, ++number)) {
      }
      list << from.string() << '\t' << to.string() << '\n' << std::flush;
      AR_CHECK(list, list_name.string(), ": cannot be written: ", std::strerror(errno));
      move_file(from, to);
      ++result.moved;
    }
  } catch (const fs::filesystem_error& e) {
    fail(e.path1().string(), ": ", e.code().message(), "; ", result.moved, " images were moved before");
  }
  return result;
}

}  // namespace ar::apps
