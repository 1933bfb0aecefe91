#include "autograd/pool.h"

namespace ar {

Variable max_pool2d(const Variable& x, const Pool2dOptions& options) {
  ops::MaxPool2dResult r = ops::max_pool2d(x.value(), options, {}, grad_enabled() && x.requires_grad());
  return record("max_pool2d", std::move(r.y), {x},
                [indices = std::move(r.indices), x_shape = x.shape(), options](Backward& b) -> std::vector<Tensor> {
                  return {ops::max_pool2d_backward(b.grad(), indices, x_shape, options)};
                });
}

Variable avg_pool2d(const Variable& x, const Pool2dOptions& options) {
  return record("avg_pool2d", ops::avg_pool2d(x.value(), options), {x},
                [x_shape = x.shape(), options](Backward& b) -> std::vector<Tensor> {
                  return {ops::avg_pool2d_backward(b.grad(), x_shape, options)};
                });
}

Variable adaptive_avg_pool2d(const Variable& x, Pair output_size) {
  return record("adaptive_avg_pool2d", ops::adaptive_avg_pool2d(x.value(), output_size), {x},
                [x_shape = x.shape()](Backward& b) -> std::vector<Tensor> {
                  return {ops::adaptive_avg_pool2d_backward(b.grad(), x_shape)};
                });
}

}  // namespace ar
