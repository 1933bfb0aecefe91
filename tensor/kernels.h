// The list of all that a device must provide: one struct of plain function pointers. Baseline, AVX2, AVX-512 (and CUDA)
// are instances of it. Whoever ports the library to a new device fills this in and is done.
//
// Rules. Shapes, dtypes and devices have been checked (tensor/ops*.cpp); kernels never throw. Views may be strided in
// any way unless said otherwise. Outputs never overlap inputs, except where "in place" is allowed. A null entry means
// "not on this device", and the caller reports it.
//
// Halves compute in f32, and only activations and their gradients are halves: beside x of bf16, weights, their
// gradients, biases and all numbers per channel are f32 (parameter_dtype). "The op's parameter type" below means that.
#pragma once
#include <cstdint>

#include "tensor/view.h"

namespace ar {

/// One function per element type; null where a device has none.
template <class F>
struct PerDtype {
  F* u8 = nullptr;
  F* i32 = nullptr;
  F* i64 = nullptr;
  F* f16 = nullptr;
  F* bf16 = nullptr;
  F* f32 = nullptr;
  F* f64 = nullptr;
  F* operator[](Dtype t) const {
    F* const all[kDtypes] = {u8, i32, i64, f16, bf16, f32, f64};
    return all[int(t)];
  }
};

// ---- elementwise ----

enum class UnaryOp : int {
  affine,      // a*x + b
  relu,        // max(x, 0), keeps NaN
  relu6,       // min(max(x, 0), 6)
  leaky_relu,  // x > 0 ? x : a*x
  sigmoid,     // 1 / (1 + e^-x)
  tanh,
  exp,
  log,
  sqrt,
  square,
  abs,
  reciprocal,
  clamp,  // min(max(x, a), b)
  count
};
/// The two numbers an elementwise op may need (slope, bounds, ...).
struct Params {
  double a = 0, b = 0;
};
enum class BinaryOp : int { add, sub, mul, div, max, min, count };

// ---- reductions ----

enum class ReduceOp : int { sum, max, min, count };

// ---- convolution ----

struct ConvParams {
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0;  // bottom and right follow from the shapes
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
};

enum class Activation : int { none, relu, relu6, leaky_relu };

/// What happens to a convolution's input as it is read, per input channel (arrays of the op's parameter type):
/// x' = activation(x * scale + shift). Zero padding is added after. scale null: nothing happens.
struct ConvReader {
  const void* scale = nullptr;
  const void* shift = nullptr;
  Activation activation = Activation::none;
  double slope = 0;  // of leaky_relu
};

/// What happens to its sums before they are stored, per output channel, in this order:
/// y = sum * scale + shift;  y += residual;  y = activation(y);  statistics (in the device's memory).
struct ConvEpilogue {
  const void* scale = nullptr;  // null: 1
  const void* shift = nullptr;  // null: 0 (a bias is a shift without scale)
  View residual;                // of y's shape; channel stride 1; may be y itself. data null: none
  Activation activation = Activation::none;
  double slope = 0;       // of leaky_relu
  double* sum = nullptr;  // [out channels], += the stored values over all pixels (f32 within a band of rows, then f64)
  double* sum_sq = nullptr;  // [out channels], += their squares
};

/// Gradient through x' = activation(x * scale + shift) on the way out of a data gradient. With g the gradient of x':
/// d = g * activation'(x * scale + shift);  gx (+)= d * scale;  sum_d += d;  sum_dx += d * (x - center).
struct ConvGate {
  View x;                       // of gx's shape; channel stride 1. data null: no gate
  const void* scale = nullptr;  // [in channels] of the op's parameter type
  const void* shift = nullptr;
  Activation activation = Activation::none;
  double slope = 0;              // of leaky_relu
  double* sum_d = nullptr;       // [in channels] in the device's memory, added to
  double* sum_dx = nullptr;      // [in channels], added to
  const void* center = nullptr;  // as scale; null: 0. With the channels' means, sum_dx does not cancel later
};

enum class ConvPack : int { forward, backward_data };

// ---- batch norm, Ioffe & Szegedy 2015: the numbers per channel (the arithmetic is in batch_norm_math.h) ----

/// From a batch's sums, or else the running statistics, to a scale and a shift. Arrays are [channels], of f64 or of the
/// parameter type. Where neither is given, mean 0 and var 1.
struct NormForward {
  int64_t channels = 0;
  int64_t count = 0;                                     // values of each channel
  const double *sum = nullptr, *sum_sq = nullptr;        // of x + offset over these; null: the running statistics serve
  const void* offset = nullptr;                          // parameter type; null: 0
  bool shifted = false;                                  // the results are for x + offset, not for x
  const void *weight = nullptr, *bias = nullptr;         // parameter type; null: 1 and 0
  void *running_mean = nullptr, *running_var = nullptr;  // parameter type
  bool update = false;                                   // moves the running statistics towards the batch's
  int64_t* batches = nullptr;                            // then: a single number that grows by 1; may be null
  double momentum = 0, eps = 0;
  double *mean = nullptr, *var = nullptr;                      // results
  void *scale = nullptr, *shift = nullptr, *center = nullptr;  // results of the parameter type; center is the mean
};

/// From the sums that a gate made to the gradients of weight and bias, and to the affine rest a + b x of the input's
/// gradient, which is there where mean and var are x's own. Arrays as above.
struct NormBackward {
  int64_t channels = 0, count = 0;
  const double *mean = nullptr, *var = nullptr, *sum_d = nullptr, *sum_dx = nullptr;
  const void* weight = nullptr;  // null: 1
  double eps = 0;
  void *g_weight = nullptr, *g_bias = nullptr;  // results of the parameter type
  void *a = nullptr, *b = nullptr;              // the same; null: not wanted
  double *rest_a = nullptr, *rest_b = nullptr;  // a and b are added to these; null: not wanted
};

// ---- pooling ----

struct PoolParams {
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  bool count_include_pad = true;  // average pooling's divisor
};

// ---- local response normalisation, Krizhevsky et al. 2012, section 3.3 ----

struct LrnParams {
  int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, k = 1;
};

// ---- LSTM ----

/// One layer of an LSTM over whole sequences, in one direction or in both (the second from each sequence's last step to
/// its first). Everything is dense and of one dtype. Times steps, batch and features or units, D directions:
struct LstmSequence {
  /// Gates in the order i, f, g, o. Both biases or neither (data null).
  struct Weights {
    View ih, hh, bias_ih, bias_hh;  // (4H,in), (4H,H), (4H), (4H)
  };
  int directions = 1;
  bool batch_first = false;  // x, y and their gradients lie in memory as (B,T,...) rather than (T,B,...)
  bool training = false;     // a backward pass may come
  Weights weights[2];
  View x;                            // (T,B,in)
  View h0, c0;                       // (D,B,H); data null: zeros
  View y;                            // (T,B,D*H), zero past each length
  View h, c;                         // (D,B,H), after each sequence's last step
  const int64_t* lengths = nullptr;  // [B] of the host, each in [1,T]; null: all T
};
/// Gradients of the results, and those of the operands to overwrite.
struct LstmSequenceGrads {
  View y, h, c;  // y (T,B,D*H), zero past each length; h, c (D,B,H)
  View x;        // (T,B,in); what lies past each length is not said
  View h0, c0;   // (D,B,H)
  bool weights_wanted = false;
  LstmSequence::Weights weights[2];
};

// ---- optimisers ----

struct SgdParams {
  double lr = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false, first_step = false;  // first_step: the buffer becomes the gradient, as PyTorch's does
};
struct AdamParams {
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;  // AdamW: p -= lr * weight_decay * p, rather than g += weight_decay * p
  int64_t step = 1;        // counted from 1
};

/// What an update needs of AdamParams, worked out once on the host (Kingma & Ba 2015; Loshchilov & Hutter 2019):
///   d = g + decay p;  m += (1 - beta1) (d - m);  v = beta2 v + (1 - beta2) d^2;
///   p = shrink p - step m / (sqrt(v) root_correction + eps)
struct AdamNumbers {
  double shrink, decay, fresh1, beta2, fresh2, step, root_correction, eps;
};
inline AdamNumbers adam_numbers(const AdamParams& a) {
  const double t = double(a.step), correction1 = 1 - __builtin_pow(a.beta1, t),
               correction2 = 1 - __builtin_pow(a.beta2, t);
  return {.shrink = a.decoupled ? 1 - a.lr * a.weight_decay : 1,
          .decay = a.decoupled ? 0 : a.weight_decay,
          .fresh1 = 1 - a.beta1,
          .beta2 = a.beta2,
          .fresh2 = 1 - a.beta2,
          .step = a.lr / correction1,
          .root_correction = 1 / __builtin_sqrt(correction2),
          .eps = a.eps};
}

/// One of many parameters that are updated together: dense, all operands in one order in memory.
struct OptimTensors {
  int64_t numel = 0;
  void* p = nullptr;
  const void* g = nullptr;
  void *state1 = nullptr, *state2 = nullptr;  // buffer; or m and v
};

/// 64-bit key and counter of Philox-4x32-10 (Salmon et al. 2011): element i of the logical (row-major) order draws
/// number i of the stream, so masks and weights do not depend on device, layout or thread count.
struct PhiloxState {
  uint64_t seed = 0, offset = 0;
  const PhiloxState* live = nullptr;  // device memory: the state to use in place of this one; see LiveNumbers
};

// ---- images and video ----

/// Which part of a frame is read: height and width are the output's. Mirrored after the cut.
struct FrameWindow {
  int64_t top = 0, left = 0;
  bool flip = false;
  friend bool operator==(const FrameWindow&, const FrameWindow&) = default;
};
/// y[c] = x[c] * scale[c] + shift[c]
struct FrameTransform {
  double scale[3], shift[3];
  const FrameWindow* windows = nullptr;  // one for each sample; null: all begin at (0,0)
};

struct Kernels {
  const char* name = "";

