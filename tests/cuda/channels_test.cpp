#include "ar.h"
#include "tests/cuda/both.h"

namespace ar::testing {
namespace {

const Dtype kTypes[] = {Dtype::bf16, Dtype::f32, Dtype::f64};

/// f(shape, dtype, how inputs and outputs lie). Where channels are a multiple of 8, they may be moved in packs.
template <class F>
void each_case(F f) {
  for (const Dims& shape : {Dims{3, 37, 5, 4},
                            {130, 20},
                            {2, 33, 70},
                            {2, 3, 2, 3, 4},
                            {0, 4, 2, 2},
                            {1, 1, 1, 1},
                            {3, 72, 5, 9},
                            {1, 40, 1, 1}})
    for (Dtype t : kTypes)
      for (Lie in : {Lie::dense, Lie::channels_last, Lie::narrow, Lie::slot})
        for (Lie out : {Lie::channels_last, Lie::narrow, Lie::slot}) {
          if ((in == Lie::slot || out == Lie::slot) && shape[1] % 8 != 0) continue;
          SCOPED_TRACE(::testing::Message() << shape << " " << t << " " << int(in) << " " << int(out));
          f(shape, t, in, out);
        }
}
Array per_channel(const Dims& shape, Dtype t, unsigned seed) {
  return random({shape[1]}, parameter_type(t), Lie::dense, seed, -1.5, 1.5);
}
/// Two sums of so many channels, one after the other.
struct Sums {
  Numbers a, b;
  Sums(const Side& side, int64_t channels) : a(side, channels, 3), b(side, channels, 4) {}
  std::vector<double> both() const {
    std::vector<double> all = a.values();
    for (double v : b.values()) all.push_back(v);
    return all;
  }
};

TEST(CudaChannels, Sums) {
  AR_NEEDS_CUDA();
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie) {
    const Array x = random(shape, t, in);
    compare({&x}, [&](const Side& s) {
      Sums sums(s, shape[1]), alone(s, shape[1]);
      s.k.channel_sums[s[0].dtype](s[0], sums.a.data(), sums.b.data());
      s.k.channel_sums[s[0].dtype](s[0], nullptr, alone.b.data());
      EXPECT_EQ(alone.b.values(), sums.b.values());
      return sums.both();
    });
  });
}

TEST(CudaChannels, SumsOfManyPixels) {
  AR_NEEDS_CUDA();
  const Dims shape{many() / 40 / 300, 40, 20, 15};
  for (Dtype t : kTypes)
    for (Lie lie : {Lie::narrow, Lie::slot}) {
      const Array x = random(shape, t, lie, 1, 0.9, 1.1);
      compare({&x}, [&](const Side& s) {
        Sums sums(s, 40);
        s.k.channel_sums[s[0].dtype](s[0], sums.a.data(), sums.b.data());
        return sums.both();
      });
    }
}

/// Means of a thousand standard deviations: a sum of f32 squares would leave no digit of the variance.
TEST(CudaChannels, SumsKeepTheVarianceFarFromZero) {
  AR_NEEDS_CUDA();
  const Dims shape{2, 40, 20, 15};
  for (Lie lie : {Lie::channels_last, Lie::narrow}) {
    const Array x = random(shape, Dtype::f32, lie, 1, 999, 1001);
    const OnDevice there(x);
    std::vector<std::pair<void*, int64_t>> taken;
    const Side side{*backend(kCuda).kernels,
                    {there.view()},
                    [&](int64_t bytes) {
                      taken.emplace_back(backend(kCuda).allocate(bytes), bytes);
                      return taken.back().first;
                    },
                    true};
    const Numbers sum(side, 40, 0), sum_sq(side, 40, 0);
    side.k.channel_sums.f32(there.view(), sum.data(), sum_sq.data());
    const double n = 600;
    for (int64_t c = 0; c < 40; ++c) {
      double mean = 0, var = 0;
      for (int64_t i = 0; i < x.numel(); ++i)
        if (i / 300 % 40 == c) mean += x.get(i) / n;
      for (int64_t i = 0; i < x.numel(); ++i)
        if (i / 300 % 40 == c) var += (x.get(i) - mean) * (x.get(i) - mean) / n;
      const double m = sum.values()[std::size_t(c)] / n;
      EXPECT_NEAR(m, mean, 1e-5);
      EXPECT_NEAR(sum_sq.values()[std::size_t(c)] / n - m * m, var, 1e-4 * var);
    }
    for (auto [data, bytes] : taken) backend(kCuda).release(data, bytes);
  }
}

