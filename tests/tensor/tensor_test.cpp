// Tensors: factories, elements, dtypes, copies, versions, memory, printing, random values.
#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/backend.h"
#include "tensor/random.h"
#include "tests/errors.h"

namespace ar {
namespace {

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

TEST(Tensor, UndefinedHasNothing) {
  const Tensor t;
  EXPECT_FALSE(t.defined());
  EXPECT_FALSE(bool(t));
  EXPECT_EQ(t.version(), 0u);
  EXPECT_MESSAGE(t.data<float>(), "tensor: data of an undefined tensor");
  EXPECT_MESSAGE(t.view(), "an undefined tensor has no data");
  EXPECT_MESSAGE(t.item(), "item: a tensor with one element is needed");
  EXPECT_MESSAGE(t.fill(1), "an undefined tensor has no data");
  EXPECT_MESSAGE(t.clone(), "an undefined tensor");
  EXPECT_MESSAGE(t.to(Dtype::f64), "an undefined tensor");
  EXPECT_MESSAGE(t.to_vector<float>(), "an undefined tensor");
  EXPECT_EQ(printed(t), "tensor(undefined)");
}

TEST(Tensor, Factories) {
  EXPECT_EQ(zeros({2, 3}).to_vector<float>(), std::vector<float>(6, 0));
  EXPECT_EQ(ones({2, 3}, {.dtype = Dtype::i32}).to_vector<int32_t>(), std::vector<int32_t>(6, 1));
  EXPECT_EQ(full({2}, -1.5, {.dtype = Dtype::f64}).to_vector<double>(), std::vector<double>(2, -1.5));
  EXPECT_EQ(arange(4).to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(arange(3, {.dtype = Dtype::f32}).dtype(), Dtype::f32);
  EXPECT_EQ(arange(0).shape(), Dims{0});
  EXPECT_EQ(zeros({}).numel(), 1);
  EXPECT_EQ(zeros({0, 4}).numel(), 0);
  EXPECT_EQ(zeros({2, 3, 4, 5}).options().layout, Layout::channels_last);
  EXPECT_EQ(zeros({2, 3, 4, 5}, {.layout = Layout::channels_first}).options().layout, Layout::channels_first);
  EXPECT_EQ(zeros_like(full({2, 3, 2, 2}, 1, {.layout = Layout::channels_first})).stride(3), 1);
  EXPECT_MESSAGE(empty({2, -1}), "empty: negative size in shape [2,-1]");
  EXPECT_MESSAGE(arange(-1), "arange: negative length -1");
  EXPECT_MESSAGE((Dims{1, 1, 1, 1, 1, 1, 1}), "at most 6 dimensions");
}

TEST(Tensor, AbsurdSizesAreRefused) {
  const int64_t huge = int64_t{1} << 40;
  EXPECT_MESSAGE(empty({huge, huge}), "larger than memory can be");
  EXPECT_MESSAGE(empty({huge, huge, huge, huge}), "larger than memory can be");
  EXPECT_MESSAGE(empty({INT64_MAX}), "larger than memory can be");
  EXPECT_MESSAGE(zeros({1}).expand({huge, huge}).numel(), "larger than memory can be");
  EXPECT_MESSAGE(zeros({}).reshape({huge, huge}), "reshape: shape [] does not fit into");
}

TEST(Tensor, VectorsThereAndBack) {
  const std::vector<double> values{1, 2, 3, 4, 5, 6};
  const Tensor t = from_vector(values, {1, 3, 2, 1});
  EXPECT_TRUE(t.is_dense(Layout::channels_last));
  EXPECT_EQ(t.to_vector<double>(), values);
  EXPECT_EQ(t.to_vector<uint8_t>(), (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(t.at({0, 2, 1, 0}), 6);
  EXPECT_EQ(t.at({0, -1, 0, 0}), 5);
  EXPECT_EQ(from_vector(std::vector<float>{}, {0}).to_vector<float>(), std::vector<float>{});
  EXPECT_MESSAGE(from_vector(values, {2, 2}), "from_vector: 6 values do not fill shape [2,2]");
  EXPECT_MESSAGE(from_vector(values, {-2, -3}), "empty: negative size in shape [-2,-3]");
  EXPECT_MESSAGE(t.at({0, 0}), "at: index [0,0] does not fit shape [1,3,2,1]");
  EXPECT_MESSAGE(t.at({0, 3, 0, 0}), "select: index 3 is out of range");
  EXPECT_MESSAGE(t.item(), "item: a tensor with one element is needed, this one has shape [1,3,2,1]");
}

TEST(Tensor, MemoryOfTheCaller) {
  std::vector<float> memory{1, 2, 3, 4};
  const Tensor t = from_blob(memory.data(), {2, 2});
  EXPECT_EQ(t.data<float>(), memory.data());
  t.fill(5);
  EXPECT_EQ(memory[3], 5);
  EXPECT_EQ(from_blob(nullptr, {0, 3}).numel(), 0);
  EXPECT_MESSAGE(from_blob(nullptr, {1}), "from_blob: no memory for shape [1]");
  EXPECT_MESSAGE(from_blob(memory.data(), {-1}), "from_blob: negative size in shape [-1]");
}

TEST(Tensor, DataKnowsItsType) {
  const Tensor t = zeros({2});
  EXPECT_MESSAGE(t.data<double>(), "tensor: data asked as float64, the tensor is float32");
  EXPECT_MESSAGE(t.mutable_data<int32_t>(), "tensor: data asked as int32, the tensor is float32");
}

TEST(Tensor, Dtypes) {
  constexpr Dtype all[] = {Dtype::u8, Dtype::i32, Dtype::i64, Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64};
  for (Dtype from : all)
    for (Dtype to : all) {
      const Tensor t = from_vector(std::vector<int32_t>{0, 1, 2, 100}, {2, 2}).to(from).to(to);
      EXPECT_EQ(t.dtype(), to);
      EXPECT_EQ(t.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2, 100})) << from << " to " << to;
    }
  const Tensor t = from_vector(std::vector<float>{-1.75f, 2.75f}, {2});
  EXPECT_EQ(t.to(Dtype::i32).to_vector<int32_t>(), (std::vector<int32_t>{-1, 2}));  // towards zero
  EXPECT_TRUE(t.to(Dtype::f32).shares_memory_with(t));
  EXPECT_EQ(from_vector(std::vector<int64_t>{int64_t{1} << 60}, {1}).to_vector<int64_t>()[0], int64_t{1} << 60);
  EXPECT_STREQ(name_of(Dtype::bf16), "bfloat16");
  EXPECT_EQ(size_of(Dtype::f16), 2);
  EXPECT_TRUE(is_floating(Dtype::bf16));
  EXPECT_FALSE(is_floating(Dtype::i64));
}

TEST(Tensor, ConversionKeepsStridedOrder) {
  const Tensor t = arange(24).reshape({2, 3, 4}).permute({2, 0, 1});
  EXPECT_EQ(t.to(Dtype::f32).strides(), t.strides());
  EXPECT_EQ(t.to(Dtype::f32).to_vector<int64_t>(), t.to_vector<int64_t>());
  const Tensor part = arange(24).reshape({4, 6}).narrow(1, 2, 3);
  EXPECT_EQ(part.to(Dtype::f64).to_vector<int64_t>(), part.to_vector<int64_t>());
}

TEST(Tensor, CopyFrom) {
  const Tensor a = zeros({2, 3, 2, 2}), b = arange(24).reshape({2, 3, 2, 2});
  a.copy_from(b);
  EXPECT_EQ(a.to_vector<int64_t>(), b.to_vector<int64_t>());
  a.narrow(1, 0, 1).copy_from(b.narrow(1, 2, 1));
  EXPECT_EQ(a.at({1, 0, 1, 1}), 23);
  EXPECT_MESSAGE(a.copy_from(zeros({2, 3})), "copy_from: shapes differ: [2,3,2,2] and [2,3]");
  zeros({0, 2}).copy_from(ones({0, 2}));
}

TEST(Tensor, CopiesOverlap) {
  const auto values = [](const Tensor& t) { return t.to_vector<int64_t>(); };
  const Tensor m = arange(9).reshape({3, 3});
  m.copy_from(m.transpose(0, 1));
  EXPECT_EQ(values(m), (std::vector<int64_t>{0, 3, 6, 1, 4, 7, 2, 5, 8}));
  const Tensor up = arange(10), down = arange(10);
  up.narrow(0, 1, 9).copy_from(up.narrow(0, 0, 9));
  EXPECT_EQ(values(up), (std::vector<int64_t>{0, 0, 1, 2, 3, 4, 5, 6, 7, 8}));
  down.narrow(0, 0, 9).copy_from(down.narrow(0, 1, 9));
  EXPECT_EQ(values(down), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 9}));
  down.copy_from(down.select(0, 3).expand({10}));
  EXPECT_EQ(values(down), std::vector<int64_t>(10, 4));
  std::vector<float> memory{1, 2, 3, 4};
  from_blob(memory.data() + 1, {3}).copy_from(from_blob(memory.data(), {3}));  // one memory, two storages
  EXPECT_EQ(memory, (std::vector<float>{1, 1, 2, 3}));
}

TEST(Tensor, ApartFromIsACloneWhereNeeded) {
  const Tensor t = arange(12).reshape({3, 4});
  EXPECT_TRUE(t.apart_from(t).shares_memory_with(t));
  EXPECT_TRUE(t.narrow(0, 0, 1).apart_from(t.narrow(0, 1, 1)).shares_memory_with(t));
  EXPECT_TRUE(t.apart_from(arange(12)).shares_memory_with(t));
  EXPECT_FALSE(t.apart_from(t.reshape({4, 3})).shares_memory_with(t));
  EXPECT_FALSE(t.narrow(0, 0, 2).apart_from(t.narrow(0, 1, 2)).shares_memory_with(t));
}

TEST(Tensor, ExpandedOnesAreNotWrittenTo) {
  const Tensor t = zeros({2, 1}).expand({2, 3});
  EXPECT_MESSAGE(
      t.copy_from(ones({2, 3})),
      "copy_from: elements of the written tensor share memory: shape [2,3], strides [1,0]; clone() it first");
  zeros({2}).expand({1, 2}).copy_from(ones({1, 2}));
  zeros({1, 0}).expand({3, 0}).copy_from(ones({3, 0}));
}

TEST(Tensor, WritesAreCounted) {
  const Tensor t = zeros({2, 2});
  const uint64_t before = t.version();
  (void)t.data<float>();
  (void)t.to_vector<float>();
  (void)t.narrow(0, 0, 1);
  EXPECT_EQ(t.version(), before);
  t.narrow(0, 0, 1).fill(1);
  EXPECT_EQ(t.version(), before + 1);
  t.mutable_data<float>()[0] = 2;
  EXPECT_EQ(t.version(), before + 2);
  t.copy_from(ones({2, 2}));
  EXPECT_EQ(t.version(), before + 3);
}

TEST(Tensor, DerivedDataLivesUntilTheNextWrite) {
  const Tensor t = ones({4});
  int made = 0;
  const auto make = [&] {
    ++made;
    return Storage::allocate(16, {});
  };
  const auto first = t.storage()->derived(1, make);
  EXPECT_EQ(t.storage()->derived(1, make), first);
  EXPECT_NE(t.storage()->derived(2, make), first);
  EXPECT_EQ(made, 2);
  t.fill(2);
  EXPECT_NE(t.storage()->derived(1, make), first);
  EXPECT_EQ(made, 3);
}

TEST(Tensor, DerivedDataOfSeveralLivesUntilOneOfThemIsWrittenTo) {
  const Tensor t = ones({4}), other = ones({4});
  int made = 0;
  const auto sum = [&] {
    return *t.storage()->derived(
        3, [&] { return ++made, std::make_shared<float>(t.data<float>()[0] + other.data<float>()[0]); },
        other.version());
  };
  EXPECT_EQ(sum(), 2);
  EXPECT_EQ(sum(), 2);
  EXPECT_EQ(made, 1);
  other.fill(5);
  EXPECT_EQ(sum(), 6);
  t.fill(2);
  EXPECT_EQ(sum(), 7);
  EXPECT_EQ(made, 3);
  EXPECT_NE(t.storage()->id(), other.storage()->id());
}

TEST(Tensor, MemoryIsCountedAndReused) {
  empty_cache();
  const int64_t live = memory_stats().live;
  {
    const Tensor t = empty({1 << 20});
    EXPECT_GE(memory_stats().live, live + (4 << 20));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.data<float>()) % 64, 0u);
    reset_peak_memory();
    const Tensor u = empty({1 << 20});
    EXPECT_GE(memory_stats().peak, live + (8 << 20));
  }
  EXPECT_EQ(memory_stats().live, live);
  EXPECT_GE(memory_stats().cached, 8 << 20);
  { const Tensor again = empty({1 << 20}); }
  EXPECT_GE(memory_stats().cached, 8 << 20);
  empty_cache();
  EXPECT_EQ(memory_stats().cached, 0);
}