  // Memory. Same shape, any dtypes (a float to an integer truncates).
  void (*copy)(const View& x, const View& y) = nullptr;
  void (*fill)(const View& y, double value) = nullptr;

  // Elementwise; x, y (and saved, gy, gx) of one shape and dtype, in place allowed. `saved` is x or y, as
  // unary_saves_output() tells. Binary: broadcasting has been turned into zero strides.
  PerDtype<void(UnaryOp, Params, const View& x, const View& y)> unary;
  PerDtype<void(UnaryOp, Params, const View& saved, const View& gy, const View& gx)> unary_backward;
  PerDtype<void(BinaryOp, const View& a, const View& b, const View& y)> binary;
  /// y = a*x + b*y
  PerDtype<void(double a, const View& x, double b, const View& y)> axpby;
  /// y = keep(i) ? x / (1-p) : 0, where keep draws from Philox. p < 1. In place allowed.
  PerDtype<void(double p, PhiloxState, const View& x, const View& y)> dropout;
  /// U[lo, hi) and N(mean, std^2).
  PerDtype<void(double lo, double hi, PhiloxState, const View& y)> uniform;
  PerDtype<void(double mean, double std, PhiloxState, const View& y)> normal;
  /// flag |= any element is NaN or infinite.
  PerDtype<void(const View& x, bool* flag)> any_nonfinite;

