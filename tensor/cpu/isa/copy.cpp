// copy (any strides, any element types) and fill.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 32768;  // elements

// ---- same element type: only the size of an element matters ----

template <class U>
void copy_row(const char* x, int64_t x_stride, char* y, int64_t y_stride, int64_t n) {
  if (x_stride == int64_t(sizeof(U)) && y_stride == int64_t(sizeof(U))) {
    __builtin_memcpy(y, x, std::size_t(n) * sizeof(U));
  } else if (x_stride == 0) {
    const U value = *reinterpret_cast<const U*>(x);
    for (int64_t i = 0; i < n; ++i) *reinterpret_cast<U*>(y + i * y_stride) = value;
  } else {
    for (int64_t i = 0; i < n; ++i)
      *reinterpret_cast<U*>(y + i * y_stride) = *reinterpret_cast<const U*>(x + i * x_stride);
  }
}

/// y[j][i] = x[i][j] for rows x_stride and y_stride apart, in squares whose lines stay in the first cache.
template <class U>
void transpose_tile(const char* x, int64_t x_stride, char* y, int64_t y_stride, int64_t rows, int64_t columns) {
  constexpr int64_t side = 16;
  for (int64_t i0 = 0; i0 < rows; i0 += side) {
    const int64_t n = rows - i0 < side ? rows - i0 : side;
    for (int64_t j0 = 0; j0 < columns; j0 += side) {
      const int64_t m = columns - j0 < side ? columns - j0 : side;
      const char* const from = x + i0 * x_stride + j0 * int64_t(sizeof(U));
      char* const to = y + j0 * y_stride + i0 * int64_t(sizeof(U));
      if (n == side && m == side) {
        U square[side][side];
        for (int64_t i = 0; i < side; ++i) __builtin_memcpy(square[i], from + i * x_stride, sizeof square[i]);
        for (int64_t j = 0; j < side; ++j) {
          U line[side];
          for (int64_t i = 0; i < side; ++i) line[i] = square[i][j];
          __builtin_memcpy(to + j * y_stride, line, sizeof line);
        }
      } else {
        for (int64_t j = 0; j < m; ++j)
          for (int64_t i = 0; i < n; ++i)
            reinterpret_cast<U*>(to + j * y_stride)[i] = reinterpret_cast<const U*>(from + i * x_stride)[j];
      }
    }
  }
}

/// The walk without dimensions a and b.
Strided<2> without(const Strided<2>& s, int a, int b) {
  Strided<2> rest = s;
  rest.rank = 0;
  rest.numel = 1;
  for (int d = 0; d < s.rank; ++d) {
    if (d == a || d == b) continue;
    rest.shape[rest.rank] = s.shape[d];
    rest.numel *= s.shape[d];
    for (int k = 0; k < 2; ++k) rest.strides[k][rest.rank] = s.strides[k][d];
    ++rest.rank;
  }
  if (rest.rank == 0) {
    rest.shape[rest.rank++] = 1;
    rest.strides[0][0] = rest.strides[1][0] = 0;
  }
  return rest;
}

template <class U>
void copy_same(const View& x, const View& y) {
  const Strided<2> s = make_strided<2>({&x, &y});
  // Contiguous along different dimensions: a transposition.
  int along_x = -1, along_y = -1;
  for (int d = 0; d < s.rank; ++d) {
    if (s.strides[0][d] == int64_t(sizeof(U))) along_x = d;
    if (s.strides[1][d] == int64_t(sizeof(U))) along_y = d;
  }
  if (along_x < 0 || along_y < 0 || along_x == along_y)
    return parallel_walk(s, kGrain, [&](char* const(&p)[2], int64_t n, int64_t) {
      copy_row<U>(p[0], s.row_stride(0), p[1], s.row_stride(1), n);
    });
  constexpr int64_t band = 64;  // columns (elements that are neighbours in x) of a work item
  const int64_t columns = s.shape[along_x], rows = s.shape[along_y], bands = (columns + band - 1) / band;
  const Strided<2> rest = without(s, along_x, along_y);
  const int64_t item = rows * (columns < band ? columns : band);
  parallel_for(rest.numel * bands, kGrain / item + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t j = i % bands * band, m = columns - j < band ? columns - j : band;
      walk(rest, i / bands, i / bands + 1, [&](char* const(&p)[2], int64_t, int64_t) {
        transpose_tile<U>(p[0] + j * int64_t(sizeof(U)), s.strides[0][along_y], p[1] + j * s.strides[1][along_x],
                          s.strides[1][along_x], rows, m);
      });
    }
  });
}

// ---- conversions ----

