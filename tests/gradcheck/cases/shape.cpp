#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

using Change = std::function<Variable(const Variable&)>;

/// The result is squared, so that a gradient at the wrong place has the wrong value.
Problem of(const Variable& x, const Change& f) {
  return {[f](auto& in) -> std::vector<Variable> { return {square(f(in[0]))}; }, {x}};
}

void add_views(const Table& table) {
  struct Row {
    const char *op, *name;
    Dims shape;
    Change f;
    Memory memory = Memory::dense;
  };
  static const std::vector<Row> rows = {
      {"reshape",
       "view",
       {2, 6},
       [](auto& x) {
         return reshape(x, {3, 4});
       }},
      {"reshape", "open", {2, 6}, [](auto& x) { return reshape(x, {-1}); }},
      {"reshape", "to_scalar", {1, 1}, [](auto& x) { return reshape(x, {}); }},
      {"reshape",
       "copy_of_channels_last",
       {2, 3, 2, 3},
       [](auto& x) {
         return reshape(x, {2, 18});
       }},
      {"reshape", "copy_of_transposed", {3, 4}, [](auto& x) { return reshape(x, {12}); }, Memory::transposed},
      {"reshape",
       "narrow",
       {2, 3, 2, 2},
       [](auto& x) {
         return reshape(x, {6, 4});
       },
       Memory::narrow},
      {"reshape",
       "empty",
       {0, 4},
       [](auto& x) {
         return reshape(x, {2, 0, 2});
       }},
      {"flatten", "channels_last", {2, 3, 2, 3}, [](auto& x) { return flatten(x); }},
      {"flatten", "one_pixel", {2, 3, 1, 1}, [](auto& x) { return flatten(x); }},
      {"flatten", "channels_first", {2, 3, 2, 3}, [](auto& x) { return flatten(x, 0, 1); }, Memory::channels_first},
      {"flatten", "empty", {0, 3, 2}, [](auto& x) { return flatten(x); }},
      {"permute",
       "all",
       {2, 3, 4},
       [](auto& x) {
         return permute(x, {2, 0, 1});
       }},
      {"permute",
       "negative",
       {2, 3, 2, 3},
       [](auto& x) {
         return permute(x, {0, -1, 1, -2});
       }},
      {"permute",
       "narrow",
       {2, 3, 2, 2},
       [](auto& x) {
         return permute(x, {3, 2, 1, 0});
       },
       Memory::narrow},
      {"permute",
       "empty",
       {0, 3},
       [](auto& x) {
         return permute(x, {1, 0});
       }},
      {"transpose", "matrix", {2, 3}, [](auto& x) { return transpose(x, 0, 1); }},
      {"transpose", "negative", {2, 3, 4}, [](auto& x) { return transpose(x, 0, -1); }},
      {"transpose", "back", {3, 4}, [](auto& x) { return transpose(x, 0, 1); }, Memory::transposed},
      {"narrow", "rows", {4, 3}, [](auto& x) { return narrow(x, 0, 1, 2); }},
      {"narrow", "channels", {2, 5, 2, 2}, [](auto& x) { return narrow(x, 1, 2, 2); }},
      {"narrow", "of_narrow", {2, 5, 2, 2}, [](auto& x) { return narrow(x, -1, 1, 1); }, Memory::narrow},
      {"narrow", "to_nothing", {4, 3}, [](auto& x) { return narrow(x, 0, 2, 0); }},
      {"narrow", "channels_first", {2, 5, 2, 2}, [](auto& x) { return narrow(x, 2, 1, 1); }, Memory::channels_first},
      {"select", "row", {4, 3}, [](auto& x) { return select(x, 0, 1); }},
      {"select", "last", {4, 3}, [](auto& x) { return select(x, 1, -1); }},
      {"select", "frame", {2, 3, 4, 2, 2}, [](auto& x) { return select(x, 2, 1); }},
      {"select", "to_scalar", {3}, [](auto& x) { return select(x, 0, 2); }},
      {"expand",
       "column",
       {3, 1},
       [](auto& x) {
         return expand(x, {3, 4});
       }},
      {"expand",
       "scalar",
       {},
       [](auto& x) {
         return expand(x, {2, 2});
       }},
      {"expand",
       "leading",
       {1, 3},
       [](auto& x) {
         return expand(x, {2, 2, 3});
       }},
      {"expand",
       "same",
       {2, 3},
       [](auto& x) {
         return expand(x, {2, 3});
       }},
      {"expand",
       "to_nothing",
       {1, 3},
       [](auto& x) {
         return expand(x, {0, 3});
       }},
      {"expand",
       "channels",
       {1, 3, 1, 1},
       [](auto& x) {
         return expand(x, {2, 3, 2, 2});
       }},
      {"squeeze", "middle", {2, 1, 3}, [](auto& x) { return squeeze(x, 1); }},
      {"squeeze", "last", {2, 3, 1, 1}, [](auto& x) { return squeeze(x, -1); }},
      {"unsqueeze", "first", {2, 3}, [](auto& x) { return unsqueeze(x, 0); }},
      {"unsqueeze", "last", {2, 3}, [](auto& x) { return unsqueeze(x, -1); }},
      {"unsqueeze", "scalar", {}, [](auto& x) { return unsqueeze(x, 0); }},
      {"fold_time", "channels_last", {2, 3, 4, 2, 1}, [](auto& x) { return fold_time(x); }},
      {"fold_time", "one_step", {2, 3, 1, 2, 2}, [](auto& x) { return fold_time(x); }},
      {"fold_time", "channels_first", {2, 3, 2, 2, 2}, [](auto& x) { return fold_time(x); }, Memory::channels_first},
      {"fold_time", "padded_rows", {2, 3, 2, 2, 2}, [](auto& x) { return fold_time(x); }, Memory::padded},
      {"fold_time", "no_clip", {0, 3, 2, 2, 2}, [](auto& x) { return fold_time(x); }},
  };
  for (const Row& r : rows) table(r.op, r.name, [&r] { return of(sample(r.shape, r.memory), r.f); });
}

