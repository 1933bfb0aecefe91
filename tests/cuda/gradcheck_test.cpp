// The gradients of every op and layer on the device against finite differences, in f64: the table of tests/gradcheck.
#include "tests/cuda/both.h"
#include "tests/gradcheck/cases/cases.h"

namespace ar::testing {
namespace {

void check_rows(const std::function<bool(const std::string& op)>& wanted) {
  gradcheck_cases::set_device(kCuda);
  int rows = 0;
  for (const gradcheck_cases::Case& c : gradcheck_cases::all()) {
    if (!wanted(c.op)) continue;
    SCOPED_TRACE(c.op + "." + c.name);
    ++rows;
    try {
      const gradcheck_cases::Problem p = c.make();
      for (const Variable& v : p.inputs) EXPECT_TRUE(v.value().device() == kCuda);
      const GradcheckResult r = gradcheck(p.f, p.inputs, p.parameters, p.options);
      EXPECT_TRUE(r.passed) << r.message;
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  EXPECT_GT(rows, 0);
}

TEST(CudaGradcheck, EveryRow) {
  AR_NEEDS_CUDA();
  check_rows([](const std::string&) { return true; });
}

TEST(CudaGradcheck, LstmByALibrary) {
  AR_NEEDS_CUDA();
  const LstmByLibrary here;
  check_rows([](const std::string& op) { return op == "lstm" || op == "LSTM"; });
}

}  // namespace
}  // namespace ar::testing
