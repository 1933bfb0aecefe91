#include <optional>

#include "ar.h"
#include "tests/cuda/both.h"

namespace ar::testing {
namespace {

const Dtype kTypes[] = {Dtype::bf16, Dtype::f32, Dtype::f64};

TEST(CudaGemm, AnyStrides) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::f32, Dtype::f64, Dtype::bf16})
    for (auto [b, m, k, n] : {std::tuple{1, 1, 1, 1}, {3, 33, 17, 40}, {2, 70, 5, 3}, {1, 64, 130, 64}, {5, 2, 32, 1}})
      for (Lie lie : {Lie::dense, Lie::transposed, Lie::padded})
        for (bool accumulate : {false, true}) {
          SCOPED_TRACE(::testing::Message() << t << " " << b << "," << m << "," << k << "," << n << " " << int(lie));
          const Array a = random({b, m, k}, t, lie), bm = random({b, k, n}, t, Lie::dense, 2);
          const Array old = random({b, m, n}, t, Lie::padded, 3), fresh({b, m, n}, t, lie);
          compare({&a, &bm, accumulate ? &old : &fresh},
                  [&](const Side& s) -> std::vector<double> {
                    s.k.gemm[s[0].dtype](s[0], s[1], s[2], accumulate);
                    return {};
                  },
                  {64, 8});
        }
}

struct ConvCase {
  Dims x, w;
  ConvParams p;
  Dims y;
};
const ConvCase kConvs[] = {
    {{2, 5, 7, 6}, {4, 5, 3, 3}, {.pad_top = 1, .pad_left = 1}, {2, 4, 7, 6}},
    {{2, 37, 5, 4}, {33, 37, 1, 1}, {}, {2, 33, 5, 4}},
    {{1, 3, 15, 13}, {6, 3, 7, 7}, {.stride_h = 2, .stride_w = 2, .pad_top = 3, .pad_left = 3}, {1, 6, 8, 7}},
    {{2, 6, 9, 8}, {4, 3, 3, 2}, {.stride_h = 2, .pad_top = 1, .dilation_w = 2, .groups = 2}, {2, 4, 5, 6}},
    {{3, 8, 4, 4}, {8, 1, 3, 3}, {.pad_top = 1, .pad_left = 1, .groups = 8}, {3, 8, 4, 4}},
    {{2, 4, 6, 6}, {5, 4, 1, 1}, {.stride_h = 2, .stride_w = 2}, {2, 5, 3, 3}},
    {{70, 20, 1, 1}, {9, 20, 1, 1}, {}, {70, 9, 1, 1}},
};

/// Weights in the order the kernels of a side want.
const void* packed(const Side& s, ConvPack mode, const ConvParams& p, const View& w, Dtype t) {
  const int64_t bytes = s.k.conv2d_packed_size[t](mode, p, w);
  if (bytes == 0) return nullptr;
  void* const memory = s.memory(bytes);
  s.k.conv2d_pack[t](mode, p, w, memory);
  return memory;
}

/// f(case, dtype, how pixels lie, how weights lie). Twice where a library takes the weights: it gets images with gaps
/// in copies.
template <class F>
void each_case(F f) {
  for (const ConvCase& c : kConvs)
    for (Dtype t : kTypes)
      for (Lie pixels : {Lie::channels_last, Lie::narrow})
        for (Lie weights : {Lie::channels_last, Lie::dense}) {
          SCOPED_TRACE(::testing::Message() << c.x << " " << c.w << " " << t << " " << int(pixels) << int(weights));
          f(c, t, pixels, weights);
          if (weights != Lie::channels_last) continue;
          const ConvolutionByLibrary here;
          f(c, t, pixels, weights);
        }
}

TEST(CudaConv, ForwardWithReaderAndEpilogue) {
  AR_NEEDS_CUDA();
  each_case([&](const ConvCase& c, Dtype t, Lie pixels, Lie weights) {
    const Dtype parameter = parameter_type(t);
    const Array x = random(c.x, t, pixels), w = random(c.w, parameter, weights, 2, -0.5, 0.5), fresh(c.y, t, pixels);
    const Array old = random(c.y, t, pixels, 3), in_scale = random({c.x[1]}, parameter, Lie::dense, 4);
    const Array in_shift = random({c.x[1]}, parameter, Lie::dense, 5),
                scale = random({c.y[1]}, parameter, Lie::dense, 6);
    const Array shift = random({c.y[1]}, parameter, Lie::dense, 7);
    for (int variant = 0; variant < 8; ++variant) {
      SCOPED_TRACE(variant);
      const bool in_place = variant == 3 || variant == 4;
      compare({&x, &w, in_place ? &old : &fresh, &in_scale, &in_shift, &scale, &shift, &old},
              [&](const Side& s) {
                const Dtype type = s[0].dtype;
                Numbers sums(s, 2 * c.y[1], 1);
                ConvReader reader;
                ConvEpilogue e;
                if (variant == 1 || variant == 4) reader = {s[3].data, s[4].data, Activation::relu};
                if (variant == 6) reader = {s[3].data, s[4].data, Activation::leaky_relu, 0.25};
                if (variant == 2) e.shift = s[6].data;
                if (variant == 4) e.scale = s[5].data, e.shift = s[6].data, e.activation = Activation::relu;
                if (variant == 3) e.activation = Activation::relu6;
                if (variant == 5) e.activation = Activation::leaky_relu, e.slope = 0.1;
                if (in_place) e.residual = s[2];
                if (variant == 7) e.shift = s[6].data, e.activation = Activation::relu;
                if (variant == 6 || variant == 7) e.residual = s[7];
                if (variant == 1 || variant == 5) e.sum = sums.data(), e.sum_sq = sums.data() + c.y[1];
                s.k.conv2d[type](c.p, s[0], s[1], packed(s, ConvPack::forward, c.p, s[1], type), s[2], reader, e);
                return t == Dtype::bf16 ? std::vector<double>()
                                        : sums.values();  // sums of halves differ by their rounding
              },
              {t == Dtype::bf16 ? 16. : 64., 8});
    }
  });
}