/// Leaves that are neighbours in one buffer, so that cat gives a view.
std::vector<Variable> neighbours() {
  const Tensor buffer = sample({2, 6, 2, 2}).value();
  return {Variable(buffer.narrow(1, 0, 1), true), Variable(buffer.narrow(1, 1, 3), true),
          Variable(buffer.narrow(1, 4, 2), true)};
}

void add_joins(const Table& table) {
  const auto cat_along = [](int dim) -> GradcheckFn {
    return [dim](auto& x) -> std::vector<Variable> { return {square(cat(x, dim))}; };
  };
  const auto stack_along = [](int dim) -> GradcheckFn {
    return [dim](auto& x) -> std::vector<Variable> { return {square(stack(x, dim))}; };
  };
  table("cat", "rows", [=] { return Problem{cat_along(0), {sample({2, 3}, 1), sample({1, 3}, 2)}}; });
  table("cat", "columns", [=] { return Problem{cat_along(-1), {sample({2, 3}, 1), sample({2, 2}, 2)}}; });
  table("cat", "one", [=] { return Problem{cat_along(0), {sample({2, 3})}}; });
  table("cat", "with_empty", [=] {
    return Problem{cat_along(1), {sample({2, 0}, 1), sample({2, 3}, 2), sample({2, 0}, 3)}};
  });
  table("cat", "only_empty", [=] { return Problem{cat_along(0), {sample({0, 2}, 1), sample({0, 2}, 2)}}; });
  table("cat", "channels_last", [=] {
    return Problem{cat_along(1), {sample({2, 3, 2, 2}, 1), sample({2, 1, 2, 2}, 2)}};
  });
  table("cat", "two_layouts", [=] {
    return Problem{cat_along(1), {sample({2, 3, 2, 2}, 1), sample({2, 2, 2, 2}, Memory::channels_first, -2, 2, 2)}};
  });
  table("cat", "neighbours", [=] { return Problem{cat_along(1), neighbours()}; });
  table("cat", "neighbours_in_wrong_order", [=] {
    std::vector<Variable> xs = neighbours();
    std::swap(xs[0], xs[2]);
    return Problem{cat_along(1), xs};
  });
  table("cat", "twice_the_same", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {square(cat({x[0], x[0]}, 0))}; }, {sample({2, 3})}};
  });
  table("cat", "second_only", [=] { return Problem{cat_along(0), {constant({2, 3}, 1), sample({1, 3}, 2)}}; });
  table("stack", "first", [=] { return Problem{stack_along(0), {sample({2, 3}, 1), sample({2, 3}, 2)}}; });
  table("stack", "last", [=] { return Problem{stack_along(-1), {sample({2, 3}, 1), sample({2, 3}, 2)}}; });
  table("stack", "scalars", [=] { return Problem{stack_along(0), {sample({}, 1), sample({}, 2), sample({}, 3)}}; });
  table("stack", "frames", [=] {
    return Problem{stack_along(2), {sample({2, 3, 2, 2}, 1), sample({2, 3, 2, 2}, 2), sample({2, 3, 2, 2}, 3)}};
  });
  table("stack", "empty", [=] { return Problem{stack_along(0), {sample({0, 3}, 1), sample({0, 3}, 2)}}; });
}

}  // namespace

void add_shape(const Table& table) {
  add_views(table);
  add_joins(table);
}

}  // namespace ar::gradcheck_cases
