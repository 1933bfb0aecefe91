// Convolution. What surrounds one (reader, epilogue, gate) are passes of their own here; the convolution itself is a
// matrix product where it is one (1x1: the rows are the pixels, a leading dimension skips the channels that are not
// read), else cuDNN's, if need be of copies without gaps, else one of plain_convolution.h.
#include <optional>

#include "cuda/affine.h"
#include "cuda/families.h"
#include "cuda/plain_convolution.h"

namespace ar::cuda {
namespace {

const Kernels kOthers = [] {
  Kernels k;
  add_channels(k), add_copy(k), add_elementwise(k);
  return k;
}();

// ---- which of the ways ----

/// Is the convolution a product of matrices: do pixels correspond one to one, in rows of one step each?
bool is_product(const ConvParams& p, const View& x, const View& w, const View& y, int64_t& x_row, int64_t& y_row,
                int64_t& pixels) {
  if (w.shape[2] != 1 || w.shape[3] != 1 || p.stride_h != 1 || p.stride_w != 1 || p.groups != 1) return false;
  if (p.pad_top != 0 || p.pad_left != 0 || x.shape[2] != y.shape[2] || x.shape[3] != y.shape[3]) return false;
  const Walk<2> walk = make_walk<2>({&x, &y}, Order::memory, ~(1u << 1));
  if (walk.rank > 1) return false;
  pixels = walk.numel;
  x_row = walk.rank ? walk.strides[0][0] : x.shape[1];
  y_row = walk.rank ? walk.strides[1][0] : y.shape[1];
  return true;
}

/// An operand of a convolution that lies well, for the time of a call: the operand itself, or a copy.
template <class S>
class Packed {
 public:
  Packed(const View& v, bool is_read) : v_(v), memory_(lies_well(v) ? 0 : v.numel() * int64_t(sizeof(S))) {
    view_ = lies_well(v) ? v : channels_last_like(v, memory_.template as<S>());
    if (is_read && apart()) kOthers.copy(v_, view_);
  }
  bool apart() const { return view_.data != v_.data; }
  const View& view() const { return view_; }
  /// What was written to the copy goes where it belongs.
  void put_back(bool accumulate) const {
    if (accumulate)
      kOthers.axpby[v_.dtype](1, view_, 1, v_);
    else
      kOthers.copy(view_, v_);
  }

 private:
  View v_, view_;
  Scratch memory_;
};

/// The library's convolution. Gradients of weights that are kept in f32 beside halves are computed as halves (sums are
/// f32), then converted and added.
bool by_library(Pass pass, const ConvParams& p, const View& x, const View& w, const View& y, bool accumulate) {
  if (w.dtype == x.dtype) return library_convolution(pass, p, x, w, y, accumulate);
  const Scratch halves(w.numel() * size_of(x.dtype)), wide(accumulate ? w.numel() * size_of(w.dtype) : 0);
  View g = w, f = w;
  g.data = halves.as<void>(), g.dtype = x.dtype;
  f.data = wide.as<void>();
  if (!library_convolution(pass, p, x, g, y, false)) return false;
  kOthers.copy(g, accumulate ? f : w);
  if (accumulate) kOthers.axpby[w.dtype](1, f, 1, w);
  return true;
}

/// A matrix product or the library's; false: neither.
template <class S>
bool fast_convolution(Pass pass, const ConvParams& p, const View& x, const View& w, const View& y, bool accumulate) {
  int64_t x_row = 0, y_row = 0, pixels = 0;
  if (!is_product(p, x, w, y, x_row, y_row, pixels))
    return is_channels_last(w) && by_library(pass, p, x, w, y, accumulate);
  const int64_t in = w.shape[1], out = w.shape[0], wo = w.strides[0], wc = w.strides[1];
  const Product::Matrix xs{x.data, 0, x_row, 1}, ys{y.data, 0, y_row, 1};
  if (pass == Pass::forward)  // (pixels,C) x (C,O)
    product({y.dtype, y.dtype, 1, pixels, out, in, xs, {w.data, 0, wc, wo}, ys, accumulate});
  else if (pass == Pass::backward_data)  // (pixels,O) x (O,C)
    product({y.dtype, y.dtype, 1, pixels, in, out, ys, {w.data, 0, wo, wc}, xs, accumulate});
  else  // (O,pixels) x (pixels,C)
    product({y.dtype, w.dtype, 1, out, in, pixels, {y.data, 0, 1, y_row}, xs, {w.data, 0, wo, wc}, accumulate});
  return true;
}

/// x, w and y as the pass has them, two read and one written. cuDNN's kernels for channels-last images mostly want them
/// without gaps, which a range of channels has: then it is copied, for less than a plain kernel takes.
template <class S>
void convolution(Pass pass, const ConvParams& p, const View& x, const View& w, const View& y, bool accumulate) {
  if (fast_convolution<S>(pass, p, x, w, y, accumulate)) return;
  if (is_channels_last(w) && !(lies_well(x) && lies_well(y))) {
    const Packed<S> px(x, pass != Pass::backward_data), py(y, pass != Pass::forward);
    const Packed<S>* const result = pass == Pass::forward ? &py : pass == Pass::backward_data ? &px : nullptr;
    const bool apart = result && result->apart();
    if (by_library(pass, p, px.view(), w, py.view(), accumulate && !apart)) {
      if (apart) result->put_back(accumulate);
      return;
    }
  }
  plain_convolution<S>(pass, p, x, w, y, accumulate);
}

// ---- what surrounds it ----

/// x' = activation(x scale + shift), for the time of a call: cuDNN reads no scaled input.
template <class S>
class ReadInput {
 public:
  ReadInput(const View& x, const ConvReader& reader)
      : memory_(reader.scale ? x.numel() * int64_t(sizeof(S)) : 0), view_(x) {
    if (!reader.scale) return;
    view_ = channels_last_like(x, memory_.as<S>());
    kOthers.channel_affine[x.dtype](x, reader.scale, reader.shift, {}, reader.activation, reader.slope, view_);
  }
  const View& view() const { return view_; }