/// All channels but the first: each pixel begins at the same odd place.
View without_first(const View& v) {
  View rest = v;
  rest.data = static_cast<char*>(v.data) + v.strides[1] * size_of(v.dtype);
  --rest.shape[1];
  return rest;
}

TEST(CudaChannels, PixelsAtOddPlaces) {
  AR_NEEDS_CUDA();
  for (Dtype t : kTypes)
    for (int moved = 0; moved < 4; ++moved) {  // which operands begin there
      const Dims shape{2, 24, 3, 5}, wider{2, 25, 3, 5};
      const auto view = [&](const View& v, int bit) {
        View all = v;
        --all.shape[1];
        return moved >> bit & 1 ? without_first(v) : all;
      };
      const Array x = random(wider, t, Lie::slot), y = random(wider, t, Lie::slot, 2);
      const Array a = per_channel(shape, t, 3), b = per_channel(shape, t, 4);
      compare(
          {&x, &a, &b, &y},
          [&](const Side& s) {
            const View from = view(s[0], 0), to = view(s[3], 1);
            Sums sums(s, 24), gated(s, 24);
            s.k.channel_sums[s[0].dtype](from, sums.a.data(), sums.b.data());
            s.k.channel_affine_add[s[0].dtype](from, s[1].data, s[2].data, to);
            const ConvGate gate{
                .x = from, .scale = s[1].data, .shift = s[2].data, .sum_d = gated.a.data(), .sum_dx = gated.b.data()};
            s.k.channel_gate[s[0].dtype](from, to, true, gate);
            std::vector<double> all = sums.both();
            for (double v : gated.both()) all.push_back(v);
            return all;
          },
          {4, 8});
    }
}

TEST(CudaChannels, NormNumbers) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::f32, Dtype::f64})
    for (int64_t channels : {int64_t(1), int64_t(37), many() / 300 + 1}) {
      const Array weight = random({channels}, t, Lie::dense, 1), bias = random({channels}, t, Lie::dense, 2);
      const Array mean = random({channels}, t, Lie::dense, 3), var = random({channels}, t, Lie::dense, 4, 0.1, 2);
      const Array sum = random({channels}, Dtype::f64, Lie::dense, 5),
                  sum_sq = random({channels}, Dtype::f64, Lie::dense, 6, 9, 20);
      const Array batches = random({1}, Dtype::i64), scale({channels}, t), shift({channels}, t), center({channels}, t);
      for (int variant = 0; variant < 4; ++variant)
        compare({&weight, &bias, &mean, &var, &sum, &sum_sq, &batches, &scale, &shift, &center},
                [&](const Side& s) {
                  const auto f64 = [&](std::size_t i) { return static_cast<double*>(s[i].data); };
                  Numbers m(s, channels, 0), v(s, channels, 0), a(s, channels, 0.5), b(s, channels, 0.25);
                  NormForward n{.channels = channels, .count = 7, .momentum = 0.1, .eps = 1e-5};
                  n.running_mean = s[2].data, n.running_var = s[3].data;
                  if (variant > 0) n.weight = s[0].data, n.bias = s[1].data;
                  if (variant > 1) n.sum = f64(4), n.sum_sq = f64(5);
                  if (variant > 2) n.update = true, n.batches = static_cast<int64_t*>(s[6].data), n.offset = s[1].data;
                  n.mean = m.data(), n.var = v.data();
                  n.scale = s[7].data, n.shift = s[8].data, n.center = s[9].data;
                  s.k.norm_forward[t](n);
                  std::vector<double> all = m.values();
                  NormBackward g{.channels = channels, .count = 7, .mean = m.data(), .var = v.data()};
                  g.sum_d = f64(4), g.sum_dx = f64(5), g.weight = n.weight, g.eps = 1e-5;
                  g.g_weight = s[7].data, g.g_bias = s[8].data;
                  g.rest_a = a.data(), g.rest_b = b.data();
                  if (variant > 1) g.a = s[2].data, g.b = s[3].data;
                  s.k.norm_backward[t](g);
                  for (const Numbers* numbers : {&v, &a, &b})
                    for (double x : numbers->values()) all.push_back(x);
                  return all;
                },
                {8, 10});
    }
}

