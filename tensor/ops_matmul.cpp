#include "tensor/ops_matmul.h"

#include "tensor/ops_common.h"
#include "tensor/ops_elementwise.h"

namespace ar::ops {

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_alike("matmul", a, b);
  AR_CHECK(a.rank() >= 2 && b.rank() >= 2, "matmul: operands must have 2 dimensions or more: ", a.shape(), " and ",
           b.shape());
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  AR_CHECK(b.size(-2) == k, "matmul: the last dimension of a must equal the second to last of b: ", a.shape(), " and ",
           b.shape());
  const auto kernel = kernel_for(kernels_of(a).gemm, a.dtype(), "matmul", kernels_of(a).name);
  const Dims lead = broadcast_shape("matmul", Dims(a.shape().begin(), a.shape().end() - 2),
                                    Dims(b.shape().begin(), b.shape().end() - 2));
  const auto with_lead = [&](int64_t rows, int64_t columns) {
    Dims shape = lead;
    shape.push_back(rows);
    shape.push_back(columns);
    return shape;
  };
  const Tensor y = empty(with_lead(m, n), {.dtype = a.dtype(), .layout = Layout::channels_first, .device = a.device()});
  if (y.numel() == 0) return y;
  if (k == 0) {
    y.fill(0);
    return y;
  }
  const int64_t batch = lead.product();
  const Tensor a3 = a.expand(with_lead(m, k)).reshape_copy({batch, m, k});
  const Tensor b3 = b.expand(with_lead(k, n)).reshape_copy({batch, k, n});
  kernel(a3.view(), b3.view(), y.reshape({batch, m, n}).writable(), false);
  return y;
}

}  // namespace ar::ops