 private:
  Scratch memory_;
  View view_;
};

/// The weights as the kernels read them: of the pixels' type.
View weights_of(const View& w, const void* packed, Dtype dtype) {
  View v = packed ? channels_last_like(w, const_cast<void*>(packed)) : w;
  v.dtype = dtype;
  return v;
}

template <class S>
void conv2d(const ConvParams& p, const View& x, const View& w, const void* packed, const View& y,
            const ConvReader& reader, const ConvEpilogue& e) {
  if (y.numel() == 0) return;
  const ReadInput<S> read(x, reader);
  const View weights = weights_of(w, packed, x.dtype);
  // The residual is added before the activation but after scale and shift: only without these, and where it lies in y
  // already, can the convolution itself add to it. With these it must not be written over.
  const bool in_y = e.residual.data == y.data, adds = in_y && !e.scale && !e.shift, apart = in_y && !adds;
  const bool residual = e.residual.data && !adds;
  const bool finished = residual || e.scale || e.shift || e.activation != Activation::none || e.sum || e.sum_sq;
  View sums = y;
  std::optional<Scratch> memory;
  // What finishes the result can fetch it from elsewhere, too, where y has gaps that the library does not take.
  if (apart || !fast_convolution<S>(Pass::forward, p, read.view(), weights, y, adds)) {
    if (apart || (finished && !adds && !lies_well(y))) {
      memory.emplace(y.numel() * int64_t(sizeof(S)));
      sums = channels_last_like(y, memory->as<S>());
    }
    convolution<S>(Pass::forward, p, read.view(), weights, sums, adds);
  }
  if (!finished) return;
  if (sums.data == y.data && !residual && !e.scale && !e.shift && e.activation == Activation::none)
    return kOthers.channel_sums[y.dtype](y, e.sum, e.sum_sq);
  affine<S, MomentSums>(sums, e.scale, e.shift, residual ? e.residual : View{}, e.activation, e.slope, y, e.sum,
                        e.sum_sq);
}

template <class S>
void conv2d_backward_data(const ConvParams& p, const View& gy, const View& w, const void* packed, const View& gx,
                          bool accumulate, const ConvGate& gate) {
  if (gx.numel() == 0) return;
  const View weights = weights_of(w, packed, gx.dtype);
  if (!gate.x.data) return convolution<S>(Pass::backward_data, p, gx, weights, gy, accumulate);
  const Scratch memory(gx.numel() * int64_t(sizeof(S)));
  const View ungated = channels_last_like(gx, memory.as<S>());
  convolution<S>(Pass::backward_data, p, ungated, weights, gy, false);
  kOthers.channel_gate[gx.dtype](ungated, gx, accumulate, gate);
}

template <class S>
void conv2d_backward_weight(const ConvParams& p, const View& x, const View& gy, const View& gw, bool accumulate,
                            const ConvReader& reader) {
  if (gw.numel() == 0) return;
  const ReadInput<S> read(x, reader);
  convolution<S>(Pass::backward_weight, p, read.view(), gw, gy, accumulate);
}

/// Bytes. Packed weights are of the pixels' type and dense in channels-last order; what is so already is used as it is.
template <class S>
int64_t packed_size(ConvPack, const ConvParams&, const View& w) {
  return w.dtype == dtype_of<S>() && is_channels_last(w) ? 0 : w.numel() * int64_t(sizeof(S));
}
template <class S>
void pack(ConvPack, const ConvParams&, const View& w, void* packed) {
  View to = channels_last_like(w, packed);
  to.dtype = dtype_of<S>();
  kOthers.copy(w, to);
}

}  // namespace

void add_conv(Kernels& k) {
  k.conv2d_packed_size = {.bf16 = &packed_size<bf16>, .f32 = &packed_size<float>, .f64 = &packed_size<double>};
  k.conv2d_pack = {.bf16 = &pack<bf16>, .f32 = &pack<float>, .f64 = &pack<double>};
  k.conv2d = {.bf16 = &conv2d<bf16>, .f32 = &conv2d<float>, .f64 = &conv2d<double>};
  k.conv2d_backward_data = {
      .bf16 = &conv2d_backward_data<bf16>, .f32 = &conv2d_backward_data<float>, .f64 = &conv2d_backward_data<double>};
  k.conv2d_backward_weight = {.bf16 = &conv2d_backward_weight<bf16>,
                              .f32 = &conv2d_backward_weight<float>,
                              .f64 = &conv2d_backward_weight<double>};
}

}  // namespace ar::cuda
