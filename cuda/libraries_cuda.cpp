// cuBLAS and cuDNN behind libraries.h; compiled by the host compiler.
#include "cuda/libraries.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "cuda/context.h"
#include "cuda/switches.h"
#include "tensor/error.h"

namespace ar::cuda {
namespace {

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("cuda: cuBLAS, ", what, ": ", cublasGetStatusString(status));
}
void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS) fail("cuda: cuDNN, ", what, ": ", cudnnGetErrorString(status));
}

/// The handles serve one thread at a time.
std::mutex one_caller;

/// With AR_CUDA_SYNC=1 an error names the call that made it.
void queued(const char* what) {
  if (gpu::synchronous()) gpu::check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream().handle)), what);
}

/// AR_CUDA_TF32=1: f32 products round their factors to 10 bits, several times faster.
bool tf32() {
  static const bool on = switched_on("AR_CUDA_TF32");
  return on;
}
/// AR_CUDA_OWN=1: our own kernels instead of the libraries', to compare.
bool own_only() {
  static const bool on = switched_on("AR_CUDA_OWN");
  return on;
}
/// AR_DETERMINISTIC=1: only algorithms that give the same bits every time.
bool deterministic() {
  static const bool on = switched_on("AR_DETERMINISTIC");
  return on;
}

/// The factors of a result that is written (1 and 0) or added to (1 and 1), in the type that is computed in.
struct Factors {
  Factors(Dtype t, bool accumulate) : f64(t == Dtype::f64), beta_f(accumulate ? 1 : 0), beta_d(accumulate ? 1 : 0) {}
  const void* alpha() const { return f64 ? static_cast<const void*>(&one_d) : &one_f; }
  const void* beta() const { return f64 ? static_cast<const void*>(&beta_d) : &beta_f; }

 private:
  bool f64;
  float one_f = 1, beta_f;
  double one_d = 1, beta_d;
};

// ---- cuBLAS ----