TEST(CudaChannels, Affine) {
  AR_NEEDS_CUDA();
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    const Array x = random(shape, t, in, 1, -8, 8), y(shape, t, out), residual = random(shape, t, in, 4);
    const Array scale = per_channel(shape, t, 2), shift = per_channel(shape, t, 3);
    for (Activation act : {Activation::none, Activation::relu, Activation::relu6, Activation::leaky_relu})
      compare({&x, &scale, &shift, &y, &residual},
              [&](const Side& s) -> std::vector<double> {
                const auto affine = s.k.channel_affine[s[0].dtype];
                affine(s[0], s[1].data, s[2].data, s[4], act, 0.25, s[3]);
                affine(s[0], s[1].data, s[2].data, {}, act, 0.25, s[0]);  // in place
                return {};
              },
              {2, 10});
  });
}

TEST(CudaChannels, AffineAdd) {
  AR_NEEDS_CUDA();
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    const Array x = random(shape, t, in), y = random(shape, t, out, 4);
    const Array a = per_channel(shape, t, 2), b = per_channel(shape, t, 3);
    compare({&x, &a, &b, &y},
            [&](const Side& s) -> std::vector<double> {
              s.k.channel_affine_add[s[0].dtype](s[0], s[1].data, s[2].data, s[3]);
              return {};
            },
            {2, 8});
  });
}

TEST(CudaChannels, Gate) {
  AR_NEEDS_CUDA();
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    const Array g = random(shape, t, in), x = random(shape, t, Lie::narrow, 4, -8, 8), old = random(shape, t, out, 5);
    const Array fresh(shape, t, out), scale = per_channel(shape, t, 2), shift = per_channel(shape, t, 3);
    const Array center = per_channel(shape, t, 6);
    for (Activation act : {Activation::none, Activation::relu, Activation::relu6, Activation::leaky_relu})
      for (bool accumulate : {false, true})
        compare({&g, &x, &scale, &shift, accumulate ? &old : &fresh, &center},
                [&](const Side& s) {
                  Sums sums(s, shape[1]);
                  ConvGate gate;
                  gate.x = s[1], gate.scale = s[2].data, gate.shift = s[3].data;
                  gate.activation = act, gate.slope = 0.25;
                  if (accumulate) gate.center = s[5].data;
                  gate.sum_d = sums.a.data(), gate.sum_dx = sums.b.data();
                  s.k.channel_gate[s[0].dtype](s[0], s[4], accumulate, gate);
                  return sums.both();
                },
                {2, 8});
  });
}

TEST(CudaChannels, NormReluPool2) {
  AR_NEEDS_CUDA();
  for (const Dims& shape : {Dims{3, 37, 5, 4}, {2, 70, 6, 7}, {1, 3, 2, 3}, {2, 40, 6, 8}, {3, 8, 5, 7}})
    for (Dtype t : kTypes)
      for (Lie lie : {Lie::channels_last, Lie::narrow, Lie::dense}) {
        const Dims half{shape[0], shape[1], shape[2] / 2, shape[3] / 2};
        const Array x = random(shape, t, lie), y(half, t, Lie::channels_last), gy = random(half, t, lie, 2);
        const Array scale = per_channel(shape, t, 2), shift = per_channel(shape, t, 3);
        compare({&x, &scale, &shift, &y},
                [&](const Side& s) -> std::vector<double> {
                  s.k.norm_relu_pool2[s[0].dtype](s[0], s[1].data, s[2].data, s[3]);
                  return {};
                },
                {2, 4});
        const Lie out = lie == Lie::dense ? Lie::narrow : lie;
        const Array old = random(shape, t, out, 5), fresh(shape, t, out);
        for (bool accumulate : {false, true})
          compare({&gy, &x, &scale, &shift, accumulate ? &old : &fresh},
                  [&](const Side& s) {
                    Sums sums(s, shape[1]);
                    ConvGate gate;
                    gate.x = s[1], gate.scale = s[2].data, gate.shift = s[3].data;
                    gate.activation = Activation::relu;
                    gate.sum_d = sums.a.data(), gate.sum_dx = sums.b.data();
                    s.k.norm_relu_pool2_backward[s[0].dtype](s[0], s[4], accumulate, gate);
                    return sums.both();
                  },
                  {2, 4});
      }
}

