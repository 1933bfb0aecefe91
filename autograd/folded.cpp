#include "autograd/folded.h"

#include <algorithm>

#include "tensor/parallel.h"

namespace ar {
namespace {

struct Rows {
  int64_t first, end;
};

/// The rows of a convolution's input that some rows of its result read; `padding` becomes what those still need.
Rows rows_read(Rows result, int64_t height, int64_t kernel, Conv2dOptions& conv) {
  const int64_t first = result.first * conv.stride.h - conv.padding.top;
  const int64_t end = (result.end - 1) * conv.stride.h - conv.padding.top + conv.dilation.h * (kernel - 1) + 1;
  conv.padding.top = std::max<int64_t>(0, -first);
  conv.padding.bottom = std::max<int64_t>(0, end - height);
  return {std::max<int64_t>(0, first), std::min(height, end)};
}

/// How much of the work passes through all steps at once.
struct Piece {
  int64_t images, rows;  // of the result
};
Piece piece_of(const Tensor& x, const std::vector<FoldedConv>& steps, const std::vector<Dims>& shapes) {
  constexpr int64_t kImages = 4 << 20, kRows = 512 << 10, kLeastRows = 8;  // bytes between steps; the second a thread
  const int64_t images = x.size(0), height = shapes.back()[2];
  int64_t between = 0;
  for (size_t i = 1; i + 1 < shapes.size(); ++i)
    between = std::max(between, shapes[i][1] * shapes[i][2] * shapes[i][3] * size_of(x.dtype()));
  if (!x.device().is_cpu() || between == 0) return {images, height};
  // A row that reads nothing but padding cannot be computed alone.
  const bool reads = std::all_of(steps.begin(), steps.end(), [](const FoldedConv& s) {
    const int64_t reach = s.conv.dilation.h * (s.weight.size(2) - 1);
    return s.conv.padding.top <= reach && s.conv.padding.bottom <= reach;
  });
  const int64_t bands = between / (kRows * num_threads());
  if (bands < 2 || !reads) return {std::max<int64_t>(1, kImages / between), height};
  return {1, std::max(kLeastRows, (height + bands - 1) / bands)};
}

}  // namespace

Tensor folded(const Tensor& x, std::vector<FoldedConv> steps) {
  std::vector<Dims> shapes{x.shape()};
  for (const FoldedConv& s : steps) shapes.push_back(ops::conv2d_shape(shapes.back(), s.weight.shape(), s.conv));
  const Tensor y = empty(shapes.back(), {.dtype = x.dtype(), .device = x.device()});
  const Tensor residual = steps.back().epilogue.residual;
  const Piece piece = piece_of(x, steps, shapes);
  std::vector<Conv2dOptions> options(steps.size());
  for (int64_t i = 0, n; i < y.size(0); i += n) {
    n = std::min(piece.images, y.size(0) - i);
    for (int64_t j = 0, m; j < y.size(2); j += m) {
      m = std::min(piece.rows, y.size(2) - j);
      Rows rows{j, j + m};
      const auto part = [&](const Tensor& t) { return t.narrow(0, i, n).narrow(2, rows.first, rows.end - rows.first); };
      const Tensor out = part(y);
      if (residual.defined()) steps.back().epilogue.residual = part(residual);
      for (size_t s = steps.size(); s-- > 0;) {
        options[s] = steps[s].conv;
        rows = rows_read(rows, shapes[s][2], steps[s].weight.size(2), options[s]);
      }
      Tensor in = part(x);
      for (size_t s = 0; s < steps.size(); ++s)
        in = ops::conv2d(in, steps[s].weight, options[s], {}, steps[s].epilogue, s + 1 == steps.size() ? out : Tensor(),
                         ops::Packing::cached);
    }
  }
  return y;
}

}  // namespace ar
