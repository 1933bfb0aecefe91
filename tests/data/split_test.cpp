#include "io/split.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "tests/errors.h"

namespace ar::io {
namespace {

std::vector<int64_t> singles(std::size_t n) {
  std::vector<int64_t> groups(n);
  std::iota(groups.begin(), groups.end(), 0);
  return groups;
}

std::map<int64_t, int64_t> count(const std::vector<int64_t>& side, const std::vector<int64_t>& labels) {
  std::map<int64_t, int64_t> n;
  for (int64_t i : side) ++n[labels[std::size_t(i)]];
  return n;
}

/// Every sample on one side, no group on both.
void expect_sound(const Split& s, const std::vector<int64_t>& groups) {
  std::set<int64_t> train, validation, all(s.train.begin(), s.train.end());
  all.insert(s.validation.begin(), s.validation.end());
  EXPECT_EQ(all.size(), groups.size());
  EXPECT_EQ(s.train.size() + s.validation.size(), groups.size());
  for (int64_t i : s.train) train.insert(groups[std::size_t(i)]);
  for (int64_t i : s.validation) EXPECT_FALSE(train.contains(groups[std::size_t(i)])) << i;
}

TEST(Split, StratifiedAndSeeded) {
  std::vector<int64_t> labels;
  for (int64_t label : {0, 1, 2})
    for (int64_t i = 0; i < (label + 1) * 50; ++i) labels.push_back(label);
  const Split s = stratified_split(labels, singles(labels.size()), 0.1, 3);
  expect_sound(s, singles(labels.size()));
  EXPECT_EQ(count(s.validation, labels), (std::map<int64_t, int64_t>{{0, 5}, {1, 10}, {2, 15}}));
  EXPECT_TRUE(std::is_sorted(s.train.begin(), s.train.end()));
  EXPECT_EQ(stratified_split(labels, singles(labels.size()), 0.1, 3).validation, s.validation);
  EXPECT_NE(stratified_split(labels, singles(labels.size()), 0.1, 4).validation, s.validation);
  EXPECT_TRUE(stratified_split(labels, singles(labels.size()), 0, 3).validation.empty());
}

TEST(Split, IsTheSameOnEveryMachine) {
  const std::vector<int64_t> labels{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(stratified_split(labels, singles(12), 0.34, 0).validation, (std::vector<int64_t>{2, 4, 6, 7}));
}

TEST(Split, SmallLabelsStandOnBothSides) {
  const std::vector<int64_t> labels{0, 0, 1, 1, 1, 2};
  for (double fraction : {0.01, 0.5, 0.99})
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const Split s = stratified_split(labels, singles(6), fraction, seed);
      expect_sound(s, singles(6));
      const auto train = count(s.train, labels), validation = count(s.validation, labels);
      EXPECT_EQ(train.at(0), 1);
      EXPECT_EQ(validation.at(0), 1);
      EXPECT_GE(train.at(1), 1);
      EXPECT_GE(validation.at(1), 1);
      EXPECT_EQ(train.at(2), 1);
    }
}

TEST(Split, GroupsStayTogetherAlsoAcrossLabels) {
  std::mt19937 gen(1);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<int64_t> labels, groups;
    for (int64_t i = 0; i < 400; ++i) {
      labels.push_back(int64_t(gen() % 4));
      groups.push_back(int64_t(gen() % 250));
    }
    const Split s = stratified_split(labels, groups, 0.2, seed);
    expect_sound(s, groups);
    const auto all = count(singles(400), labels);
    for (const auto& [label, n] : count(s.validation, labels)) EXPECT_NEAR(double(n), 0.2 * double(all.at(label)), 3);
  }
}

TEST(Split, LargeGroups) {
  // Label 0 is two groups of 10, each far above its share; label 1 one group only, which cannot be divided.
  std::vector<int64_t> labels(25, 0), groups(25, 0);
  for (std::size_t i = 10; i < 20; ++i) groups[i] = 1;
  for (std::size_t i = 20; i < 25; ++i) labels[i] = 1, groups[i] = 2;
  const Split s = stratified_split(labels, groups, 0.1, 0);
  expect_sound(s, groups);
  EXPECT_EQ(count(s.validation, labels), (std::map<int64_t, int64_t>{{0, 10}}));
  EXPECT_MESSAGE(stratified_split(labels, groups, 1, 0), "must lie in [0,1), it is 1");
  EXPECT_MESSAGE(stratified_split(labels, {}, 0.1, 0), "25 labels, but 0 groups");
}

TEST(Split, DuplicatesByContentAndLooks) {
  const std::vector<std::string> content{"a", "b", "a", "c", "d", "e"};
  const std::vector<uint64_t> looks{0x00, 0xff00, 0x00, 0x0f, 0xff01, 0x3e0f};
  const DuplicateGroups none = group_duplicates(content, looks, -1);
  EXPECT_EQ(none.group, (std::vector<int64_t>{0, 1, 0, 2, 3, 4}));
  EXPECT_EQ(none.identical, 1);
  EXPECT_EQ(none.similar, 0);
  // 0 and 0x0f differ in 4 bits; 0x0f and 0x3e0f in 5.
  const DuplicateGroups near = group_duplicates(content, looks, 4);
  EXPECT_EQ(near.group, (std::vector<int64_t>{0, 1, 0, 0, 1, 2}));
  EXPECT_EQ(near.identical, 1);
  EXPECT_EQ(near.similar, 2);
  EXPECT_EQ(near.groups, 3);
  EXPECT_EQ(group_duplicates(content, looks, 5).groups, 2);  // by way of 0x0f
  EXPECT_EQ(group_duplicates({"a", "b"}, {7, 7}, 0).groups, 1);
  EXPECT_MESSAGE(group_duplicates(content, looks, 32), "no likeness");
}

TEST(Split, NearPairsAreFoundAsByLookingAtAll) {
  std::mt19937_64 gen(5);
  std::vector<uint64_t> looks;
  std::vector<std::string> content;
  for (int i = 0; i < 3000; ++i) {
    uint64_t h = gen();
    if (i % 3) {  // some bits away from an earlier one
      h = looks[gen() % looks.size()];
      for (uint64_t flips = gen() % 12; flips > 0; --flips) h ^= uint64_t(1) << gen() % 64;
    }
    looks.push_back(h);
    content.push_back(std::to_string(i));
  }
  for (int distance : {0, 1, 4, 10, 13}) {
    std::vector<std::size_t> parent(looks.size());
    std::iota(parent.begin(), parent.end(), 0);
    const auto root = [&](std::size_t i) {
      while (parent[i] != i) i = parent[i];
      return i;
    };
    for (std::size_t i = 0; i < looks.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (std::popcount(looks[i] ^ looks[j]) <= distance)
          parent[std::max(root(i), root(j))] = std::min(root(i), root(j));
    const DuplicateGroups got = group_duplicates(content, looks, distance);
    std::map<std::size_t, int64_t> number;
    for (std::size_t i = 0; i < looks.size(); ++i)
      ASSERT_EQ(got.group[i], number.emplace(root(i), int64_t(number.size())).first->second) << i;
    EXPECT_EQ(got.similar, int64_t(looks.size()) - got.groups);
  }
}

TEST(Split, ManyLooksTakeLittleTime) {
  std::mt19937_64 gen(6);
  std::vector<uint64_t> looks(100000);
  std::vector<std::string> content;
  for (uint64_t& h : looks) {
    content.push_back(std::to_string(content.size()));
    do h = gen();
    while (std::popcount(h) != 32);  // as perceptual hashes are
  }
  looks[77777] = looks[5] ^ 0x8000400020001003;
  const auto begin = std::chrono::steady_clock::now();
  const DuplicateGroups got = group_duplicates(content, looks);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(got.group[77777], 5);
  EXPECT_LT(got.similar, 300);  // some near pairs are chance
  RecordProperty("seconds", std::to_string(seconds.count()));
  EXPECT_LT(seconds.count(), 30);
}

TEST(Split, ListsAreFoundAgain) {
  ImageFolder folder{.root = "r", .classes = {"a", "b"}, .files = {}};
  for (const char* path : {"a/1", "a/2", "a/3", "b/1", "b/2"}) folder.files.push_back({path, path[0] - 'a'});
  const SplitLists lists = lists_of(folder, {.train = {0, 1, 3}, .validation = {2, 4}});
  EXPECT_EQ(lists.validation, (std::vector<std::string>{"a/3", "b/2"}));
  EXPECT_EQ(from_lists(folder, {0, 1, 2, 3, 4}, lists).split.train, (std::vector<int64_t>{0, 1, 3}));
  folder.files.erase(folder.files.begin());
  folder.files.insert(folder.files.begin() + 1, {"a/25", 0});
  const MatchedSplit m = from_lists(folder, {0, 1, 2, 3}, lists);  // a/2, a/25, a/3, b/1; b/2 became unreadable
  EXPECT_EQ(m.split.train, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(m.split.validation, (std::vector<int64_t>{2}));
  EXPECT_EQ(m.vanished, (std::vector<std::string>{"a/1", "b/2"}));
  EXPECT_EQ(m.added, (std::vector<std::string>{"a/25"}));
}

}  // namespace
}  // namespace ar::io
