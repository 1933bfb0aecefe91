// Local response normalisation over channels. With s = k + alpha/size * (sum of x^2 over the channel's neighbours):
//   y  = x s^-beta
//   gx = gy s^-beta - 2 alpha beta / size * x * (sum of gy x s^(-beta-1) over the channels it is a neighbour of)
#include "tensor/cpu/isa/channels_last.h"
#include "tensor/cpu/isa/simd_math.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 2048;  // elements

/// s^-beta
template <class T>
Vec<T> inverse_power(Vec<T> s, double beta) {
  if (beta != 0.75) return power(s, T(-beta));
  const Vec<T> root = sqrt(s);
  return Vec<T>::set1(1) / (root * sqrt(root));
}

/// The sum of `size` neighbours, from the first one.
template <class T, class Io>
Vec<T> neighbours(const T* first, int64_t size, Io io) {
  Vec<T> sum = io.load(first);
  for (int64_t i = 1; i < size; ++i) sum += io.load(first + i);
  return sum;
}

/// Walks pixels on the pool's threads, each with R rows of its own: a row has room for `channels` numbers and zeros on
/// either side, so that sums over neighbours need no bounds. f(pointers, rows) does a pixel.
template <class T, int R, int K, class F>
void each_pixel(const View* const (&views)[K], Access access, int64_t size, F&& f) {
  constexpr unsigned not_channels = ~(1u << 1);
  const int64_t channels = views[0]->shape[1], length = (channels + 2 * size + 63) / 64 * 64;
  const int64_t pixels = make_strided(views, Order::memory, not_channels).numel, threads = num_threads();
  const int64_t most = pixels * channels / kGrain + 1;
  const int parts = int(most < threads ? most : threads);
  using W = Compute<T>;
  ChannelsLast<K> v(views, access, parts * R * length * int64_t(sizeof(W)));
  const View* now[K];
  for (int k = 0; k < K; ++k) now[k] = &v.view[k];
  const Strided<K> s = make_strided(now, Order::memory, not_channels);
  parallel_parts(parts, [&](int part, int count) {
    W* rows[R];
    for (int r = 0; r < R; ++r) {
      W* const memory = reinterpret_cast<W*>(v.extra) + (part * R + r) * length;
      for (int64_t i = 0; i < length; ++i) memory[i] = W(0);
      rows[r] = memory + size;
    }
    walk(s, pixels * part / count, pixels * (part + 1) / count, [&](char* const(&p)[K], int64_t n, int64_t) {
      for (int64_t i = 0; i < n; ++i) {
        T* at[K];
        for (int k = 0; k < K; ++k) at[k] = reinterpret_cast<T*>(p[k] + i * s.row_stride(k));
        f(at, rows);
      }
    });
  });
  v.finish();
}

template <class T>
void lrn(const LrnParams& p, const View& x, const View& y) {
  using W = Compute<T>;
  using V = Vec<W>;
  const int64_t channels = x.shape[1], below = p.size / 2;
  const V k = V::set1(W(p.k)), alpha = V::set1(W(p.alpha / double(p.size)));
  each_pixel<T, 1, 2>({&x, &y}, {1, 2}, p.size, [&](T* const(&at)[2], W* const(&rows)[1]) {
    W* const squares = rows[0];
    each_vector<W>(channels, [=](int64_t c, auto io) {
      const V v = io.load(at[0] + c);
      io.store(v * v, squares + c);
    });
    each_vector<W>(channels, [&](int64_t c, auto io) {
      const V s = fma(alpha, neighbours(squares + c - below, p.size, io), k);
      io.store(io.load(at[0] + c) * inverse_power(s, p.beta), at[1] + c);
    });
  });
}

template <class T>
void lrn_backward(const LrnParams& p, const View& x, const View& gy, const View& gx) {
  using W = Compute<T>;
  using V = Vec<W>;
  const int64_t channels = x.shape[1], below = p.size / 2, above = p.size - 1 - below;
  const V k = V::set1(W(p.k)), alpha = V::set1(W(p.alpha / double(p.size)));
  const V factor = V::set1(W(-2 * p.alpha * p.beta / double(p.size)));
  each_pixel<T, 2, 3>({&x, &gy, &gx}, {3, 4}, p.size, [&](T* const(&at)[3], W* const(&rows)[2]) {
    W *const squares = rows[0], *const pulls = rows[1];
    each_vector<W>(channels, [=](int64_t c, auto io) {
      const V v = io.load(at[0] + c);
      io.store(v * v, squares + c);
    });
    each_vector<W>(channels, [&](int64_t c, auto io) {
      const V s = fma(alpha, neighbours(squares + c - below, p.size, io), k);
      const V direct = io.load(at[1] + c) * inverse_power(s, p.beta);
      io.store(io.load(at[0] + c) * direct / s, pulls + c);
      io.store(direct, at[2] + c);
    });
    each_vector<W>(channels, [&](int64_t c, auto io) {
      const V pull = factor * neighbours(pulls + c - above, p.size, io);
      io.store(fma(io.load(at[0] + c), pull, io.load(at[2] + c)), at[2] + c);
    });
  });
}

}  // namespace

void add_lrn(Kernels& k) {
#if defined(__AVX512BF16__)
  k.lrn.bf16 = &lrn<bf16>;
  k.lrn_backward.bf16 = &lrn_backward<bf16>;
#else
  k.lrn = {.f32 = &lrn<float>, .f64 = &lrn<double>};
  k.lrn_backward = {.f32 = &lrn_backward<float>, .f64 = &lrn_backward<double>};
#endif
}

}  // namespace ar::cpu::AR_ISA
