// The two register tiles that all convolutions and products are made of. Compiled in tile_f32.cpp, tile_f64.cpp and,
// where the processor multiplies bf16, bf16/tile.cpp.
//
//   product:   C[pixel][channel] = finish(sum over taps, k of  A[pixel + tap][k] * B[tap][k][channel])
//   gradient:  D[k][channel]    += sum over pixels of  A[pixel][k] * G[pixel][channel]
//
// A product tile is kTile pixels x one panel of channels (AVX-512: 14 x 2 vectors in 28 registers; otherwise 6 x 2 in
// 12). B is packed in panels, [tap][k][panel], and streams through once; each element of A is broadcast from where it
// lies, so channels-last pixels need no transposition. A tap is nothing but a byte offset, so 1x1, 3x3, dilated kernels
// and data gradients are the same loop.
//
// bf16: vdpbf16ps adds a[2k] * b[2k] + a[2k+1] * b[2k+1] to each f32 sum, so a pair of neighbours takes the place of
// one element: A is broadcast four bytes at a time, B lies [tap][k / 2][panel][2], with zeros after an odd k. In the
// gradient tile the pairs are neighbouring pixels: A holds (pixel, next pixel) for each k, G for each channel.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tensor/cpu/isa/compute.h"
#include "tensor/kernels.h"

namespace ar::cpu::AR_ISA {

#if defined(__AVX512F__)
inline constexpr int kTile = 14, kRegisterBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kTile = 6, kRegisterBytes = 32;
#else
inline constexpr int kTile = 6, kRegisterBytes = 16;
#endif
/// What an operand that is read again and again may take of the second-level cache: of 1 MB on processors with AVX-512,
/// of 512 KB on Zen 2 and 3.
inline constexpr int64_t kCached = int64_t(kRegisterBytes == 64 ? 512 : 256) << 10;
/// Sums in a register, and channels of a panel.
template <class T>
inline constexpr int kLanes = kRegisterBytes / int(sizeof(Compute<T>));
template <class T>
inline constexpr int kPanel = 2 * kLanes<T>;
/// Columns are computed so many at a time: with AVX-512 half a register, which costs half where the processor's units
/// are 256 bits wide (Zen 4).
template <class T>
inline constexpr int kGrain = kRegisterBytes == 64 ? kLanes<T> / 2 : kLanes<T>;
/// Where tile number i begins when so many pixels are cut into as few tiles as will do: whole ones, which finish in
/// registers, but for the last two, which share what is left.
inline int64_t tile_begin(int64_t i, int64_t pixels) {
  const int64_t tiles = (pixels + kTile - 1) / kTile, shared = pixels - (tiles - 2) * kTile;
  return i >= tiles ? pixels : i + 1 < tiles || tiles < 2 || shared == 2 * kTile ? i * kTile : pixels - shared / 2;
}
/// Where gradient tile number i begins when k values are cut into as few tiles as will do, evenly.
inline int64_t grad_tile_begin(int64_t i, int64_t k) { return k * i / ((k + kTile - 1) / kTile); }
/// How many products one multiply-add adds up: values of k, or pixels in the gradient tile.
template <class T>
inline constexpr int kDepth = int(sizeof(Compute<T>) / sizeof(T));

/// What happens to the sums before they are stored: ConvEpilogue, or ConvGate when `gate` is set. Arrays are indexed by
/// channel; scale and shift are both null or both there. T is the type of the sums.
template <class T>
struct Finish {
  const T* scale = nullptr;
  const T* shift = nullptr;
  const T* center = nullptr;
  bool accumulate = false;  // adds what c holds,
  bool residual = false;    // or what x holds
  Activation activation = Activation::none;
  T slope = 0;
  T* sum = nullptr;  // both or none; room for whole panels
  T* sum_sq = nullptr;
  bool gate = false;  // scale, shift, center and both sums are there
  Activation gate_activation = Activation::none;
};

template <class T>
struct Tile {
  // The pixels form two groups of (P + 1) / 2 and P / 2 with a base address each: consecutive, or two rows of a narrow
  // image.
  const T *a1, *a2;
  std::ptrdiff_t a_step;       // bytes from pixel to pixel
  const std::ptrdiff_t* taps;  // bytes
  int64_t n_taps, k;           // k in units of kDepth
  const T* b;
  T *c1, *c2;
  std::ptrdiff_t c_step;  // elements
  const T *x1, *x2;       // the gate's input, or the residual
  std::ptrdiff_t x_step;
  const Finish<Compute<T>>* finish;
  int64_t channel;       // of the panel's first column, for the arrays of `finish`
  Compute<T>* raw;       // [P][kPanel], where run_raw_tile leaves its sums
  const char* prefetch;  // a few rows of k elements to come, or null
  std::ptrdiff_t prefetch_step;
};
/// Rows that one tile fetches ahead.
template <class T>
inline constexpr int kPrefetchRows = 16 / int(sizeof(Compute<T>));
/// So many tiles together fetch a whole panel.
template <class T>
inline constexpr int kPanelFetches = kPanel<T> / kPrefetchRows<T>;
/// What the tiles of a block fetch while they are computed: the panel after B, where it may be far away, and the rows
/// of A that come after the block's.
template <class T>
struct Ahead {
  bool panels;
  const char* rows;     // null: none come
  std::ptrdiff_t step;  // bytes
  int64_t count;        // rows

