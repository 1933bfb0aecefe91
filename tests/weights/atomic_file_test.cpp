// A saved file is there whole or not at all.
#include "io/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/checkpoint_file.h"
#include "tests/weights/weights_test.h"

namespace ar::io {
namespace {

using testing::HasSubstr;
using Names = std::vector<std::string>;

TEST(AtomicFile, AppearsWithCommit) {
  const TemporaryFolder folder;
  write_file(folder / "x", "old");
  {
    AtomicFile file(folder / "x");
    file.write("new");
    EXPECT_EQ(file.position(), 3);
    EXPECT_EQ(read_file(folder / "x"), "old");
    EXPECT_EQ(folder.files(), (Names{"x", "x.tmp"}));
    file.commit();
  }
  EXPECT_EQ(read_file(folder / "x"), "new");
  EXPECT_EQ(folder.files(), Names{"x"});
}

TEST(AtomicFile, WithoutCommitNothingHappens) {
  const TemporaryFolder folder;
  write_file(folder / "x", "old");
  { AtomicFile(folder / "x").write(std::string(1 << 20, 'n')); }
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(folder.files(), Names{"x"});
}

TEST(AtomicFile, LargeAndSmallPiecesKeepTheirOrder) {
  const TemporaryFolder folder;
  std::string all;
  AtomicFile file(folder / "x");
  for (const size_t n : {3, 70000, 1, 65535, 2, 200000, 65536, 5}) {
    const std::string piece(n, char('a' + n % 23));
    file.write(piece);
    all += piece;
  }
  file.commit();
  EXPECT_EQ(read_file(folder / "x"), all);
}

TEST(AtomicFile, OverwritesWhatAKilledProcessLeft) {
  const TemporaryFolder folder;
  write_file(folder / "x.tmp", "half of somethi");
  write_file_atomically(folder / "x", "new");
  EXPECT_EQ(read_file(folder / "x"), "new");
  EXPECT_EQ(folder.files(), Names{"x"});
}

TEST(AtomicFile, TwoWritersDoNotMix) {
  const TemporaryFolder folder;
  AtomicFile one(folder / "x");
  EXPECT_ERROR(AtomicFile(folder / "x"), HasSubstr("another process is writing it"));
  one.write("one");
  one.commit();
  EXPECT_EQ(read_file(folder / "x"), "one");
}

TEST(AtomicFile, FollowsLinksMakesFoldersKeepsModes) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a/b/x", "1");
  std::filesystem::create_symlink("a/b/x", folder / "link");
  ::chmod((folder / "a/b/x").c_str(), 0640);
  write_file_atomically(folder / "link", "2");
  EXPECT_EQ(read_file(folder / "a/b/x"), "2");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(int(std::filesystem::status(folder / "a/b/x").permissions()), 0640);
}

TEST(AtomicFile, WhatCannotBeWrittenIsAnError) {
  const TemporaryFolder folder;
  EXPECT_ERROR(AtomicFile(folder / ""), HasSubstr("is a folder"));
  EXPECT_ERROR(AtomicFile("/dev/full"), HasSubstr("/dev/full: is no regular file"));
  EXPECT_ERROR(AtomicFile("/proc/no/such"), HasSubstr("its folder cannot be made"));
  EXPECT_ERROR(AtomicFile("/proc/nothing"), HasSubstr("/proc/nothing: cannot be written: "));
}

TEST(AtomicFile, AReadOnlyFolderIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TemporaryFolder folder;
  write_file(folder / "x.pt", "old");
  ::chmod((folder / "").c_str(), 0555);
  EXPECT_ERROR(save_checkpoint_file(folder / "x.pt", 1), HasSubstr("x.pt: cannot be written: Permission denied"));
  ::chmod((folder / "").c_str(), 0755);
  EXPECT_EQ(read_file(folder / "x.pt"), "old");
}

// A limit on the size of files fails in the middle of a write, as a full disk does.
TEST(AtomicFile, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  for (const char* name : {"x.pt", "x.safetensors"}) {
    save_checkpoint_file(folder / name, 1);
    const std::string old = read_file(folder / name);
    const auto former = ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small = {1 << 20, limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const std::string message = error_of([&] { save_checkpoint_file(folder / name, zeros({1 << 20})); });
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, former);
    EXPECT_EQ(message, folder / name + ": cannot be written: File too large");
    EXPECT_EQ(read_file(folder / name), old);
  }
  EXPECT_EQ(folder.files(), (Names{"x.pt", "x.safetensors"}));
}

// Children save again and again until they are killed; the file is good at every moment.
TEST(AtomicFile, KillingTheProcessLeavesAGoodFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.pt";
  const auto save = [&](int i) {
    Value v;
    v["i"] = i;
    v["x"] = full({100'000}, i);
    save_checkpoint_file(path, v);
  };
  save(-1);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i) save(i);
    }
    ASSERT_GT(child, 0);
    ::usleep(useconds_t(1000 + 1700 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Value v = load_checkpoint_file(path);
    const auto i = double(v.at("i").integer());
    EXPECT_EQ(v.at("x").tensor().to_vector<double>(), std::vector<double>(100'000, i));
  }
  save(1);
  EXPECT_EQ(folder.files(), Names{"x.pt"});
}

}  // namespace
}  // namespace ar::io
