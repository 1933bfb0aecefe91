// Operations on tensors: values on strided operands, layouts of results, error texts.
#include <cmath>
#include <limits>

#include "tensor/ops_elementwise.h"
#include "tensor/ops_matmul.h"
#include "tensor/ops_reduce.h"
#include "tensor/ops_shape.h"
#include "tensor/ops_softmax.h"
#include "tests/errors.h"

namespace ar {
namespace {

using Doubles = std::vector<double>;
Doubles values(const Tensor& t) { return t.to_vector<double>(); }
Tensor counting(const Dims& shape, Layout layout = Layout::channels_last) {
  Doubles v(static_cast<size_t>(shape.product()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = double(i);
  return from_vector(v, shape, layout);
}

TEST(Ops, BinaryBroadcasts) {
  const Tensor a = counting({2, 3}), row = counting({3}), column = counting({2, 1});
  EXPECT_EQ(values(ops::add(a, row)), (Doubles{0, 2, 4, 3, 5, 7}));
  EXPECT_EQ(values(ops::mul(column, row)), (Doubles{0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(ops::sub(counting({2, 1, 3}), counting({4, 1})).shape(), (Dims{2, 4, 3}));
  EXPECT_EQ(ops::add(zeros({0, 3}), zeros({1, 3})).shape(), (Dims{0, 3}));
  EXPECT_MESSAGE(ops::add(a, counting({4})), "add: shapes [2,3] and [4] do not broadcast");
  EXPECT_MESSAGE(ops::add(a, zeros({2, 3})), "add: dtypes differ: float64 and float32");
  EXPECT_MESSAGE(ops::add(a, Tensor()), "add: an undefined tensor");
  EXPECT_MESSAGE(ops::unary(UnaryOp::exp, zeros({2}, {.dtype = Dtype::u8})), "kernel for uint8");
}

TEST(Ops, ResultsKeepTheOrder) {
  const Tensor first = counting({2, 3, 2, 2}, Layout::channels_first), last = counting({2, 3, 2, 2});
  EXPECT_EQ(ops::unary(UnaryOp::exp, first).strides(), first.strides());
  EXPECT_EQ(ops::add(last, first).strides(), last.strides());
  EXPECT_EQ(ops::add(counting({3, 1, 1}), first).strides(), first.strides());
  EXPECT_EQ(ops::softmax(first, 1, false).strides(), first.strides());
}

TEST(Ops, AxpbyBroadcastsIntoY) {
  const Tensor y = counting({2, 3});
  ops::axpby_(2, counting({3}), -1, y);
  EXPECT_EQ(values(y), (Doubles{0, 1, 2, -3, -2, -1}));
  EXPECT_MESSAGE(ops::axpby_(1, counting({4}), 1, y), "expand: shape [4] does not broadcast to [2,3]");
}

TEST(Ops, InPlaceOnesKnowSharedMemory) {
  const Tensor row = counting({3}), expanded = row.expand({2, 3});
  EXPECT_MESSAGE(ops::unary_(UnaryOp::affine, expanded, {2, 0}), "affine: elements of the written tensor share memory");
  EXPECT_MESSAGE(ops::axpby_(1, row, 1, expanded), "axpby_: elements of the written tensor share memory");
  EXPECT_EQ(values(row), (Doubles{0, 1, 2}));
  const Tensor y = counting({3, 3});
  ops::axpby_(1, y.transpose(0, 1), 1, y);
  EXPECT_EQ(values(y), (Doubles{0, 4, 8, 4, 8, 12, 8, 12, 16}));
  ops::axpby_(-1, y.select(0, 0), 1, y);
  EXPECT_EQ(values(y), (Doubles{0, 0, 0, 4, 4, 4, 8, 8, 8}));
  ops::axpby_(1, y, 1, y);
  EXPECT_EQ(values(y), (Doubles{0, 0, 0, 8, 8, 8, 16, 16, 16}));
}

TEST(Ops, AnyNonfinite) {
  const Tensor t = zeros({3, 5});
  EXPECT_FALSE(ops::any_nonfinite(t));
  t.narrow(1, 4, 1).narrow(0, 2, 1).fill(NAN);
  EXPECT_TRUE(ops::any_nonfinite(t));
  EXPECT_FALSE(ops::any_nonfinite(t.narrow(1, 0, 4)));
  t.fill(-INFINITY);
  EXPECT_TRUE(ops::any_nonfinite(t));
  EXPECT_FALSE(ops::any_nonfinite(zeros({2}, {.dtype = Dtype::i64})));
  EXPECT_FALSE(ops::any_nonfinite(zeros({0})));
}

TEST(Ops, Reduce) {
  const Tensor t = counting({2, 3, 4});
  EXPECT_EQ(values(ops::sum(t)), Doubles{276});
  EXPECT_EQ(ops::sum(t).rank(), 0);
  EXPECT_EQ(values(ops::sum(t, {0, 2})), (Doubles{60, 92, 124}));
  EXPECT_EQ(ops::sum(t, {-1}, true).shape(), (Dims{2, 3, 1}));
  EXPECT_EQ(values(ops::reduce(ReduceOp::max, t, {1})), (Doubles{8, 9, 10, 11, 20, 21, 22, 23}));
  EXPECT_EQ(values(ops::reduce(ReduceOp::min, t.transpose(0, 2), {0})), (Doubles{0, 12, 4, 16, 8, 20}));
  EXPECT_EQ(values(ops::sum(zeros({0, 2}), {0})), (Doubles{0, 0}));
  EXPECT_EQ(values(ops::sum(counting({}))), Doubles{0});
  EXPECT_MESSAGE(ops::sum(t, {3}), "sum: dimension 3 is out of range for shape [2,3,4]");
  EXPECT_MESSAGE(ops::sum(t, {1, -2}), "sum: a dimension appears twice in [1,-2] for shape [2,3,4]");
  EXPECT_MESSAGE(ops::reduce(ReduceOp::max, zeros({0, 2}), {0}),
                 "max: nothing to choose from: x is [0,2], reduced over [0]");
  EXPECT_MESSAGE(ops::sum(Tensor()), "sum: an undefined tensor");
}

TEST(Ops, ReduceInTheLayoutOfX) {
  EXPECT_TRUE(ops::sum(counting({2, 3, 4, 5, 6}), {2}).is_dense(Layout::channels_last));
  EXPECT_TRUE(ops::sum(counting({2, 3, 4, 5}, Layout::channels_first), {2}, true).is_dense(Layout::channels_first));
}

TEST(Ops, SumToUndoesBroadcasting) {
  const Tensor g = counting({2, 3, 4});
  EXPECT_TRUE(ops::sum_to(g, {2, 3, 4}).shares_memory_with(g));
  EXPECT_EQ(values(ops::sum_to(g, {3, 1})), (Doubles{60, 92, 124}));
  EXPECT_EQ(values(ops::sum_to(g, {})), Doubles{276});
  EXPECT_EQ(values(ops::sum_to(zeros({0, 3}), {1, 3})), (Doubles{0, 0, 0}));
}

TEST(Ops, ArgMax) {
  const Tensor t = from_vector(Doubles{1, 5, 5, -1, -2, -1}, {2, 3});
  EXPECT_EQ(ops::arg_max(t, 1).to_vector<int64_t>(), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(ops::arg_max(t, 0, true).shape(), (Dims{1, 3}));
  EXPECT_EQ(ops::arg_max(from_vector(Doubles{1, NAN, 9}, {3}), 0).item(), 1);
  EXPECT_MESSAGE(ops::arg_max(zeros({2, 0}), 1), "arg_max: dimension 1 of shape [2,0] is empty");
  EXPECT_MESSAGE(ops::arg_max(t, 2), "arg_max: dimension 2 is out of range for shape [2,3]");
}

TEST(Ops, CatCopies) {
  const Tensor a = counting({2, 2}), b = counting({2, 1});
  EXPECT_EQ(values(ops::cat({a, b, a}, 1)), (Doubles{0, 1, 0, 0, 1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(values(ops::cat({zeros({0, 2}, {.dtype = Dtype::f64}), a}, -2)), values(a));
  EXPECT_EQ(ops::cat({zeros({0, 2}), zeros({0, 2})}, 0).shape(), (Dims{0, 2}));
  EXPECT_TRUE(ops::cat({counting({1, 2, 2, 2}), counting({1, 1, 2, 2})}, 1).is_dense(Layout::channels_last));
  EXPECT_MESSAGE(ops::cat({}, 0), "cat: nothing to join");
  EXPECT_MESSAGE(ops::cat({a, b}, 0), "cat: shapes must be equal but for dimension 0: [2,2] and [2,1]");
  EXPECT_MESSAGE(ops::cat({a, counting({2})}, 0), "cat: ranks differ: [2,2] and [2]");
  EXPECT_MESSAGE(ops::cat({a, zeros({2, 2})}, 0), "cat: dtypes differ: float64 and float32");
  EXPECT_MESSAGE(ops::cat({a}, 2), "cat: dimension 2 is out of range for shape [2,2]");
}

TEST(Ops, CatOfNeighboursIsAView) {
  const Tensor buffer = counting({2, 7, 3, 2});
  const auto part = [&](int64_t start, int64_t length) { return buffer.narrow(1, start, length); };
  const Tensor y = ops::cat({part(0, 2), part(2, 1), part(3, 0), part(3, 4)}, 1);
  EXPECT_TRUE(y.shares_memory_with(buffer));
  EXPECT_EQ(y.strides(), buffer.strides());
  EXPECT_EQ(values(y), values(buffer));
  EXPECT_EQ(values(ops::cat({part(1, 2), part(3, 2)}, 1)), values(part(1, 4)));
  for (const auto& xs :
       {std::vector<Tensor>{part(0, 2), part(3, 4)}, {part(2, 2), part(0, 2)}, {part(0, 2), part(0, 2)}}) {
    const Tensor copy = ops::cat(xs, 1);
    EXPECT_FALSE(copy.shares_memory_with(buffer));
    EXPECT_EQ(values(copy.narrow(1, xs[0].size(1), xs[1].size(1))), values(xs[1]));
  }
  // Neighbours along one dimension are none along another; other strides are another place.
  EXPECT_FALSE(ops::joined({part(0, 2), part(2, 2)}, 0).has_value());
  EXPECT_FALSE(ops::joined({buffer.narrow(0, 0, 1), buffer.narrow(0, 1, 1).permute({0, 1, 3, 2})}, 0).has_value());
  EXPECT_FALSE(ops::joined({counting({1, 2}).expand({3, 2}), counting({1, 2}).expand({3, 2})}, 0).has_value());
}

TEST(Ops, StackOfNeighboursIsAView) {
  const Tensor buffer = counting({3, 4});
  const Tensor y = ops::stack({buffer[0], buffer[1], buffer[2]}, 0);
  EXPECT_TRUE(y.shares_memory_with(buffer));
  EXPECT_EQ(values(y), values(buffer));
  EXPECT_EQ(values(ops::stack({buffer[0], buffer[0]}, 1)), (Doubles{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_MESSAGE(ops::stack({buffer[0], buffer}, 0), "stack: shapes must be equal: [4] and [3,4]");
  EXPECT_MESSAGE(ops::stack({}, 0), "stack: nothing to join");
}

TEST(Ops, FoldTimeIsAView) {
  const Tensor video = counting({2, 3, 4, 2, 2});
  const Tensor frames = ops::fold_time(video);
  EXPECT_TRUE(frames.shares_memory_with(video));
  EXPECT_TRUE(frames.is_dense(Layout::channels_last));
  EXPECT_EQ(frames.at({5, 2, 1, 0}), video.at({1, 2, 1, 1, 0}));
  const Tensor back = ops::unfold_time(frames, 4);
  EXPECT_TRUE(back.shares_memory_with(video));
  EXPECT_EQ(values(back), values(video));
  const Tensor planes = counting({2, 3, 4, 2, 2}, Layout::channels_first);
  EXPECT_EQ(values(ops::fold_time(planes)), values(frames));
  EXPECT_MESSAGE(ops::fold_time(frames), "fold_time: x must be (B,C,T,H,W), it is [8,3,2,2]");
  EXPECT_MESSAGE(ops::unfold_time(frames, 3), "unfold_time: x must be (B*T,C,H,W) with T = 3, it is [8,3,2,2]");
}

TEST(Ops, Matmul) {
  const Tensor a = counting({2, 3}), b = counting({3, 2});
  EXPECT_EQ(values(ops::matmul(a, b)), (Doubles{10, 13, 28, 40}));
  EXPECT_EQ(values(ops::matmul(b.transpose(0, 1), a.transpose(0, 1))), (Doubles{10, 28, 13, 40}));
  EXPECT_EQ(ops::matmul(counting({2, 1, 3, 4}), counting({5, 4, 2})).shape(), (Dims{2, 5, 3, 2}));
  EXPECT_EQ(values(ops::matmul(zeros({2, 0}), zeros({0, 2}))), Doubles(4, 0));
  EXPECT_EQ(ops::matmul(zeros({0, 3}), zeros({3, 2})).shape(), (Dims{0, 2}));
  EXPECT_MESSAGE(ops::matmul(a, a),
                 "matmul: the last dimension of a must equal the second to last of b: [2,3] and [2,3]");
  EXPECT_MESSAGE(ops::matmul(a, counting({3})), "matmul: operands must have 2 dimensions or more: [2,3] and [3]");
  EXPECT_MESSAGE(ops::matmul(counting({2, 3, 4}), counting({3, 4, 2})), "matmul: shapes [2] and [3] do not broadcast");
  EXPECT_MESSAGE(ops::matmul(a, zeros({3, 2})), "matmul: dtypes differ");
}

TEST(Ops, SoftmaxStaysFinite) {
  const Tensor x = from_vector(Doubles{1000, 1000, -1000, -INFINITY}, {4});
  EXPECT_EQ(values(ops::softmax(x, 0, false)), (Doubles{0.5, 0.5, 0, 0}));
  const Doubles logs = values(ops::softmax(x, 0, true));
  EXPECT_NEAR(logs[0], -std::log(2), 1e-12);
  EXPECT_NEAR(logs[2], -2000 - std::log(2), 1e-9);
  EXPECT_MESSAGE(ops::softmax(x, 1, false), "softmax: dimension 1 is out of range for shape [4]");
  EXPECT_MESSAGE(ops::softmax(zeros({2}, {.dtype = Dtype::i64}), 0, true), "log_softmax: no");
}

TEST(Ops, PickAlongAnyDimension) {
  const Tensor x = counting({2, 3, 4});
  const auto index = [](std::vector<int64_t> v, const Dims& shape) { return from_vector(v, shape); };
  EXPECT_EQ(values(ops::pick("pick", x, 2, index({0, 1, 2, 3, 0, 1}, {2, 3}))), (Doubles{0, 5, 10, 15, 16, 21}));
  EXPECT_EQ(values(ops::pick("pick", x, 0, index({0, 1, 0, 1, 1, 1, 1, 1, -1, 0, 0, 0}, {3, 4}))),
            (Doubles{0, 13, 2, 15, 16, 17, 18, 19, 0, 9, 10, 11}));
  EXPECT_EQ(values(ops::pick("pick", counting({5}), 0, index({3}, {}))), Doubles{3});
  EXPECT_MESSAGE(ops::pick("pick", x, 2, index({4, 0, 0, 0, 0, 0}, {2, 3})),
                 "pick: index 4 is out of range for the 4 entries of dimension 2 of [2,3,4]");
  EXPECT_MESSAGE(ops::pick("pick", x, 2, index({0}, {1})), "pick: x [2,3,4] needs indices of shape [2,3], not [1]");
  EXPECT_MESSAGE(ops::pick("pick", x, 2, zeros({2, 3})), "pick: indices must be int64, they are float32");
}

}  // namespace
}  // namespace ar