/// Floats to integers go towards zero; what does not fit becomes the nearest integer that does, NaN becomes 0.
template <class A, class B>
inline B convert(A x) {
  if constexpr (__is_same(A, f16) || __is_same(A, bf16)) {
    return convert<float, B>(widen(x));
  } else if constexpr (__is_same(B, f16) || __is_same(B, bf16)) {
    return narrow<B>(float(x));
  } else if constexpr ((__is_same(A, float) || __is_same(A, double)) && B(0.5f) == B(0)) {
    constexpr B most = sizeof(B) == 1 ? B(255) : sizeof(B) == 4 ? B(0x7fffffff) : B(0x7fffffffffffffff);
    constexpr B least = sizeof(B) == 1 ? B(0) : B(-most - 1);
    constexpr A above = sizeof(B) == 1 ? A(256) : sizeof(B) == 4 ? A(0x1p31) : A(0x1p63);
    const bool low = !(x > A(least)), high = x >= above;
    return high ? most : x != x ? B(0) : low ? least : B(x);
  } else {
    return B(x);
  }
}

template <class A, class B>
void convert_row(const void* x, void* y, int64_t n) {
  const A* const from = static_cast<const A*>(x);
  B* const to = static_cast<B*>(y);
  for (int64_t i = 0; i < n; ++i) to[i] = convert<A, B>(from[i]);
}

using ConvertRow = void (*)(const void* x, void* y, int64_t n);
struct ConvertFrom {
  ConvertRow to[kDtypes];
};
template <class A>
constexpr ConvertFrom convert_from() {
  return {{&convert_row<A, uint8_t>, &convert_row<A, int32_t>, &convert_row<A, int64_t>, &convert_row<A, f16>,
           &convert_row<A, bf16>, &convert_row<A, float>, &convert_row<A, double>}};
}
constexpr ConvertFrom kConvert[kDtypes] = {convert_from<uint8_t>(), convert_from<int32_t>(), convert_from<int64_t>(),
                                           convert_from<f16>(),     convert_from<bf16>(),    convert_from<float>(),
                                           convert_from<double>()};

void copy_elements(int64_t size, const char* x, int64_t x_stride, char* y, int64_t y_stride, int64_t n) {
  switch (size) {
    case 1:
      return copy_row<uint8_t>(x, x_stride, y, y_stride, n);
    case 2:
      return copy_row<uint16_t>(x, x_stride, y, y_stride, n);
    case 4:
      return copy_row<uint32_t>(x, x_stride, y, y_stride, n);
    default:
      return copy_row<uint64_t>(x, x_stride, y, y_stride, n);
  }
}

void copy_converting(const View& x, const View& y) {
  const Strided<2> s = make_strided<2>({&x, &y});
  const ConvertRow f = kConvert[int(x.dtype)].to[int(y.dtype)];
  const int64_t x_size = size_of(x.dtype), y_size = size_of(y.dtype), dx = s.row_stride(0), dy = s.row_stride(1);
  parallel_walk(s, kGrain, [&](char* const(&p)[2], int64_t n, int64_t) {
    if (dx == x_size && dy == y_size) return f(p[0], p[1], n);
    constexpr int64_t chunk = 256;
    alignas(64) char from[chunk * 8], to[chunk * 8];
    for (int64_t i = 0; i < n; i += chunk) {
      const int64_t m = n - i < chunk ? n - i : chunk;
      copy_elements(x_size, p[0] + i * dx, dx, from, x_size, m);
      f(from, to, m);
      copy_elements(y_size, to, y_size, p[1] + i * dy, dy, m);
    }
  });
}

// ---- fill ----

void fill(const View& y, double value) {
  const Strided<1> s = make_strided<1>({&y});
  const int64_t size = size_of(y.dtype), stride = s.row_stride(0);
  uint64_t element = 0;
  kConvert[int(Dtype::f64)].to[int(y.dtype)](&value, &element, 1);
  const char* const from = reinterpret_cast<const char*>(&element);
  parallel_walk(s, kGrain, [&](char* const(&p)[1], int64_t n, int64_t) {
    if (element == 0 && stride == size)
      __builtin_memset(p[0], 0, std::size_t(n * size));
    else
      copy_elements(size, from, 0, p[0], stride, n);
  });
}

}  // namespace

void copy(const View& x, const View& y) {
  if (x.dtype != y.dtype) return copy_converting(x, y);
  switch (size_of(x.dtype)) {
    case 1:
      return copy_same<uint8_t>(x, y);
    case 2:
      return copy_same<uint16_t>(x, y);
    case 4:
      return copy_same<uint32_t>(x, y);
    default:
      return copy_same<uint64_t>(x, y);
  }
}

void add_copy(Kernels& k) {
  k.copy = &copy;
  k.fill = &fill;
}

}  // namespace ar::cpu::AR_ISA
