// Every op's values and gradients against PyTorch's. A case is data: its op is looked up in the table below.
#include "tests/parity/parity.h"

namespace {

using namespace ar;
using parity::Case;
using parity::Outputs;

Outputs y(Variable v) { return {{"y", std::move(v)}}; }

Dims dims(const nlohmann::json& list) {
  const std::vector<int64_t> v = list;
  return Dims(v.begin(), v.end());
}

Conv2dOptions conv_options(Case& c) {
  const std::vector<int64_t> p = c.options["padding"];
  const Padding padding = p.size() == 4 ? Padding(p[0], p[1], p[2], p[3]) : Padding(p[0], p[1]);
  return {
      .stride = c.pair("stride"), .padding = padding, .dilation = c.pair("dilation"), .groups = c.options["groups"]};
}

Pool2dOptions pool_options(Case& c) {
  return {.kernel = c.pair("kernel"),
          .stride = c.pair("stride"),
          .padding = c.pair("padding"),
          .dilation = c.options.contains("dilation") ? c.pair("dilation") : Pair(1),
          .ceil_mode = c.options["ceil_mode"],
          .count_include_pad = c.options.value("count_include_pad", true)};
}

LossOptions loss_options(Case& c) {
  const std::map<std::string, Reduction> reductions{
      {"mean", Reduction::mean}, {"sum", Reduction::sum}, {"none", Reduction::none}};
  return {.weight = c.constant("weight"),
          .ignore_index = c.options["ignore_index"],
          .reduction = reductions.at(c.options["reduction"]),
          .label_smoothing = c.options.value("label_smoothing", 0.0)};
}

Outputs run_batch_norm(Case& c) {
  return y(batch_norm(c.input("x"), c.constant("running_mean"), c.constant("running_var"), c.input_if_any("weight"),
                      c.input_if_any("bias"),
                      {.training = c.options["training"],
                       .momentum = c.options["momentum"],
                       .eps = c.options["eps"],
                       .activation = c.options.value("relu", false) ? Activation::relu : Activation::none}));
}

Outputs run_cat(Case& c) {
  std::vector<Variable> parts;
  for (const std::string what : c.options["inputs"]) parts.push_back(c.input(what));
  return y(cat(parts, c.options["dim"]));
}

parity::Op unary(Variable (*f)(const Variable&)) {
  return [f](Case& c) { return y(f(c.input("x"))); };
}
parity::Op binary(Variable (*f)(const Variable&, const Variable&)) {
  return [f](Case& c) { return y(f(c.input("a"), c.input("b"))); };
}

const parity::Ops& ops() {
  static const parity::Ops table{
      {"linear", [](Case& c) { return y(linear(c.input("x"), c.input("weight"), c.input_if_any("bias"))); }},
      {"matmul", binary(matmul)},
      {"conv2d",
       [](Case& c) { return y(conv2d(c.input("x"), c.input("weight"), c.input_if_any("bias"), conv_options(c))); }},
      {"batch_norm", run_batch_norm},
      {"local_response_norm",
       [](Case& c) {
         return y(local_response_norm(
             c.input("x"),
             {.size = c.options["size"], .alpha = c.options["alpha"], .beta = c.options["beta"], .k = c.options["k"]}));
       }},
      {"relu", unary(relu)},
      {"relu6", unary(relu6)},
      {"leaky_relu", [](Case& c) { return y(leaky_relu(c.input("x"), c.options["negative_slope"])); }},
      {"sigmoid", unary(sigmoid)},
      {"tanh", unary(ar::tanh)},
      {"exp", unary(ar::exp)},
      {"log", unary(ar::log)},
      {"sqrt", unary(ar::sqrt)},
      {"square", unary(square)},
      {"abs", unary(ar::abs)},
      {"neg", [](Case& c) { return y(-c.input("x")); }},
      {"clamp", [](Case& c) { return y(clamp(c.input("x"), c.options["min"], c.options["max"])); }},
      {"add", binary(add)},
      {"sub", binary(sub)},
      {"mul", binary(mul)},
      {"div", binary(div)},
      {"maximum", binary(maximum)},
      {"minimum", binary(minimum)},
      {"cat", run_cat},
      {"max_pool2d", [](Case& c) { return y(max_pool2d(c.input("x"), pool_options(c))); }},
      {"avg_pool2d", [](Case& c) { return y(avg_pool2d(c.input("x"), pool_options(c))); }},
      {"adaptive_avg_pool2d", [](Case& c) { return y(adaptive_avg_pool2d(c.input("x"), c.pair("size"))); }},
      {"softmax", [](Case& c) { return y(softmax(c.input("x"), c.options["dim"])); }},
      {"log_softmax", [](Case& c) { return y(log_softmax(c.input("x"), c.options["dim"])); }},
      {"nll_loss", [](Case& c) { return y(nll_loss(c.input("x"), c.constant("target"), loss_options(c))); }},
      {"cross_entropy", [](Case& c) { return y(cross_entropy(c.input("x"), c.constant("target"), loss_options(c))); }},
      {"sum", [](Case& c) { return y(sum(c.input("x"), dims(c.options["dims"]), c.options["keepdim"])); }},
      {"mean", [](Case& c) { return y(mean(c.input("x"), dims(c.options["dims"]), c.options["keepdim"])); }},
      {"max", [](Case& c) { return y(ar::max(c.input("x"), c.options["dim"], c.options["keepdim"])); }},
  };
  return table;
}

class OpParity : public testing::TestWithParam<parity::CaseName> {};

TEST_P(OpParity, MatchesPyTorch) { parity::run(GetParam(), ops()); }

INSTANTIATE_TEST_SUITE_P(All, OpParity,
                         testing::ValuesIn(parity::all_cases({"linear", "conv", "norm", "activation", "pooling",
                                                              "softmax", "loss", "reduction", "elementwise"})),
                         parity::test_name);

}  // namespace
