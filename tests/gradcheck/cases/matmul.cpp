#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {

void add_matmul(const Table& table) {
  struct Shapes {
    const char* name;
    Dims a, b;
    Memory memory_a = Memory::dense, memory_b = Memory::dense;
  };
  static const std::vector<Shapes> all = {
      {"size_1", {1, 1}, {1, 1}},
      {"odd", {3, 5}, {5, 7}},
      {"row", {1, 4}, {4, 3}},
      {"column", {3, 4}, {4, 1}},
      {"outer", {3, 1}, {1, 4}},
      {"large", {33, 17}, {17, 35}},
      {"batch", {2, 3, 4}, {2, 4, 5}},
      {"shared_right", {2, 3, 4}, {4, 5}},
      {"shared_left", {3, 4}, {2, 4, 5}},
      {"broadcast", {2, 1, 3, 2}, {3, 2, 2}},
      {"two_batches", {2, 2, 3, 2}, {2, 2, 2, 1}},
      {"transposed", {3, 4}, {4, 3}, Memory::transposed, Memory::transposed},
      {"narrow", {3, 4}, {4, 3}, Memory::narrow, Memory::narrow},
      {"channels_last_operands", {2, 3, 3, 2}, {2, 3, 2, 2}},
      {"no_rows", {0, 3}, {3, 2}},
      {"nothing_to_sum", {2, 0}, {0, 3}},
      {"no_batch", {0, 2, 3}, {3, 2}},
  };
  const GradcheckFn f = [](auto& x) -> std::vector<Variable> { return {matmul(x[0], x[1])}; };
  for (const Shapes& s : all)
    table("matmul", s.name, [&s, f] {
      return Problem{f, {sample(s.a, s.memory_a, -2, 2, 1), sample(s.b, s.memory_b, -2, 2, 2)}};
    });
  table("matmul", "left_only", [f] { return Problem{f, {sample({2, 3}, 1), constant({3, 2}, 2)}}; });
  table("matmul", "right_only", [f] { return Problem{f, {constant({2, 3}, 1), sample({3, 2}, 2)}}; });
  table("matmul", "with_itself", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {matmul(x[0], transpose(x[0], 0, 1))}; },
                   {sample({3, 2})}};
  });
}

void add_linear(const Table& table) {
  struct Row {
    const char* name;
    Dims x;
    int64_t out;
    bool bias = true;
    Memory memory_x = Memory::dense, memory_weight = Memory::dense;
  };
  static const std::vector<Row> rows = {
      {"size_1", {1, 1}, 1},
      {"odd", {3, 5}, 7},
      {"vector", {4}, 3},
      {"sequences", {2, 3, 4}, 5},
      {"images", {2, 2, 3, 4}, 2},
      {"no_bias", {3, 4}, 5, false},
      {"large", {9, 33}, 35},
      {"no_rows", {0, 4}, 3},
      {"transposed", {3, 4}, 5, true, Memory::transposed, Memory::transposed},
      {"narrow", {3, 4}, 5, true, Memory::narrow, Memory::narrow},
  };
  const GradcheckFn f = [](auto& x) -> std::vector<Variable> {
    return {linear(x[0], x[1], x.size() > 2 ? x[2] : Variable())};
  };
  for (const Row& r : rows)
    table("linear", r.name, [&r, f] {
      std::vector<Variable> in{sample(r.x, r.memory_x, -2, 2, 1),
                               sample({r.out, r.x.back()}, r.memory_weight, -2, 2, 2)};
      if (r.bias) in.push_back(sample({r.out}, 3));
      return Problem{f, in};
    });
  table("linear", "x_only", [f] { return Problem{f, {sample({2, 3}, 1), constant({4, 3}, 2), constant({4}, 3)}}; });
  table("linear", "weight_only", [f] { return Problem{f, {constant({2, 3}, 1), sample({4, 3}, 2)}}; });
}

}  // namespace ar::gradcheck_cases