TEST(CudaChannels, Lrn) {
  AR_NEEDS_CUDA();
  for (const LrnParams& p : {LrnParams{}, {.size = 4, .alpha = 0.5, .beta = 0.6, .k = 2}, {.size = 1, .alpha = 1}})
    for (Dtype t : kTypes)
      for (Lie lie : {Lie::channels_last, Lie::dense})
        for (const Dims& shape : {Dims{2, 37, 3, 5}, {1, 2, 4, 3}}) {
          const Array x = random(shape, t, lie), gy = random(shape, t, lie, 2), y(shape, t, lie), gx(shape, t, lie);
          compare({&x, &gy, &y, &gx},
                  [&](const Side& s) -> std::vector<double> {
                    s.k.lrn[s[0].dtype](p, s[0], s[2]);
                    s.k.lrn_backward[s[0].dtype](p, s[0], s[1], s[3]);
                    return {};
                  },
                  {16, 4});
        }
}

// ---- pooling ----

struct PoolCase {
  Dims x;
  PoolParams p;
  bool ceil = false;
};
const PoolCase kPools[] = {
    {{2, 24, 7, 9}, {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1}},
    {{2, 19, 7, 9}, {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1}},
    {{1, 70, 6, 5}, {.kernel_h = 2, .kernel_w = 3, .stride_h = 2, .stride_w = 1, .pad_h = 0, .pad_w = 1}},
    {{3, 3, 8, 8}, {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2}, true},
    {{2, 5, 9, 8}, {.kernel_h = 2, .kernel_w = 2, .stride_h = 3, .stride_w = 3, .count_include_pad = false}},
    {{2, 4, 5, 5},
     {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .count_include_pad = false},
     true},
};
int64_t outputs(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, bool ceil) {
  const int64_t span = size + 2 * pad - dilation * (kernel - 1) - 1, n = (span + (ceil ? stride - 1 : 0)) / stride + 1;
  return ceil && (n - 1) * stride >= size + pad ? n - 1 : n;
}

TEST(CudaPool, MaxAndAverage) {
  AR_NEEDS_CUDA();
  for (PoolCase c : kPools)
    for (int64_t dilation : {1, 2})
      for (Dtype t : kTypes)
        for (Lie lie : {Lie::channels_last, Lie::slot, Lie::narrow, Lie::dense}) {
          if (c.x[2] < 6 && dilation > 1) continue;
          c.p.dilation_h = dilation;
          const Dims shape{c.x[0], c.x[1], outputs(c.x[2], c.p.kernel_h, c.p.stride_h, c.p.pad_h, dilation, c.ceil),
                           outputs(c.x[3], c.p.kernel_w, c.p.stride_w, c.p.pad_w, 1, c.ceil)};
          SCOPED_TRACE(::testing::Message() << c.x << " to " << shape << " " << t << " " << int(lie));
          Array x = random(c.x, t, lie);
          x.assign([&](int64_t i) { return i == 40 ? std::nan("") : std::round(x.get(i) * 4); });  // ties
          const Array y(shape, t, lie), indices(shape, Dtype::i32, lie), gy = random(shape, t, lie, 2), gx(c.x, t, lie);
          compare({&x, &y, &indices, &gy, &gx},
                  [&](const Side& s) -> std::vector<double> {
                    s.k.max_pool2d[s[0].dtype](c.p, s[0], s[1], View{});
                    s.k.max_pool2d[s[0].dtype](c.p, s[0], s[1], s[2]);
                    s.k.max_pool2d_backward[s[0].dtype](c.p, s[3], s[2], s[4]);
                    return {};
                  },
                  {4, 4});
          if (dilation > 1) continue;
          compare({&x, &y, &gy, &gx},
                  [&](const Side& s) -> std::vector<double> {
                    s.k.avg_pool2d[s[0].dtype](c.p, s[0], s[1]);
                    s.k.avg_pool2d_backward[s[0].dtype](c.p, s[2], s[3]);
                    return {};
                  },
                  {4, 4});
        }
}