  // Reductions: y has x's rank, with size 1 where x is reduced. arg_max: along dim, y i64; first of equals, NaN wins.
  PerDtype<void(ReduceOp, const View& x, const View& y)> reduce;
  PerDtype<void(int dim, const View& x, const View& y)> arg_max;

  /// c[b] = a[b] * bm[b] (+ c[b]): (B,M,K) x (B,K,N) -> (B,M,N), any strides.
  PerDtype<void(const View& a, const View& bm, const View& c, bool accumulate)> gemm;

  // Convolution. x (N,C,H,W), w (O,C/groups,KH,KW), y (N,O,OH,OW). x, y and their gradients have channel stride 1
  // (channels last, or a channel range of a wider channels-last tensor); N, H, W strides are free. w has any strides.
  // `packed` is w in the device's own order and type, made by conv2d_pack; conv2d_packed_size gives its bytes (0: uses
  // w itself). These are by x's dtype; w is of the parameter type.
  PerDtype<int64_t(ConvPack, const ConvParams&, const View& w)> conv2d_packed_size;
  PerDtype<void(ConvPack, const ConvParams&, const View& w, void* packed)> conv2d_pack;
  PerDtype<void(const ConvParams&, const View& x, const View& w, const void* packed, const View& y, const ConvReader&,
                const ConvEpilogue&)>
      conv2d;
  /// gx (+)= gate(conv_transpose(gy, w)); accumulate: adds to what gx holds.
  PerDtype<void(const ConvParams&, const View& gy, const View& w, const void* packed, const View& gx, bool accumulate,
                const ConvGate&)>
      conv2d_backward_data;
  /// gw (+)= sum over pixels of reader(x) and gy. gw has w's shape, any strides.
  PerDtype<void(const ConvParams&, const View& x, const View& gy, const View& gw, bool accumulate, const ConvReader&)>
      conv2d_backward_weight;

