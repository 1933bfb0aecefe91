#include "tensor/tensor.h"

#include "tensor/backend.h"

namespace ar {

Tensor::Tensor(std::shared_ptr<Storage> storage, int64_t offset, Dims shape, Dims strides, Dtype dtype)
    : storage_(std::move(storage)), offset_(offset), shape_(shape), strides_(strides), dtype_(dtype) {}

int Tensor::check_dim(int dim) const {
  AR_CHECK(dim >= -rank() && dim < rank(), "tensor: dimension ", dim, " is out of range for shape ", shape_);
  return dim < 0 ? dim + rank() : dim;
}

void* Tensor::checked_data(Dtype wanted) const {
  AR_CHECK(defined(), "tensor: data of an undefined tensor");
  AR_CHECK(dtype_ == wanted, "tensor: data asked as ", wanted, ", the tensor is ", dtype_);
  AR_CHECK(device().is_cpu(), "tensor: elements are read on the CPU, this tensor is on ", device(),
           "; copy it first: to(Device{})");
  return storage_->data() + offset_ * size_of(dtype_);
}

View Tensor::view() const {
  AR_CHECK(defined(), "tensor: an undefined tensor has no data");
  View v{storage_->data() + offset_ * size_of(dtype_), dtype_, rank(), {}, {}};
  for (int i = 0; i < rank(); ++i) v.shape[i] = shape_[i], v.strides[i] = strides_[i];
  return v;
}

View Tensor::writable() const {
  const View v = view();
  storage_->count_write();
  return v;
}

bool Tensor::is_dense(Layout layout) const {
  const Dims dense = dense_strides(shape_, layout);
  for (int i = 0; i < rank(); ++i)
    if (shape_[i] != 1 && strides_[i] != dense[i] && numel() != 0) return false;
  return true;
}

bool Tensor::is_dense_in_any_order() const {
  Dims order;  // of the dimensions, by stride: insertion sort
  for (int i = 0; i < rank(); ++i) {
    if (shape_[i] == 1) continue;
    order.push_back(i);
    for (int j = order.size() - 1; j > 0 && strides_[int(order[j])] < strides_[int(order[j - 1])]; --j)
      std::swap(order[j], order[j - 1]);
  }
  int64_t step = 1;
  for (int64_t d : order) {
    if (strides_[int(d)] != step) return false;
    step *= shape_[int(d)];
  }
  return true;
}

TensorOptions Tensor::options() const {
  const bool first = !is_dense(Layout::channels_last) && is_dense(Layout::channels_first);
  return {.dtype = dtype_, .layout = first ? Layout::channels_first : Layout::channels_last, .device = device()};
}

// ---- views ----

Tensor Tensor::narrow(int dim, int64_t start, int64_t length) const {
  const int d = check_dim(dim);
  AR_CHECK(start >= 0 && length >= 0 && start <= shape_[d] && length <= shape_[d] - start, "narrow: ", length, " from ",
           start, " is out of range in dimension ", d, " of shape ", shape_);
  Tensor t = *this;
  t.offset_ += start * strides_[d];
  t.shape_[d] = length;
  return t;
}

Tensor Tensor::select(int dim, int64_t index) const {
  const int d = check_dim(dim);
  const int64_t i = index < 0 ? index + shape_[d] : index;
  AR_CHECK(i >= 0 && i < shape_[d], "select: index ", index, " is out of range in dimension ", d, " of shape ", shape_);
  return narrow(d, i, 1).squeeze(d);
}

Tensor Tensor::permute(const Dims& order) const {
  AR_CHECK(order.size() == rank(), "permute: order ", order, " does not fit shape ", shape_);
  Tensor t = *this;
  Dims seen = Dims::filled(rank(), 0);
  for (int i = 0; i < rank(); ++i) {
    const int d = check_dim(int(order[i]));
    AR_CHECK(!seen[d]++, "permute: dimension ", d, " appears twice in ", order);
    t.shape_[i] = shape_[d];
    t.strides_[i] = strides_[d];
  }
  return t;
}

Tensor Tensor::transpose(int a, int b) const {
  Tensor t = *this;
  a = check_dim(a), b = check_dim(b);
  std::swap(t.shape_[a], t.shape_[b]);
  std::swap(t.strides_[a], t.strides_[b]);
  return t;
}

Tensor Tensor::expand(const Dims& shape) const {
  const int added = shape.size() - rank();
  AR_CHECK(added >= 0, "expand: shape ", shape_, " has more dimensions than ", shape);
  for (int64_t n : shape) AR_CHECK(n >= 0, "expand: negative size in ", shape);
  Tensor t = *this;
  t.shape_ = shape;
  t.strides_ = Dims::filled(shape.size(), 0);
  for (int i = 0; i < rank(); ++i) {
    AR_CHECK(shape_[i] == shape[i + added] || shape_[i] == 1, "expand: shape ", shape_, " does not broadcast to ",
             shape);
    t.strides_[i + added] = shape_[i] == shape[i + added] ? strides_[i] : 0;
  }
  return t;
}

namespace {

Dims resolved_shape(const Dims& wanted, const Dims& from) {
  Dims shape = wanted;
  int open = -1;
  int64_t known = 1;
  for (int i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      AR_CHECK(open < 0, "reshape: more than one -1 in ", wanted);
      open = i;
    } else {
      AR_CHECK(shape[i] >= 0, "reshape: negative size in ", wanted);
      AR_CHECK(!__builtin_mul_overflow(known, shape[i], &known), "reshape: shape ", from, " does not fit into ",
               wanted);
    }
  }
  AR_CHECK(open < 0 || known > 0, "reshape: the -1 in ", wanted, " could be anything for shape ", from);
  if (open >= 0) shape[open] = from.product() / known;
  AR_CHECK(shape.product() == from.product(), "reshape: shape ", from, " does not fit into ", wanted);
  return shape;
}

/// Strides of the same elements, in logical order, under a new shape; false if there are none.
bool reshaped_strides(const Dims& shape, const Dims& strides, const Dims& wanted, Dims& result) {
  result = dense_strides(wanted, Layout::channels_first);
  if (shape.product() == 0) return true;
  Dims from_shape, from_strides;  // without size-1 dimensions
  for (int i = 0; i < shape.size(); ++i)
    if (shape[i] != 1) from_shape.push_back(shape[i]), from_strides.push_back(strides[i]);
  int i = from_shape.size() - 1, j = wanted.size() - 1;
  while (i >= 0) {
    // One run of dimensions that follow each other without gaps ...
    int64_t run = from_shape[i];
    const int64_t step = from_strides[i];
    while (i > 0 && from_strides[i - 1] == from_strides[i] * from_shape[i]) run *= from_shape[--i];
    --i;
    // ... must be covered by whole new dimensions.
    int64_t covered = 1;
    while (j >= 0 && covered < run) {
      if (run % (covered * wanted[j]) != 0) return false;
      result[j] = step * covered;
      covered *= wanted[j--];
    }
    if (covered != run) return false;
    while (j >= 0 && wanted[j] == 1) result[j--] = step * covered;
  }
  return true;
}

}  // namespace

