#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

struct Row {
  const char* name;
  Dims x;
  Pool2dOptions options;
  Memory memory = Memory::dense;
};

const std::vector<Row>& rows() {  // for both kinds of pooling
  static const std::vector<Row> all = {
      {"size_1", {1, 1, 1, 1}, {.kernel = 1}},
      {"2x2", {2, 3, 4, 6}, {.kernel = 2}},
      {"2x2_rows_left_over", {2, 3, 5, 5}, {.kernel = 2}},
      {"3x3_stride_2_padded", {2, 3, 5, 6}, {.kernel = 3, .stride = 2, .padding = 1}},
      {"overlap", {1, 2, 4, 5}, {.kernel = 3, .stride = 1}},
      {"2x3", {1, 2, 4, 6}, {.kernel = {2, 3}, .stride = Pair(1, 2), .padding = {0, 1}}},
      {"whole_image", {2, 3, 3, 4}, {.kernel = {3, 4}}},
      {"pixels_never_read", {1, 2, 5, 5}, {.kernel = 1, .stride = 3}},
      {"ceil_mode", {1, 2, 5, 6}, {.kernel = 2, .stride = 2, .ceil_mode = true}},
      {"ceil_mode_padded", {1, 2, 6, 5}, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}},
      {"one_pixel_padded", {2, 3, 1, 1}, {.kernel = 3, .stride = 1, .padding = 1}},
      {"many_channels", {1, 35, 4, 4}, {.kernel = 3, .stride = 2, .padding = 1}},
      {"empty_batch", {0, 3, 4, 4}, {.kernel = 2}},
      {"channels_first", {2, 3, 4, 4}, {.kernel = 2}, Memory::channels_first},
      {"narrow", {2, 3, 4, 4}, {.kernel = 3, .stride = 1, .padding = 1}, Memory::narrow},
      {"padded_rows", {2, 3, 4, 4}, {.kernel = 2}, Memory::padded},
  };
  return all;
}

}  // namespace

void add_pool(const Table& table) {
  const auto add = [&](const char* op, Variable (*f)(const Variable&, const Pool2dOptions&), const Row& r) {
    table(op, r.name, [r, f] {
      return Problem{[options = r.options, f](auto& x) -> std::vector<Variable> { return {f(x[0], options)}; },
                     {sample(r.x, r.memory)}};
    });
  };
  for (const Row& r : rows()) {
    add("max_pool2d", max_pool2d, r);
    add("avg_pool2d", avg_pool2d, r);
  }
  add("max_pool2d", max_pool2d, {"dilation", {1, 2, 6, 7}, {.kernel = 2, .stride = 1, .dilation = {2, 3}}});
  add("avg_pool2d", avg_pool2d,
      {"padding_not_counted", {1, 2, 4, 5}, {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}});
  add("avg_pool2d", avg_pool2d,
      {"ceil_mode_padding_not_counted",
       {1, 2, 6, 5},
       {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}});

  struct Adaptive {
    const char* name;
    Dims x;
    Pair size;
    Memory memory = Memory::dense;
  };
  static const std::vector<Adaptive> adaptive = {
      {"to_one", {2, 3, 4, 5}, 1},
      {"uneven", {1, 2, 5, 7}, {3, 2}},
      {"same", {1, 2, 3, 3}, 3},
      {"larger", {1, 2, 2, 3}, {3, 5}},
      {"size_1", {1, 1, 1, 1}, 1},
      {"one_pixel_to_many", {1, 2, 1, 1}, 2},
      {"many_channels", {1, 35, 3, 3}, 1},
      {"empty_batch", {0, 2, 3, 3}, 1},
      {"channels_first", {2, 3, 3, 4}, 2, Memory::channels_first},
      {"narrow", {2, 3, 3, 4}, 1, Memory::narrow},
      {"padded_rows", {2, 3, 3, 4}, 2, Memory::padded},
  };
  for (const Adaptive& a : adaptive)
    table("adaptive_avg_pool2d", a.name, [&a] {
      return Problem{[&a](auto& x) -> std::vector<Variable> { return {adaptive_avg_pool2d(x[0], a.size)}; },
                     {sample(a.x, a.memory)}};
    });
}

}  // namespace ar::gradcheck_cases
