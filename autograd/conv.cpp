#include "autograd/conv.h"

#include "autograd/operands.h"
#include "tensor/ops_norm.h"

namespace ar {

Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias, const Conv2dOptions& options) {
  const ops::Packing packing = packing_of(weight);
  ops::Epilogue epilogue;
  if (bias.defined()) epilogue.shift = bias.value().contiguous(Layout::channels_first);
  // Should the input need a channels-last copy, it is made once, for both passes.
  const Tensor image = x.rank() == 4 ? ops::channels_together(x.value()) : x.value();
  Tensor y = ops::conv2d(image, weight.value(), options, {}, epilogue, {}, packing);

  const Saved x_saved("conv2d", "input", weight.requires_grad() ? image : Tensor());
  const Saved w_saved("conv2d", "weight", weight.value());
  return record("conv2d", std::move(y), {x, weight, bias},
                [x_saved, w_saved, x_shape = x.shape(), options, packing](Backward& b) -> std::vector<Tensor> {
                  const Tensor gy = ops::channels_together(b.grad());
                  Tensor gx, gw, gb;
                  if (b.wanted(0))
                    gx = ops::conv2d_backward_data(gy, w_saved.get(), x_shape, options, {}, {}, false, packing);
                  if (b.wanted(1)) gw = ops::conv2d_backward_weight(x_saved.get(), gy, w_saved.form(), options);
                  if (b.wanted(2)) gb = ops::channel_totals(gy);
                  return {gx, gw, gb};
                });
}

}  // namespace ar