bool Tensor::can_reshape(const Dims& shape) const {
  Dims strides;
  return reshaped_strides(shape_, strides_, resolved_shape(shape, shape_), strides);
}

Tensor Tensor::reshape(const Dims& wanted) const {
  AR_CHECK(defined(), "reshape: an undefined tensor");
  Tensor t = *this;
  t.shape_ = resolved_shape(wanted, shape_);
  AR_CHECK(reshaped_strides(shape_, strides_, t.shape_, t.strides_), "reshape: shape ", shape_, " with strides ",
           strides_, " cannot be viewed as ", wanted, "; use reshape_copy");
  return t;
}

Tensor Tensor::squeeze(int dim) const {
  const int d = check_dim(dim);
  AR_CHECK(shape_[d] == 1, "squeeze: dimension ", d, " of shape ", shape_, " is not 1");
  Tensor t = *this;
  t.shape_.erase(d);
  t.strides_.erase(d);
  return t;
}

Tensor Tensor::unsqueeze(int dim) const {
  AR_CHECK(dim >= -rank() - 1 && dim <= rank(), "unsqueeze: dimension ", dim, " is out of range for shape ", shape_);
  const int d = dim < 0 ? dim + rank() + 1 : dim;
  Tensor t = *this;
  t.strides_.insert(d, d < rank() ? strides_[d] * shape_[d] : 1);
  t.shape_.insert(d, 1);
  return t;
}

// ---- copies ----

