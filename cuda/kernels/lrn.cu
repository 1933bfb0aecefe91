// Local response normalisation over channels (Krizhevsky et al. 2012, section 3.3). With
//   s = k + alpha/size * (sum of x^2 over the channel's neighbours):
//   y  = x s^-beta
//   gx = gy s^-beta - 2 alpha beta / size * x * (sum of gy x s^(-beta-1) over the channels it is a neighbour of)
// A thread takes one element. The neighbours' numbers are read again by each of them: they are in the first cache.
#include "cuda/each.h"
#include "cuda/families.h"
#include "cuda/images.h"

namespace ar::cuda {
namespace {

AR_HD float power(float x, float y) { return ::powf(x, y); }
AR_HD double power(double x, double y) { return ::pow(x, y); }

template <class S>
struct Neighbours {
  using T = Compute<S>;
  int64_t size;
  T alpha, beta, k;  // alpha divided by the size
  Image<const S> x;
  AR_HD T value(const Place& p, int64_t c) const { return widen(x.at(p.n, c, p.h, p.w)); }
  /// s of channel c at a place.
  AR_HD T s(const Place& p, int64_t c) const {
    const int64_t first = c - size / 2, end = smaller(first + size, x.channels);
    T sum = 0;
    for (int64_t j = larger(first, 0); j < end; ++j) sum += value(p, j) * value(p, j);
    return k + alpha * sum;
  }
};

template <class S>
struct Lrn {
  using T = Compute<S>;
  Neighbours<S> around;
  Image<S> y;
  AR_HD void operator()(int64_t i) const {
    const Place p = y.place(i);
    y.at(p) = narrow<S>(around.value(p, p.c) * power(around.s(p, p.c), -around.beta));
  }
};

template <class S>
struct LrnBackward {
  using T = Compute<S>;
  Neighbours<S> around;
  Image<const S> gy;
  Image<S> gx;
  AR_HD void operator()(int64_t i) const {
    const Place p = gx.place(i);
    const int64_t size = around.size, first = p.c - (size - 1 - size / 2), end = smaller(first + size, gx.channels);
    T pull = 0;
    for (int64_t c = larger(first, 0); c < end; ++c)
      pull += widen(gy.at(p.n, c, p.h, p.w)) * around.value(p, c) * power(around.s(p, c), -around.beta - 1);
    const T direct = widen(gy.at(p)) * power(around.s(p, p.c), -around.beta);
    gx.at(p) = narrow<S>(direct - 2 * around.alpha * around.beta * around.value(p, p.c) * pull);
  }
};

template <class S>
Neighbours<S> around(const LrnParams& p, const View& x) {
  using T = Compute<S>;
  return {p.size, T(p.alpha / double(p.size)), T(p.beta), T(p.k), Image<const S>(x)};
}
template <class S>
void lrn(const LrnParams& p, const View& x, const View& y) {
  const Image<S> out(y);
  each_item(out.numel(), Lrn<S>{around<S>(p, x), out});
}
template <class S>
void lrn_backward(const LrnParams& p, const View& x, const View& gy, const View& gx) {
  const Image<S> out(gx);
  each_item(out.numel(), LrnBackward<S>{around<S>(p, x), Image<const S>(gy), out});
}

}  // namespace

void add_lrn(Kernels& k) {
  k.lrn = {.bf16 = &lrn<bf16>, .f32 = &lrn<float>, .f64 = &lrn<double>};
  k.lrn_backward = {.bf16 = &lrn_backward<bf16>, .f32 = &lrn_backward<float>, .f64 = &lrn_backward<double>};
}

}  // namespace ar::cuda
