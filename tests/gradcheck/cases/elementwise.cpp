#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

using Unary = Variable (*)(const Variable&);
using Binary = Variable (*)(const Variable&, const Variable&);

void add_unary(const Table& table) {
  struct Row {
    const char* op;
    Unary f;
    double lo = -2, hi = 2;
  };
  static constexpr Row rows[] = {
      {"relu", relu},
      {"relu6", relu6, -3, 9},
      {"leaky_relu", [](const Variable& x) { return leaky_relu(x, 0.2); }},
      {"sigmoid", sigmoid, -6, 6},
      {"tanh", tanh},
      {"exp", exp},
      {"log", log, 0.2, 3},
      {"sqrt", sqrt, 0.2, 3},
      {"square", square},
      {"abs", abs},
      {"clamp", [](const Variable& x) { return clamp(x, -1, 1); }},
      {"affine", [](const Variable& x) { return affine(x, -1.5, 0.25); }},
      {"dropout", [](const Variable& x) { return dropout(x, 0.3, true); }},
  };
  for (const Row& row : rows)
    for (const Form& form : forms())
      table(row.op, form.name, [&row, &form] {
        return Problem{[f = row.f](auto& x) -> std::vector<Variable> { return {f(x[0])}; },
                       {sample(form.shape, form.memory, row.lo, row.hi)}};
      });
  table("dropout", "not_training", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {dropout(x[0], 0.3, false)}; }, {sample({3, 4})}};
  });
  table("dropout", "all", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {dropout(x[0], 1, true)}; }, {sample({3, 4})}};
  });
  table("clamp", "one_bound", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {clamp(x[0], 0, 1e300)}; }, {sample({3, 4})}};
  });
}

void add_binary(const Table& table) {
  struct Row {
    const char* op;
    Binary f;
    double lo = -2, hi = 2;  // of the second operand
  };
  static constexpr Row rows[] = {{"add", add},         {"sub", sub},         {"mul", mul},
                                 {"div", div, 0.4, 3}, {"maximum", maximum}, {"minimum", minimum}};
  struct Shapes {
    const char* name;
    Dims a, b;
    Memory memory_a = Memory::dense, memory_b = Memory::dense;
  };
  static const std::vector<Shapes> all = {
      {"scalars", {}, {}},
      {"size_1", {1}, {1}},
      {"odd", {3, 5}, {3, 5}},
      {"long", {1003}, {1003}},
      {"row", {3, 5}, {5}},
      {"column", {3, 5}, {3, 1}},
      {"outer", {3, 1}, {1, 4}},
      {"scalar_left", {}, {2, 3}},
      {"rank_grows", {2, 1, 3}, {4, 2, 2, 1}},
      {"empty", {0, 3}, {0, 3}},
      {"empty_broadcast", {0, 3}, {1, 3}},
      {"channels_last", {2, 3, 2, 3}, {2, 3, 2, 3}},
      {"two_layouts", {2, 3, 2, 3}, {2, 3, 2, 3}, Memory::dense, Memory::channels_first},
      {"channels", {2, 3, 2, 3}, {3, 1, 1}},
      {"narrow", {2, 3, 2, 2}, {2, 3, 2, 2}, Memory::narrow, Memory::dense},
      {"transposed", {3, 4}, {3, 4}, Memory::dense, Memory::transposed},
      {"padded_rows", {2, 3, 2, 3}, {2, 3, 1, 3}, Memory::padded, Memory::padded},
  };
  for (const Row& row : rows) {
    const auto f = [f = row.f](auto& x) -> std::vector<Variable> { return {f(x[0], x[1])}; };
    for (const Shapes& s : all)
      table(row.op, s.name, [&row, &s, f] {
        return Problem{f, {sample(s.a, s.memory_a, -2, 2, 1), sample(s.b, s.memory_b, row.lo, row.hi, 2)}};
      });
    table(row.op, "left_only", [&row, f] {
      return Problem{f, {sample({2, 3}, 1, row.lo, row.hi), sample({2, 3}, 2, row.lo, row.hi).detach()}};
    });
    table(row.op, "right_only", [&row, f] {
      return Problem{f, {constant({2, 3}, 1), sample({3}, 2, row.lo, row.hi)}};
    });
  }
  table("mul", "of_itself", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {mul(x[0], x[0])}; }, {sample({3, 3})}};
  });
  table("maximum", "of_itself", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {maximum(x[0], x[0])}; }, {sample({3, 3})}};
  });
  table("operators", "with_numbers", [] {
    return Problem{[](auto& x) -> std::vector<Variable> {
                     return {(2.0 * x[0] - 1.0) / x[1] + (-x[1] + 3.0) * x[0] - x[0] / 4.0};
                   },
                   {sample({2, 3}, 1), sample({3}, 2, 0.5, 2)}};
  });
}

}  // namespace

void add_elementwise(const Table& table) {
  add_unary(table);
  add_binary(table);
}

}  // namespace ar::gradcheck_cases