namespace {

/// Uninitialised, on a device, of x's shape and dtype, dense in x's order where that is dense.
Tensor dense_on(Device device, const Tensor& x) {
  TensorOptions options = x.options();
  options.device = device;
  if (!x.is_dense_in_any_order()) return empty(x.shape(), options);
  return Tensor(Storage::allocate(std::max<int64_t>(x.numel(), 1) * size_of(x.dtype()), device), 0, x.shape(),
                x.strides(), x.dtype());
}

/// From one device to another: as bytes between tensors dense in one order, of which at most two are made.
void transfer(const Tensor& from, const Tensor& to) {
  AR_CHECK(from.device().is_cpu() || to.device().is_cpu(), "copy_from: devices differ: ", to.device(), " and ",
           from.device(), "; copy to the CPU between them");
  const bool up = from.device().is_cpu();
  const Tensor& on_gpu = up ? to : from;
  const Tensor staged = on_gpu.is_dense_in_any_order() ? on_gpu : dense_on(on_gpu.device(), on_gpu);
  const Tensor host = dense_on({}, staged);
  const int64_t bytes = staged.numel() * size_of(staged.dtype());
  const Backend& gpu = backend(on_gpu.device());
  if (up) {
    host.copy_from(from);
    gpu.upload(staged.writable().data, host.view().data, bytes);
    if (!staged.shares_memory_with(to)) to.copy_from(staged);
  } else {
    if (!staged.shares_memory_with(from)) staged.copy_from(from);
    gpu.download(host.writable().data, staged.view().data, bytes);
    to.copy_from(host);
  }
}

}  // namespace

void Tensor::copy_from(const Tensor& other) const {
  AR_CHECK(shape_ == other.shape_, "copy_from: shapes differ: ", shape_, " and ", other.shape_);
  if (numel() == 0) return;
  check_separate("copy_from");
  if (device() == other.device())
    kernels(device()).copy(other.apart_from(*this).view(), writable());
  else
    transfer(other, *this);
}

void Tensor::check_separate(const char* op) const {
  for (int i = 0; i < rank(); ++i)
    AR_CHECK(strides_[i] != 0 || shape_[i] <= 1 || numel() == 0, op,
             ": elements of the written tensor share memory: shape ", shape_, ", strides ", strides_,
             "; clone() it first");
}

namespace {

/// The bytes from the first element to behind the last (of one at least). No stride is negative.
std::pair<const std::byte*, const std::byte*> extent(const View& v) {
  int64_t elements = 1;
  for (int i = 0; i < v.rank; ++i) elements += (v.shape[i] - 1) * v.strides[i];
  const auto* const first = static_cast<const std::byte*>(v.data);
  return {first, first + elements * size_of(v.dtype)};
}

}  // namespace

Tensor Tensor::apart_from(const Tensor& target) const {
  const View x = view(), y = target.view();
  if (numel() == 0 || target.numel() == 0) return *this;
  const auto [x_first, x_end] = extent(x);
  const auto [y_first, y_end] = extent(y);
  if (x_end <= y_first || y_end <= x_first) return *this;
  bool same = x.data == y.data && x.dtype == y.dtype && shape_ == target.shape_;
  for (int i = 0; same && i < rank(); ++i) same = shape_[i] == 1 || x.strides[i] == y.strides[i];
  return same ? *this : clone();
}

void Tensor::fill(double value) const {
  if (numel()) kernels(device()).fill(writable(), value);
}

Tensor Tensor::clone() const {
  Tensor t = empty_like(*this);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::clone(Layout layout) const {
  Tensor t = empty(shape_, {.dtype = dtype_, .layout = layout, .device = device()});
  t.copy_from(*this);
  return t;
}

Tensor Tensor::contiguous(Layout layout) const {
  if (is_dense(layout)) return *this;
  if (rank() >= 4) detail::count_layout_copy();
  return clone(layout);
}

Tensor Tensor::reshape_copy(const Dims& wanted) const {
  const Dims shape = resolved_shape(wanted, shape_);
  return (can_reshape(shape) ? *this : clone(Layout::channels_first)).reshape(shape);
}

Tensor Tensor::to(Device wanted) const {
  if (wanted == device()) return *this;
  const Tensor t = dense_on(wanted, *this);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Dtype dtype) const {
  if (dtype == dtype_) return *this;
  Tensor like = *this;
  like.dtype_ = dtype;
  Tensor t = empty_like(like);
  t.copy_from(*this);
  return t;
}

// ---- elements ----

double Tensor::item() const {
  AR_CHECK(defined() && numel() == 1, "item: a tensor with one element is needed, this one has shape ", shape_);
  return as_doubles()[0];
}

double Tensor::at(const Dims& index) const {
  AR_CHECK(index.size() == rank(), "at: index ", index, " does not fit shape ", shape_);
  Tensor t = *this;
  for (int64_t i : index) t = t.select(0, i);
  return t.item();
}

std::vector<double> Tensor::as_doubles() const { return to_vector<double>(); }

template <class T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> values(numel());
  if (values.empty()) return values;
  const Tensor target = from_blob(values.data(), shape_, {.dtype = dtype_of<T>(), .layout = Layout::channels_first});
  target.copy_from(*this);
  return values;
}

