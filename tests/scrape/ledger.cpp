// The manifest, the near-duplicate index, and the account of a data set.
#include "scrape/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "scrape/near_index.h"
#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

using test::Folder;
namespace fs = std::filesystem;

TEST(NearIndex, FindsWhatAPlainSearchFinds) {
  for (const int distance : {0, 3, 8, 15}) {
    std::mt19937_64 random(7);
    NearIndex index(distance);
    std::vector<uint64_t> hashes;
    for (int i = 0; i < 600; ++i) {
      uint64_t hash = random();
      if (i % 3 == 1) {  // some bits away from the one before
        hash = hashes.back();
        for (int bit = 0; bit < i % 20; ++bit) hash ^= uint64_t{1} << random() % 64;
      }
      std::set<uint32_t> expected, found;
      for (uint32_t j = 0; j < hashes.size(); ++j) {
        if (std::popcount(hashes[j] ^ hash) <= distance) expected.insert(j);
      }
      index.near(hash, [&](uint32_t number) { EXPECT_TRUE(found.insert(number).second) << "twice"; });
      EXPECT_EQ(found, expected);
      index.add(hash);
      hashes.push_back(hash);
    }
  }
  EXPECT_THROW(NearIndex(16), Error);
}

TEST(Manifest, TornLastLineIsCutOff) {
  const Folder folder;
  const std::string path = folder.path + "/set/manifest.jsonl";
  int64_t offset = 0;
  {
    Manifest manifest(folder.path + "/set", {});
    Record record;
    record.status = "found";
    record.name = "a \"b\" \xC3\xBC";
    record.rank = 0;
    record.url = "http://x/\xFF";  // not UTF-8
    offset = manifest.append(record);
    EXPECT_EQ(manifest.at(offset).name, record.name);
    EXPECT_ERROR(Manifest(folder.path + "/set", {}), "another ar-build-image-ds");
  }
  const auto whole = fs::file_size(path);
  std::ofstream(path, std::ios::app) << R"({"class":"a","ra)";
  std::vector<Record> records;
  {
    Manifest manifest(folder.path + "/set", [&](Record&& record, int64_t at) {
      EXPECT_EQ(at, offset);
      records.push_back(std::move(record));
    });
  }
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].rank, 0);
  EXPECT_EQ(records[0].time.size(), 20u);
  EXPECT_EQ(fs::file_size(path), whole);
}

TEST(Manifest, RefusesWhatIsNotOurs) {
  const Folder folder;
  std::ofstream(folder.path + "/letter.txt") << "dear";
  EXPECT_ERROR(check_data_set_folder(folder.path), "holds something else", "--out-path");
  EXPECT_ERROR(check_data_set_folder(folder.path + "/letter.txt"), "no folder");
  EXPECT_NO_THROW(check_data_set_folder(folder.path + "/new"));
  for (const char* text : {"hello", "hello\n", "{\"manifest\":\"other\"}\n"}) {
    std::ofstream(folder.path + "/manifest.jsonl") << text;
    EXPECT_ERROR(Manifest(folder.path, {}), "no manifest of an image data set");
    EXPECT_EQ(test::read_all(folder.path + "/manifest.jsonl"), text) << "left as it was";
  }
  std::ofstream(folder.path + "/manifest.jsonl") << "{\"manifest\":\"ar image data set\",\"version\":1}\nnonsense\n";
  EXPECT_ERROR(Manifest(folder.path, [](Record&&, int64_t) {}), "manifest.jsonl:2: not a JSON object");
}

/// A made-up engine result: whether it can be had, and its perceptual hash.
struct Item {
  bool good;
  uint64_t hash;
};
using Lists = std::vector<std::vector<Item>>;

Lists some_lists(unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> pictures;
  for (int i = 0; i < 60; ++i) pictures.push_back(random());
  Lists lists(4);
  for (auto& list : lists) {
    for (int i = 0; i < 40; ++i) {
      uint64_t hash = random() % 3 == 0 ? pictures[random() % pictures.size()] : random();
      for (unsigned bit = 0; bit < random() % 5; ++bit) hash ^= uint64_t{1} << random() % 64;
      list.push_back({random() % 5 != 0, hash});
    }
  }
  return lists;
}

std::set<std::string> files_in(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = fs::relative(entry.path(), folder);
    if (entry.is_regular_file() && path != "manifest.jsonl" && !path.starts_with(".")) files.insert(path);
  }
  return files;
}