TEST(Tensor, AdoptedMemoryIsGivenBack) {
  static float memory[32];
  int released = 0;
  {
    const Tensor t(Storage::adopt(memory, sizeof memory, {}, [&] { ++released; }), 0, {4}, {1}, Dtype::f32);
    const Tensor view = t.narrow(0, 1, 2);
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1);
}

TEST(Tensor, Printing) {
  EXPECT_EQ(printed(full({}, 2.5)), "tensor(2.5, shape [], float32)");
  EXPECT_EQ(printed(from_vector(std::vector<float>{1, 2.5f}, {2})), "tensor([1, 2.5], shape [2], float32)");
  EXPECT_EQ(printed(arange(4).reshape({2, 2})), "tensor([[0, 1],\n        [2, 3]], shape [2,2], int64)");
  EXPECT_EQ(printed(zeros({0, 2})), "tensor([], shape [0,2], float32)");
  EXPECT_EQ(printed(arange(100)), "tensor([0, 1, 2, ..., 97, 98, 99], shape [100], int64)");
  EXPECT_EQ(printed(from_vector(std::vector<int64_t>{123456789}, {1})), "tensor([123456789], shape [1], int64)");
  EXPECT_EQ(printed(full({}, 0, {.dtype = Dtype::i64})), "tensor(0, shape [], int64)");
  EXPECT_EQ(printed(from_vector(std::vector<int64_t>{(int64_t{1} << 53) + 1}, {1})),
            "tensor([9007199254740993], shape [1], int64)");
  EXPECT_EQ(printed(Dims{2, 3}), "[2,3]");
  EXPECT_EQ(printed(Layout::channels_last), "channels_last");
  EXPECT_EQ(printed(Dtype::i64), "int64");
}

