#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

void add_softmax(const Table& table) {
  struct Along {
    const char* name;
    Dims shape;
    int dim;
    Memory memory = Memory::dense;
  };
  static const std::vector<Along> all = {
      {"vector", {7}, 0},
      {"last", {3, 5}, -1},
      {"first", {3, 5}, 0},
      {"middle", {2, 3, 2}, 1},
      {"channels", {2, 3, 2, 2}, 1},
      {"rows_of_channels_last", {2, 3, 2, 3}, 3},
      {"channels_first", {2, 3, 2, 2}, 1, Memory::channels_first},
      {"narrow", {3, 4}, 1, Memory::narrow},
      {"transposed", {3, 4}, 1, Memory::transposed},
      {"one_class", {3, 1}, 1},
      {"many_classes", {2, 1003}, 1},
      {"empty", {0, 3}, 1},
      {"no_class", {3, 0}, 1},
  };
  for (const Along& a : all) {
    table("softmax", a.name, [&a] {
      return Problem{[&a](auto& x) -> std::vector<Variable> { return {softmax(x[0], a.dim)}; },
                     {sample(a.shape, a.memory)}};
    });
    table("log_softmax", a.name, [&a] {
      return Problem{[&a](auto& x) -> std::vector<Variable> { return {log_softmax(x[0], a.dim)}; },
                     {sample(a.shape, a.memory)}};
    });
  }
}

Tensor weights(int64_t classes) { return sample({classes}, 5, 0.2, 2).value(); }

void add_losses(const Table& table) {
  struct Row {
    const char* name;
    Dims shape;
    std::vector<int64_t> target;
    LossOptions options = {};
    Memory memory = Memory::dense;
  };
  static const std::vector<Row> rows = {
      {"mean", {3, 4}, {0, 3, 1}},
      {"sum", {3, 4}, {0, 3, 1}, {.reduction = Reduction::sum}},
      {"none", {3, 4}, {0, 3, 1}, {.reduction = Reduction::none}},
      {"one_sample", {1, 2}, {1}},
      {"weights", {3, 4}, {0, 3, 1}, {.weight = weights(4)}},
      {"weights_none", {3, 4}, {0, 3, 1}, {.weight = weights(4), .reduction = Reduction::none}},
      {"ignored", {4, 3}, {0, -100, 1, -100}},
      {"ignored_weights", {4, 3}, {0, 2, 1, 2}, {.weight = weights(3), .ignore_index = 2}},
      {"all_ignored_sum", {2, 3}, {-100, -100}, {.reduction = Reduction::sum}},
      {"pixels", {2, 3, 2, 2}, {0, 1, 2, 0, 1, 2, 2, 1}, {.weight = weights(3)}},
      {"pixels_none", {2, 3, 1, 2}, {0, 1, 2, 0}, {.reduction = Reduction::none}},
      {"channels_first", {2, 3, 2, 1}, {0, 1, 2, 0}, {}, Memory::channels_first},
      {"narrow", {3, 4}, {0, 3, 1}, {}, Memory::narrow},
      {"transposed", {3, 4}, {0, 3, 1}, {}, Memory::transposed},
      {"empty_none", {0, 4}, {}, {.reduction = Reduction::none}},
      {"empty_sum", {0, 4}, {}, {.reduction = Reduction::sum}},
  };
  const auto add = [&](const Row& r, bool log, double smoothing, const std::string& name) {
    table(log ? "nll_loss" : "cross_entropy", name, [&r, log, smoothing] {
      Dims shape = r.shape;
      shape.erase(1);
      LossOptions options = r.options;
      options.label_smoothing = smoothing;
      return Problem{[options, log, target = from_vector(r.target, shape)](auto& x) -> std::vector<Variable> {
                       return {log ? nll_loss(x[0], target, options) : cross_entropy(x[0], target, options)};
                     },
                     {sample(r.shape, r.memory)}};
    });
  };
  for (const Row& r : rows) {
    add(r, true, 0, r.name);
    add(r, false, 0, r.name);
    add(r, false, 0.2, std::string("smooth_") + r.name);
  }
  add(rows[0], false, 1, "smooth_all");
}

}  // namespace

void add_loss(const Table& table) {
  add_softmax(table);
  add_losses(table);
}

}  // namespace ar::gradcheck_cases
