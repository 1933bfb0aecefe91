// Metrics: by hand, against PyTorch's numbers, with ties and NaN.
#include "apps/report/metrics.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/errors.h"

namespace ar::apps {
namespace {

using testing::ElementsAre;
using Json = nlohmann::json;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor logs(std::vector<float> probabilities, int64_t classes) {
  for (float& p : probabilities) p = std::log(p);
  const auto n = int64_t(probabilities.size()) / classes;
  return from_vector(probabilities, {n, classes});
}

Tensor classes_of(const std::vector<int64_t>& targets) { return from_vector(targets, {int64_t(targets.size())}); }

TEST(ClassificationMetrics, ByHand) {
  ClassificationMetrics m({"a", "b", "c", "d"});
  m.add(logs({0.7F, 0.1F, 0.1F, 0.1F,   // a, right
              0.2F, 0.5F, 0.2F, 0.1F},  // b, but it is a: second of a tie, which the lower index wins
             4),
        classes_of({0, 0}));
  m.add(logs({0.05F, 0.05F, 0.1F, 0.8F}, 4), classes_of({1}), {77});  // d, but it is b: fourth, after a
  EXPECT_EQ(m.count(), 3);
  EXPECT_NEAR(m.loss(), -(std::log(0.7) + std::log(0.2) + std::log(0.05)) / 3, 1e-6);
  EXPECT_DOUBLE_EQ(m.top(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.top(2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.top(3), 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.top(4), 1);
  EXPECT_DOUBLE_EQ(m.top(5), 1);
  EXPECT_THAT(m.confusion(), ElementsAre(ElementsAre(1, 1, 0, 0), ElementsAre(0, 0, 0, 1), ElementsAre(0, 0, 0, 0),
                                         ElementsAre(0, 0, 0, 0)));
  const auto scores = m.per_class();
  EXPECT_EQ(scores[0].support, 2);
  EXPECT_DOUBLE_EQ(scores[0].precision, 1);
  EXPECT_DOUBLE_EQ(scores[0].recall, 0.5);
  EXPECT_DOUBLE_EQ(scores[0].f1, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores[2].f1, 0);
  EXPECT_DOUBLE_EQ(m.macro_average().recall, 0.25);
  const auto worst = m.worst_mistakes();
  ASSERT_EQ(worst.size(), 2);
  EXPECT_EQ(worst[0].index, 77);
  EXPECT_EQ(worst[0].predicted, 3);
  EXPECT_EQ(worst[1].index, 1);
  EXPECT_NEAR(worst[1].probability, 0.5, 1e-6);
}

TEST(ClassificationMetrics, AgreesWithPyTorch) {
  std::ifstream file(AR_FIXTURES_DIR "/metrics.json");
  const Json expected = Json::parse(file);
  const auto rows = expected["log_probs"].get<std::vector<std::vector<double>>>();
  const auto targets = expected["targets"].get<std::vector<int64_t>>();
  const auto n_classes = int64_t(rows[0].size());
  std::vector<std::string> names;
  for (int64_t c = 0; c < n_classes; ++c) names.push_back("class " + std::to_string(c));
  ClassificationMetrics m(names, 5);
  for (size_t i = 0; i < rows.size(); i += 7) {  // uneven batches
    std::vector<double> values;
    std::vector<int64_t> truths;
    for (size_t j = i; j < std::min(i + 7, rows.size()); ++j) {
      values.insert(values.end(), rows[j].begin(), rows[j].end());
      truths.push_back(targets[j]);
    }
    m.add(from_vector(values, {int64_t(truths.size()), n_classes}), classes_of(truths));
  }
  EXPECT_EQ(m.confusion(), expected["confusion"].get<std::vector<std::vector<int64_t>>>());
  const Json json = m.to_json();
  for (const char* name : {"top1", "top3", "top5", "loss"}) {
    EXPECT_NEAR(json[name].get<double>(), expected[name].get<double>(), 1e-9) << name;
  }
  for (size_t c = 0; c < names.size(); ++c) {
    for (const char* name : {"precision", "recall", "f1"}) {
      EXPECT_NEAR(json["per_class"][c][name].get<double>(), expected[name][c].get<double>(), 1e-12) << name << c;
    }
  }
  const auto worst = m.worst_mistakes();
  ASSERT_EQ(worst.size(), expected["worst"].size());
  for (size_t i = 0; i < worst.size(); ++i) {
    EXPECT_EQ(worst[i].index, expected["worst"][i]["index"].get<int64_t>());
    EXPECT_EQ(worst[i].truth, expected["worst"][i]["true"].get<int64_t>());
    EXPECT_NEAR(worst[i].probability, expected["worst"][i]["probability"].get<double>(), 1e-9);
  }
}

TEST(ClassificationMetrics, AllEqualScoresAreNoSuccess) {
  ClassificationMetrics m({"a", "b", "c"});
  m.add(logs({1 / 3.F, 1 / 3.F, 1 / 3.F, 1 / 3.F, 1 / 3.F, 1 / 3.F, 1 / 3.F, 1 / 3.F, 1 / 3.F}, 3),
        classes_of({0, 1, 2}));
  EXPECT_DOUBLE_EQ(m.top(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.top(2), 2.0 / 3);
}

TEST(ClassificationMetrics, NanIsAlwaysWrong) {
  ClassificationMetrics m({"a", "b"});
  m.add(from_vector<float>({kNan, kNan, kNan, -0.1F, -0.1F, -2.4F}, {3, 2}), classes_of({0, 1, 0}));
  EXPECT_EQ(m.invalid(), 2);
  EXPECT_TRUE(std::isnan(m.loss()));
  EXPECT_DOUBLE_EQ(m.top(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.top(5), 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.per_class()[0].recall, 0.5);
  EXPECT_EQ(m.to_json().dump().find("nan"), std::string::npos);
  EXPECT_TRUE(Json::parse(m.to_json().dump())["loss"].is_null());
}

TEST(ClassificationMetrics, EmptyAndInfinite) {
  ClassificationMetrics m({"a", "b"});
  EXPECT_TRUE(std::isnan(m.loss()));
  EXPECT_DOUBLE_EQ(m.top(1), 0);
  m.add(from_vector<float>({0, -INFINITY}, {1, 2}), classes_of({1}));
  EXPECT_TRUE(std::isinf(m.loss()));
  EXPECT_EQ(m.worst_mistakes().at(0).probability, 1);
  m.add(empty({0, 2}), from_vector<int64_t>({}, {0}));
  EXPECT_EQ(m.count(), 1);
}

TEST(ClassificationMetrics, KeepsTheWorstOnly) {
  ClassificationMetrics m({"a", "b"}, 3);
  for (const float p : {0.6F, 0.9F, 0.7F, 0.9F, 0.8F, 0.55F}) m.add(logs({p, 1 - p}, 2), classes_of({1}));
  std::vector<int64_t> order;
  for (const Mistake& mistake : m.worst_mistakes()) order.push_back(mistake.index);
  EXPECT_THAT(order, ElementsAre(1, 3, 4));
}

TEST(ClassificationMetrics, NamesWhatIsWrong) {
  EXPECT_MESSAGE(ClassificationMetrics({}), "at least one class");
  ClassificationMetrics m({"a", "b"});
  EXPECT_MESSAGE(m.add(logs({1, 1, 1}, 3), classes_of({0})), "log_probs must be (N,2), they are [1,3]");
  EXPECT_MESSAGE(m.add(logs({1, 1}, 2), classes_of({2})), "targets must be in [0,2), one is 2");
  EXPECT_MESSAGE(m.add(logs({1, 1}, 2), classes_of({0, 1})), "targets must be (1) i64");
  EXPECT_MESSAGE(m.add(logs({1, 1}, 2), classes_of({0}), {1, 2}), "1 indices, there are 2");
  EXPECT_EQ(m.count(), 0);
}

}  // namespace
}  // namespace ar::apps