TEST(CudaPool, AdaptiveAverage) {
  AR_NEEDS_CUDA();
  for (const Dims& x_shape : {Dims{2, 19, 7, 9}, Dims{3, 4, 13, 2}})
    for (auto [h, w] : {std::pair{1, 1}, {2, 3}, {7, 9}, {10, 4}})
      for (Dtype t : kTypes) {
        const Dims shape{x_shape[0], x_shape[1], h, w};
        const Array x = random(x_shape, t, Lie::narrow), y(shape, t), gy = random(shape, t, Lie::channels_last, 2);
        const Array gx(x_shape, t, Lie::channels_last);
        compare({&x, &y, &gy, &gx},
                [&](const Side& s) -> std::vector<double> {
                  s.k.adaptive_avg_pool2d[s[0].dtype](s[0], s[1]);
                  s.k.adaptive_avg_pool2d_backward[s[0].dtype](s[2], s[3]);
                  return {};
                },
                {4, 4});
      }
}

// ---- LSTM, frames, optimisers ----

TEST(CudaLstm, CellBothWays) {
  AR_NEEDS_CUDA();
  for (Dtype t : kTypes)
    for (bool all : {false, true}) {
      const int64_t batch = 5, width = 131;
      const Array gates = random({batch, 4 * width}, t, Lie::padded), c0 = random({batch, width}, t, Lie::padded, 2);
      const Array h0 = random({batch, width}, t, Lie::dense, 3), c({batch, width}, t),
                  h({batch, width}, t, Lie::padded);
      Array active({batch}, Dtype::i64);
      active.assign([](int64_t i) { return double(i % 2); });
      const Array gh = random({batch, width}, t, Lie::padded, 4), gc = random({batch, width}, t, Lie::dense, 5);
      const Array ggates({batch, 4 * width}, t, Lie::padded), gc0({batch, width}, t), gh0({batch, width}, t);
      compare({&gates, &c0, &h0, &active, &c, &h, &gh, &gc, &ggates, &gc0, &gh0},
              [&](const Side& s) -> std::vector<double> {
                const View runs = all ? View{} : s[3];
                s.k.lstm_cell[s[0].dtype](s[0], s[1], s[2], runs, s[4], s[5]);
                s.k.lstm_cell_backward[s[0].dtype](s[0], s[1], s[4], runs, s[6], s[7], s[8], s[9], s[10]);
                return {};
              },
              {16, 2});
    }
}

TEST(CudaFrames, CropFlipNormalise) {
  AR_NEEDS_CUDA();
  const FrameWindow windows[] = {{0, 0, false}, {4, 7, true}, {1, 2, true}};
  for (Dtype t : {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
    for (Lie lie : {Lie::channels_last, Lie::padded, Lie::dense})
      for (bool cut : {false, true}) {
        const Array x = random({3, 3, 2, 11, 20}, Dtype::u8, lie, 1, 0, 255);
        const Array y({3, 3, 2, cut ? 7 : 11, cut ? 13 : 20}, t, Lie::channels_last);
        FrameTransform f{{0.1, 0.2, 0.3}, {-1, 0, 2}, cut ? windows : nullptr};
        compare(
            {&x, &y},
            [&](const Side& s) -> std::vector<double> {
              s.k.normalize_frames[t](s[0], f, s[1]);
              return {};
            },
            {2, 1}, true);
      }
}

TEST(CudaOptim, SgdAndAdam) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::f32, Dtype::f64})
    for (const Dims& shape : {Dims{7, 31, 3, 3}, Dims{many() / 32 + 1}}) {
      const Lie lie = Lie::channels_last;
      const Array p = random(shape, t, lie), g = random(shape, t, lie, 2), m = random(shape, t, lie, 3);
      const Array v = random(shape, t, lie, 4, 0, 2);
      for (bool first : {false, true})
        for (bool nesterov : {false, true}) {
          const SgdParams s{.lr = 0.1,
                            .momentum = 0.9,
                            .dampening = nesterov ? 0 : 0.2,
                            .weight_decay = 0.01,
                            .nesterov = nesterov,
                            .first_step = first};
          compare({&p, &g, &m},
                  [&](const Side& side) -> std::vector<double> {
                    side.k.sgd[t](s, side[0], side[1], View{});
                    side.k.sgd[t](s, side[0], side[1], side[2]);
                    return {};
                  },
                  {8, 4});
        }
      for (bool decoupled : {false, true})
        compare({&p, &g, &m, &v},
                [&](const Side& s) -> std::vector<double> {
                  s.k.adam[t]({.lr = 0.1, .weight_decay = 0.03, .decoupled = decoupled, .step = 3}, s[0], s[1], s[2],
                              s[3]);
                  return {};
                },
                {16, 4});
    }
}

