// Batched matrix product on the product tile: rows of A are pixels, columns of B are channels.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/panels.h"

namespace ar::cpu::AR_ISA {
namespace {

template <class T>
struct Matrix {
  T* data;
  std::ptrdiff_t row, column;
  T* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
};

template <class T>
struct Product {  // c (m,n) = a (m,k) * b (k,n)
  Matrix<const T> a, b;
  Matrix<T> c;
  int64_t m, n, k;

  /// The part of the sums over [k0, k1).
  Product range(int64_t k0, int64_t k1) const {
    Product r = *this;
    r.a.data = a.at(0, k0);
    r.b.data = b.at(k0, 0);
    r.k = k1 - k0;
    return r;
  }
};

/// Rows of A as the tile wants them: unit stride in k. Copies `rows` of them otherwise.
template <class T>
void pack_rows(const Matrix<const T>& a, int64_t i0, int64_t rows, int64_t k, T* out, int64_t ld) {
  using V = Vec<T>;
  constexpr int L = V::kLanes;
  if (a.column == 1) return read_pixels(a.at(i0, 0), a.row, rows, k, Reader<T>{}, out, ld);
  if (a.row == 1) {
    for (int64_t c = 0; c < k; c += L) {
      const int m = int(least(L, k - c));
      for (int64_t i = 0; i < rows; i += L) {
        const int n = int(least(L, rows - i));
        V r[L];
        for (int j = 0; j < L; ++j) r[j] = j < m ? V::load(a.at(i0 + i, c + j), n) : V::zero();
        transpose<T>(r);
        for (int j = 0; j < n; ++j) r[j].store(out + (i + j) * ld + c, m);
      }
    }
    return;
  }
  for (int64_t c = 0; c < k; ++c)
    for (int64_t i = 0; i < rows; ++i) out[i * ld + c] = *a.at(i0 + i, c);
}

constexpr int kDots = 4;           // rows and columns that dots() takes at once
constexpr int64_t kMostDots = 12;  // with more rows than this, packing pays

/// `M` rows of A from i0 by (up to kDots) columns [j0, j1) of B, both with unit stride in k: with few rows an element
/// of B is used so seldom that it is read where it lies.
template <class T, int M>
void dots(const Product<T>& p, bool accumulate, int64_t i0, int64_t j0, int64_t j1) {
  using V = Vec<T>;
  constexpr int L = V::kLanes, N = kDots;
  const int64_t whole = p.k / L * L;
  const T *a[M], *b[N];
  for (int i = 0; i < M; ++i) a[i] = p.a.at(i0 + i, 0);
  for (int v = 0; v < N; ++v) b[v] = p.b.at(0, least(j0 + v, j1 - 1));
  V acc[N][M];
  for (auto& column : acc)
    for (V& s : column) s = V::zero();
  auto step = [&](int64_t c, auto load) __attribute__((always_inline)) {
    V x[M];
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) x[i] = load(a[i] + c);
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) {
      const V y = load(b[v] + c);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) acc[v][i] = fma(x[i], y, acc[v][i]);
    }
  };
  for (int64_t c = 0; c < whole; c += L) step(c, [](const T* x) { return V::load(x); });
  if (const int tail = int(p.k - whole)) step(whole, [tail](const T* x) { return V::load(x, tail); });
  for (int v = 0; j0 + v < j1; ++v)
    for (int i = 0; i < M; ++i) {
      T& c = *p.c.at(i0 + i, j0 + v);
      c = accumulate ? c + sum_lanes(acc[v][i]) : sum_lanes(acc[v][i]);
    }
}

/// Panels [j0, j1) of B, as the tile streams them.
template <class T>
void pack_panels(const Product<T>& p, int64_t j0, int64_t j1, T* out) {
  constexpr int64_t P = kPanel<T>;
  const int64_t panel_size = p.k * P;
  // Rows of B are read in runs of some panels: one panel at a time each line would be of another page.
  constexpr int64_t together = 8;
  if (p.b.column == 1)
    for (; j0 + together <= j1 && (j0 + together) * P <= p.n; j0 += together, out += together * panel_size)
      for (int64_t c = 0; c < p.k; ++c)
        for (int64_t j = 0; j < together; ++j) copy_pixel(p.b.at(c, (j0 + j) * P), P, out + j * panel_size + c * P);
  for (; j0 < j1; ++j0, out += panel_size)
    pack_panel(p.b.at(0, j0 * P), p.b.row, p.b.column, p.k, least(P, p.n - j0 * P), out);
}