/// Runs downloads in random order until nothing is left to do, "killing" the program now and then.
std::set<std::string> build(const Lists& lists, const std::string& folder, unsigned seed, int kills) {
  std::mt19937_64 random(seed);
  const std::vector<std::string> names = {"a", "b", "c", "d"};
  LedgerOptions options;
  options.folder = folder;
  options.wanted = 12;
  options.near_distance = 4;
  for (;; --kills) {
    Ledger ledger(options, names);
    std::vector<std::pair<size_t, Record>> under_way;
    std::vector<size_t> given(lists.size(), 0);
    const int steps = kills > 0 ? static_cast<int>(random() % 80) : 1'000'000;
    bool over = false;
    for (int step = 0; step < steps && !over; ++step) {
      const size_t c = random() % lists.size();
      if (given[c] < lists[c].size()) {  // the search finds another
        Record record;
        record.url = names[c] + std::to_string(given[c]++);
        ledger.add(c, record);
      }
      const size_t d = random() % lists.size();
      if (auto record = ledger.next(d)) under_way.emplace_back(d, std::move(*record));
      if (!under_way.empty() && random() % 2 == 0) {
        std::swap(under_way[random() % under_way.size()], under_way.back());
        auto [e, record] = std::move(under_way.back());
        under_way.pop_back();
        const Item& item = lists[e][static_cast<size_t>(record.rank)];
        CheckedImage image;
        if (item.good) {
          image = {"", "", "jpg", hex64(hash64(record.url)) + hex64(e) + std::string(32, '0'), item.hash, 9, 9};
          write_file(ledger.staged(record.name, record.rank), "picture");
        } else {
          image.cause = "http-404";
        }
        ledger.arrived(e, record, image);
      }
      over = under_way.empty();
      for (size_t f = 0; f < lists.size(); ++f) {
        over = over && (ledger.full(f) || (ledger.used_up(f) && given[f] == lists[f].size()));
      }
    }
    if (!over) continue;
    ledger.finish();
    for (const auto& entry : fs::directory_iterator(folder))
      EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
    int64_t kept = 0;
    for (size_t c = 0; c < lists.size(); ++c) {
      EXPECT_LE(ledger.kept(c), options.wanted);
      EXPECT_EQ(ledger.counts(c).kept, ledger.kept(c));
      kept += ledger.kept(c);
    }
    EXPECT_EQ(files_in(folder).size(), static_cast<size_t>(kept));
    return files_in(folder);
  }
}

TEST(Ledger, SameSetInAnyOrderAndAfterAnyKills) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    const Lists lists = some_lists(seed);
    const Folder folder;
    const auto expected = build(lists, folder.path + "/0", seed, 0);
    EXPECT_GT(expected.size(), 10u);
    for (unsigned i = 1; i < 5; ++i) {
      EXPECT_EQ(build(lists, folder.path + "/" + std::to_string(i), seed * 100 + i, static_cast<int>(i) * 4), expected)
          << seed << " " << i;
    }
  }
}

TEST(Ledger, DuplicatesAndPicturesOfTwoClasses) {
  const Folder folder;
  LedgerOptions options;
  options.folder = folder.path;
  options.wanted = 3;
  const auto give = [](Ledger& ledger, size_t c, const char* url, uint64_t hash) {
    Record record;
    record.url = url;
    EXPECT_TRUE(ledger.add(c, record));
    EXPECT_FALSE(ledger.add(c, record)) << "the same URL twice";
    record = ledger.next(c).value();
    write_file(ledger.staged(record.name, record.rank), url);
    ledger.arrived(c, record, {"", "", "png", hex64(hash64(url)) + std::string(48, '0'), hash, 9, 9});
  };
  {
    Ledger ledger(options, {"left", "right"});
    give(ledger, 0, "u0", 0xF0F0);
    give(ledger, 0, "u1", 0xF0F1);  // one bit: a duplicate
    give(ledger, 0, "u2", 0xFFFFFFFF00000000);
    give(ledger, 1, "v0", 0xFFFFFFFF00000001);  // of u2: in neither
    EXPECT_EQ(ledger.kept(0), 1);
    EXPECT_EQ(ledger.kept(1), 0);
    EXPECT_EQ(ledger.counts(0).duplicate, 1);
    EXPECT_EQ(ledger.counts(0).cross_class, 1);
    EXPECT_EQ(ledger.counts(1).cross_class, 1);
    EXPECT_EQ(files_in(folder.path).size(), 1u);
  }
  {
    Ledger ledger(options, {"right", "left"});  // in another order, and remembered
    give(ledger, 0, "v1", 0xFFFFFFFF00000003);  // of what is in neither
    EXPECT_EQ(ledger.kept(0), 0);
    EXPECT_EQ(ledger.kept(1), 1);
    ledger.finish();
  }
  EXPECT_FALSE(fs::exists(folder.path + "/right")) << "an empty folder would be a class without pictures";
}

TEST(Ledger, RefusesALinkForAClass) {
  const Folder folder, elsewhere;
  Manifest(folder.path, {});
  fs::create_directory_symlink(elsewhere.path, folder.path + "/a");
  LedgerOptions options;
  options.folder = folder.path;
  EXPECT_ERROR(Ledger(options, {"a"}), "/a: this is no plain folder");
}

TEST(Ledger, DiskFullIsAnError) {
  EXPECT_ERROR(write_file("/dev/full/x", "y"), "/dev/full/x: cannot write");
  EXPECT_ERROR(write_file("/no/such/folder/x", "y"), "cannot write, No such file");
}

}  // namespace
}  // namespace ar::scrape
