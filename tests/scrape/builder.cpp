// The builder with engines made up here, against a site of our own.
#include "scrape/builder.h"

#include <gtest/gtest.h>

#include <map>

#include "apps/images/image_check.h"
#include "io/image_folder.h"
#include "tests/scrape/site.h"
#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

using test::Folder;
using test::Site;
namespace fs = std::filesystem;

/// Finds the same list for each query.
class ListEngine : public Engine {
 public:
  explicit ListEngine(const std::map<std::string, std::vector<Found>>& lists) : lists_(lists) {}
  SearchEnd search(const SearchRequest& request, const OnFound& on_found) override {
    for (const Found& found : lists_.at(request.query)) on_found(Found(found));
    return SearchEnd::kEnd;
  }

 private:
  const std::map<std::string, std::vector<Found>>& lists_;
};

class Build : public ::testing::Test {
 protected:
  BuildResult build(int64_t wanted) {
    options_.ledger.folder = folder_.path + "/set";
    options_.ledger.wanted = wanted;
    options_.fetch.allow_private = true;
    options_.fetch.rate = 0;
    std::vector<ActionClass> classes;
    for (const auto& [name, list] : lists_) classes.push_back({name, {name}});
    return build_data_set(
        classes, options_, [&] { return std::make_unique<ListEngine>(lists_); },
        [](const std::string& bytes) { return apps::check_image(bytes, {}); }, {});
  }
  std::map<std::string, Record> records() const {
    std::map<std::string, Record> records;
    read_manifest(options_.ledger.folder, [&](Record&& record, int64_t) {
      if (record.rank >= 0) records[record.name + "#" + std::to_string(record.rank)] = std::move(record);
    });
    return records;
  }

  Site site_;
  Folder folder_;
  BuildOptions options_;
  std::map<std::string, std::vector<Found>> lists_;
};

TEST_F(Build, FetchesTheUrlOfTwoClassesOnce) {
  // Number 3 is a 404, 13 is HTML; all are in three classes, each of which has one of its own too.
  for (const char* name : {"a", "b", "c"}) {
    for (const int n : {0, 1, 3, 13})
      lists_[name].push_back({site_.url("/img/q/" + std::to_string(n)), {}, {}, {}, {}, {}});
    lists_[name].push_back({site_.url(std::string("/img/") + name + "/2"), {}, {}, {}, {}, {}});
  }
  const BuildResult result = build(10);
  EXPECT_EQ(site_.image_requests(), 4 + 3);
  for (const Ledger::Counts& counts : result.counts) {
    EXPECT_EQ(counts.kept, 1);
    EXPECT_EQ(counts.cross_class, 2);
    EXPECT_EQ(counts.causes, (std::map<std::string, int64_t>{{"http-404", 1}, {"not-an-image", 1}}));
  }
}

TEST_F(Build, FetchesTheUrlOfTwoClassesOnceWhenBothKeepIt) {
  for (const char* name : {"a", "b", "c"}) {
    for (const int n : {0, 1, 2})
      lists_[name].push_back({site_.url("/img/q/" + std::to_string(n)), {}, {}, {}, {}, {}});
  }
  options_.ledger.keep_cross_class = true;
  const BuildResult result = build(10);
  EXPECT_EQ(site_.image_requests(), 3);
  for (const Ledger::Counts& counts : result.counts) EXPECT_EQ(counts.kept, 3);
  const auto all = records();
  EXPECT_EQ(test::read_all(options_.ledger.folder + "/" + all.at("a#0").file),
            test::read_all(options_.ledger.folder + "/" + all.at("c#0").file));
}

TEST_F(Build, TakesEachClassesOwnThumbnailWhereTheSharedUrlFails) {
  for (const char* name : {"a", "b"})
    lists_[name].push_back({site_.url("/img/q/3"), site_.url(std::string("/img/") + name + "/0"), {}, {}, {}, {}});
  build(1);
  EXPECT_EQ(site_.image_requests(), 3);
  for (const auto& [name, record] : records()) {
    EXPECT_EQ(record.status, "kept") << name;
    EXPECT_EQ(record.source, "thumb");
    EXPECT_EQ(record.cause, "http-404") << "why it is not the full size";
  }
}

TEST_F(Build, OnlyFoldersOfPicturesAreLeft) {
  // Ten results with thumbnails in the page, of which two are needed; a class of which nothing can be kept.
  for (const int n : {40, 41, 42, 44, 45, 46, 48, 49, 50, 52}) {
    lists_["some"].push_back({site_.url("/img/q/" + std::to_string(n)), "data:image/jpeg;base64,AAAA", {}, {}, {}, {}});
  }
  lists_["other"].push_back({site_.url("/img/q/0"), {}, {}, {}, {}, {}});
  lists_["none"].push_back({site_.url("/img/q/13"), {}, {}, {}, {}, {}});
  build(2);
  const fs::path set = options_.ledger.folder;
  int folders = 0, thumbnails = 0;
  for (const auto& entry : fs::directory_iterator(set)) {
    folders += entry.is_directory() ? 1 : 0;
    thumbnails += entry.path().filename().string().starts_with(".thumb-") ? 1 : 0;
  }
  EXPECT_EQ(folders, 2);
  EXPECT_GT(thumbnails, 0) << "kept for a later run that wants more";
  EXPECT_EQ(io::list_images(set).classes, (std::vector<std::string>{"other", "some"}));
  EXPECT_EQ(build(10).counts.back().kept, 10) << "goes on with what was found before";
  for (const auto& entry : fs::directory_iterator(set)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
  }
}

}  // namespace
}  // namespace ar::scrape
