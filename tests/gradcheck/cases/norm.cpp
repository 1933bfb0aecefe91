#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

struct Row {
  const char* name;
  Dims x;
  BatchNormOptions options = {};
  bool affine = true, running = true;
  Memory memory = Memory::dense;
};

const std::vector<Row>& rows() {
  static const BatchNormOptions training{.training = true};
  static const std::vector<Row> all = {
      {"training_vectors", {5, 3}, training},
      {"training_series", {2, 3, 4}, training},
      {"training_images", {2, 3, 3, 2}, training},
      {"training_video", {2, 3, 2, 2, 2}, training},
      {"training_two_values", {2, 3}, training},
      {"training_one_channel", {2, 1, 3, 3}, training},
      {"training_many_channels", {2, 37, 2, 2}, training},
      {"training_no_affine", {2, 3, 3, 2}, training, false},
      {"training_no_running", {2, 3, 3, 2}, training, true, false},
      {"training_relu", {2, 3, 3, 2}, {.training = true, .activation = Activation::relu}},
      {"training_relu6", {2, 3, 3, 2}, {.training = true, .activation = Activation::relu6}},
      {"training_large_eps", {2, 3, 3, 2}, {.training = true, .eps = 0.5}},
      {"training_channels_first", {2, 3, 3, 2}, training, true, true, Memory::channels_first},
      {"training_narrow", {2, 3, 3, 2}, training, true, true, Memory::narrow},
      {"training_padded_rows", {2, 3, 3, 2}, training, true, true, Memory::padded},
      {"training_transposed", {4, 3}, training, true, true, Memory::transposed},
      {"training_empty", {0, 3, 2, 2}, training},
      {"evaluation", {2, 3, 3, 2}},
      {"evaluation_one_value", {1, 3}},
      {"evaluation_no_affine", {2, 3, 3, 2}, {}, false},
      {"evaluation_no_running", {2, 3, 3, 2}, {}, true, false},
      {"evaluation_relu", {2, 3, 3, 2}, {.activation = Activation::relu}},
      {"evaluation_relu6", {2, 3, 3, 2}, {.activation = Activation::relu6}},
      {"evaluation_channels_first", {2, 3, 3, 2}, {}, true, true, Memory::channels_first},
      {"evaluation_narrow", {2, 3, 3, 2}, {}, true, true, Memory::narrow},
      {"evaluation_empty", {0, 3}},
  };
  return all;
}

void add_batch_norm(const Table& table) {
  for (const Row& r : rows())
    table("batch_norm", r.name, [&r] {
      const int64_t c = r.x[1];
      Tensor mean, var;
      if (r.running) mean = sample({c}, 4).value(), var = sample({c}, 5, 0.5, 2).value();
      std::vector<Variable> in{sample(r.x, r.memory, -2, 2, 1)};
      if (r.affine) in.push_back(sample({c}, 2, 0.5, 2)), in.push_back(sample({c}, 3));
      return Problem{[mean, var, options = r.options](auto& x) -> std::vector<Variable> {
                       const bool affine = x.size() > 1;
                       return {square(batch_norm(x[0], mean, var, affine ? x[1] : Variable(),
                                                 affine ? x[2] : Variable(), options))};
                     },
                     in};
    });
  table("batch_norm", "large_mean", [] {
    const Variable x(sample({3, 2, 2, 2}).value(), true);
    // A GPU does not look at its sums and sum again: its variance loses twice the digits of the mean.
    x.set_value(affine(x.detach(), 1, device().is_cpu() ? 1e4 : 1e2).value());
    return Problem{
        [](auto& in) -> std::vector<Variable> { return {batch_norm(in[0], {}, {}, {}, {}, {.training = true})}; }, {x}};
  });
}

void add_lrn(const Table& table) {
  struct Lrn {
    const char* name;
    Dims x;
    LrnParams params;
    Memory memory = Memory::dense;
  };
  static const std::vector<Lrn> all = {
      {"size_5", {2, 7, 2, 3}, {.size = 5, .alpha = 0.8}},
      {"size_1", {2, 3, 2, 2}, {.size = 1, .alpha = 0.8}},
      {"even_size", {1, 6, 2, 2}, {.size = 4, .alpha = 0.8, .k = 2}},
      {"wider_than_channels", {1, 2, 2, 2}, {.size = 5, .alpha = 0.8}},
      {"one_channel", {2, 1, 2, 2}, {.size = 3, .alpha = 0.8}},
      {"another_beta", {1, 5, 2, 2}, {.size = 3, .alpha = 2, .beta = 0.3, .k = 0.5}},
      {"defaults", {1, 5, 2, 2}, {}},
      {"many_channels", {1, 37, 1, 2}, {.size = 5, .alpha = 0.8}},
      {"empty_batch", {0, 3, 2, 2}, {.size = 3}},
      {"channels_first", {2, 5, 2, 2}, {.size = 3, .alpha = 0.8}, Memory::channels_first},
      {"narrow", {2, 5, 2, 2}, {.size = 3, .alpha = 0.8}, Memory::narrow},
      {"padded_rows", {2, 5, 2, 2}, {.size = 3, .alpha = 0.8}, Memory::padded},
  };
  for (const Lrn& l : all)
    table("local_response_norm", l.name, [&l] {
      return Problem{[&l](auto& x) -> std::vector<Variable> { return {local_response_norm(x[0], l.params)}; },
                     {sample(l.x, l.memory)}};
    });
}

}  // namespace

void add_norm(const Table& table) {
  add_batch_norm(table);
  add_lrn(table);
}

}  // namespace ar::gradcheck_cases
