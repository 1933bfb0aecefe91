// Dims: a short list of integers (shapes, strides, axes) without a heap allocation.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <ostream>

#include "tensor/error.h"

namespace ar {

inline constexpr int kMaxRank = 6;

class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> values) : Dims(values.begin(), values.end()) {}
  template <class It>
  Dims(It first, It last) {
    for (; first != last; ++first) push_back(*first);
  }
  static Dims filled(int rank, int64_t value) {
    Dims d;
    for (int i = 0; i < rank; ++i) d.push_back(value);
    return d;
  }

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t operator[](int i) const { return values_[i]; }
  int64_t& operator[](int i) { return values_[i]; }
  const int64_t* begin() const { return values_; }
  const int64_t* end() const { return values_ + size_; }
  int64_t* begin() { return values_; }
  int64_t* end() { return values_ + size_; }
  int64_t back() const { return values_[size_ - 1]; }
  void push_back(int64_t v) {
    AR_CHECK(size_ < kMaxRank, "tensor: at most ", kMaxRank, " dimensions");
    values_[size_++] = v;
  }
  void insert(int at, int64_t v) {
    push_back(v);
    std::rotate(values_ + at, values_ + size_ - 1, values_ + size_);
  }
  void erase(int at) {
    std::copy(values_ + at + 1, values_ + size_, values_ + at);
    --size_;
  }
  /// Product of all entries; 1 when empty. Throws Error when it does not fit.
  int64_t product() const {
    int64_t p = 1;
    bool overflow = false;
    for (int64_t v : *this) overflow = __builtin_mul_overflow(p, v, &p) || overflow;
    AR_CHECK(!overflow || std::find(begin(), end(), 0) != end(), "tensor: shape ", *this,
             " is larger than memory can be");
    return overflow ? 0 : p;
  }
  friend bool operator==(const Dims& a, const Dims& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
  /// Prints "[2,3,4]".
  friend std::ostream& operator<<(std::ostream& out, const Dims& d) {
    out << '[';
    for (int i = 0; i < d.size(); ++i) out << (i ? "," : "") << d[i];
    return out << ']';
  }

 private:
  int64_t values_[kMaxRank] = {};
  int size_ = 0;
};

}  // namespace ar