/// Rows [m0, m1) by panels [panel0, panel1) of one product whose panels and tiles fit into the caches.
template <class T>
void multiply_range(const Product<T>& p, bool accumulate, int64_t m0, int64_t m1, int64_t panel0, int64_t panel1) {
  constexpr int64_t P = kPanel<T>, E = sizeof(T), kMostStrips = 32;
  const int64_t panel_size = p.k * P, ld = padded_step<T>(p.k), tiles = ceil_div(m1 - m0, kTile);
  // A group of B's panels is packed, then A passes: tile by tile where 14 rows a tile use each panel well; with 6, a
  // block of tiles stays in the second-level cache instead, while panels come from the third.
  constexpr bool blocks = kTile <= 6;
  const int64_t group_bytes = blocks ? 4 * kCached : kCached;
  const int64_t group = most(1, least(panel1 - panel0, group_bytes / most(1, panel_size * E)));
  const int64_t in_cache = most(kPanelFetches<T>, kCached / 2 / (kTile * ld * E));
  // Rows that must be copied are copied for some tiles at once, lest each line and page be visited for 14 of them.
  const int64_t most_strips = blocks ? kMostStrips : p.a.column == 1 ? 1 : 8;
  const int64_t strips = least(tiles, least(in_cache, most_strips));
  // A is read in place where it can be, unless its rows meet in few cache sets and are used often enough to pay for a
  // copy.
  const bool in_place = p.a.column == 1 && (group <= 2 || p.a.row * E % 1024 != 0);
  Scratch scratch(Scratch::bytes<T>(group * panel_size) + Scratch::bytes<T>(strips * kTile * ld));
  T* const b = scratch.take<T>(group * panel_size);
  T* const packed = scratch.take<T>(strips * kTile * ld);
  alignas(64) T raw[kTile * kPanel<T>];
  const std::ptrdiff_t no_tap = 0;
  Finish<T> f;
  f.accumulate = accumulate;
  Tile<T> t{};
  t.taps = &no_tap;
  t.n_taps = 1;
  t.k = p.k;
  t.a_step = (in_place ? p.a.row : ld) * E;
  t.finish = &f;
  t.raw = raw;
  auto run = [&](int64_t i, int64_t rows, const T* a, int64_t j) __attribute__((always_inline)) {
    const int64_t first = (rows + 1) / 2;
    const int columns = int(least(P, p.n - j * P));
    t.a1 = a;
    t.a2 = a + first * t.a_step / E;
    if (p.c.column == 1) {
      t.c_step = p.c.row;
      t.c1 = p.c.at(i, j * P);
      t.c2 = p.c.at(i + first, j * P);
      run_tile(t, int(rows), columns);
    } else {
      t.c1 = t.c2 = p.c.data;
      t.c_step = 0;
      run_raw_tile(t, int(rows), columns);
      unpack_panel(raw, rows, columns, accumulate, p.c.at(i, j * P), p.c.row, p.c.column);
    }
  };
  auto row = [&](int64_t tile) { return m0 + tile_begin(tile, m1 - m0); };
  for (int64_t j0 = panel0; j0 < panel1; j0 += group) {
    const int64_t j1 = least(panel1, j0 + group);
    pack_panels(p, j0, j1, b);
    for (int64_t tile = 0; tile < tiles; tile += strips) {
      const int64_t last = least(tile + strips, tiles), i0 = row(tile), i1 = row(last);
      if (!in_place) pack_rows(p.a, i0, i1 - i0, p.k, packed, ld);
      const T* const a = in_place ? p.a.at(i0, 0) : packed;
      const char* rows = last < tiles && p.a.column == 1 ? reinterpret_cast<const char*>(p.a.at(i1, 0)) : nullptr;
      Ahead<T> ahead{blocks, rows, p.a.row * E, (last - tile) * kTile};
      auto one = [&](int64_t j, int64_t s) __attribute__((always_inline)) {
        t.b = b + (j - j0) * panel_size;
        ahead.point(t, s - tile);
        run(row(s), row(s + 1) - row(s), a + (row(s) - i0) * t.a_step / E, j);
      };
      if constexpr (blocks) {
        for (int64_t j = j0; j < j1; ++j)
          for (int64_t s = tile; s < last; ++s) one(j, s);
      } else {
        for (int64_t s = tile; s < last; ++s)
          for (int64_t j = j0; j < j1; ++j) one(j, s);
      }
    }
  }
}

