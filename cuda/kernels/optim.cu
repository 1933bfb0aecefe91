// Optimiser steps, in one pass over a parameter and its state: every operand is read and written once. Many parameters
// are updated by one launch: a list of them travels with it, and each block takes pieces of 4096 elements.
#include <cmath>

#include "cuda/each.h"
#include "cuda/families.h"

namespace ar::cuda {
namespace {

// ---- the updates of one element ----

// d = g + decay p;  buffer = mu buffer + (1 - dampening) d;  p -= lr (nesterov ? d + mu buffer : buffer)
template <class T>
struct SgdUpdate {
  T lr, decay, mu, fresh;
  bool nesterov, first;
  AR_HD explicit SgdUpdate(const SgdParams& s)
      : lr(T(s.lr)),
        decay(T(s.weight_decay)),
        mu(T(s.momentum)),
        fresh(T(1 - s.dampening)),
        nesterov(s.nesterov),
        first(s.first_step) {}
  /// buffer null: no momentum.
  AR_HD void operator()(T& p, T g, T* buffer) const {
    const T old = p;
    T d = decay * old + g;
    if (buffer) {
      T& b = *buffer;
      b = first ? d : mu * b + fresh * d;
      d = nesterov ? d + mu * b : b;
    }
    p = old - lr * d;
  }
};

template <class T>
struct AdamUpdate {
  T shrink, decay, fresh1, beta2, fresh2, step, root_correction, eps;
  AR_HD explicit AdamUpdate(const AdamNumbers& a)
      : shrink(T(a.shrink)),
        decay(T(a.decay)),
        fresh1(T(a.fresh1)),
        beta2(T(a.beta2)),
        fresh2(T(a.fresh2)),
        step(T(a.step)),
        root_correction(T(a.root_correction)),
        eps(T(a.eps)) {}
  AR_HD void operator()(T& p, T g, T& m, T& v) const {
    const T old = p, d = decay * old + g;
    const T m1 = m + fresh1 * (d - m), v1 = beta2 * v + fresh2 * d * d;
    m = m1;
    v = v1;
    p = old * shrink - step * m1 / (T(::sqrt(v1)) * root_correction + eps);
  }
};

// ---- one parameter, however it lies ----

template <class T>
struct Sgd {
  SgdUpdate<T> update;
  T* p;
  const T* g;
  T* buffer;
  AR_HD void operator()(int64_t, const int64_t (&at)[3]) const {
    update(p[at[0]], g[at[1]], buffer ? buffer + at[2] : nullptr);
  }
};
template <class T>
void sgd(const SgdParams& s, const View& p, const View& g, const View& buffer) {
  const View& third = buffer.data ? buffer : p;
  each(make_walk<3>({&p, &g, &third}), Sgd<T>{SgdUpdate<T>(s), p.as<T>(), g.as<const T>(), buffer.as<T>()});
}

template <class T>
struct Adam {
  AdamUpdate<T> update;
  T* p;
  const T* g;
  T *m, *v;
  AR_HD void operator()(int64_t, const int64_t (&at)[4]) const { update(p[at[0]], g[at[1]], m[at[2]], v[at[3]]); }
};
template <class T>
void adam(const AdamParams& a, const View& p, const View& g, const View& m, const View& v) {
  each(make_walk<4>({&p, &g, &m, &v}),
       Adam<T>{AdamUpdate<T>(adam_numbers(a)), p.as<T>(), g.as<const T>(), m.as<T>(), v.as<T>()});
}

// ---- many ----

constexpr int kListed = 64;  // with them, a kernel's parameters stay below 4 KiB
constexpr int64_t kPiece = 4096;

struct TensorList {
  int count = 0;
  OptimTensors tensors[kListed];
  int64_t first_piece[kListed + 1] = {};

  AR_HD int64_t pieces() const { return first_piece[count]; }