  // Per-channel passes; x (N,C,...) of rank 2..5 with channel dimension 1. scale, shift, a, b: [C] of the parameter
  // type.
  /// sum[c] += x, sum_sq[c] += x^2 (either may be null), in the device's memory.
  PerDtype<void(const View& x, double* sum, double* sum_sq)> channel_sums;
  /// y = activation(x * scale + shift + residual); residual data null: 0; slope: of leaky_relu. In place allowed.
  PerDtype<void(const View& x, const void* scale, const void* shift, const View& residual, Activation, double slope,
                const View& y)>
      channel_affine;
  /// The arithmetic of ConvGate on a gradient g that is there already: gx (+)= d * scale, sums. In place (gx == g)
  /// allowed.
  PerDtype<void(const View& g, const View& gx, bool accumulate, const ConvGate&)> channel_gate;
  /// y += a + b * x
  PerDtype<void(const View& x, const void* a, const void* b, const View& y)> channel_affine_add;

  /// Batch norm's numbers per channel; by the parameter type.
  PerDtype<void(const NormForward&)> norm_forward;
  PerDtype<void(const NormBackward&)> norm_backward;

  // A DenseNet transition pools before its 1x1 convolution (they commute): y = mean over 2x2 of relu(x * scale +
  // shift).
  PerDtype<void(const View& x, const void* scale, const void* shift, const View& y)> norm_relu_pool2;
  /// Its gradient, gated like ConvGate: gx (+)= d * scale with d the gated gy / 4.
  PerDtype<void(const View& gy, const View& gx, bool accumulate, const ConvGate&)> norm_relu_pool2_backward;

  // Pooling, (N,C,H,W). indices: i32, h * W + w of the chosen pixel within the plane (as PyTorch's), of y's shape; data
  // null: not asked for.
  PerDtype<void(const PoolParams&, const View& x, const View& y, const View& indices)> max_pool2d;
  /// Overwrites gx.
  PerDtype<void(const PoolParams&, const View& gy, const View& indices, const View& gx)> max_pool2d_backward;
  PerDtype<void(const PoolParams&, const View& x, const View& y)> avg_pool2d;
  PerDtype<void(const PoolParams&, const View& gy, const View& gx)> avg_pool2d_backward;  // overwrites gx
  /// Output pixel (i,j) is the mean of rows floor(i*H/OH) .. ceil((i+1)*H/OH), columns likewise.
  PerDtype<void(const View& x, const View& y)> adaptive_avg_pool2d;
  PerDtype<void(const View& gy, const View& gx)> adaptive_avg_pool2d_backward;  // overwrites gx

  // y = x / (k + alpha/size * sum of x^2 over `size` neighbouring channels)^beta
  PerDtype<void(const LrnParams&, const View& x, const View& y)> lrn;
  PerDtype<void(const LrnParams&, const View& x, const View& gy, const View& gx)> lrn_backward;

