#include "tests/cuda/both.h"

namespace ar::testing {
namespace {

const Dtype kTypes[] = {Dtype::bf16, Dtype::f32, Dtype::f64};

/// f(shape, dtype, how inputs and outputs lie).
template <class F>
void each_case(F f) {
  for (const Dims& shape : {Dims{3, 37, 5, 4}, {130, 20}, {2, 33, 70}, {2, 3, 2, 3, 4}, {0, 4, 2, 2}, {1, 1, 1, 1}})
    for (Dtype t : kTypes)
      for (Lie in : {Lie::dense, Lie::channels_last, Lie::narrow})
        for (Lie out : {Lie::channels_last, Lie::narrow}) {
          SCOPED_TRACE(::testing::Message() << shape << " " << t << " " << int(in) << " " << int(out));
          f(shape, t, in, out);
        }
}
Array per_channel(const Dims& shape, Dtype t, unsigned seed) {
  return random({shape[1]}, parameter_type(t), Lie::dense, seed, -1.5, 1.5);
}
/// Two sums of so many channels, one after the other.
struct Sums {
  std::vector<double> a, b;
  explicit Sums(int64_t channels) : a(std::size_t(channels), 3), b(std::size_t(channels), 4) {}
  std::vector<double> both() const {
    std::vector<double> all = a;
    all.insert(all.end(), b.begin(), b.end());
    return all;
  }
};

TEST(CudaChannels, Sums) {
  AR_NEEDS_CUDA();
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie) {
    const Array x = random(shape, t, in);
    compare({&x}, [&](const Side& s) {
      Sums sums(shape[1]), alone(shape[1]);
      s.k.channel_sums[s[0].dtype](s[0], sums.a.data(), sums.b.data());
      s.k.channel_sums[s[0].dtype](s[0], nullptr, alone.b.data());
      EXPECT_EQ(alone.b, sums.b);
      return sums.both();
    });
  });
}

TEST(CudaChannels, SumsOfManyPixels) {
  AR_NEEDS_CUDA();
  const Dims shape{many() / 40 / 300, 40, 20, 15};
  const Array x = random(shape, Dtype::f32, Lie::narrow, 1, 0.9, 1.1);
  compare({&x}, [&](const Side& s) {
    Sums sums(40);
    s.k.channel_sums.f32(s[0], sums.a.data(), sums.b.data());
    return sums.both();
  });
}

TEST(CudaChannels, Affine) {
  AR_NEEDS_CUDA();
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    const Array x = random(shape, t, in, 1, -8, 8), y(shape, t, out);
    const Array scale = per_channel(shape, t, 2), shift = per_channel(shape, t, 3);
    for (Activation act : {Activation::none, Activation::relu, Activation::relu6, Activation::leaky_relu})
      compare({&x, &scale, &shift, &y},
              [&](const Side& s) -> std::vector<double> {
                s.k.channel_affine[s[0].dtype](s[0], s[1].data, s[2].data, act, s[3]);
                s.k.channel_affine[s[0].dtype](s[0], s[1].data, s[2].data, act, s[0]);  // in place
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
    const Array g = random(shape, t, in), x = random(shape, t, Lie::narrow, 4), old = random(shape, t, out, 5);
    const Array fresh(shape, t, out), scale = per_channel(shape, t, 2), shift = per_channel(shape, t, 3);
    const Array center = per_channel(shape, t, 6);
    for (bool relu : {false, true})
      for (bool accumulate : {false, true})
        compare({&g, &x, &scale, &shift, accumulate ? &old : &fresh, &center},
                [&](const Side& s) {
                  Sums sums(shape[1]);
                  ConvGate gate;
                  gate.x = s[1], gate.scale = s[2].data, gate.shift = s[3].data, gate.relu = relu;
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
  for (const Dims& shape : {Dims{3, 37, 5, 4}, {2, 70, 6, 7}, {1, 3, 2, 3}})
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
        const Array old = random(shape, t, Lie::narrow, 5), fresh(shape, t, Lie::narrow);
        for (bool accumulate : {false, true})
          compare({&gy, &x, &scale, &shift, accumulate ? &old : &fresh},
                  [&](const Side& s) {
                    Sums sums(shape[1]);
                    ConvGate gate;
                    gate.x = s[1], gate.scale = s[2].data, gate.shift = s[3].data, gate.relu = true;
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
        for (Lie lie : {Lie::channels_last, Lie::narrow, Lie::dense}) {
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
                    s.k.max_pool2d_backward[s[0].dtype](s[3], s[2], s[4]);
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

}  // namespace
}  // namespace ar::testing
