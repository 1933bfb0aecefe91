// Registers one test per row of the table, named op.case; the table itself is in cases/.
#include <gtest/gtest.h>

#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

class Row : public testing::Test {
 public:
  explicit Row(const Case& c) : case_(c) {}
  void TestBody() override {
    const Problem p = case_.make();
    const GradcheckResult r = gradcheck(p.f, p.inputs, p.parameters, p.options);
    EXPECT_TRUE(r.passed) << r.message;
  }

 private:
  const Case& case_;
};

[[maybe_unused]] const bool registered = [] {
  for (const Case& c : all())
    testing::RegisterTest(c.op.c_str(), c.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [&c]() -> Row* { return new Row(c); });
  return true;
}();

}  // namespace
}  // namespace ar::gradcheck_cases
