// Matrix product, for what cuBLAS does not take and for the emulation: c[b] = a[b] b[b] (+ c[b]), any strides.
//
// A block computes 32 x 32 results with 16 x 16 threads, 2 x 2 results each, 16 apart. For 16 steps of k at a time, the
// strips of a and b that the block needs are brought into shared memory, where each number is then read by 16 threads.
// Rows of a tile are padded by one so that its columns lie in different banks. Rows of c may be many, as pixels are:
// they are the x of the grid, which alone may be larger than 65535; blocks take several of more columns, or products.
#include "cuda/each.h"
#include "cuda/families.h"
#include "cuda/libraries.h"

namespace ar::cuda {
namespace {

constexpr int kTile = 32, kDeep = 16, kSide = 16;

template <class S, class R>
__global__ void __launch_bounds__(kSide* kSide) product_kernel(Product p) {
  using T = Compute<S>;
  SHARED(tile_a, T[kDeep][kTile + 1]);
  SHARED(tile_b, T[kDeep][kTile + 1]);
  const int tx = int(threadIdx.x), ty = int(threadIdx.y), t = ty * kSide + tx;
  const int64_t row0 = int64_t(blockIdx.x) * kTile;
  for (int64_t column0 = int64_t(blockIdx.y) * kTile; column0 < p.n; column0 += int64_t(gridDim.y) * kTile)
    for (int64_t batch = blockIdx.z; batch < p.batch; batch += gridDim.z) {
      const S* const a = static_cast<const S*>(p.a.data) + batch * p.a.batch_step;
      const S* const b = static_cast<const S*>(p.b.data) + batch * p.b.batch_step;
      R* const c = static_cast<R*>(p.c.data) + batch * p.c.batch_step;
      T sum[2][2] = {};
      for (int64_t k0 = 0; k0 < p.k; k0 += kDeep) {
        for (int i = t; i < kTile * kDeep; i += kSide * kSide) {
          const int deep_a = i % kDeep, row = i / kDeep, deep_b = i / kTile, column = i % kTile;
          const bool in_a = row0 + row < p.m && k0 + deep_a < p.k, in_b = column0 + column < p.n && k0 + deep_b < p.k;
          tile_a[deep_a][row] = in_a ? widen(a[(row0 + row) * p.a.row_step + (k0 + deep_a) * p.a.column_step]) : T(0);
          tile_b[deep_b][column] =
              in_b ? widen(b[(k0 + deep_b) * p.b.row_step + (column0 + column) * p.b.column_step]) : T(0);
        }
        __syncthreads();
        for (int k = 0; k < kDeep; ++k)
          for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 2; ++j) sum[i][j] += tile_a[k][ty + i * kSide] * tile_b[k][tx + j * kSide];
        __syncthreads();
      }
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) {
          const int64_t row = row0 + ty + i * kSide, column = column0 + tx + j * kSide;
          if (row >= p.m || column >= p.n) continue;
          R& to = c[row * p.c.row_step + column * p.c.column_step];
          to = narrow<R>(p.accumulate ? widen(to) + sum[i][j] : sum[i][j]);
        }
    }
}

template <class S, class R = S>
void own_product(const Product& p) {
  const auto tiles = [](int64_t n) { return unsigned((n + kTile - 1) / kTile); };
  const auto most = [](int64_t n) { return unsigned(n < 65535 ? n : 65535); };
  gpu::launch(product_kernel<S, R>,
              {dim3(tiles(p.m), most(tiles(p.n)), most(p.batch)), dim3(kSide, kSide), 0, stream()}, p);
}

Product::Matrix matrix(const View& v) { return {v.data, v.strides[0], v.strides[1], v.strides[2]}; }

void gemm(const View& a, const View& b, const View& c, bool accumulate) {
  product(
      {a.dtype, c.dtype, c.shape[0], c.shape[1], c.shape[2], a.shape[2], matrix(a), matrix(b), matrix(c), accumulate});
}

}  // namespace

void product(const Product& p) {
  if (p.batch == 0 || p.m == 0 || p.n == 0 || library_product(p)) return;
  switch (p.dtype) {
    case Dtype::bf16:
      return p.c_dtype == Dtype::f32 ? own_product<bf16, float>(p) : own_product<bf16>(p);
    case Dtype::f32:
      return own_product<float>(p);
    default:
      return own_product<double>(p);
  }
}

void add_gemm(Kernels& k) { k.gemm = {.bf16 = &gemm, .f32 = &gemm, .f64 = &gemm}; }

}  // namespace ar::cuda