TEST(CudaConv, BackwardDataWithGate) {
  AR_NEEDS_CUDA();
  each_case([&](const ConvCase& c, Dtype t, Lie pixels, Lie weights) {
    const Dtype parameter = parameter_type(t);
    const Array gy = random(c.y, t, pixels), w = random(c.w, parameter, weights, 2, -0.5, 0.5),
                x = random(c.x, t, pixels, 3);
    const Array old = random(c.x, t, pixels, 4), fresh(c.x, t, pixels),
                scale = random({c.x[1]}, parameter, Lie::dense, 5);
    const Array shift = random({c.x[1]}, parameter, Lie::dense, 6);
    for (bool gated : {false, true})
      for (bool accumulate : {false, true})
        compare({&gy, &w, &x, accumulate ? &old : &fresh, &scale, &shift},
                [&](const Side& s) {
                  const Dtype type = s[0].dtype;
                  Numbers sums(s, 2 * c.x[1], 1);
                  ConvGate gate;
                  if (gated) {
                    gate.x = s[2], gate.scale = s[4].data, gate.shift = s[5].data, gate.activation = Activation::relu;
                    gate.sum_d = sums.data(), gate.sum_dx = sums.data() + c.x[1];
                  }
                  s.k.conv2d_backward_data[type](c.p, s[0], s[1], packed(s, ConvPack::backward_data, c.p, s[1], type),
                                                 s[3], accumulate, gate);
                  return t == Dtype::bf16 ? std::vector<double>()
                                          : sums.values();  // sums of halves differ by their rounding
                },
                {t == Dtype::bf16 ? 16. : 64., 8});
  });
}

TEST(CudaConv, BackwardWeight) {
  AR_NEEDS_CUDA();
  each_case([&](const ConvCase& c, Dtype t, Lie pixels, Lie weights) {
    const Dtype parameter = parameter_type(t);
    const Array x = random(c.x, t, pixels), gy = random(c.y, t, pixels, 2), fresh(c.w, parameter, weights);
    const Array old = random(c.w, parameter, weights, 3), scale = random({c.x[1]}, parameter, Lie::dense, 4);
    const Array shift = random({c.x[1]}, parameter, Lie::dense, 5);
    for (bool read : {false, true})
      for (bool accumulate : {false, true})
        compare({&x, &gy, accumulate ? &old : &fresh, &scale, &shift},
                [&](const Side& s) -> std::vector<double> {
                  ConvReader reader;
                  if (read) reader = {s[3].data, s[4].data, Activation::relu};
                  s.k.conv2d_backward_weight[s[0].dtype](c.p, s[0], s[1], s[2], accumulate, reader);
                  return {};
                },
                // Halves are what is read, x', and what a library gives.
                {t == Dtype::bf16 && (read || convolutions_by_library()) ? 262144. : 1024., 8});
  });
}

/// Images as autograd hands them on: a gradient that is one number per channel in memory, images that begin anywhere.
TEST(CudaConv, ImagesThatNoLibraryTakes) {
  AR_NEEDS_CUDA();
  for (const bool library : {false, true}) {
    std::optional<ConvolutionByLibrary> here;
    if (library) here.emplace();
    for (Dtype t : {Dtype::f32, Dtype::bf16}) {
      manual_seed(4);
      const Tensor images = randn({3, 5, 3, 3}), weights = randn({4, 5, 3, 3});
      const auto gradients = [&](Device d, Dtype as) {
        const Tensor x = images.to(as).contiguous(Layout::channels_last).to(d);
        const Variable first(x.narrow(0, 1, 2), true), w(weights.to(d), true);  // at a multiple of 45 elements
        sum(mean(conv2d(first, w, {}, {.padding = 1}), {2, 3})).backward();
        std::vector<double> all = first.grad().to_vector<double>();
        for (double v : w.grad().to_vector<double>()) all.push_back(v);
        return all;
      };
      EXPECT_TRUE(near(gradients(kCuda, t), gradients({}, Dtype::f32), t, 16, 8)) << t << ' ' << library;
    }
  }
}

}  // namespace
}  // namespace ar::testing
