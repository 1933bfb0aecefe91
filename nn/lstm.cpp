#include "nn/lstm.h"

#include <cmath>
#include <sstream>

#include "nn/init.h"

namespace ar::nn {

LSTM::LSTM(const Options& options) : options_(options) {
  const int64_t h = options.hidden_size, directions = options.bidirectional ? 2 : 1;
  AR_CHECK(options.input_size > 0 && h > 0 && options.num_layers > 0,
           "LSTM: input_size, hidden_size and num_layers must be positive, they are ", options.input_size, ", ", h,
           " and ", options.num_layers);
  AR_CHECK(options.dropout >= 0 && options.dropout <= 1, "LSTM: dropout must be in [0, 1], it is ", options.dropout);
  for (int64_t i = 0; i < options.num_layers * directions; ++i) {
    const int64_t in = i < directions ? options.input_size : directions * h;
    weights_.emplace_back(empty({4 * h, in}));
    weights_.emplace_back(empty({4 * h, h}));
    if (!options.bias) continue;
    weights_.emplace_back(empty({4 * h}));
    weights_.emplace_back(empty({4 * h}));
  }
  const double bound = 1 / std::sqrt(double(h));
  for (const Parameter& w : weights_) init::uniform_(w, -bound, bound);
}

void LSTM::members(Members& add) {
  size_t next = 0;
  for (int64_t layer = 0; layer < options_.num_layers; ++layer)
    for (const char* direction : {"", "_reverse"}) {
      if (*direction && !options_.bidirectional) continue;
      const std::string suffix = "_l" + std::to_string(layer) + direction;
      add("weight_ih" + suffix, weights_[next++]);
      add("weight_hh" + suffix, weights_[next++]);
      if (!options_.bias) continue;
      add("bias_ih" + suffix, weights_[next++]);
      add("bias_hh" + suffix, weights_[next++]);
    }
}

LstmResult LSTM::operator()(const Variable& x, const Variable& h0, const Variable& c0, const Tensor& lengths) const {
  return lstm(x, {weights_.begin(), weights_.end()},
              {.hidden_size = options_.hidden_size,
               .num_layers = options_.num_layers,
               .bias = options_.bias,
               .batch_first = options_.batch_first,
               .bidirectional = options_.bidirectional,
               .dropout = options_.dropout,
               .training = is_training()},
              h0, c0, lengths);
}

std::string LSTM::describe() const {
  const Options& o = options_;
  std::ostringstream out;
  out << o.input_size << ", " << o.hidden_size;
  if (o.num_layers != 1) out << ", num_layers=" << o.num_layers;
  if (!o.bias) out << ", bias=False";
  if (o.batch_first) out << ", batch_first=True";
  if (o.dropout != 0) out << ", dropout=" << o.dropout;
  if (o.bidirectional) out << ", bidirectional=True";
  return out.str();
}

}  // namespace ar::nn