  /// Elements begin .. end of a tensor.
  struct Piece {
    const OptimTensors& tensor;
    int64_t begin, end;
  };
  AR_HD Piece piece(int64_t index) const {
    int at = 0;
    for (int half = kListed / 2; half > 0; half /= 2)
      if (at + half < count && first_piece[at + half] <= index) at += half;
    const int64_t begin = (index - first_piece[at]) * kPiece, all = tensors[at].numel;
    return {tensors[at], begin, begin + kPiece < all ? begin + kPiece : all};
  }
};

/// f(list, pieces of the lists before) for lists of at most kListed of the tensors.
template <class F>
int64_t in_lists(int64_t count, const OptimTensors* tensors, const F& f) {
  int64_t before = 0;
  for (int64_t i = 0; i < count;) {
    TensorList list;
    for (; i < count && list.count < kListed; ++i) {
      if (tensors[i].numel == 0) continue;
      list.tensors[list.count] = tensors[i];
      list.first_piece[list.count + 1] = list.pieces() + (tensors[i].numel + kPiece - 1) / kPiece;
      ++list.count;
    }
    f(list, before);
    before += list.pieces();
  }
  return before;
}

/// F::Update is made once by each thread from f.numbers().
template <class F>
__global__ void __launch_bounds__(kThreads) update_kernel(TensorList list, F f) {
  const typename F::Update update(f.numbers());
  for (int64_t index = blockIdx.x; index < list.pieces(); index += gridDim.x) {
    const TensorList::Piece piece = list.piece(index);
    for (int64_t i = piece.begin + threadIdx.x; i < piece.end; i += kThreads) f(update, piece.tensor, i);
  }
}
template <class F>
void update_all(int64_t count, const OptimTensors* tensors, const F& f) {
  in_lists(count, tensors, [&](const TensorList& list, int64_t) {
    if (list.count) gpu::launch(update_kernel<F>, {gpu::blocks_for(list.pieces(), 1), kThreads, 0, stream()}, list, f);
  });
}

template <class T>
struct SgdMany {
  using Update = SgdUpdate<T>;
  SgdParams given;
  const SgdParams* live;
  AR_HD const SgdParams& numbers() const { return live ? *live : given; }
  AR_HD void operator()(const Update& update, const OptimTensors& t, int64_t i) const {
    T* const buffer = static_cast<T*>(t.state1);
    update(static_cast<T*>(t.p)[i], static_cast<const T*>(t.g)[i], buffer ? buffer + i : nullptr);
  }
};
template <class T>
void sgd_many(const SgdParams& s, const SgdParams* live, int64_t count, const OptimTensors* tensors) {
  update_all(count, tensors, SgdMany<T>{s, live});
}

template <class T>
struct AdamMany {
  using Update = AdamUpdate<T>;
  AdamNumbers given;
  const AdamNumbers* live;
  AR_HD const AdamNumbers& numbers() const { return live ? *live : given; }
  AR_HD void operator()(const Update& update, const OptimTensors& t, int64_t i) const {
    update(static_cast<T*>(t.p)[i], static_cast<const T*>(t.g)[i], static_cast<T*>(t.state1)[i],
           static_cast<T*>(t.state2)[i]);
  }
};
template <class T>
void adam_many(const AdamNumbers& a, const AdamNumbers* live, int64_t count, const OptimTensors* tensors) {
  update_all(count, tensors, AdamMany<T>{a, live});
}

// ---- clipping by the norm of all ----

enum class Norm { sum, square, power, largest };
struct NormOf {
  Norm kind;
  double power;
  AR_HD double join(double a, double b) const {
    if (kind != Norm::largest) return a + b;
    return a != a || a > b ? a : b;  // NaN stays
  }
  template <class T>
  AR_HD T term(T x) const {
    const T size = x < 0 ? -x : x;
    return kind == Norm::square ? x * x : kind == Norm::power ? T(::pow(double(size), power)) : size;
  }
};

/// The block's terms put together in a tree, in order; for thread 0.
__device__ inline double join_block(const NormOf& norm, double mine) {
  SHARED(tree, double[kThreads]);
  const int t = int(threadIdx.x);
  tree[t] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) tree[t] = norm.join(tree[t], tree[t + half]);
  }
  __syncthreads();  // then the tree may be used again: what thread 0 reads, it wrote
  return t == 0 ? tree[0] : 0;
}

template <class T>
__global__ void __launch_bounds__(kThreads) norm_pieces_kernel(TensorList list, NormOf norm, double* partial) {
  for (int64_t index = blockIdx.x; index < list.pieces(); index += gridDim.x) {
    const TensorList::Piece piece = list.piece(index);
    double mine = 0;
    for (int64_t i = piece.begin + threadIdx.x; i < piece.end; i += kThreads)
      mine = norm.join(mine, double(norm.term(static_cast<const T*>(piece.tensor.p)[i])));
    const double total = join_block(norm, mine);
    if (threadIdx.x == 0) partial[index] = total;
  }
}

__global__ void __launch_bounds__(kThreads)
    norm_total_kernel(int64_t pieces, NormOf norm, const double* partial, double* result) {
  double mine = 0;
  for (int64_t i = threadIdx.x; i < pieces; i += kThreads) mine = norm.join(mine, partial[i]);
  const double total = join_block(norm, mine);
  if (threadIdx.x != 0) return;
  *result = norm.kind == Norm::square ? ::sqrt(total) : norm.kind == Norm::power ? ::pow(total, 1 / norm.power) : total;
}

template <class T>
struct Clip {
  struct Update {
    double factor;
    AR_HD explicit Update(double f) : factor(f) {}
  };
  const double* norm;
  double max_norm;
  AR_HD double numbers() const { return max_norm / (*norm + 1e-6); }
  AR_HD void operator()(const Update& u, const OptimTensors& t, int64_t i) const {
    if (u.factor >= 1) return;  // not so for NaN, which spreads
    T& g = static_cast<T*>(t.p)[i];
    g = g * T(u.factor);
  }
};

template <class T>
void clip_norm(double power, double max_norm, int64_t count, const OptimTensors* tensors, double* result) {
  const NormOf norm{std::isinf(power) ? Norm::largest
                    : power == 1      ? Norm::sum
                    : power == 2      ? Norm::square
                                      : Norm::power,
                    power};
  const int64_t pieces = in_lists(count, tensors, [](const TensorList&, int64_t) {});
  const Scratch partial(pieces * int64_t(sizeof(double)));
  in_lists(count, tensors, [&](const TensorList& list, int64_t before) {
    if (list.count)
      gpu::launch(norm_pieces_kernel<T>, {gpu::blocks_for(list.pieces(), 1), kThreads, 0, stream()}, list, norm,
                  partial.as<double>() + before);
  });
  gpu::launch(norm_total_kernel, {1, kThreads, 0, stream()}, pieces, norm, partial.as<double>(), result);
  update_all(count, tensors, Clip<T>{result, max_norm});
}

}  // namespace

void add_optim(Kernels& k) {
  k.sgd = {.f32 = &sgd<float>, .f64 = &sgd<double>};
  k.adam = {.f32 = &adam<float>, .f64 = &adam<double>};
  k.sgd_many = {.f32 = &sgd_many<float>, .f64 = &sgd_many<double>};
  k.adam_many = {.f32 = &adam_many<float>, .f64 = &adam_many<double>};
  k.clip_norm = {.f32 = &clip_norm<float>, .f64 = &clip_norm<double>};
}

}  // namespace ar::cuda
