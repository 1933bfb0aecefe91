#include "tests/parity/parity.h"

#include <cctype>
#include <cmath>

namespace parity {

using ar::Dims;
using ar::Dtype;
using ar::Tensor;
using ar::Variable;

const Safetensors& fixture(const char* name) {
  static std::map<std::string, Safetensors> files;
  const auto at = files.find(name);
  if (at != files.end()) return at->second;
  return files.emplace(name, Safetensors(std::string(AR_FIXTURES_DIR) + "/" + name + ".safetensors")).first->second;
}

testing::AssertionResult close(const Tensor& got, const Tensor& want, double tolerance, double floor) {
  if (!got.defined()) return testing::AssertionFailure() << "there is none";
  if (got.shape() != want.shape())
    return testing::AssertionFailure() << "shape is " << got.shape() << ", should be " << want.shape();
  const auto a = got.to_vector<double>(), b = want.to_vector<double>();
  double largest = 0, worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    largest = std::max(largest, std::fabs(b[i]));
    const double difference = std::fabs(a[i] - b[i]);
    if (!(difference <= worst)) worst = difference, where = i;
    if (std::isnan(difference)) break;
  }
  if (worst <= tolerance * std::max(largest, floor)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "element " << where << " of " << want.shape() << " is " << a[where]
                                     << ", should be " << b[where] << ": " << worst / std::max(largest, floor)
                                     << " of the largest value " << largest << ", allowed are " << tolerance;
}

Variable Case::input(const std::string& what) {
  Variable& leaf = inputs_[what];
  if (!leaf) leaf = Variable(stored(what), true);
  return leaf;
}

Tensor Case::constant(const std::string& what) {
  Tensor& tensor = constants_[what];
  if (!tensor && has(what)) tensor = stored(what);
  return tensor;
}

ar::Pair Case::pair(const char* option) const {
  const std::vector<int64_t> v = options.at(option);
  return {v[0], v[1]};
}

void Case::check(const std::map<std::string, Variable>& outputs) {
  const double allowed = tolerance(dtype_);
  std::vector<std::pair<Variable, Tensor>> roots;
  for (const std::string what : options["outputs"]) {
    if (!outputs.contains(what)) {
      ADD_FAILURE() << "no output " << what;
      continue;
    }
    const Variable& y = outputs.at(what);
    EXPECT_TRUE(close(y.value(), stored(what), allowed)) << what;
    if (has("g" + what)) roots.emplace_back(y, stored("g" + what));
  }
  for (size_t i = 0; i < roots.size(); ++i) roots[i].first.backward(roots[i].second, i + 1 < roots.size());
  for (const std::string what : options["inputs"])
    EXPECT_TRUE(close(input(what).grad(), stored("g" + what), allowed)) << "gradient of " << what;
  for (const auto& [what, tensor] : constants_)
    if (has("after_" + what)) {
      EXPECT_TRUE(close(tensor, stored("after_" + what), allowed)) << what << " after the call";
    }
}

void run(const CaseName& name, const Ops& ops) {
  Case c(name.file, name.name, name.dtype);
  const auto op = ops.find(c.options["op"]);
  ASSERT_NE(op, ops.end()) << "this test knows no op " << c.options["op"];
  c.check(op->second(c));
}

std::vector<CaseName> all_cases(const std::vector<std::string>& files) {
  std::vector<CaseName> cases;
  for (const auto& file : files)
    for (const auto& name : fixture(file.c_str()).cases())
      for (Dtype dtype : {Dtype::f64, Dtype::f32}) cases.push_back({file, name, dtype});
  return cases;
}

std::string test_name(const testing::TestParamInfo<CaseName>& info) {
  std::string text = info.param.name + "_" + ar::name_of(info.param.dtype);
  for (char& c : text)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return text;
}

}  // namespace parity
