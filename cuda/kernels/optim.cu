// Optimiser steps, in one pass over a parameter and its state: every operand is read and written once.
#include <cmath>

#include "cuda/each.h"
#include "cuda/families.h"

namespace ar::cuda {
namespace {

// d = g + decay p;  buffer = mu buffer + (1 - dampening) d;  p -= lr (nesterov ? d + mu buffer : buffer)
template <class T>
struct Sgd {
  T lr, decay, mu, fresh;
  bool nesterov, first;
  T* p;
  const T* g;
  T* buffer;  // null: no momentum
  AR_HD void operator()(int64_t, const int64_t (&at)[3]) const {
    const T old = p[at[0]];
    T d = decay * old + g[at[1]];
    if (buffer) {
      T& b = buffer[at[2]];
      b = first ? d : mu * b + fresh * d;
      d = nesterov ? d + mu * b : b;
    }
    p[at[0]] = old - lr * d;
  }
};
template <class T>
void sgd(const SgdParams& s, const View& p, const View& g, const View& buffer) {
  const View& third = buffer.data ? buffer : p;
  each(make_walk<3>({&p, &g, &third}), Sgd<T>{T(s.lr), T(s.weight_decay), T(s.momentum), T(1 - s.dampening), s.nesterov,
                                              s.first_step, p.as<T>(), g.as<const T>(), buffer.as<T>()});
}

// Kingma & Ba 2015; decoupled: Loshchilov & Hutter 2019.
//   m += (1 - beta1) (d - m);  v = beta2 v + (1 - beta2) d^2;  p = shrink p - step m / (sqrt(v) root_correction + eps)
template <class T>
struct Adam {
  T shrink, decay, fresh1, beta2, fresh2, step, root_correction, eps;
  T* p;
  const T* g;
  T *m, *v;
  AR_HD void operator()(int64_t, const int64_t (&at)[4]) const {
    const T old = p[at[0]], d = decay * old + g[at[1]];
    const T m1 = m[at[2]] + fresh1 * (d - m[at[2]]), v1 = beta2 * v[at[3]] + fresh2 * d * d;
    m[at[2]] = m1;
    v[at[3]] = v1;
    p[at[0]] = old * shrink - step * m1 / (T(::sqrt(v1)) * root_correction + eps);
  }
};
template <class T>
void adam(const AdamParams& a, const View& p, const View& g, const View& m, const View& v) {
  const double t = double(a.step), correction1 = 1 - std::pow(a.beta1, t), correction2 = 1 - std::pow(a.beta2, t);
  each(make_walk<4>({&p, &g, &m, &v}),
       Adam<T>{T(a.decoupled ? 1 - a.lr * a.weight_decay : 1), T(a.decoupled ? 0 : a.weight_decay), T(1 - a.beta1),
               T(a.beta2), T(1 - a.beta2), T(a.lr / correction1), T(1 / std::sqrt(correction2)), T(a.eps), p.as<T>(),
               g.as<const T>(), m.as<T>(), v.as<T>()});
}

}  // namespace

void add_optim(Kernels& k) {
  k.sgd = {.f32 = &sgd<float>, .f64 = &sgd<double>};
  k.adam = {.f32 = &adam<float>, .f64 = &adam<double>};
}

}  // namespace ar::cuda
