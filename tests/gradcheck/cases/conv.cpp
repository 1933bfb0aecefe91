#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

struct Row {
  const char* name;
  Dims x, weight;
  Conv2dOptions options = {};
  bool bias = true;
  Memory memory_x = Memory::dense, memory_weight = Memory::dense;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"size_1", {1, 1, 1, 1}, {1, 1, 1, 1}},
      {"1x1", {2, 3, 3, 4}, {5, 3, 1, 1}},
      {"1x1_stride_2", {2, 3, 5, 4}, {4, 3, 1, 1}, {.stride = 2}},
      {"3x3", {2, 3, 5, 4}, {4, 3, 3, 3}},
      {"3x3_padded", {2, 3, 4, 5}, {4, 3, 3, 3}, {.padding = 1}},
      {"3x3_stride_2", {2, 3, 5, 6}, {4, 3, 3, 3}, {.stride = 2, .padding = 1}},
      {"7x7_stem", {1, 3, 9, 8}, {2, 3, 7, 7}, {.stride = 2, .padding = 3}},
      {"1x3", {2, 2, 3, 5}, {3, 2, 1, 3}, {.padding = {0, 1}}},
      {"5x2", {1, 2, 6, 4}, {3, 2, 5, 2}, {.stride = {1, 2}, .padding = {2, 0}}},
      {"kernel_covers_image", {2, 3, 3, 2}, {4, 3, 3, 2}},
      {"one_pixel_padded", {2, 3, 1, 1}, {4, 3, 3, 3}, {.padding = 1}},
      {"padding_past_kernel", {1, 2, 2, 2}, {2, 2, 1, 1}, {.padding = 2}},
      {"asymmetric_padding", {2, 2, 4, 4}, {3, 2, 3, 3}, {.padding = {0, 1, 2, 3}}},
      {"asymmetric_padding_stride_2", {1, 2, 5, 4}, {3, 2, 3, 3}, {.stride = 2, .padding = {0, 0, 1, 1}}},
      {"pixels_never_read", {1, 2, 6, 6}, {2, 2, 2, 2}, {.stride = 4}},
      {"dilation_2", {1, 2, 6, 5}, {3, 2, 3, 3}, {.padding = 1, .dilation = 2}},
      {"dilation_2_1_stride_2", {1, 2, 7, 5}, {3, 2, 3, 2}, {.stride = 2, .padding = {2, 1}, .dilation = {2, 1}}},
      {"groups_2", {2, 4, 3, 4}, {6, 2, 3, 3}, {.padding = 1, .groups = 2}},
      {"groups_3_1x1", {1, 6, 2, 3}, {3, 2, 1, 1}, {.groups = 3}},
      {"groups_2_stride_dilation",
       {1, 4, 7, 6},
       {4, 2, 3, 3},
       {.stride = 2, .padding = {1, 2, 0, 1}, .dilation = 2, .groups = 2}},
      {"depthwise", {2, 5, 4, 3}, {5, 1, 3, 3}, {.padding = 1, .groups = 5}},
      {"depthwise_stride_2", {1, 3, 5, 5}, {3, 1, 3, 3}, {.stride = 2, .padding = 1, .groups = 3}},
      {"depthwise_doubled", {1, 3, 4, 4}, {6, 1, 3, 3}, {.padding = 1, .groups = 3}},
      {"no_bias", {2, 3, 4, 4}, {4, 3, 3, 3}, {.padding = 1}, false},
      {"empty_batch", {0, 3, 4, 4}, {4, 3, 3, 3}, {.padding = 1}},
      {"many_channels_1x1", {1, 35, 3, 3}, {33, 35, 1, 1}},
      {"many_channels_3x3", {1, 19, 4, 5}, {37, 19, 3, 3}, {.padding = 1}},
      {"3x3_in_tiles", {2, 32, 8, 8}, {32, 32, 3, 3}, {.padding = 1}},
      {"wide_image", {1, 2, 3, 35}, {3, 2, 3, 3}, {.padding = 1}},
      {"channels_first", {2, 3, 3, 3}, {4, 3, 3, 3}, {.padding = 1}, true, Memory::channels_first},
      {"channels_first_weight",
       {2, 3, 3, 3},
       {4, 3, 3, 3},
       {.padding = 1},
       true,
       Memory::dense,
       Memory::channels_first},
      {"narrow", {2, 3, 3, 3}, {4, 3, 3, 3}, {.padding = 1}, true, Memory::narrow},
      {"narrow_weight", {2, 3, 3, 3}, {4, 3, 3, 3}, {}, true, Memory::dense, Memory::narrow},
      {"narrow_depthwise", {2, 3, 3, 3}, {3, 1, 3, 3}, {.padding = 1, .groups = 3}, true, Memory::narrow},
      {"padded_rows", {2, 3, 3, 3}, {4, 3, 3, 3}, {.padding = 1}, true, Memory::padded},
  };
  return all;
}

GradcheckFn function(const Conv2dOptions& options) {
  return [options](auto& x) -> std::vector<Variable> {
    return {conv2d(x[0], x[1], x.size() > 2 ? x[2] : Variable(), options)};
  };
}

std::vector<Variable> inputs(const Row& r) {
  std::vector<Variable> in{sample(r.x, r.memory_x, -2, 2, 1), sample(r.weight, r.memory_weight, -1, 1, 2)};
  if (r.bias) in.push_back(sample({r.weight[0]}, 3));
  return in;
}

}  // namespace

void add_conv(const Table& table) {
  for (const Row& r : rows()) table("conv2d", r.name, [&r] { return Problem{function(r.options), inputs(r)}; });
  const char* only[] = {"x_only", "weight_only", "bias_only"};
  for (int i = 0; i < 3; ++i)
    table("conv2d", only[i], [i] {
      const Row r{"", {2, 3, 3, 4}, {4, 3, 3, 3}, {.padding = 1}};
      std::vector<Variable> in = inputs(r);
      for (int j = 0; j < 3; ++j)
        if (j != i) in[j] = in[j].detach();
      return Problem{function(r.options), in};
    });
}

}  // namespace ar::gradcheck_cases
