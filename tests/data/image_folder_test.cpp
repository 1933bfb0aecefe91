#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

#include "io/loader.h"
#include "io/scan.h"
#include "tests/errors.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A folder of the test's own, removed behind it.
class ImageFolders : public ::testing::Test {
 protected:
  void SetUp() override {
    root = fs::path(::testing::TempDir()) / ("ar_data_" + std::to_string(::getpid()));
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }

  void write(const std::string& path, const std::string& bytes) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path, std::ios::binary) << bytes;
  }
  /// A smooth picture (PNM, which needs no encoder) that differs with the seed.
  static std::string picture(int width, int height, int seed) {
    std::string bytes = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c) {
          const double u = double(x) / width, v = double(y) / height;
          bytes +=
              char(128 + 60 * std::sin((3 + seed % 5) * u + seed) + 60 * std::cos((2 + seed % 7) * v * (u + 1) - seed));
        }
    return bytes;
  }
  std::vector<std::string> paths(const ImageFolder& folder) const {
    std::vector<std::string> all;
    for (const ImageFile& f : folder.files) all.push_back(f.path);
    return all;
  }

  fs::path root;
};

using Strings = std::vector<std::string>;

TEST_F(ImageFolders, NamesLinksAndHiddenFiles) {
  write("walking the dog/b.jpg", "");
  write("walking the dog/a.txt", "");
  write("walking the dog/deeper/.hidden", "");
  write("walking the dog/deeper/c", "");
  write("walking the dog/.hidden", "");
  write("\xc3\xa9t\xc3\xa9/\xe6\xbc\xa2.jpg", "");
  write("Zoo/1", "");
  write(".git/config", "");
  write("stray.jpg", "");
  write("elsewhere/over/there/x.png", "");
  fs::create_directory_symlink("elsewhere/over/there", root / "linked");
  fs::create_directory_symlink("..", root / "Zoo" / "round");
  fs::create_directory_symlink(".", root / "walking the dog" / "deeper" / "self");
  fs::create_symlink("nothing", root / "Zoo" / "dangling.jpg");
  const ImageFolder folder = list_images(root);
  EXPECT_EQ(folder.classes, (Strings{"Zoo", "elsewhere", "linked", "walking the dog", "\xc3\xa9t\xc3\xa9"}));
  EXPECT_EQ(paths(folder),
            (Strings{"Zoo/1", "Zoo/dangling.jpg", "elsewhere/over/there/x.png", "linked/x.png", "walking the dog/a.txt",
                     "walking the dog/b.jpg", "walking the dog/deeper/c", "\xc3\xa9t\xc3\xa9/\xe6\xbc\xa2.jpg"}));
  EXPECT_EQ(folder.files.back().label, 4);
}

TEST_F(ImageFolders, BadFolders) {
  EXPECT_ERROR(list_images(root / "none"), AllOf(HasSubstr("none: no such folder")));
  write("file", "");
  EXPECT_MESSAGE(list_images(root / "file"), "file: not a folder");
  EXPECT_MESSAGE(list_images(root), "has no classes; it should hold a folder of images for each class");
  write("one/1.jpg", "");
  EXPECT_MESSAGE(list_images(root), "only one class, 'one'");
  fs::create_directories(root / "two" / "deeper");
  fs::create_directories(root / "three");
  write("three/.hidden", "");
  EXPECT_MESSAGE(list_images(root), "no files in class 'three', 'two'; add images or remove the folder");
}

TEST_F(ImageFolders, KnownClasses) {
  write("b/1", "");
  write("c/1", "");
  const ImageFolder folder = list_images(root, {.classes = {"c", "a", "b"}});
  EXPECT_EQ(folder.classes, (Strings{"c", "a", "b"}));
  EXPECT_EQ(folder.files[0].path, "b/1");
  EXPECT_EQ(folder.files[0].label, 2);
  EXPECT_EQ(folder.files[1].label, 0);
  EXPECT_MESSAGE(list_images(root, {.classes = {"a", "c"}}), "'b' is not among the known classes 'a', 'c'");
}

class Scans : public ImageFolders {
 protected:
  void SetUp() override {
    ImageFolders::SetUp();
    for (int i = 0; i < 6; ++i) {
      write("data/a/" + std::to_string(i) + ".jpg", picture(40 + i, 30, i));
      write("data/b/" + std::to_string(i), picture(64, 48 + i, 20 + i));
    }
    write("data/b/copy of a 0", picture(40, 30, 0));
    write("data/b/empty.jpg", "");
    write("data/b/page.jpg", "<!DOCTYPE html><html><body>404</body></html>");
    write("data/b/tab\tand\nline.png", "no picture");
    write("data/b/cut.ppm", picture(40, 30, 1).substr(0, 500));
    write("data/b/bomb.ppm", "P6\n100000 100000\n255\n");
    fs::create_symlink("nothing", root / "data" / "b" / "dangling");
    folder = list_images(root / "data");
    options.cache = root / "cache" / "scan.tsv";
  }
  ImageFolder folder;
  ScanOptions options;
};

