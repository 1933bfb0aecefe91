// Folds, cross-validated probabilities, their ranking, and what is made of it.
#include "apps/images/label_doubt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "apps/images/doubt_report.h"
#include "apps/images/move_aside.h"
#include "tests/errors.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Folds, SpreadEachLabelAndKeepGroupsWhole) {
  std::vector<int64_t> labels, groups;
  for (int64_t i = 0; i < 100; ++i) {
    labels.push_back(i % 10 == 0);  // ten of the one, ninety of the other
    groups.push_back(i < 90 ? i : 90 + i / 5);
  }
  const std::vector<int64_t> fold = assign_folds(labels, groups, 5, 7);
  for (int64_t f = 0; f < 5; ++f)
    for (int64_t label : {0, 1}) {
      int64_t count = 0;
      for (size_t i = 0; i < fold.size(); ++i) count += fold[i] == f && labels[i] == label;
      EXPECT_NEAR(double(count), label ? 2 : 18, label ? 0 : 3) << f << ' ' << label;
    }
  for (size_t i = 0; i < 100; ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_TRUE(groups[i] != groups[j] || fold[i] == fold[j]) << i << ' ' << j;
  EXPECT_EQ(fold, assign_folds(labels, groups, 5, 7));
  EXPECT_NE(fold, assign_folds(labels, groups, 5, 8));
}

TEST(Folds, NeedDifferentImages) {
  EXPECT_THAT(error_of([] { assign_folds({0, 1, 0}, {4, 4, 5}, 3, 0); }), HasSubstr("3 of 2 different images"));
  EXPECT_THAT(error_of([] { assign_folds({0, 1}, {0, 1}, 1, 0); }), HasSubstr("at least 2"));
  EXPECT_THAT(error_of([] { assign_folds({0, 1}, {0}, 2, 0); }), HasSubstr("1 groups"));
}

/// Clouds around as many corners, and some samples with another's label.
struct Clouds {
  Tensor features;
  std::vector<int64_t> labels, groups;
  std::set<int64_t> wrong;
};
Clouds clouds(int64_t n, int64_t classes) {
  Clouds c{.features = empty({n, classes + 2}), .labels = {}, .groups = {}, .wrong = {}};
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, 0.5F);
  float* const x = c.features.mutable_data<float>();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t truth = i % classes;
    for (int64_t j = 0; j <= classes; ++j) x[i * (classes + 2) + j] = 100 + noise(random) + (j == truth ? 3.F : 0.F);
    x[i * (classes + 2) + classes + 1] = 5;  // says nothing
    if (i % 41 == 3) c.wrong.insert(i);
    c.labels.push_back(c.wrong.contains(i) ? (truth + 1) % classes : truth);
    c.groups.push_back(i);
  }
  return c;
}

