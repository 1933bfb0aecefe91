#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

struct Over {
  const char* name;
  Dims shape, dims;
  bool keepdim = false;
  Memory memory = Memory::dense;
};
const std::vector<Over>& reductions() {
  static const std::vector<Over> all = {
      {"first", {3, 5}, {0}},
      {"last", {3, 5}, {-1}},
      {"keepdim", {3, 5}, {1}, true},
      {"two", {2, 3, 4}, {0, 2}},
      {"pixels", {2, 3, 2, 3}, {2, 3}},
      {"pixels_keepdim", {2, 3, 2, 3}, {2, 3}, true},
      {"channels", {2, 3, 2, 3}, {1}},
      {"channels_first", {2, 3, 2, 3}, {1, 2}, false, Memory::channels_first},
      {"narrow", {2, 3, 2, 2}, {2, 3}, false, Memory::narrow},
      {"transposed", {3, 4}, {0}, false, Memory::transposed},
      {"padded_rows", {2, 3, 2, 3}, {3}, true, Memory::padded},
      {"video", {2, 3, 2, 1, 2}, {2}},
      {"size_1", {3, 1, 2}, {1}},
      {"empty_result", {0, 3}, {1}},
      {"long", {1003, 3}, {0}},
  };
  return all;
}
}  // namespace

void add_reduce(const Table& table) {
  for (const Over& o : reductions()) {
    table("sum", o.name, [&o] {
      return Problem{[&o](auto& x) -> std::vector<Variable> { return {sum(x[0], o.dims, o.keepdim)}; },
                     {sample(o.shape, o.memory)}};
    });
    table("mean", o.name, [&o] {
      return Problem{[&o](auto& x) -> std::vector<Variable> { return {mean(x[0], o.dims, o.keepdim)}; },
                     {sample(o.shape, o.memory)}};
    });
  }
  for (const Form& form : forms()) {
    const std::string name = std::string("all_of_") + form.name;
    table("sum", name, [&form] {
      return Problem{[](auto& x) -> std::vector<Variable> { return {sum(x[0])}; }, {sample(form.shape, form.memory)}};
    });
    if (form.shape.product() > 0)
      table("mean", name, [&form] {
        return Problem{[](auto& x) -> std::vector<Variable> { return {mean(x[0])}; },
                       {sample(form.shape, form.memory)}};
      });
  }
}

void add_max(const Table& table) {
  for (const Over& o : reductions())
    if (o.dims.size() == 1)
      table("max", o.name, [&o] {
        return Problem{[&o](auto& x) -> std::vector<Variable> { return {max(x[0], int(o.dims[0]), o.keepdim)}; },
                       {sample(o.shape, o.memory)}};
      });
  table("max", "vector", [] {
    return Problem{[](auto& x) -> std::vector<Variable> { return {max(x[0], 0)}; }, {sample({7})}};
  });
}

}  // namespace ar::gradcheck_cases