cublasHandle_t blas() {
  static const cublasHandle_t handle = [] {
    cublasHandle_t h;
    check(cublasCreate(&h), "start");
    check(cublasSetStream(h, static_cast<cudaStream_t>(stream().handle)), "choice of the stream");
    // Without memory of ours, recorded products would allocate theirs each time: nodes of the graph. 32 MiB is what
    // cuBLAS recommends for Hopper. Set after the stream, which resets it; kept for as long as the process lives.
    constexpr std::size_t kWorkspace = 32 << 20;
    if (void* const workspace = gpu::allocate(kWorkspace))
      check(cublasSetWorkspace(h, workspace, kWorkspace), "memory to work with");
    // Parts of a sum over k are added in f32, as everywhere here, not in the result's bf16.
    check(cublasSetMathMode(h, cublasMath_t(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
          "kind of arithmetic");
    return h;
  }();
  return handle;
}

/// A row-major matrix is a column-major transposed one. cuBLAS takes either with one unit step.
struct Operand {
  cublasOperation_t operation;
  int64_t leading;
};
std::optional<Operand> transposed(const Product::Matrix& x, int64_t rows, int64_t columns) {
  if ((x.column_step == 1 || columns == 1) && (rows == 1 || x.row_step >= columns))
    return Operand{CUBLAS_OP_N, rows == 1 ? columns : x.row_step};
  if ((x.row_step == 1 || rows == 1) && (columns == 1 || x.column_step >= rows))
    return Operand{CUBLAS_OP_T, columns == 1 ? rows : x.column_step};
  return {};
}
Product::Matrix swapped(const Product::Matrix& x) { return {x.data, x.batch_step, x.column_step, x.row_step}; }

cudaDataType_t blas_type(Dtype t) { return t == Dtype::bf16 ? CUDA_R_16BF : t == Dtype::f32 ? CUDA_R_32F : CUDA_R_64F; }

// ---- cuDNN ----

cudnnHandle_t dnn() {
  static const cudnnHandle_t handle = [] {
    cudnnHandle_t h;
    check(cudnnCreate(&h), "start");
    check(cudnnSetStream(h, static_cast<cudaStream_t>(stream().handle)), "choice of the stream");
    return h;
  }();
  return handle;
}

cudnnDataType_t dnn_type(Dtype t) {
  return t == Dtype::bf16 ? CUDNN_DATA_BFLOAT16 : t == Dtype::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_DOUBLE;
}

cudnnTensorDescriptor_t describe(const View& v) {
  cudnnTensorDescriptor_t d;
  check(cudnnCreateTensorDescriptor(&d), "a tensor");
  // Strides of size-1 dimensions mean nothing to us, but something to its search for kernels.
  int step[4] = {int(v.strides[0]), 1, int(v.strides[2]), int(v.strides[3])};
  if (v.shape[3] == 1) step[3] = int(v.shape[1]);
  if (v.shape[2] == 1) step[2] = int(v.shape[3]) * step[3];
  if (v.shape[0] == 1) step[0] = int(v.shape[2]) * step[2];
  check(cudnnSetTensor4dDescriptorEx(d, dnn_type(v.dtype), int(v.shape[0]), int(v.shape[1]), int(v.shape[2]),
                                     int(v.shape[3]), step[0], step[1], step[2], step[3]),
        "a tensor's shape");
  return d;
}

/// What a convolution needs besides its data; made once for each shape and kept.
struct Plan {
  struct Algorithm {
    int number;
    cudnnMathType_t math;
    std::size_t workspace;
  };
  std::vector<Algorithm> algorithms;  // those that may be used, in the order of the heuristics' proposals
  cudnnTensorDescriptor_t x, y;
  cudnnFilterDescriptor_t w;
  cudnnConvolutionDescriptor_t conv;
};

/// Not done, as opposed to done wrongly: for a shape, for strides, for where memory begins. Parts of cuDNN that are not
/// installed are an error: everything would run on plain kernels, and nobody would know why it is slow.
bool declined(cudnnStatus_t status) {
  if (status == CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE) return false;
  return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED ||
         status == CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
}

/// get_count, get and get_workspace are cudnnGetConvolution...AlgorithmMaxCount, ..._v7 and ...WorkspaceSize of a pass,
/// the last two with the plan's descriptors. A proposal's own memory is not always what its run wants: cuDNN 9.26 says
/// 0 for depthwise halves, and then refuses to run in it.
template <class Performance, class Get, class GetWorkspace>
void propose(Plan& plan, cudnnStatus_t (*get_count)(cudnnHandle_t, int*), bool plain_f32, const Get& get,
             const GetWorkspace& get_workspace) {
  int most = 0, count = 0;
  check(get_count(dnn(), &most), "number of algorithms");
  std::vector<Performance> found(std::size_t(most), Performance{});
  const cudnnStatus_t status = get(most, &count, found.data());
  if (declined(status)) return;
  check(status, "proposals for a convolution");
  found.resize(std::size_t(count));
  for (const Performance& p : found) {
    if (p.status != CUDNN_STATUS_SUCCESS || (deterministic() && p.determinism != CUDNN_DETERMINISTIC)) continue;
    if (plain_f32 && p.mathType != CUDNN_FMA_MATH) continue;  // the default kind of arithmetic may round to tf32
    check(cudnnSetConvolutionMathType(plan.conv, p.mathType), "kind of arithmetic");
    std::size_t bytes = 0;
    if (get_workspace(p.algo, &bytes) != CUDNN_STATUS_SUCCESS) continue;
    plan.algorithms.push_back({int(p.algo), p.mathType, std::max(bytes, p.memory)});
  }
}

Plan make_plan(Pass pass, const ConvParams& c, const View& x, const View& w, const View& y) {
  Plan plan;
  plan.x = describe(x), plan.y = describe(y);
  check(cudnnCreateFilterDescriptor(&plan.w), "weights");
  check(cudnnSetFilter4dDescriptor(plan.w, dnn_type(x.dtype), CUDNN_TENSOR_NHWC, int(w.shape[0]), int(w.shape[1]),
                                   int(w.shape[2]), int(w.shape[3])),
        "the weights' shape");
  check(cudnnCreateConvolutionDescriptor(&plan.conv), "a convolution");
  const cudnnDataType_t compute = x.dtype == Dtype::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
  check(cudnnSetConvolution2dDescriptor(plan.conv, int(c.pad_top), int(c.pad_left), int(c.stride_h), int(c.stride_w),
                                        int(c.dilation_h), int(c.dilation_w), CUDNN_CROSS_CORRELATION, compute),
        "a convolution's shape");
  check(cudnnSetConvolutionGroupCount(plan.conv, int(c.groups)), "groups");
  const bool plain_f32 = x.dtype == Dtype::f32 && !tf32(), plain = plain_f32 || x.dtype == Dtype::f64;
  check(cudnnSetConvolutionMathType(plan.conv, plain ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH), "kind of arithmetic");
  int n = 0, c_out = 0, h = 0, width = 0;
  if (cudnnGetConvolution2dForwardOutputDim(plan.conv, plan.x, plan.w, &n, &c_out, &h, &width) != CUDNN_STATUS_SUCCESS)
    return plan;
  if (h != y.shape[2] || width != y.shape[3]) return plan;  // padded differently on opposite sides

  if (pass == Pass::forward)
    propose<cudnnConvolutionFwdAlgoPerf_t>(
        plan, cudnnGetConvolutionForwardAlgorithmMaxCount, plain_f32,
        [&](int most, int* count, auto* found) {
          return cudnnGetConvolutionForwardAlgorithm_v7(dnn(), plan.x, plan.w, plan.conv, plan.y, most, count, found);
        },
        [&](auto a, std::size_t* bytes) {
          return cudnnGetConvolutionForwardWorkspaceSize(dnn(), plan.x, plan.w, plan.conv, plan.y, a, bytes);
        });
  else if (pass == Pass::backward_data)
    propose<cudnnConvolutionBwdDataAlgoPerf_t>(
        plan, cudnnGetConvolutionBackwardDataAlgorithmMaxCount, plain_f32,
        [&](int most, int* count, auto* found) {
          return cudnnGetConvolutionBackwardDataAlgorithm_v7(dnn(), plan.w, plan.y, plan.conv, plan.x, most, count,
                                                             found);
        },
        [&](auto a, std::size_t* bytes) {
          return cudnnGetConvolutionBackwardDataWorkspaceSize(dnn(), plan.w, plan.y, plan.conv, plan.x, a, bytes);
        });
  else
    propose<cudnnConvolutionBwdFilterAlgoPerf_t>(
        plan, cudnnGetConvolutionBackwardFilterAlgorithmMaxCount, plain_f32,
        [&](int most, int* count, auto* found) {
          return cudnnGetConvolutionBackwardFilterAlgorithm_v7(dnn(), plan.x, plan.y, plan.conv, plan.w, most, count,
                                                               found);
        },
        [&](auto a, std::size_t* bytes) {
          return cudnnGetConvolutionBackwardFilterWorkspaceSize(dnn(), plan.x, plan.y, plan.conv, plan.w, a, bytes);
        });
  return plan;
}

/// Called by one thread at a time. What cuDNN then declines is no longer in the plan: so there is one for each
/// alignment, and one for adding.
Plan& plan_for(Pass pass, const ConvParams& c, const View& x, const View& w, const View& y, bool accumulate) {
  static std::map<std::vector<int64_t>, Plan> plans;
  std::vector<int64_t> key{int64_t(pass), int64_t(x.dtype), c.stride_h,   c.stride_w, c.pad_top,
                           c.pad_left,    c.dilation_h,     c.dilation_w, c.groups,   accumulate};
  for (const View* v : {&x, &w, &y}) {
    key.insert(key.end(), v->shape, v->shape + 4);
    key.insert(key.end(), v->strides, v->strides + 4);
    key.push_back(int64_t(reinterpret_cast<std::uintptr_t>(v->data) % 16 == 0));
  }
  auto found = plans.find(key);
  if (found == plans.end()) found = plans.emplace(std::move(key), make_plan(pass, c, x, w, y)).first;
  return found->second;
}

/// Can cuDNN be told of these images? Not of empty ones, nor of some that are one in memory (stride 0) or reversed.
bool describable(const View& v) {
  int64_t last = 0;
  for (int d = 0; d < v.rank; ++d) {
    if (v.shape[d] < 1 || (v.shape[d] > 1 && v.strides[d] < 1)) return false;
    last += (v.shape[d] - 1) * v.strides[d];
  }
  return last < (int64_t(1) << 31) && (v.shape[1] == 1 || v.strides[1] == 1);
}

cudnnStatus_t convolve(Pass pass, const Plan& plan, const Plan::Algorithm& a, const Scratch& workspace, const View& x,
                       const View& w, const View& y, bool accumulate) {
  const Factors factors(x.dtype, accumulate);
  const void *alpha = factors.alpha(), *beta = factors.beta();
  check(cudnnSetConvolutionMathType(plan.conv, a.math), "kind of arithmetic");
  if (pass == Pass::forward)
    return cudnnConvolutionForward(dnn(), alpha, plan.x, x.data, plan.w, w.data, plan.conv,
                                   cudnnConvolutionFwdAlgo_t(a.number), workspace.as<void>(), a.workspace, beta, plan.y,
                                   y.data);
  if (pass == Pass::backward_data)
    return cudnnConvolutionBackwardData(dnn(), alpha, plan.w, w.data, plan.y, y.data, plan.conv,
                                        cudnnConvolutionBwdDataAlgo_t(a.number), workspace.as<void>(), a.workspace,
                                        beta, plan.x, x.data);
  return cudnnConvolutionBackwardFilter(dnn(), alpha, plan.x, x.data, plan.y, y.data, plan.conv,
                                        cudnnConvolutionBwdFilterAlgo_t(a.number), workspace.as<void>(), a.workspace,
                                        beta, plan.w, w.data);
}

// ---- LSTM ----

/// A descriptor of cuDNN's for the time of a scope.
template <class T, cudnnStatus_t (*create)(T*), cudnnStatus_t (*destroy)(T)>
class Owned {
 public:
  Owned() { check(create(&descriptor_), "a descriptor"); }
  ~Owned() { destroy(descriptor_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  operator T() const { return descriptor_; }

 private:
  T descriptor_;
};
using TensorDescriptor = Owned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using SequenceDescriptor = Owned<cudnnRNNDataDescriptor_t, cudnnCreateRNNDataDescriptor, cudnnDestroyRNNDataDescriptor>;

/// What cuDNN wants to know of an LSTM layer; cheap to make, as all of it is the host's.
struct LstmDescription {
  Owned<cudnnRNNDescriptor_t, cudnnCreateRNNDescriptor, cudnnDestroyRNNDescriptor> lstm;
  Owned<cudnnDropoutDescriptor_t, cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor> no_dropout;
  SequenceDescriptor x, y;
  TensorDescriptor states;
  cudnnForwardMode_t mode;
  cudnnStatus_t status;  // whether it can do that

  explicit LstmDescription(const LstmSequence& s)
      : mode(s.training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE), status(describe(s)) {}

 private:
  cudnnStatus_t describe(const LstmSequence& s) {
    const int steps = int(s.x.shape[0]), batch = int(s.x.shape[1]), in = int(s.x.shape[2]), hidden = int(s.h.shape[2]);
    const cudnnDataType_t type = dnn_type(s.x.dtype), compute = s.x.dtype == Dtype::f64 ? type : CUDNN_DATA_FLOAT;
    const cudnnMathType_t math = s.x.dtype == Dtype::bf16            ? CUDNN_TENSOR_OP_MATH
                                 : s.x.dtype == Dtype::f32 && tf32() ? CUDNN_DEFAULT_MATH
                                                                     : CUDNN_FMA_MATH;
    if (const auto bad = cudnnSetDropoutDescriptor(no_dropout, dnn(), 0, nullptr, 0, 0)) return bad;
    if (const auto bad = cudnnSetRNNDescriptor_v8(lstm, CUDNN_RNN_ALGO_STANDARD, CUDNN_LSTM,
                                                  s.weights[0].bias_ih.data ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_NO_BIAS,
                                                  s.directions == 2 ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL,
                                                  CUDNN_LINEAR_INPUT, type, compute, math, in, hidden, hidden, 1,
                                                  no_dropout, CUDNN_RNN_PADDED_IO_ENABLED))
      return bad;
    const cudnnRNNDataLayout_t layout =
        s.batch_first ? CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED : CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;
    const std::vector<int> lengths =
        s.lengths ? std::vector<int>(s.lengths, s.lengths + batch) : std::vector<int>(std::size_t(batch), steps);
    double zero = 0;  // of any type
    if (const auto bad = cudnnSetRNNDataDescriptor(x, type, layout, steps, batch, in, lengths.data(), &zero))
      return bad;
    if (const auto bad =
            cudnnSetRNNDataDescriptor(y, type, layout, steps, batch, s.directions * hidden, lengths.data(), &zero))
      return bad;
    const int shape[] = {s.directions, batch, hidden}, strides[] = {batch * hidden, hidden, 1};
    return cudnnSetTensorNdDescriptor(states, type, 3, shape, strides);
  }
};

}  // namespace

void prepare_libraries() {
  std::lock_guard lock(one_caller);
  blas(), dnn();
  if (own_only()) return;
  const View x{nullptr, Dtype::f32, 4, {1, 32, 8, 8}, {2048, 1, 256, 32}};
  const View w{nullptr, Dtype::f32, 4, {32, 32, 3, 3}, {288, 1, 96, 32}};
  AR_CHECK(
      !plan_for(Pass::forward, ConvParams{.pad_top = 1, .pad_left = 1}, x, w, x, false).algorithms.empty(),
      "cuda: cuDNN can do no ordinary convolution here: are all of its libraries installed (libcudnn_engines_...)? "
      "AR_CUDA_OWN=1 does without, slowly");
}

bool library_product(const Product& p) {
  if (own_only() || p.k == 0) return false;
  if (p.c.column_step != 1 && p.n != 1) {  // c^T = b^T a^T
    if (p.c.row_step != 1) return false;
    return library_product(
        {p.dtype, p.c_dtype, p.batch, p.n, p.m, p.k, swapped(p.b), swapped(p.a), swapped(p.c), p.accumulate});
  }
  const auto a = transposed(p.a, p.m, p.k), b = transposed(p.b, p.k, p.n), c = transposed(p.c, p.m, p.n);
  if (!a || !b || !c || c->operation != CUBLAS_OP_N) return false;
  const Factors factors(p.dtype, p.accumulate);
  const cublasComputeType_t compute = p.dtype == Dtype::f64             ? CUBLAS_COMPUTE_64F
                                      : p.dtype == Dtype::f32 && tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                        : CUBLAS_COMPUTE_32F;
  std::lock_guard lock(one_caller);
  const cublasStatus_t status = cublasGemmStridedBatchedEx_64(
      blas(), b->operation, a->operation, p.n, p.m, p.k, factors.alpha(), p.b.data, blas_type(p.dtype), b->leading,
      p.b.batch_step, p.a.data, blas_type(p.dtype), a->leading, p.a.batch_step, factors.beta(), p.c.data,
      blas_type(p.c_dtype), c->leading, p.c.batch_step, p.batch, compute, CUBLAS_GEMM_DEFAULT);
  const bool unsupported = status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_ARCH_MISMATCH;
  if (unsupported && p.dtype == Dtype::bf16) return false;  // on Turing
  check(status, "product");
  queued("product by cuBLAS");
  return true;
}

bool library_convolution(Pass pass, const ConvParams& c, const View& x, const View& w, const View& y, bool accumulate) {
  if (own_only() || !describable(x) || !describable(y)) return false;
  std::lock_guard lock(one_caller);
  Plan& plan = plan_for(pass, c, x, w, y, accumulate);
  for (auto a = plan.algorithms.begin(); a != plan.algorithms.end();) {
    // Where memory is short, this time an algorithm that works in less.
    const Scratch workspace(int64_t(a->workspace), a + 1 < plan.algorithms.end() ? Shortage::null : Shortage::error);
    if (a->workspace > 0 && !workspace.as<void>()) {
      ++a;
      continue;
    }
    const cudnnStatus_t status = convolve(pass, plan, *a, workspace, x, w, y, accumulate);
    if (!declined(status)) {
      check(status, "convolution");
      queued("convolution by cuDNN");
      return true;
    }
    a = plan.algorithms.erase(a);
  }
  return false;
}

// Its products may use several streams, which makes the bits depend on chance.
LstmMemory library_lstm_memory(const LstmSequence& s) {
  if (own_only() || deterministic()) return {};
  const int64_t most = std::numeric_limits<int>::max();
  if (s.x.numel() > most || s.y.numel() > most) return {};
  std::lock_guard lock(one_caller);
  const LstmDescription d(s);
  std::size_t weights = 0, work = 0, left = 0;
  if (d.status != CUDNN_STATUS_SUCCESS || cudnnGetRNNWeightSpaceSize(dnn(), d.lstm, &weights) != CUDNN_STATUS_SUCCESS ||
      cudnnGetRNNTempSpaceSizes(dnn(), d.lstm, d.mode, d.x, &work, &left) != CUDNN_STATUS_SUCCESS)
    return {};
  return {.taken = true, .weights = int64_t(weights), .work = int64_t(work), .left = s.training ? int64_t(left) : 0};
}

LstmPlaces library_lstm_places(const LstmSequence& s, void* weights) {
  std::lock_guard lock(one_caller);
  const LstmDescription d(s);
  std::size_t bytes = 0;
  check(cudnnGetRNNWeightSpaceSize(dnn(), d.lstm, &bytes), "size of an LSTM's weights");
  const TensorDescriptor matrix, bias;
  LstmPlaces places;
  for (int direction = 0; direction < s.directions; ++direction)
    for (int gate = 0; gate < 8; ++gate) {
      LstmPlace& place = places[std::size_t(direction)][std::size_t(gate)];
      check(cudnnGetRNNWeightParams(dnn(), d.lstm, direction, bytes, weights, gate, matrix, &place.matrix, bias,
                                    &place.bias),
            "places of an LSTM's weights");
    }
  return places;
}

bool library_lstm(const LstmOperands& o) {
  const LstmSequence& s = o.sequence;
  std::lock_guard lock(one_caller);
  const LstmDescription d(s);
  const cudnnStatus_t status =
      cudnnRNNForward(dnn(), d.lstm, d.mode, o.lengths, d.x, s.x.data, d.y, s.y.data, d.states, s.h0.data, s.h.data,
                      d.states, s.c0.data, s.c.data, std::size_t(o.memory.weights), o.weights,
                      std::size_t(o.memory.work), o.work, std::size_t(o.memory.left), o.left);
  if (declined(status)) return false;
  check(status, "lstm");
  queued("lstm by cuDNN");
  return true;
}

void library_lstm_backward(const LstmOperands& o, const LstmSequenceGrads& g, void* g_weights) {
  const LstmSequence& s = o.sequence;
  std::lock_guard lock(one_caller);
  const LstmDescription d(s);
  check(cudnnRNNBackwardData_v8(dnn(), d.lstm, o.lengths, d.y, s.y.data, g.y.data, d.x, g.x.data, d.states, s.h0.data,
                                g.h.data, g.h0.data, d.states, s.c0.data, g.c.data, g.c0.data,
                                std::size_t(o.memory.weights), o.weights, std::size_t(o.memory.work), o.work,
                                std::size_t(o.memory.left), o.left),
        "lstm_backward");
  queued("lstm_backward by cuDNN");
  if (!g_weights) return;
  check(cudnnRNNBackwardWeights_v8(dnn(), d.lstm, CUDNN_WGRAD_MODE_ADD, o.lengths, d.x, s.x.data, d.states, s.h0.data,
                                   d.y, s.y.data, std::size_t(o.memory.weights), g_weights, std::size_t(o.memory.work),
                                   o.work, std::size_t(o.memory.left), o.left),
        "lstm_backward_weights");
  queued("lstm_backward_weights by cuDNN");
}

}  // namespace ar::cuda
