// What Finish says (tile.h), for a register's width of channels over some pixels: shared by the sums that lie in memory
// and those that are still in registers.
#pragma once
#include "tensor/cpu/isa/activation.h"
#include "tensor/cpu/isa/rows.h"
#include "tensor/cpu/isa/tile.h"

namespace ar::cpu::AR_ISA {
namespace {

/// ConvEpilogue, for channels from `channel` on: pixel i's sums are value(i), its result goes to `to` + i * step, its
/// residual is beside(i).
template <Activation act, class T, class IO, class Value, class Beside>
[[gnu::always_inline]] inline void finish_channels(const Finish<Compute<T>>& f, int64_t channel, IO io, int64_t pixels,
                                                   T* to, std::ptrdiff_t step, Value&& value, Beside&& beside) {
  using V = Vec<Compute<T>>;
  const V slope = V::set1(f.slope);
  V scale = V::set1(1), shift = V::zero(), sum = V::zero(), sum_sq = V::zero();
  if (f.scale) scale = io.load(f.scale + channel), shift = io.load(f.shift + channel);
  if (f.sum) sum = io.load(f.sum + channel), sum_sq = io.load(f.sum_sq + channel);
  for (int64_t i = 0; i < pixels; ++i, to += step) {
    V v = value(i);
    if (f.scale) v = fma(v, scale, shift);
    if (f.accumulate) v += io.load(to);
    if (f.residual) v += beside(i);
    v = activate<act>(v, slope);
    io.store(v, to);
    if (f.sum) sum += v, sum_sq = fma(v, v, sum_sq);
  }
  if (f.sum) io.store(sum, f.sum + channel), io.store(sum_sq, f.sum_sq + channel);
}

/// ConvGate, likewise; the gate's input lies at x + i * x_step.
template <Activation act, class T, class IO, class Value>
[[gnu::always_inline]] inline void gate_channels(const Finish<Compute<T>>& f, int64_t channel, IO io, int64_t pixels,
                                                 T* to, std::ptrdiff_t step, const T* x, std::ptrdiff_t x_step,
                                                 Value&& value) {
  using V = Vec<Compute<T>>;
  const V slope = V::set1(f.slope);
  const V scale = io.load(f.scale + channel), shift = io.load(f.shift + channel), center = io.load(f.center + channel);
  V sum_d = io.load(f.sum + channel), sum_dx = io.load(f.sum_sq + channel);
  for (int64_t i = 0; i < pixels; ++i, to += step, x += x_step) {
    const V vx = io.load(x);
    const V d = activation_gradient<act>(fma(vx, scale, shift), value(i), slope);
    io.store(f.accumulate ? fma(d, scale, io.load(to)) : d * scale, to);
    sum_d += d;
    sum_dx = fma(d, vx - center, sum_dx);
  }
  io.store(sum_d, f.sum + channel);
  io.store(sum_dx, f.sum_sq + channel);
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