  /// For tile number i of the block.
  void point(Tile<T>& t, int64_t i) {
    if (panels && i < kPanelFetches<T>) {
      t.prefetch_step = t.k * std::ptrdiff_t(sizeof(Compute<T>));
      t.prefetch = reinterpret_cast<const char*>(t.b) + (kPanel<T> + i * kPrefetchRows<T>)*t.prefetch_step;
      return;
    }
    t.prefetch = count > 0 ? rows : nullptr;
    if (!t.prefetch) return;
    t.prefetch_step = step;
    rows += kPrefetchRows<T> * step;
    count -= kPrefetchRows<T>;
  }
};

/// A tile of 1..kTile pixels whose last panel may have fewer columns than kPanel.
void run_tile(const Tile<float>& t, int pixels, int columns);
void run_tile(const Tile<double>& t, int pixels, int columns);
void run_tile(const Tile<bf16>& t, int pixels, int columns);

/// The same without the finish: sums are left in t.raw.
void run_raw_tile(const Tile<float>& t, int pixels, int columns);
void run_raw_tile(const Tile<double>& t, int pixels, int columns);
void run_raw_tile(const Tile<bf16>& t, int pixels, int columns);

/// Finishes sums that lie in memory, [pixel][column].
template <class T>
struct Sums {
  const Compute<T>* sums;
  std::ptrdiff_t step;
  T* c;
  std::ptrdiff_t c_step;
  const T* x;
  std::ptrdiff_t x_step;
  int64_t pixels, channel, columns;
};
void finish_sums(const Finish<float>& f, const Sums<float>& s);
void finish_sums(const Finish<double>& f, const Sums<double>& s);
void finish_sums(const Finish<float>& f, const Sums<bf16>& s);

/// The gradient tile: `k` (1..kTile) values of k; rows of `width` pixels (bf16: pairs of them), several rows and
/// images.
template <class T>
struct GradTile {
  const Compute<T>* a;  // bf16: pairs, as in g
  std::ptrdiff_t a_step, a_row, a_image;
  const Compute<T>* g;  // packed: [image][row][pixel][kPanel]
  int64_t images, rows, width;
  Compute<T>* d;      // [k][kPanel], added to
  const T* prefetch;  // one line for each pixel of the block to come, or null
  std::ptrdiff_t prefetch_step;
};
void run_grad_tile(const GradTile<float>& t, int k, int columns);
void run_grad_tile(const GradTile<double>& t, int k, int columns);
void run_grad_tile(const GradTile<bf16>& t, int k, int columns);

}  // namespace ar::cpu::AR_ISA