  // Softmax along dim. backward: softmax gx = y * (gy - sum(gy*y)); log: gx = gy - exp(y) * sum(gy).
  PerDtype<void(int dim, bool log, const View& x, const View& y)> softmax;
  PerDtype<void(int dim, bool log, const View& y, const View& gy, const View& gx)> softmax_backward;

  /// Picks x[n, target[n], rest] into y[n, rest]; target i64 of y's shape; negative targets give 0.
  PerDtype<void(const View& x, const View& target, const View& y)> pick;
  /// gx[n, target[n], rest] += gy[n, rest].
  PerDtype<void(const View& gy, const View& target, const View& gx)> pick_backward;

  // One LSTM step (Hochreiter & Schmidhuber 1997, with forget gate; PyTorch's gate order i, f, g, o). gates (B,4H): in,
  // the sums W x + U h + b; out, the activated gates. c = f*c_prev + i*g; h = o*tanh(c). Rows with active[b] == 0 (i64
  // or data null: all active) keep c_prev and h_prev. All with unit stride in the last dimension.
  PerDtype<void(const View& gates, const View& c_prev, const View& h_prev, const View& active, const View& c,
                const View& h)>
      lstm_cell;
  /// gh, gc: gradients of h and c; overwrites ggates (B,4H; of the sums) and gc_prev, and gh_prev with what passes
  /// inactive rows by (0 for active ones).
  PerDtype<void(const View& gates, const View& c_prev, const View& c, const View& active, const View& gh,
                const View& gc, const View& ggates, const View& gc_prev, const View& gh_prev)>
      lstm_cell_backward;
  // Whole sequences at once, where a device's library does that; null where none does, and any call may be declined:
  // then they are done step by step. The first tells how many bytes a training pass leaves for the backward pass, or -1
  // (declined); then the second gets so many, and false means declined. The third writes into what was left.
  int64_t (*lstm_sequence_memory)(const LstmSequence&) = nullptr;
  bool (*lstm_sequence)(const LstmSequence&, void* left) = nullptr;
  void (*lstm_sequence_backward)(const LstmSequence&, void* left, const LstmSequenceGrads&) = nullptr;

  /// x u8 (B,3,T,H,W) of any strides -> y (B,3,T,OH,OW) with channel stride 1 and pixel stride 3.
  PerDtype<void(const View& x, const FrameTransform&, const View& y)> normalize_frames;

  // Optimisers, in place on dense views of one shape; `buffer` data null: no momentum.
  PerDtype<void(const SgdParams&, const View& p, const View& g, const View& buffer)> sgd;
  PerDtype<void(const AdamParams&, const View& p, const View& g, const View& m, const View& v)> adam;
  // Many parameters in one call, where calls are dear; null where they are not. `live`: device memory that holds the
  // numbers to use in place of those given (null: those given), see LiveNumbers.
  PerDtype<void(const SgdParams&, const SgdParams* live, int64_t count, const OptimTensors*)> sgd_many;
  PerDtype<void(const AdamNumbers&, const AdamNumbers* live, int64_t count, const OptimTensors*)> adam_many;
  /// norm = (sum over all elements p of |p|^power)^(1/power), the largest |p| for power = infinity; with f = max_norm /
  /// (norm + 1e-6) < 1 or NaN, all p are multiplied by f. norm: one f64 in the device's memory; g is not used.
  PerDtype<void(double power, double max_norm, int64_t count, const OptimTensors*, double* norm)> clip_norm;
};

/// Which of x and y the gradient of an op reads.
constexpr bool unary_saves_output(UnaryOp op) {
  switch (op) {
    case UnaryOp::relu:
    case UnaryOp::relu6:
    case UnaryOp::sigmoid:
    case UnaryOp::tanh:
    case UnaryOp::exp:
    case UnaryOp::sqrt:
    case UnaryOp::reciprocal:
      return true;
    default:
      return false;
  }
}

}  // namespace ar
