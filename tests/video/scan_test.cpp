// What the index of a data set's videos remembers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "io/video_scan.h"
#include "tests/video/make_video.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// The user "nobody" where the tests run as root, who may read everything.
class Unprivileged {
 public:
  Unprivileged() : id_(::geteuid()) {
    if (id_ == 0) changed_ = ::seteuid(65534) == 0;
  }
  ~Unprivileged() {
    if (changed_ && ::seteuid(id_) != 0) std::abort();
  }
  explicit operator bool() const { return id_ != 0 || changed_; }

 private:
  uid_t id_;
  bool changed_ = false;
};

TEST(VideoScan, AFileThatCouldNotBeOpenedIsTriedAgain) {
  const TempDir folder;
  fs::permissions(folder.path(), fs::perms::all);
  make_video(folder / "a.mp4", {.pts = steps(5)});
  std::ofstream(folder / "text.mp4") << "this is no video";
  fs::permissions(folder / "a.mp4", fs::perms::none);
  const std::vector<std::string> paths{"a.mp4", "text.mp4"};
  const VideoScanOptions options{.cache = folder / "index.safetensors"};
  {
    const Unprivileged user;
    if (!user) GTEST_SKIP() << "files are readable whatever their permissions";
    const VideoScan refused = scan_videos(folder.path(), paths, options);
    EXPECT_EQ(refused.videos[0].bad, "cannot be read (Permission denied)");
    EXPECT_EQ(refused.cache_problem, "");
  }
  fs::permissions(folder / "a.mp4", fs::perms::owner_read);
  const VideoScan scan = scan_videos(folder.path(), paths, options);
  EXPECT_EQ(scan.videos[0].bad, "");
  EXPECT_EQ(scan.videos[0].index.frames(), 5);
  EXPECT_EQ(scan.reused, 1) << "what is no video stays none";
}

}  // namespace
}  // namespace ar::io
