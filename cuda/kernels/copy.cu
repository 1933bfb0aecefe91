// copy (any strides, any element types) and fill. Threads follow the output's memory, so writes come in runs; reads of
// a transposed input are scattered, but each cache line is used by the warps that follow. Runs of neighbours, as of a
// range of channels, are copied by 16 bytes.
#include "cuda/each.h"
#include "cuda/families.h"

namespace ar::cuda {
namespace {

/// Elements of one type: only their size matters.
template <class U>
struct Copy {
  const U* x;
  U* y;
  AR_HD void operator()(int64_t, const int64_t (&at)[2]) const { y[at[1]] = x[at[0]]; }
};
template <class U>
void copy_same(const Walk<2>& walk, const View& x, const View& y) {
  each(walk, Copy<U>{x.as<const U>(), y.as<U>()});
}

/// Turns a walk over elements into one over `pack` of them at a time, if both operands are made of such runs, each at a
/// multiple of 16 bytes.
bool in_runs(Walk<2>& walk, int64_t pack, const View& x, const View& y) {
  Walk<2> runs = walk;
  if (walk.rank == 0 || walk.shape[0] % pack != 0) return false;
  runs.shape[0] /= pack, runs.numel /= pack;
  for (int k = 0; k < 2; ++k) {
    if (walk.strides[k][0] != 1 || reinterpret_cast<uintptr_t>((k ? y : x).data) % 16 != 0) return false;
    for (int d = 1; d < walk.rank; ++d) {
      if (walk.strides[k][d] % pack != 0) return false;
      runs.strides[k][d] /= pack;
    }
  }
  walk = runs;
  return true;
}

/// A number between two types: integers exactly, all else as f64 (which holds every f32 and half).
struct Number {
  bool integer;
  int64_t whole;
  double real;
};
AR_HD Number load(const void* p, Dtype t, int64_t i) {
  switch (t) {
    case Dtype::u8:
      return {true, static_cast<const uint8_t*>(p)[i], 0};
    case Dtype::i32:
      return {true, static_cast<const int32_t*>(p)[i], 0};
    case Dtype::i64:
      return {true, static_cast<const int64_t*>(p)[i], 0};
    case Dtype::f16:
      return {false, 0, double(to_f32(static_cast<const f16*>(p)[i]))};
    case Dtype::bf16:
      return {false, 0, double(to_f32(static_cast<const bf16*>(p)[i]))};
    case Dtype::f32:
      return {false, 0, double(static_cast<const float*>(p)[i])};
    default:
      return {false, 0, static_cast<const double*>(p)[i]};
  }
}
/// Towards zero; what does not fit becomes the nearest that does, NaN becomes 0. `above` is 2^bits.
AR_HD int64_t saturated(double x, double least, double above, int64_t low, int64_t high) {
  if (x != x) return 0;
  return x >= above ? high : x <= least ? low : int64_t(x);
}
AR_HD void store(Number v, void* p, Dtype t, int64_t i) {
  constexpr int64_t most = 0x7fffffffffffffff;
  switch (t) {
    case Dtype::u8:
      static_cast<uint8_t*>(p)[i] = uint8_t(v.integer ? v.whole : saturated(v.real, 0, 256, 0, 255));
      return;
    case Dtype::i32:
      static_cast<int32_t*>(p)[i] =
          int32_t(v.integer ? v.whole : saturated(v.real, -0x1p31, 0x1p31, -0x80000000ll, 0x7fffffff));
      return;
    case Dtype::i64:
      static_cast<int64_t*>(p)[i] = v.integer ? v.whole : saturated(v.real, -0x1p63, 0x1p63, -most - 1, most);
      return;
    case Dtype::f16:
      static_cast<f16*>(p)[i] = to_f16(v.integer ? float(v.whole) : float(v.real));
      return;
    case Dtype::bf16:
      static_cast<bf16*>(p)[i] = to_bf16(v.integer ? float(v.whole) : float(v.real));
      return;
    case Dtype::f32:
      static_cast<float*>(p)[i] = v.integer ? float(v.whole) : float(v.real);
      return;
    default:
      static_cast<double*>(p)[i] = v.integer ? double(v.whole) : v.real;
  }
}

/// One kernel for all pairs of types; each thread takes the same two branches.
struct Convert {
  const void* x;
  void* y;
  Dtype from, to;
  AR_HD void operator()(int64_t, const int64_t (&at)[2]) const { store(load(x, from, at[0]), y, to, at[1]); }
};

struct Fill {
  double value;
  void* y;
  Dtype to;
  AR_HD void operator()(int64_t, const int64_t (&at)[1]) const { store({false, 0, value}, y, to, at[0]); }
};

void copy(const View& x, const View& y) {
  if (x.dtype != y.dtype) return each(make_walk<2>({&x, &y}), Convert{x.data, y.data, x.dtype, y.dtype});
  Walk<2> walk = make_walk<2>({&x, &y});
  if (in_runs(walk, 16 / size_of(x.dtype), x, y)) return copy_same<uint4>(walk, x, y);
  switch (size_of(x.dtype)) {
    case 1:
      return copy_same<uint8_t>(walk, x, y);
    case 2:
      return copy_same<uint16_t>(walk, x, y);
    case 4:
      return copy_same<uint32_t>(walk, x, y);
    default:
      return copy_same<uint64_t>(walk, x, y);
  }
}

void fill(const View& y, double value) {
  const Walk<1> walk = make_walk<1>({&y});
  if (value == 0 && walk.dense() && walk.numel > 0)  // all types have zero as zero bytes (-0.0 may become 0.0)
    return gpu::fill(y.data, 0, std::size_t(walk.numel * size_of(y.dtype)), stream());
  each(walk, Fill{value, y.data, y.dtype});
}

}  // namespace

void add_copy(Kernels& k) {
  k.copy = &copy;
  k.fill = &fill;
}

}  // namespace ar::cuda