// ---- factories ----

Tensor empty(const Dims& shape, const TensorOptions& o) {
  for (int64_t n : shape) AR_CHECK(n >= 0, "empty: negative size in shape ", shape);
  const int64_t item = size_of(o.dtype);
  Dims strides = dense_strides(shape, o.layout);
  if (o.row_align > 0 && shape.size() >= 2) {
    // Rows (the last logical dimension, with what lies inside it) are padded; everything outside spreads.
    const int w = shape.size() - 1;
    const int64_t row = strides[w] * shape[w] * item, padded = (row + o.row_align - 1) / o.row_align * o.row_align;
    AR_CHECK(padded % item == 0, "empty: row alignment ", o.row_align, " does not fit ", o.dtype);
    int64_t step = padded / item;
    const Dims order = memory_order(shape.size(), o.layout);
    int i = shape.size() - 1;
    while (order[i] != w) --i;
    for (--i; i >= 0; --i) {
      strides[int(order[i])] = step;
      step *= std::max<int64_t>(shape[int(order[i])], 1);
    }
  }
  int64_t elements = 1, bytes = 0;  // up to and with the last one
  bool fits = true;
  for (int i = 0; i < shape.size(); ++i) {
    int64_t span;
    fits = fits && !__builtin_mul_overflow(strides[i], std::max<int64_t>(shape[i] - 1, 0), &span) &&
           !__builtin_add_overflow(elements, span, &elements);
  }
  AR_CHECK(fits && !__builtin_mul_overflow(elements, item, &bytes) && bytes < INT64_MAX / 2, "empty: shape ", shape,
           " is larger than memory can be");
  return Tensor(Storage::allocate(bytes, o.device), 0, shape, strides, o.dtype);
}

Tensor empty_like(const Tensor& x) {
  if (!x.is_dense_in_any_order()) return empty(x.shape(), x.options());
  return Tensor(Storage::allocate(std::max<int64_t>(x.numel(), 1) * size_of(x.dtype()), x.device()), 0, x.shape(),
                x.strides(), x.dtype());
}

Tensor full(const Dims& shape, double value, const TensorOptions& options) {
  Tensor t = empty(shape, options);
  t.fill(value);
  return t;
}
Tensor zeros(const Dims& shape, const TensorOptions& options) { return full(shape, 0, options); }
Tensor ones(const Dims& shape, const TensorOptions& options) { return full(shape, 1, options); }
Tensor zeros_like(const Tensor& x) {
  Tensor t = empty_like(x);
  t.fill(0);
  return t;
}

Tensor arange(int64_t n, const TensorOptions& options) {
  AR_CHECK(n >= 0, "arange: negative length ", n);
  std::vector<int64_t> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = i;
  return from_vector(values, {n}).to(options.dtype).to(options.device);
}

Tensor from_blob(void* data, const Dims& shape, const TensorOptions& o) {
  for (int64_t n : shape) AR_CHECK(n >= 0, "from_blob: negative size in shape ", shape);
  AR_CHECK(data || shape.product() == 0, "from_blob: no memory for shape ", shape);
  AR_CHECK(o.row_align == 0, "from_blob: rows are not aligned; the values must be dense");
  return Tensor(Storage::adopt(data, shape.product() * size_of(o.dtype), o.device, nullptr), 0, shape,
                dense_strides(shape, o.layout), o.dtype);
}

template <class T>
Tensor from_vector(const std::vector<T>& values, const Dims& shape, Layout layout) {
  AR_CHECK(int64_t(values.size()) == shape.product(), "from_vector: ", values.size(), " values do not fill shape ",
           shape);
  Tensor t = empty(shape, {.dtype = dtype_of<T>(), .layout = layout});
  if (!values.empty())
    t.copy_from(
        from_blob(const_cast<T*>(values.data()), shape, {.dtype = dtype_of<T>(), .layout = Layout::channels_first}));
  return t;
}

#define AR_INSTANTIATE(T)                                                     \
  template Tensor from_vector<T>(const std::vector<T>&, const Dims&, Layout); \
  template std::vector<T> Tensor::to_vector<T>() const;
AR_INSTANTIATE(uint8_t)
AR_INSTANTIATE(int32_t)
AR_INSTANTIATE(int64_t)
AR_INSTANTIATE(float)
AR_INSTANTIATE(double)
#undef AR_INSTANTIATE

}  // namespace ar
