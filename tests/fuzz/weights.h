// What the fuzz targets of weights do with a tree that was read: look at all of it.
#pragma once
#include "io/value.h"

namespace ar {

/// Elements of all tensors that are not absurdly large (an expanded one may be), plus the number of values.
inline int64_t visit(const io::Value& value) {
  int64_t seen = 1;
  if (const auto* list = value.get_if<io::Value::List>())
    for (const io::Value& v : *list) seen += visit(v);
  if (const auto* dict = value.get_if<io::Dict>())
    for (const auto& [key, v] : *dict) seen += visit(v);
  if (const auto* tensor = value.get_if<Tensor>())
    if (tensor->numel() < 1 << 16) seen += int64_t(tensor->to_vector<double>().size());
  return seen;
}

}  // namespace ar
