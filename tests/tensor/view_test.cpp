// Views: shapes and strides over shared memory; what cannot be a view is refused.
#include <numeric>

#include "tensor/backend.h"
#include "tensor/tensor.h"
#include "tests/errors.h"

namespace ar {
namespace {

using Ints = std::vector<int64_t>;

Tensor counting(const Dims& shape, Layout layout = Layout::channels_first) {
  Ints values(size_t(shape.product()));
  std::iota(values.begin(), values.end(), 0);
  return from_vector(values, shape, layout);
}
Ints ints(const Tensor& t) { return t.to_vector<int64_t>(); }

TEST(View, NarrowSharesMemory) {
  const Tensor t = counting({3, 4}), part = t.narrow(1, 1, 2);
  EXPECT_TRUE(part.shares_memory_with(t));
  EXPECT_EQ(part.shape(), (Dims{3, 2}));
  EXPECT_EQ(part.strides(), t.strides());
  EXPECT_EQ(ints(part), (Ints{1, 2, 5, 6, 9, 10}));
  part.fill(7);
  EXPECT_EQ(ints(t), (Ints{0, 7, 7, 3, 4, 7, 7, 7, 8, 7, 7, 11}));
  EXPECT_EQ(ints(t.narrow(-1, 4, 0)), Ints{});
}

TEST(View, NarrowOutOfRange) {
  const Tensor t = counting({3, 4});
  EXPECT_MESSAGE(t.narrow(1, 3, 2), "narrow: 2 from 3 is out of range in dimension 1 of shape [3,4]");
  EXPECT_MESSAGE(t.narrow(1, -1, 2), "narrow: 2 from -1 is out of range");
  EXPECT_MESSAGE(t.narrow(0, 0, -1), "narrow: -1 from 0 is out of range");
  EXPECT_MESSAGE(t.narrow(0, 2, INT64_MAX), "is out of range in dimension 0");
  EXPECT_MESSAGE(t.narrow(2, 0, 1), "dimension 2 is out of range for shape [3,4]");
  EXPECT_MESSAGE(t.narrow(-3, 0, 1), "dimension -3 is out of range for shape [3,4]");
}

TEST(View, Select) {
  const Tensor t = counting({2, 3, 4});
  EXPECT_EQ(ints(t.select(1, 2)), (Ints{8, 9, 10, 11, 20, 21, 22, 23}));
  EXPECT_EQ(ints(t[1][-1]), (Ints{20, 21, 22, 23}));
  EXPECT_EQ(t[1][2][3].item(), 23);
  EXPECT_EQ(t[1][2][3].rank(), 0);
  EXPECT_MESSAGE(t.select(0, 2), "select: index 2 is out of range in dimension 0 of shape [2,3,4]");
  EXPECT_MESSAGE(t.select(0, -3), "select: index -3 is out of range");
  EXPECT_MESSAGE(t[0][0][0][0], "dimension 0 is out of range for shape []");
}

TEST(View, PermuteAndTranspose) {
  const Tensor t = counting({2, 3, 4});
  EXPECT_EQ(t.permute({2, 0, 1}).shape(), (Dims{4, 2, 3}));
  EXPECT_EQ(t.permute({2, 0, 1}).at({3, 1, 2}), 23);
  EXPECT_EQ(ints(t.permute({-1, 0, 1})), ints(t.permute({2, 0, 1})));
  EXPECT_EQ(ints(t.transpose(0, -1).transpose(-1, 0)), ints(t));
  EXPECT_MESSAGE(t.permute({0, 1}), "permute: order [0,1] does not fit shape [2,3,4]");
  EXPECT_MESSAGE(t.permute({0, 1, -2}), "permute: dimension 1 appears twice in [0,1,-2]");
  EXPECT_MESSAGE(t.permute({0, 1, 3}), "dimension 3 is out of range");
  EXPECT_MESSAGE(t.transpose(0, 3), "dimension 3 is out of range");
}

TEST(View, Expand) {
  const Tensor t = counting({3, 1});
  EXPECT_EQ(ints(t.expand({3, 2})), (Ints{0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(t.expand({2, 3, 2}).strides(), (Dims{0, 1, 0}));
  EXPECT_EQ(t.expand({3, 0}).numel(), 0);
  EXPECT_FALSE(t.expand({3, 2}).is_dense_in_any_order());
  EXPECT_MESSAGE(t.expand({2, 1}), "expand: shape [3,1] does not broadcast to [2,1]");
  EXPECT_MESSAGE(t.expand({3}), "expand: shape [3,1] has more dimensions than [3]");
  EXPECT_MESSAGE(t.expand({3, -1}), "expand: negative size in [3,-1]");
}

TEST(View, SqueezeAndUnsqueeze) {
  const Tensor t = counting({3, 4});
  EXPECT_EQ(t.unsqueeze(0).shape(), (Dims{1, 3, 4}));
  EXPECT_EQ(t.unsqueeze(-1).shape(), (Dims{3, 4, 1}));
  EXPECT_EQ(t.unsqueeze(1).squeeze(1).strides(), t.strides());
  EXPECT_TRUE(t.unsqueeze(0).is_dense(Layout::channels_first));
  EXPECT_EQ(counting({}).unsqueeze(0).shape(), (Dims{1}));
  EXPECT_MESSAGE(t.squeeze(0), "squeeze: dimension 0 of shape [3,4] is not 1");
  EXPECT_MESSAGE(t.unsqueeze(3), "unsqueeze: dimension 3 is out of range for shape [3,4]");
  EXPECT_MESSAGE(zeros({1, 1, 1, 1, 1, 1}).unsqueeze(0), "at most 6 dimensions");
}

TEST(View, ReshapeOfDense) {
  const Tensor t = counting({2, 3, 4});
  for (const Dims& shape :
       {Dims{24}, Dims{6, 4}, Dims{2, 12}, Dims{4, 3, 2}, Dims{1, 2, 1, 3, 4, 1}, Dims{2, 2, 2, 3}}) {
    const Tensor r = t.reshape(shape);
    EXPECT_TRUE(r.shares_memory_with(t));
    EXPECT_EQ(r.shape(), shape);
    EXPECT_EQ(ints(r), ints(t)) << shape;
  }
  EXPECT_EQ(t.reshape({-1, 8}).shape(), (Dims{3, 8}));
  EXPECT_EQ(t.reshape({-1}).shape(), (Dims{24}));
  EXPECT_EQ(counting({1}).reshape({}).rank(), 0);
  EXPECT_EQ(counting({}).reshape({1, 1}).shape(), (Dims{1, 1}));
  EXPECT_EQ(zeros({0, 3}).reshape({3, 0}).shape(), (Dims{3, 0}));
  EXPECT_EQ(zeros({0, 3}).reshape({-1, 5}).shape(), (Dims{0, 5}));
}

TEST(View, ReshapeOfStrided) {
  const Tensor t = counting({4, 6});
  const Tensor part = t.narrow(1, 0, 4);  // rows with gaps: columns split, rows stay
  EXPECT_EQ(ints(part.reshape({4, 2, 2})), ints(part));
  EXPECT_EQ(ints(part.reshape({2, 2, 4})), ints(part));
  EXPECT_FALSE(part.can_reshape({16}));
  EXPECT_FALSE(part.can_reshape({8, 2}));
  EXPECT_FALSE(t.transpose(0, 1).can_reshape({24}));
  EXPECT_TRUE(t.transpose(0, 1).can_reshape({6, 2, 2}));
  EXPECT_EQ(ints(counting({1, 3}).expand({2, 3}).reshape({2, 3, 1})), (Ints{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(ints(counting({1, 1}).expand({2, 3}).reshape({6})), Ints(6, 0));
  EXPECT_MESSAGE(part.reshape({16}),
                 "reshape: shape [4,4] with strides [6,1] cannot be viewed as [16]; use reshape_copy");
  const Tensor copied = part.reshape_copy({2, 8});
  EXPECT_FALSE(copied.shares_memory_with(part));
  EXPECT_EQ(ints(copied), ints(part));
  EXPECT_TRUE(t.reshape_copy({24}).shares_memory_with(t));
}

TEST(View, ReshapeRefusals) {
  const Tensor t = counting({2, 3});
  EXPECT_MESSAGE(t.reshape({4, 2}), "reshape: shape [2,3] does not fit into [4,2]");
  EXPECT_MESSAGE(t.reshape({4, -1}), "reshape: shape [2,3] does not fit into [4,-1]");
  EXPECT_MESSAGE(t.reshape({-1, -1}), "reshape: more than one -1 in [-1,-1]");
  EXPECT_MESSAGE(t.reshape({-2, -3}), "reshape: negative size in [-2,-3]");
  EXPECT_MESSAGE(zeros({0, 3}).reshape({-1, 0}), "reshape: the -1 in [-1,0] could be anything for shape [0,3]");
  EXPECT_MESSAGE(t.reshape({INT64_MAX, INT64_MAX}), "does not fit into");
  EXPECT_MESSAGE(Tensor().reshape({1}), "reshape: an undefined tensor");
}

TEST(View, ChannelsLastIsAPropertyOfStrides) {
  const Tensor t = empty({2, 3, 4, 5});
  EXPECT_EQ(t.strides(), (Dims{60, 1, 15, 3}));
  EXPECT_TRUE(t.is_dense(Layout::channels_last));
  EXPECT_FALSE(t.is_dense(Layout::channels_first));
  EXPECT_EQ(empty({2, 3, 4, 5, 6}).strides(), (Dims{360, 1, 90, 18, 3}));
  EXPECT_EQ(empty({2, 3, 4}).strides(), (Dims{12, 4, 1}));  // other ranks are row-major
  const Tensor one_channel = empty({2, 1, 4, 5});
  EXPECT_TRUE(one_channel.is_dense(Layout::channels_last));
  EXPECT_TRUE(one_channel.is_dense(Layout::channels_first));
  const Tensor one_pixel = empty({2, 3, 1, 1}, {.layout = Layout::channels_first});
  EXPECT_TRUE(one_pixel.is_dense(Layout::channels_last));
  EXPECT_FALSE(t.narrow(1, 0, 2).is_dense(Layout::channels_last));
  EXPECT_FALSE(t.narrow(1, 0, 2).is_dense_in_any_order());
  EXPECT_TRUE(t.permute({1, 3, 0, 2}).is_dense_in_any_order());
  EXPECT_TRUE(t.narrow(0, 1, 1).is_dense(Layout::channels_last));
}

TEST(View, LogicalOrderDoesNotDependOnLayout) {
  const Tensor last = counting({2, 3, 2, 2}, Layout::channels_last), first = counting({2, 3, 2, 2});
  EXPECT_EQ(ints(last), ints(first));
  EXPECT_EQ(last.at({1, 2, 0, 1}), 21);
  EXPECT_EQ(last.data<int64_t>()[1], 4);  // the second channel of the first pixel
  EXPECT_EQ(first.data<int64_t>()[1], 1);
}

TEST(View, ConversionsOfLayoutAreCounted) {
  const Tensor t = counting({2, 3, 2, 2}, Layout::channels_first);
  const int64_t before = layout_copies();
  EXPECT_TRUE(t.contiguous(Layout::channels_first).shares_memory_with(t));
  EXPECT_EQ(layout_copies(), before);
  const Tensor last = t.contiguous(Layout::channels_last);
  EXPECT_EQ(layout_copies(), before + 1);
  EXPECT_TRUE(last.is_dense(Layout::channels_last));
  EXPECT_EQ(ints(last), ints(t));
  EXPECT_EQ(ints(t.clone(Layout::channels_last)), ints(t));
  EXPECT_EQ(layout_copies(), before + 1);  // whoever asks for a clone knows
}

TEST(View, CloneKeepsTheOrder) {
  const Tensor t = counting({2, 3, 2, 2}).permute({0, 2, 1, 3});
  EXPECT_EQ(t.clone().strides(), t.strides());
  EXPECT_FALSE(t.clone().shares_memory_with(t));
  EXPECT_EQ(ints(t.clone()), ints(t));
  const Tensor part = counting({3, 4}).narrow(1, 1, 2);
  EXPECT_TRUE(part.clone().is_dense(Layout::channels_first));
  EXPECT_EQ(ints(part.clone()), ints(part));
}

TEST(View, VideoFramesFoldIntoTheBatchWithoutACopy) {
  for (int64_t row_align : {0, 64}) {
    const Tensor video = empty({2, 3, 4, 5, 6}, {.dtype = Dtype::u8, .row_align = row_align});
    const Tensor frames = video.permute({0, 2, 1, 3, 4});
    EXPECT_TRUE(frames.can_reshape({8, 3, 5, 6}));
    EXPECT_EQ(frames.reshape({8, 3, 5, 6}).strides(), (Dims{video.stride(2), 1, video.stride(3), 3}));
  }
}

TEST(View, RowsArePadded) {
  const Tensor t = empty({2, 3, 4, 5}, {.dtype = Dtype::u8, .row_align = 64});
  EXPECT_EQ(t.strides(), (Dims{256, 1, 64, 3}));
  EXPECT_FALSE(t.is_dense(Layout::channels_last));
  t.fill(1);
  EXPECT_EQ(t.to_vector<int64_t>(), Ints(120, 1));
  EXPECT_EQ(empty({3, 5}, {.row_align = 64}).strides(), (Dims{16, 1}));
  EXPECT_EQ(empty({5}, {.row_align = 64}).strides(), (Dims{1}));
  EXPECT_MESSAGE(empty({3, 5}, {.row_align = 7}), "empty: row alignment 7 does not fit float32");
}

}  // namespace
}  // namespace ar