TEST_F(Scans, BadFilesAreCountedAndListed) {
  int64_t calls = 0, last = 0;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 19);
    EXPECT_GE(done, last);
    last = done;
    ++calls;
  };
  for (int threads : {1, 3}) {
    options.threads = threads;
    options.use_cache = false;
    last = 0;
    const Scan scan = scan_images(folder, options);
    EXPECT_EQ(last, 19);
    EXPECT_EQ(scan.read, 19);
    EXPECT_FALSE(scan.stopped);
    EXPECT_EQ(scan.usable().size(), 13u);
    EXPECT_EQ(scan.images[0].width, 40);
    EXPECT_EQ(scan.images[0].height, 30);
    EXPECT_EQ(scan.images[0].content.size(), 64u);
    auto bad = bad_files(folder, scan);
    ASSERT_EQ(bad.size(), 6u);
    for (const BadFile& b : bad) {
      EXPECT_FALSE(b.reason.empty());
      EXPECT_EQ(b.reason.find(root.string()), std::string::npos) << b.reason;
    }
    const fs::path log = root / "logs" / "bad-files.tsv";
    bad[5].reason = bad[5].path + ": " + bad[5].reason;
    write_bad_files_log(log, bad);
    std::ifstream in(log);
    Strings lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    ASSERT_EQ(lines.size(), 6u);
    EXPECT_THAT(lines[0], HasSubstr("bomb.ppm\t"));
    EXPECT_THAT(lines[5], HasSubstr("tab\\tand\\nline.png\t"));
    EXPECT_EQ(lines[5].find(root.string(), 1), std::string::npos);
  }
  EXPECT_GE(calls, 2);
}