TEST(Tensor, Devices) {
  EXPECT_EQ(parse_device("cpu"), Device{});
  EXPECT_EQ(parse_device("cuda:1"), (Device{Device::Type::cuda, 1}));
  EXPECT_EQ(printed(parse_device("cuda")), "cuda:0");
  for (const char* bad : {"gpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:1x"})
    EXPECT_MESSAGE(parse_device(bad), "expected cpu, cuda or cuda:N") << bad;
}

TEST(Random, SeedsDecide) {
  manual_seed(3);
  const std::vector<float> a = randn({5}).to_vector<float>(), b = randn({5}).to_vector<float>();
  EXPECT_NE(a, b);
  manual_seed(3);
  EXPECT_EQ(randn({5}).to_vector<float>(), a);
  EXPECT_EQ(randn({5}).to_vector<float>(), b);
}

TEST(Random, LayoutDoesNotMatter) {
  Generator g(1), h(1);
  EXPECT_EQ(rand({2, 3, 4, 5}, {}, g).to_vector<float>(),
            rand({2, 3, 4, 5}, {.layout = Layout::channels_first}, h).to_vector<float>());
}

TEST(Random, Distributions) {
  Generator g(7);
  const std::vector<double> u = rand({20000}, {.dtype = Dtype::f64}, g).to_vector<double>();
  EXPECT_GE(*std::min_element(u.begin(), u.end()), 0);
  EXPECT_LT(*std::max_element(u.begin(), u.end()), 1);
  EXPECT_NEAR(std::accumulate(u.begin(), u.end(), 0.0) / 20000, 0.5, 0.02);
  double sum = 0, sum_sq = 0;
  for (double x : randn({20000}, {.dtype = Dtype::f64}, g).to_vector<double>()) sum += x, sum_sq += x * x;
  EXPECT_NEAR(sum / 20000, 0, 0.04);
  EXPECT_NEAR(sum_sq / 20000, 1, 0.05);
}