/// Rows [m0, m1) by panels [panel0, panel1) of one product, some hundred values of k after another: sums of thousands
/// would need panels so large that few fit into a cache, and A would be read, or copied, for each few again. (With few
/// columns all fit, and rows of A are better read in one go.)
template <class T>
void multiply(const Product<T>& p, bool accumulate, int64_t m0, int64_t m1, int64_t panel0, int64_t panel1) {
  constexpr int64_t kMost = 512, row = kPanel<T> * int64_t(sizeof(T));
  const int64_t k = most(1, p.k), deep = p.a.column == 1 ? kCached / (row * ceil_div(p.n, kPanel<T>)) : 0;
  const int64_t depth = round_up(ceil_div(k, ceil_div(k, most(kMost, deep))), kLanes<T>);
  for (int64_t from = 0; from < k; from += depth)
    multiply_range(p.range(from, least(p.k, from + depth)), accumulate || from > 0, m0, m1, panel0, panel1);
}

template <class T>
void gemm(const View& a, const View& b, const View& c, bool accumulate) {
  Product<T> p{{nullptr, a.strides[1], a.strides[2]},
               {nullptr, b.strides[1], b.strides[2]},
               {nullptr, c.strides[1], c.strides[2]},
               c.shape[1],
               c.shape[2],
               a.shape[2]};
  const int64_t batch = c.shape[0];
  if (batch * p.m * p.n == 0) return;
  // (a b)^T = b^T a^T: a result stored by columns is turned; and where both operands could be read in place, as a
  // linear layer's can, so that the smaller one is packed.
  const bool by_columns = p.c.column != 1 && p.n > 1 && (p.c.row == 1 || p.m == 1);
  const int64_t rows = by_columns ? p.n : p.m, columns = by_columns ? p.m : p.n;
  const bool few_rows = p.a.column == 1 && p.b.row == 1 && rows > kMostDots && 2 * rows <= columns;
  const bool turn = by_columns != few_rows;
  if (turn) {
    const Product<T> q = p;
    p = {{nullptr, q.b.column, q.b.row}, {nullptr, q.a.column, q.a.row}, {nullptr, q.c.column, q.c.row}, q.n, q.m, q.k};
  }
  if (p.n == 1) p.c.column = 1;
  const View &left = turn ? b : a, &right = turn ? a : b;
  const int64_t threads = num_threads(), panels = ceil_div(p.n, kPanel<T>), tiles = ceil_div(p.m, kTile);
  auto of_batch = [&](int64_t i) {
    Product<T> q = p;
    q.a.data = static_cast<const T*>(left.data) + i * left.strides[0];
    q.b.data = static_cast<const T*>(right.data) + i * right.strides[0];
    q.c.data = static_cast<T*>(c.data) + i * c.strides[0];
    return q;
  };
  if (p.m <= kMostDots && p.a.column == 1 && p.b.row == 1) {
    constexpr void (*by_rows[kDots])(const Product<T>&, bool, int64_t, int64_t, int64_t) = {dots<T, 1>, dots<T, 2>,
                                                                                            dots<T, 3>, dots<T, 4>};
    for (int64_t i = 0; i < batch; ++i) {
      const Product<T> q = of_batch(i);
      parallel_for(ceil_div(p.n, kDots), most(1, 4096 / most(1, p.k * p.m)), [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j)
          for (int64_t row = 0; row < p.m; row += kDots)
            by_rows[least(kDots, p.m - row) - 1](q, accumulate, row, j * kDots, least(p.n, (j + 1) * kDots));
      });
    }
    return;
  }
  // Batches first, then panels of B (packed by one thread each), then rows.
  int64_t panel_units = 1, row_units = 1;
  if (batch < 4 * threads && batch % threads != 0) {
    const int64_t wanted = batch * p.m * p.n * p.k < 32768 ? 1 : threads;
    panel_units = panels % wanted == 0 || panels >= 4 * wanted ? wanted : 1;
    if (panel_units == 1) row_units = least(wanted, tiles);
    if (row_units < wanted && panel_units == 1) panel_units = least(panels, ceil_div(wanted, row_units));
  }
  parallel_parts(int(batch * panel_units * row_units), [&](int part, int) {
    const int64_t i = part / (panel_units * row_units), v = part / row_units % panel_units, r = part % row_units;
    multiply(of_batch(i), accumulate, p.m * r / row_units, p.m * (r + 1) / row_units, panels * v / panel_units,
             panels * (v + 1) / panel_units);
  });
}

}  // namespace

void add_gemm(Kernels& k) {
  k.gemm.f32 = gemm<float>;
  k.gemm.f64 = gemm<double>;
}

}  // namespace ar::cpu::AR_ISA