TEST_F(Scans, AreRemembered) {
  const Scan first = scan_images(folder, options);
  EXPECT_EQ(first.read, 19);
  EXPECT_EQ(first.cache_problem, "");
  const Scan again = scan_images(folder, options);
  EXPECT_EQ(again.read, 1);  // the dangling link: what cannot be opened may come back
  for (std::size_t i = 0; i < first.images.size(); ++i) {
    EXPECT_EQ(again.images[i].width, first.images[i].width);
    EXPECT_EQ(again.images[i].height, first.images[i].height);
    EXPECT_EQ(again.images[i].content, first.images[i].content);
    EXPECT_EQ(again.images[i].looks, first.images[i].looks);
    EXPECT_EQ(again.images[i].bad, first.images[i].bad);
  }
  // A changed file, a new one, one that is gone.
  write("data/a/0.jpg", picture(80, 60, 9));
  write("data/a/9.jpg", picture(20, 20, 3));
  fs::remove(root / "data" / "a" / "5.jpg");
  fs::remove(root / "data" / "b" / "dangling");
  const ImageFolder now = list_images(root / "data");
  const Scan third = scan_images(now, options);
  EXPECT_EQ(third.read, 2);
  EXPECT_EQ(third.images[0].width, 80);
  EXPECT_EQ(scan_images(now, options).read, 0);
  // The same size at another time.
  fs::last_write_time(root / "data" / "a" / "1.jpg", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(scan_images(now, options).read, 1);
  // A damaged cache counts for nothing.
  for (const char* text : {"", "something else\n", "ar scan of images, version 1\nno fields\n",
                           "ar scan of images, version 1\na/1.jpg\t1\t2\tx\t4\tabc\t5\t\n"}) {
    std::ofstream(options.cache, std::ios::binary) << text;
    EXPECT_EQ(scan_images(now, options).read, 18) << text;
    EXPECT_EQ(scan_images(now, options).read, 0);
  }
}

TEST_F(Scans, CacheThatCannotBeWrittenIsOnlyNoted) {
  write("cache", "a file where a folder should be");
  const Scan scan = scan_images(folder, options);
  EXPECT_EQ(scan.usable().size(), 13u);
  EXPECT_THAT(scan.cache_problem, HasSubstr("scan.tsv"));
}

TEST_F(Scans, DefaultCacheIsBelowTheVariable) {
  const fs::path home = root / "ar cache";
  ::setenv("AR_CACHE", home.c_str(), 1);
  options.cache.clear();
  scan_images(folder, options);
  EXPECT_EQ(scan_images(folder, options).read, 1);
  EXPECT_TRUE(fs::exists(home / "scans"));
  ::unsetenv("AR_CACHE");
}

TEST_F(Scans, StopAndGoOn) {
  std::atomic<bool> stop = true;
  options.stop = &stop;
  options.threads = 2;
  const std::string large = picture(800, 600, 1);
  for (int i = 0; i < 30; ++i) write("data/a/large" + std::to_string(i), large);
  folder = list_images(root / "data");
  EXPECT_EQ(scan_images(folder, options).read, 0);
  stop = false;
  std::thread handler([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    stop = true;
  });
  const Scan part = scan_images(folder, options);
  handler.join();
  EXPECT_EQ(part.stopped, part.read < folder.size());
  EXPECT_LE(int64_t(part.usable().size()), part.read);
  stop = false;
  const Scan rest = scan_images(folder, options);
  EXPECT_FALSE(rest.stopped);
  EXPECT_LE(rest.read, folder.size() - part.read + 1);  // and the dangling link again
  EXPECT_EQ(rest.usable().size(), 43u);
}

TEST_F(Scans, ToASplit) {
  const Scan scan = scan_images(folder, options);
  const std::vector<int64_t> usable = scan.usable();
  const DuplicateGroups groups = group_duplicates(scan, usable, 0);
  EXPECT_EQ(groups.identical, 1);
  check_enough(folder, usable, 13);
  EXPECT_MESSAGE(check_enough(folder, usable, 14), "13 images are too few, at least 14 are needed");
  EXPECT_MESSAGE(check_enough(folder, {0, 1}, 1), "b: none of its files (13) is an image that can be read");
}

TEST_F(Scans, ValidationPicturesThatAreTrainedOn) {
  const Scan scan = scan_images(folder, options);
  const std::vector<int64_t> usable = scan.usable();
  // The copy of a/0 is the only picture of b that class a has as well.
  std::vector<int64_t> a, b;
  for (int64_t i : usable) (folder.files[std::size_t(i)].label == 0 ? a : b).push_back(i);
  const std::vector<int64_t> found = also_in(scan, a, scan, b, 0);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(folder.files[std::size_t(found[0])].path, "b/copy of a 0");
  EXPECT_EQ(also_in(scan, usable, scan, usable), usable);
  EXPECT_TRUE(also_in(scan, {}, scan, usable).empty());
}

TEST_F(Scans, SamplesOfTheLoader) {
  const Scan scan = scan_images(folder, options);
  const auto data = std::make_shared<ImageDataset>(
      folder, scan.usable(), ImageTransform{.height = 24, .width = 32, .augment = Augment::original});
  EXPECT_EQ(data->size(), 13);
  EXPECT_EQ(data->labels().back(), 1);
  fs::remove(data->file(3));  // after the scan
  std::vector<std::vector<int64_t>> bytes;
  for (int workers : {0, 3}) {
    Loader loader(data, shuffled(13, 0), {.batch_size = 5, .workers = workers});
    loader.start(0);
    bytes.emplace_back();
    int64_t replaced = 0;
    while (const auto b = loader.next()) {
      EXPECT_EQ(b->inputs.size(2), 24);
      EXPECT_TRUE(b->inputs.is_dense(Layout::channels_last));
      for (int64_t v : b->inputs.to_vector<int64_t>()) bytes.back().push_back(v);
      replaced += b->replaced;
    }
    EXPECT_EQ(replaced, 1);
    ASSERT_EQ(loader.bad().size(), 1u);
    EXPECT_EQ(loader.bad()[0].name, "a/3.jpg");
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_MESSAGE(ImageDataset(folder, {99}, {}), "has 19 files, none is number 99");
  EXPECT_MESSAGE(ImageDataset(folder, {}, {.height = 0}), "input size must be positive");
}

TEST(Stanford8, ScanSplitAndLoad) {
  const char* const shared = std::getenv("AR_TEST_DATA");
  if (!shared) GTEST_SKIP() << "AR_TEST_DATA is not set";
  const ImageFolder folder = list_images(fs::path(shared) / "stanford8");
  EXPECT_EQ(folder.classes.size(), 8u);
  EXPECT_EQ(folder.size(), 800);
  auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(begin, now)).count();
  };
  const Scan scan = scan_images(folder, {.use_cache = false});
  std::cout << "scan: " << 800 / seconds() << " images/s\n";
  EXPECT_TRUE(bad_files(folder, scan).empty());
  const std::vector<int64_t> usable = scan.usable();
  const DuplicateGroups groups = group_duplicates(scan, usable);
  std::cout << groups.identical << " identical, " << groups.similar << " similar\n";
  EXPECT_GE(groups.groups, 780);
  std::vector<int64_t> labels;
  for (int64_t i : usable) labels.push_back(folder.files[std::size_t(i)].label);
  const Split split = stratified_split(labels, groups.group, 0.1, 0);
  EXPECT_EQ(split.validation.size(), 80u);
  for (const Augment augment : {Augment::none, Augment::original, Augment::imagenet})
    for (int workers : {1, 2}) {
      const auto data = std::make_shared<ImageDataset>(folder, split.train, ImageTransform{.augment = augment});
      Loader loader(data, shuffled(data->size(), 0), {.batch_size = 32, .workers = workers});
      seconds();
      loader.start(0);
      int64_t n = 0;
      while (const auto b = loader.next()) n += b->size();
      std::cout << to_string(augment) << ", " << workers << " workers: " << double(n) / seconds() << " images/s\n";
      EXPECT_EQ(n, 720);
      EXPECT_TRUE(loader.bad().empty());
    }
}

}  // namespace
}  // namespace ar::io