TEST(CrossValidation, RanksWrongLabelsFirst) {
  const Clouds c = clouds(400, 4);
  const auto fold = assign_folds(c.labels, c.groups, 5, 0);
  int64_t steps = 0, total = 0;
  const Tensor log_probs = cross_validated_log_probs(
      c.features, c.labels, fold, 4, {.learning_rate = 0.02, .progress = [&](int64_t done, int64_t all) {
                                        EXPECT_EQ(done, steps++);
                                        total = all;
                                      }});
  EXPECT_EQ(steps, total);
  const auto doubts = rank_doubts(log_probs, c.labels);
  ASSERT_EQ(doubts.size(), 400u);
  for (size_t i = 0; i < doubts.size(); ++i) {
    const LabelDoubt& d = doubts[i];
    EXPECT_EQ(c.wrong.contains(d.sample), i < c.wrong.size()) << i;
    EXPECT_EQ(is_suspect(d, {.own_below = 0.2, .suggested_above = 0.6}), i < c.wrong.size())
        << i << ' ' << d.own << ' ' << d.suggested_probability;
    EXPECT_EQ(d.label, c.labels[size_t(d.sample)]);
    EXPECT_EQ(d.suggested, d.sample % 4) << i;  // the truth
    EXPECT_TRUE(i == 0 || d.own >= doubts[i - 1].own);
    double sum = 0;
    for (int64_t k = 0; k < 4; ++k) sum += std::exp(log_probs.at({d.sample, k}));
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  EXPECT_EQ(log_probs.to_vector<float>(),
            cross_validated_log_probs(c.features, c.labels, fold, 4, {.learning_rate = 0.02}).to_vector<float>());
}

TEST(CrossValidation, NoImageIsJudgedByItself) {
  // Noise says nothing about labels. Who learnt these by heart would be sure of them.
  const int64_t n = 60, d = 200;
  Clouds c{.features = empty({n, d}), .labels = {}, .groups = {}, .wrong = {}};
  std::mt19937 random(1);
  std::normal_distribution<float> noise;
  for (int64_t i = 0; i < n * d; ++i) c.features.mutable_data<float>()[i] = noise(random);
  for (int64_t i = 0; i < n; ++i) c.labels.push_back(int64_t(random() % 2)), c.groups.push_back(i);
  const auto doubts =
      rank_doubts(cross_validated_log_probs(c.features, c.labels, assign_folds(c.labels, c.groups, 5, 0), 2), c.labels);
  const auto believed = std::count_if(doubts.begin(), doubts.end(), [](const auto& x) { return x.own > 0.5; });
  EXPECT_GT(believed, n / 4);
  EXPECT_LT(believed, 3 * n / 4);
}

TEST(CrossValidation, WhatTheOtherFoldsDoNotKnowIsNotJudged) {
  Clouds c = clouds(40, 3);
  c.labels[5] = 3;  // the only one of its class
  const auto doubts =
      rank_doubts(cross_validated_log_probs(c.features, c.labels, assign_folds(c.labels, c.groups, 4, 0), 4), c.labels);
  EXPECT_EQ(doubts.size(), 39u);
  for (const LabelDoubt& d : doubts) EXPECT_NE(d.sample, 5);
}

TEST(CrossValidation, BadInput) {
  const Clouds c = clouds(20, 2);
  const auto fold = assign_folds(c.labels, c.groups, 2, 0);
  EXPECT_THAT(error_of([&] { cross_validated_log_probs(c.features, c.labels, fold, 1); }), HasSubstr("[0,1)"));
  EXPECT_THAT(error_of([&] { cross_validated_log_probs(c.features, {0, 1}, fold, 2); }), HasSubstr("2 labels"));
  const std::atomic<bool> stop = true;
  EXPECT_THAT(error_of([&] { cross_validated_log_probs(c.features, c.labels, fold, 2, {.stop = &stop}); }),
              HasSubstr("stopped after 0"));
  c.features.mutable_data<float>()[7] = INFINITY;
  EXPECT_THAT(error_of([&] { cross_validated_log_probs(c.features, c.labels, fold, 2); }), HasSubstr("not finite"));
}

DoubtReport small_report() {
  return {.data_dir = "d",
          .method = "By <hand>.",
          .classes = {"a,\"b\"", "c & d"},
          .doubts = {{.sample = 1, .label = 0, .own = 0.01, .suggested = 1, .suggested_probability = 0.99},
                     {.sample = 0, .label = 1, .own = 0.75, .suggested = 1, .suggested_probability = 0.75}},
          .path = [](int64_t i) { return i ? "a,\"b\"/<1>.jpg" : "c & d/0.jpg"; },
          .thumbnail = [](int64_t i) { return i ? "JPEG" : ""; }};
}

TEST(DoubtReports, Csv) {
  EXPECT_EQ(doubts_csv(small_report()),
            "rank,path,label,probability,suggested,suggested_probability\n"
            "1,\"a,\"\"b\"\"/<1>.jpg\",\"a,\"\"b\"\"\",0.01,c & d,0.99\n"
            "2,c & d/0.jpg,c & d,0.75,c & d,0.75\n");
}

TEST(DoubtReports, ContactSheet) {
  DoubtReport report = small_report();
  std::string page = contact_sheet(report);
  for (const char* text :
       {"<figure class=\"suspect\" title=\"a,&quot;b&quot;/&lt;1&gt;.jpg\">", "src=\"data:image/jpeg;base64,SlBFRw==\"",
        "rather <b>c &amp; d</b>", "By &lt;hand&gt;.", "class=\"none\""})
    EXPECT_THAT(page, HasSubstr(text));
  EXPECT_LT(page.find("a,&quot;b&quot; (1)"), page.find("c &amp; d (1)"));
  report.show = 1;
  page = contact_sheet(report);
  EXPECT_THAT(page, Not(HasSubstr("c &amp; d/0.jpg")));
  EXPECT_THAT(page, HasSubstr("The 1 most doubted of 2 images."));
}

class MovingAside : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* path : {"data/a/1.jpg", "data/a/2.jpg", "data/b/x/1.jpg"}) write(path, path);
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((folder / path).parent_path());
    std::ofstream(folder / path) << text;
  }
  std::string read(const fs::path& path) const {
    std::ifstream file(folder / path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  fs::path folder = fs::canonical(fs::temp_directory_path()) / ("ar_aside_" + std::to_string(getpid()));
};

TEST_F(MovingAside, OverwritesNothingAndKeepsAList) {
  write("aside/a/1.jpg", "earlier");
  fs::create_symlink("1.jpg", folder / "data/a/link.jpg");
  const MovedAside result =
      move_aside(folder / "data", {"a/1.jpg", "b/x/1.jpg", "a/link.jpg"}, (folder / "aside").string() + "/");
  EXPECT_EQ(result.moved, 2);
  EXPECT_THAT(result.skipped, ElementsAre((folder / "data/a/link.jpg").string() + ": a link"));
  EXPECT_EQ(read("aside/a/1.jpg"), "earlier");
  EXPECT_EQ(read("aside/a/1-2.jpg"), "data/a/1.jpg");
  EXPECT_EQ(read("aside/b/x/1.jpg"), "data/b/x/1.jpg");
  EXPECT_FALSE(fs::exists(folder / "data/a/1.jpg"));
  EXPECT_FALSE(fs::exists(folder / "data/b/x/1.jpg"));
  EXPECT_EQ(read("data/a/2.jpg"), "data/a/2.jpg");
  const std::string f = folder.string();
  EXPECT_EQ(read("aside/moved.tsv"),
            f + "/data/a/1.jpg\t" + f + "/aside/a/1-2.jpg\n" + f + "/data/b/x/1.jpg\t" + f + "/aside/b/x/1.jpg\n");
}

TEST_F(MovingAside, NotIntoTheDataSet) {
  for (const char* target : {"data", "data/a", "data/../data/c", "."})
    EXPECT_THAT(error_of([&] { move_aside(folder / "data", {"a/1.jpg"}, folder / target); }), HasSubstr("beside"));
  EXPECT_NO_THROW(check_aside(folder / "data", folder / "data2"));
  write("file", "");
  EXPECT_THAT(error_of([&] { check_aside(folder / "data", folder / "file"); }), HasSubstr("is no folder"));
}

TEST_F(MovingAside, StopsAndFailsBetweenFiles) {
  const std::atomic<bool> stop = true;
  EXPECT_EQ(move_aside(folder / "data", {"a/1.jpg"}, folder / "aside", &stop).moved, 0);
  EXPECT_TRUE(fs::exists(folder / "data/a/1.jpg"));
  EXPECT_THAT(error_of([&] {
                move_aside(folder / "data", {"a/1.jpg", "a/gone.jpg"}, folder / "aside");
              }),
              HasSubstr("a/gone.jpg: cannot be moved"));
  EXPECT_EQ(read("aside/a/1.jpg"), "data/a/1.jpg");
}

}  // namespace
}  // namespace ar::apps
