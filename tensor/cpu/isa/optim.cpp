// Optimiser steps, in one pass over a parameter and its state.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // elements

// Operands: p, g and, with momentum, the buffer.
template <class T, bool momentum>
void sgd_row(const void* self, T* const* operands, int64_t n, int64_t) {
  using V = Vec<T>;
  const SgdParams& s = *static_cast<const SgdParams*>(self);
  const V step = V::set1(T(-s.lr)), decay = V::set1(T(s.weight_decay)), mu = V::set1(T(s.momentum));
  const V fresh = V::set1(T(1 - s.dampening));
  const bool first = s.first_step, nesterov = s.nesterov;
  T *const p = operands[0], *const buffer = momentum ? operands[2] : nullptr;
  const T* const g = operands[1];
  each_vector<T>(n, [=](int64_t i, auto io) {
    const V old = io.load(p + i);
    V d = fma(decay, old, io.load(g + i));
    if constexpr (momentum) {
      const V b = first ? d : fma(mu, io.load(buffer + i), fresh * d);
      io.store(b, buffer + i);
      d = nesterov ? fma(mu, b, d) : b;
    }
    io.store(fma(step, d, old), p + i);
  });
}

template <class T>
void sgd(const SgdParams& s, const View& p, const View& g, const View& buffer) {
  if (buffer.data)
    run_rows<T, 3>({&p, &g, &buffer}, {s.first_step ? 3u : 7u, 5}, &sgd_row<T, true>, &s, kGrain);
  else
    run_rows<T, 2>({&p, &g}, {3, 1}, &sgd_row<T, false>, &s, kGrain);
}

/// What of a step's arithmetic does not depend on the element (Kingma & Ba 2015; Loshchilov & Hutter 2019).
template <class T>
struct AdamStep {
  T shrink;  // of p, with decoupled decay
  T decay;   // added to the gradient as decay * p, without
  T fresh1, beta2, fresh2;
  T step;             // -lr / (1 - beta1^t)
  T root_correction;  // 1 / sqrt(1 - beta2^t)
  T eps;
};

template <class T>
void adam_row(const void* self, T* const* operands, int64_t n, int64_t) {
  using V = Vec<T>;
  const AdamStep<T>& a = *static_cast<const AdamStep<T>*>(self);
  const V shrink = V::set1(a.shrink), decay = V::set1(a.decay), fresh1 = V::set1(a.fresh1), beta2 = V::set1(a.beta2);
  const V fresh2 = V::set1(a.fresh2), step = V::set1(a.step), correction = V::set1(a.root_correction);
  const V eps = V::set1(a.eps);
  T *const p = operands[0], *const m = operands[2], *const v = operands[3];
  const T* const g = operands[1];
  each_vector<T>(n, [=](int64_t i, auto io) {
    const V old = io.load(p + i), d = fma(decay, old, io.load(g + i)), m0 = io.load(m + i);
    const V m1 = fma(fresh1, d - m0, m0), v1 = fma(beta2, io.load(v + i), fresh2 * d * d);
    io.store(m1, m + i);
    io.store(v1, v + i);
    io.store(fma(step, m1 / fma(sqrt(v1), correction, eps), old * shrink), p + i);
  });
}

template <class T>
void adam(const AdamParams& a, const View& p, const View& g, const View& m, const View& v) {
  const double t = double(a.step), correction1 = 1 - __builtin_pow(a.beta1, t),
               correction2 = 1 - __builtin_pow(a.beta2, t);
  const AdamStep<T> s{.shrink = T(a.decoupled ? 1 - a.lr * a.weight_decay : 1),
                      .decay = T(a.decoupled ? 0 : a.weight_decay),
                      .fresh1 = T(1 - a.beta1),
                      .beta2 = T(a.beta2),
                      .fresh2 = T(1 - a.beta2),
                      .step = T(-a.lr / correction1),
                      .root_correction = T(1 / __builtin_sqrt(correction2)),
                      .eps = T(a.eps)};
  run_rows<T, 4>({&p, &g, &m, &v}, {15, 13}, &adam_row<T>, &s, kGrain);
}

}  // namespace

void add_optim(Kernels& k) {
  k.sgd = {.f32 = &sgd<float>, .f64 = &sgd<double>};
  k.adam = {.f32 = &adam<float>, .f64 = &adam<double>};
}

}  // namespace ar::cpu::AR_ISA
