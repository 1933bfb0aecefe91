// Tensor: a handle on shared memory with a shape and strides. Copying a Tensor shares its memory.
#pragma once
#include <memory>
#include <ostream>
#include <vector>

#include "tensor/device.h"
#include "tensor/dims.h"
#include "tensor/dtype.h"
#include "tensor/layout.h"
#include "tensor/storage.h"
#include "tensor/view.h"

namespace ar {

struct TensorOptions {
  Dtype dtype = Dtype::f32;
  Layout layout = Layout::channels_last;
  Device device = {};
  int64_t row_align = 0;  // > 0: each row (the last logical dimension) starts at a multiple of so many bytes
};

class Tensor {
 public:
  /// An undefined tensor: no memory, no shape.
  Tensor() = default;
  Tensor(std::shared_ptr<Storage> storage, int64_t offset, Dims shape, Dims strides, Dtype dtype);

  bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }

  // ---- facts ----
  Dtype dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device{}; }
  int rank() const { return shape_.size(); }
  const Dims& shape() const { return shape_; }
  const Dims& strides() const { return strides_; }  // in elements
  int64_t offset() const { return offset_; }        // in elements, from the storage's start
  /// Size of one dimension; negative counts from the end.
  int64_t size(int dim) const { return shape_[check_dim(dim)]; }
  int64_t stride(int dim) const { return strides_[check_dim(dim)]; }
  int64_t numel() const { return shape_.product(); }
  /// Do the elements lie side by side in this order? Strides of size-1 dimensions mean nothing and are ignored.
  bool is_dense(Layout layout) const;
  /// Do they lie side by side in some order?
  bool is_dense_in_any_order() const;
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  bool shares_memory_with(const Tensor& other) const { return storage_ && storage_ == other.storage_; }
  TensorOptions options() const;  // dtype, device and, where it can be told, the layout

  // ---- views: no element is copied ----
  Tensor narrow(int dim, int64_t start, int64_t length) const;
  Tensor select(int dim, int64_t index) const;
  Tensor operator[](int64_t index) const { return select(0, index); }
  Tensor permute(const Dims& order) const;
  Tensor transpose(int a, int b) const;
  /// Repeats dimensions of size 1 (and new leading ones) with stride 0.
  Tensor expand(const Dims& shape) const;
  /// Another shape over the same memory; one size may be -1. Throws Error where only a copy could do it: see
  /// reshape_copy.
  Tensor reshape(const Dims& shape) const;
  Tensor squeeze(int dim) const;
  Tensor unsqueeze(int dim) const;
  /// Would reshape(shape) be a view?
  bool can_reshape(const Dims& shape) const;

  // ---- copies ----
  /// A fresh tensor with the same values, dense in the given order (by default: the same order, if dense).
  Tensor clone() const;
  Tensor clone(Layout layout) const;
  /// Itself if dense in this layout already, else a clone.
  Tensor contiguous(Layout layout) const;
  /// reshape, copying if need be. Elements are taken in logical (row-major) order.
  Tensor reshape_copy(const Dims& shape) const;
  Tensor to(Dtype dtype) const;
  /// On another device, in the same order in memory where it is dense; itself if it is there already.
  Tensor to(Device device) const;
  /// Copies other's values here, as they are before; shapes are equal, dtypes may differ, one of the devices may be the
  /// CPU. Throws Error as check_separate() does.
  void copy_from(const Tensor& other) const;
  void fill(double value) const;
  /// Throws Error naming `op` when several elements lie in one place, as expand() makes them: that is for reading only.
  void check_separate(const char* op) const;
  /// For kernels that write `target` while they read this: a clone where the two overlap in memory, unless they are
  /// element by element the same; else itself.
  Tensor apart_from(const Tensor& target) const;

  // ---- elements ----
  /// For reading. Throws Error if T is not the dtype, or the memory not the CPU's.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(checked_data(dtype_of<T>()));
  }
  /// For writing. The call is what counts as a write: once the tensor was used, write through a fresh pointer, or what
  /// was made of the old values (packed weights) serves on.
  template <class T>
  T* mutable_data() const {
    T* p = static_cast<T*>(checked_data(dtype_of<T>()));
    storage_->count_write();
    return p;
  }
  /// What kernels read, and (counted as a write) write.
  View view() const;
  View writable() const;
  /// The value of a tensor with one element, as a double: integers above 2^53 are rounded (to_vector<int64_t>() has all
  /// of their digits).
  double item() const;
  /// One element, likewise.
  double at(const Dims& index) const;
  /// All elements in logical (row-major) order, converted to T.
  template <class T>
  std::vector<T> to_vector() const;

  uint64_t version() const { return storage_ ? storage_->version() : 0; }

 private:
  int check_dim(int dim) const;
  void* checked_data(Dtype wanted) const;
  std::vector<double> as_doubles() const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;
  Dims shape_, strides_;
  Dtype dtype_ = Dtype::f32;
};

/// Prints values, shape and dtype, eliding the middle of large ones.
std::ostream& operator<<(std::ostream& out, const Tensor& t);

// ---- factories ----

/// Uninitialised memory.
Tensor empty(const Dims& shape, const TensorOptions& options = {});
/// Uninitialised, of x's shape, dtype and device; and of its order in memory where x is dense in some order.
Tensor empty_like(const Tensor& x);
Tensor zeros(const Dims& shape, const TensorOptions& options = {});
Tensor zeros_like(const Tensor& x);
Tensor ones(const Dims& shape, const TensorOptions& options = {});
Tensor full(const Dims& shape, double value, const TensorOptions& options = {});
/// [0, 1, ..., n-1].
Tensor arange(int64_t n, const TensorOptions& options = {.dtype = Dtype::i64});
/// Values in logical (row-major) order.
template <class T>
Tensor from_vector(const std::vector<T>& values, const Dims& shape, Layout layout = Layout::channels_last);
/// A tensor over memory of the caller, who keeps it alive. Values are dense in the given layout. What the caller writes
/// there himself is not counted as a write, and nobody notices if it comes between a forward pass and its backward().
Tensor from_blob(void* data, const Dims& shape, const TensorOptions& options = {});

}  // namespace ar
