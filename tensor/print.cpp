// Printing tensors the way PyTorch does: nested brackets, long dimensions elided in the middle.
#include <iomanip>

#include "tensor/tensor.h"

namespace ar {
namespace {

constexpr int64_t kEdge = 3;  // elements shown at each end of a long dimension

void print(std::ostream& out, const Tensor& t, int indent) {
  if (t.rank() == 0) {
    if (t.dtype() == Dtype::i64)
      out << t.to_vector<int64_t>()[0];  // a double has not all of its digits
    else
      out << t.item();
    return;
  }
  const int64_t n = t.size(0);
  const bool elide = n > 2 * kEdge + 4;
  out << '[';
  for (int64_t i = 0; i < n; ++i) {
    if (i) out << (t.rank() == 1 ? ", " : ",\n" + std::string(indent + 1, ' '));
    if (elide && i == kEdge) {
      out << "...";
      i = n - kEdge - 1;
      continue;
    }
    print(out, t[i], indent + 1);
  }
  out << ']';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Tensor& t) {
  if (!t.defined()) return out << "tensor(undefined)";
  std::ostringstream text;
  text << std::setprecision(is_floating(t.dtype()) ? 5 : 19) << "tensor(";
  print(text, t, 7);
  text << ", shape " << t.shape() << ", " << t.dtype() << ')';
  return out << text.str();
}

}  // namespace ar