TEST(Random, IntegersAndPermutations) {
  Generator g(5);
  const std::vector<int64_t> r = randint(3, {1000}, g).to_vector<int64_t>();
  for (int64_t k = 0; k < 3; ++k) EXPECT_NEAR(double(std::count(r.begin(), r.end(), k)), 333, 70);
  EXPECT_EQ(*std::max_element(r.begin(), r.end()), 2);
  std::vector<int64_t> p = randperm(100, g).to_vector<int64_t>(), sorted(100);
  std::iota(sorted.begin(), sorted.end(), 0);
  EXPECT_NE(p, sorted);
  std::sort(p.begin(), p.end());
  EXPECT_EQ(p, sorted);
  EXPECT_EQ(randperm(0, g).numel(), 0);
  EXPECT_EQ(randint(1, {2, 2}, g).to_vector<int64_t>(), std::vector<int64_t>(4, 0));
  EXPECT_MESSAGE(randint(0, {2}, g), "randint: an upper bound above 0 is needed, not 0");
  EXPECT_MESSAGE(randint((int64_t{1} << 32) + 1, {2}, g), "randint: an upper bound of at most 2^32 is needed");
  EXPECT_LT(randint(int64_t{1} << 32, {}, g).item(), 0x1p32);
  EXPECT_MESSAGE(randperm(-1, g), "randperm: negative length -1");
}

}  // namespace
}  // namespace ar
