// The gradient check itself: it finds what is wrong, and refuses what it cannot check.
#include "autograd/gradcheck.h"

#include <cmath>

#include "autograd/autograd.h"
#include "tensor/ops_elementwise.h"
#include "tests/errors.h"

namespace ar {
namespace {

using Variables = std::vector<Variable>;
Variable leaf(const Dims& shape, uint64_t seed = 1) {
  Generator g(seed);
  return Variable(randn(shape, {.dtype = Dtype::f64}, g), true);
}

/// x^2 whose gradient is off by `factor`.
GradcheckFn crooked_square(double factor) {
  return [factor](const Variables& x) -> Variables {
    return {
        record("crooked", ops::unary(UnaryOp::square, x[0].value()), {x[0]}, [factor, v = x[0].value()](Backward& ctx) {
          return std::vector<Tensor>{ops::affine(ops::mul(ctx.grad(), v), 2 * factor)};
        })};
  };
}

TEST(Gradcheck, PassesWhatIsRight) {
  for (const Dims& shape : {Dims{2, 3}, Dims{}, Dims{0, 2}, Dims{50, 60}}) {
    const GradcheckResult r = gradcheck(crooked_square(1), {leaf(shape)});
    EXPECT_TRUE(r) << r.message;
    EXPECT_LT(r.worst_relative_error, 1e-6);
    EXPECT_EQ(r.message, "");
  }
}

TEST(Gradcheck, FindsWhatIsWrong) {
  for (const Dims& shape : {Dims{2, 3}, Dims{50, 60}}) {
    const GradcheckResult r = gradcheck(crooked_square(1.01), {leaf(shape)});
    EXPECT_FALSE(r);
    EXPECT_GT(r.worst_relative_error, 2e-3);
    EXPECT_THAT(r.message, testing::HasSubstr("input 0 [" + std::to_string(shape[0])));
    EXPECT_THAT(r.message, testing::HasSubstr(": analytical "));
  }
  EXPECT_FALSE(gradcheck(crooked_square(NAN), {leaf({2})}));
  EXPECT_MESSAGE(check_gradients(crooked_square(2), {leaf({1})}),
                 "gradcheck: input 0 [1], element 0, result element 0");
  EXPECT_NO_THROW(check_gradients(crooked_square(1), {leaf({1})}));
}

TEST(Gradcheck, FindsMissingGradients) {
  const GradcheckFn cut = [](const Variables& x) -> Variables { return {x[0] * x[1].detach()}; };
  EXPECT_THAT(gradcheck(cut, {leaf({2}, 1), leaf({2}, 2)}).message, testing::HasSubstr("input 1 [2], element 0"));
  EXPECT_EQ(gradcheck([](const Variables& x) -> Variables { return {x[0].detach()}; }, {leaf({2})}).message,
            "no result requires a gradient, though an input does");
}

TEST(Gradcheck, ChecksParametersAndAllResults) {
  const Variable w = leaf({3}, 5);
  const GradcheckFn good = [&](const Variables& x) -> Variables { return {x[0] * w, Variable(), square(w)}; };
  EXPECT_TRUE(gradcheck(good, {leaf({2, 3})}, {w}));
  const GradcheckFn bad = [&](const Variables& x) -> Variables { return {x[0] * w, crooked_square(1.1)({w})[0]}; };
  EXPECT_TRUE(gradcheck(bad, {leaf({2, 3})}));
  EXPECT_THAT(gradcheck(bad, {leaf({2, 3})}, {w}).message, testing::HasSubstr("parameter 0 [3]"));
}

TEST(Gradcheck, FindsUnrepeatableFunctions) {
  Generator g(1);
  const GradcheckFn noisy = [&](const Variables& x) -> Variables { return {dropout(x[0], 0.5, true, g)}; };
  EXPECT_EQ(gradcheck(noisy, {leaf({20})}).message, "two equal calls gave different results");
  const GradcheckFn replayed = [](const Variables& x) -> Variables { return {dropout(x[0], 0.5, true)}; };
  EXPECT_TRUE(gradcheck(replayed, {leaf({20})}));
}

TEST(Gradcheck, LeavesThingsAsTheyWere) {
  const Variable x = leaf({2, 3});
  const std::vector<double> before = x.value().to_vector<double>();
  const NoGrad no_grad;  // a caller's mode does not matter
  EXPECT_TRUE(gradcheck(crooked_square(1), {x}));
  EXPECT_EQ(x.value().to_vector<double>(), before);
  EXPECT_FALSE(x.grad().defined());
  int calls = 0;  // the fourth computes the lower value of the first difference
  const GradcheckFn fails = [&](const Variables& v) -> Variables {
    AR_CHECK(++calls < 4, "enough");
    return crooked_square(1)(v);
  };
  EXPECT_MESSAGE(gradcheck(fails, {x}), "enough");
  EXPECT_EQ(x.value().to_vector<double>(), before);
}

TEST(Gradcheck, StridedInputs) {
  const Tensor wide = leaf({2, 6, 2, 2}).value();
  EXPECT_TRUE(gradcheck(crooked_square(1), {Variable(wide.narrow(1, 1, 3), true)}));
  EXPECT_TRUE(gradcheck(crooked_square(1), {Variable(wide.permute({3, 1, 0, 2}), true)}));
  const GradcheckFn product = [](const Variables& x) -> Variables { return {x[0] * x[1]}; };
  EXPECT_TRUE(gradcheck(product, {Variable(wide.narrow(1, 0, 3), true), Variable(wide.narrow(1, 3, 3), true)}));
}

TEST(Gradcheck, Refusals) {
  const GradcheckFn f = [](const Variables& x) -> Variables { return {sum(x[0])}; };
  EXPECT_MESSAGE(gradcheck(f, {Variable(zeros({2}), true)}), "gradcheck: input 0 must be float64, it is float32");
  EXPECT_MESSAGE(gradcheck(f, {leaf({2}).detach()}), "gradcheck: no input and no parameter requires a gradient");
  EXPECT_MESSAGE(gradcheck(f, {leaf({2}) * 2}), "gradcheck: input 0 is computed; it must be a leaf");
  EXPECT_MESSAGE(
      gradcheck(f, {Variable(leaf({1, 3}).value().expand({2, 3}), true)}),
      "gradcheck: input 0 [2,3] with strides [0,1] has elements that share memory with others; check a clone");
  const Tensor shared = leaf({4}).value();
  EXPECT_MESSAGE(gradcheck(f, {Variable(shared.narrow(0, 0, 3), true)}, {Variable(shared.narrow(0, 2, 2), true)}),
                 "gradcheck: parameter 0 [2] with strides [1] has elements that share memory with others (of input 0)");
  const GradcheckFn narrow_result = [](const Variables& x) -> Variables {
    return {Variable(x[0].value().to(Dtype::f32))};
  };
  EXPECT_MESSAGE(gradcheck(narrow_result, {leaf({2})}), "gradcheck: result 0 must be float64, it is float32");
}

}  // namespace
}  // namespace ar