/// Many parameters in one call give what single calls give on the CPU: more than fit one launch, small, empty and
/// large.
TEST(CudaOptim, ManyParametersInOneCall) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::f32, Dtype::f64}) {
    std::vector<Array> arrays;
    for (int i = 0; i < 70; ++i) {
      const int64_t size = i == 3 ? 0 : i == 66 ? many() / 4 : i % 7 * 100 + 1;
      for (unsigned seed : {1u, 2u, 3u}) arrays.push_back(random({size}, t, Lie::dense, 10 * unsigned(i) + seed));
      arrays.push_back(random({size}, t, Lie::dense, 10 * unsigned(i) + 4, 0, 2));
    }
    std::vector<const Array*> pointers;
    for (const Array& a : arrays) pointers.push_back(&a);
    const SgdParams sgd{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true};
    const AdamParams adam{.lr = 0.1, .weight_decay = 0.03, .decoupled = true, .step = 3};
    const auto listed = [&](const Side& s) {
      std::vector<OptimTensors> list;
      for (std::size_t i = 0; i < s.v.size(); i += 4)
        list.push_back({s[i].numel(), s[i].data, s[i + 1].data, s[i + 2].data, s[i + 3].data});
      return list;
    };
    compare(pointers,
            [&](const Side& s) -> std::vector<double> {
              if (const auto list = listed(s); s.on_device) {
                s.k.sgd_many[t](sgd, nullptr, int64_t(list.size()), list.data());
                s.k.adam_many[t](adam_numbers(adam), nullptr, int64_t(list.size()), list.data());
                return {};
              }
              for (std::size_t i = 0; i < s.v.size(); i += 4) {
                s.k.sgd[t](sgd, s[i], s[i + 1], s[i + 2]);
                s.k.adam[t](adam, s[i], s[i + 1], s[i + 2], s[i + 3]);
              }
              return {};
            },
            {32, 4});
  }
}

TEST(CudaOptim, GradientNorms) {
  AR_NEEDS_CUDA();
  manual_seed(4);
  std::vector<Tensor> grads;
  for (int64_t size : {int64_t(1), int64_t(300), int64_t(0), many() / 3}) grads.push_back(randn({size}));
  for (double p : {1., 2., 3., double(INFINITY)})
    for (double most : {0.7, 1e9}) {
      std::vector<Variable> here, there;
      for (const Tensor& g : grads) {
        here.emplace_back(zeros_like(g), true), there.emplace_back(zeros(g.shape(), {.device = kCuda}), true);
        here.back().set_grad(g.clone()), there.back().set_grad(g.to(kCuda));
      }
      here.emplace_back(ones({3}), true), there.emplace_back(ones({3}, {.device = kCuda}), true);  // without gradient
      const double norm = optim::clip_grad_norm_(here, most, {.norm_type = p});
      const int64_t waits = host_traffic(kCuda).waits;
      const Tensor got = optim::clip_grad_norm_tensor_(there, most, p);
      EXPECT_EQ(host_traffic(kCuda).waits, waits);
      EXPECT_NEAR(got.item(), norm, 1e-5 * norm);
      for (std::size_t i = 0; i < grads.size(); ++i) {
        const auto a = here[i].grad().to_vector<double>(), b = there[i].grad().to_vector<double>();
        for (std::size_t j = 0; j < a.size(); ++j) ASSERT_NEAR(a[j], b[j], 1e-5 * (1e-3 + std::abs(a[j])));
      }
    }
  Variable v(zeros({5}, {.device = kCuda}), true);
  v.set_grad(from_vector(std::vector<float>{1, NAN, 2, 3, 4}, {5}).to(kCuda));
  EXPECT_TRUE(std::isnan(optim::clip_grad_norm_({v}, 1)));
  for (double g : v.grad().to_vector<double>()) EXPECT_TRUE(std::isnan(g));
}

}  // namespace
}  // namespace ar::testing
