// The LSTM and attention.
#include "autograd/attention.h"
#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

struct Row {
  const char* name;
  int64_t steps, batch, in;
  LstmOptions options;
  bool state = false;
  std::vector<int64_t> lengths = {};
  Memory memory = Memory::dense;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"size_1", 1, 1, 1, {.hidden_size = 1}},
      {"one_step", 1, 2, 3, {.hidden_size = 2}},
      {"many_steps", 9, 2, 3, {.hidden_size = 2}},
      {"no_bias", 3, 2, 2, {.hidden_size = 3, .bias = false}},
      {"batch_first", 3, 2, 2, {.hidden_size = 3, .batch_first = true}},
      {"two_layers", 3, 2, 2, {.hidden_size = 3, .num_layers = 2}},
      {"bidirectional", 3, 2, 2, {.hidden_size = 2, .bidirectional = true}},
      {"two_layers_bidirectional", 3, 2, 2, {.hidden_size = 2, .num_layers = 2, .bidirectional = true}},
      {"dropout", 3, 2, 2, {.hidden_size = 3, .num_layers = 2, .dropout = 0.4, .training = true}},
      {"dropout_evaluation", 3, 2, 2, {.hidden_size = 3, .num_layers = 2, .dropout = 0.4}},
      {"initial_state", 3, 2, 2, {.hidden_size = 3}, true},
      {"initial_state_all",
       2,
       2,
       3,
       {.hidden_size = 2, .num_layers = 2, .batch_first = true, .bidirectional = true},
       true},
      {"lengths", 4, 3, 2, {.hidden_size = 2}, false, {4, 1, 3}},
      {"lengths_all",
       4,
       3,
       2,
       {.hidden_size = 2, .num_layers = 2, .batch_first = true, .bidirectional = true},
       true,
       {2, 4, 1}},
      {"odd_hidden", 2, 3, 5, {.hidden_size = 9}},
      {"transposed", 3, 2, 2, {.hidden_size = 3}, false, {}, Memory::transposed},
      {"narrow", 3, 2, 2, {.hidden_size = 3}, true, {}, Memory::narrow},
  };
  return all;
}

enum class Use { all, output, states };

Problem lstm_problem(const Row& r, Use use) {
  const LstmOptions& o = r.options;
  const int64_t directions = o.bidirectional ? 2 : 1, gates = 4 * o.hidden_size;
  uint64_t seed = 1;
  const Dims shape = o.batch_first ? Dims{r.batch, r.steps, r.in} : Dims{r.steps, r.batch, r.in};
  std::vector<Variable> in{sample(shape, r.memory)};
  if (r.state)
    for (int i = 0; i < 2; ++i)
      in.push_back(sample({o.num_layers * directions, r.batch, o.hidden_size}, r.memory, -1, 1, seed++));
  const size_t first_weight = in.size();
  for (int64_t layer = 0; layer < o.num_layers; ++layer)
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t width = layer ? directions * o.hidden_size : r.in;
      in.push_back(sample({gates, width}, seed++, -1, 1));
      in.push_back(sample({gates, o.hidden_size}, seed++, -1, 1));
      for (int i = 0; i < 2 && o.bias; ++i) in.push_back(sample({gates}, seed++, -1, 1));
    }
  const Tensor lengths = r.lengths.empty() ? Tensor() : from_vector(r.lengths, {r.batch});
  return {[o, first_weight, lengths, use](auto& x) -> std::vector<Variable> {
            const std::vector<Variable> weights(x.begin() + int64_t(first_weight), x.end());
            const bool state = first_weight > 1;
            const LstmResult y = lstm(x[0], weights, o, state ? x[1] : Variable(), state ? x[2] : Variable(), lengths);
            if (use == Use::output) return {y.output};
            if (use == Use::states) return {y.h, y.c};
            return {y.output, y.h, y.c};
          },
          in};
}

void add_attention(const Table& table) {
  struct Shapes {
    const char* name;
    Dims q, k, v;
    AttentionOptions options = {};
    Memory memory = Memory::dense;
  };
  static const std::vector<Shapes> all = {
      {"one_query", {1, 4}, {3, 4}, {3, 2}},
      {"one_key", {2, 4}, {1, 4}, {1, 4}},
      {"batch", {2, 3, 4}, {2, 5, 4}, {2, 5, 3}},
      {"heads", {2, 2, 3, 4}, {2, 2, 3, 4}, {2, 2, 3, 4}},
      {"causal", {2, 4, 3}, {2, 4, 3}, {2, 4, 3}, {.causal = true}},
      {"mask", {2, 3, 4}, {2, 3, 4}, {2, 3, 4}, {.mask = sample({3, 3}, 7).value()}},
      {"dropout", {2, 3, 4}, {2, 3, 4}, {2, 3, 4}, {.dropout = 0.3, .training = true}},
      {"transposed", {3, 4}, {5, 4}, {5, 2}, {}, Memory::transposed},
      {"narrow", {2, 3, 4}, {2, 5, 4}, {2, 5, 2}, {}, Memory::narrow},
      {"empty_batch", {0, 3, 4}, {0, 5, 4}, {0, 5, 2}},
  };
  for (const Shapes& s : all)
    table("scaled_dot_product_attention", s.name, [&s] {
      return Problem{
          [&s](auto& x) -> std::vector<Variable> {
            const AttentionResult r = scaled_dot_product_attention(x[0], x[1], x[2], s.options);
            return {r.output, r.weights};
          },
          {sample(s.q, s.memory, -2, 2, 1), sample(s.k, s.memory, -2, 2, 2), sample(s.v, s.memory, -2, 2, 3)}};
    });
}

void add_lstm(const Table& table) {
  for (const Row& r : rows()) table("lstm", r.name, [&r] { return lstm_problem(r, Use::all); });
  for (const Row& r : rows())
    if (r.options.num_layers == 2 && r.options.bidirectional) {
      table("lstm", r.name + std::string("_output_only"), [&r] { return lstm_problem(r, Use::output); });
      table("lstm", r.name + std::string("_states_only"), [&r] { return lstm_problem(r, Use::states); });
    }
}

}  // namespace

void add_sequence(const Table& table) {
  add_lstm(table);
  add_attention(table);
}

}  // namespace ar::gradcheck_cases
