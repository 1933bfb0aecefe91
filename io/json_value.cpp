#include "io/json_value.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace ar::io {
namespace {

constexpr size_t kDeepest = 100;

/// Builds the tree as the parser meets its parts. An open list or dictionary is kept on a stack until it ends.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(const std::string& origin) : origin_(origin) {}
  Value take() { return std::move(root_); }

  bool null() override { return put({}); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(int64_t(v)); }
  bool number_unsigned(number_unsigned_t v) override {
    AR_CHECK(v <= uint64_t(std::numeric_limits<int64_t>::max()), origin_, ": an integer is too large: ", v);
    return put(int64_t(v));
  }
  bool number_float(number_float_t v, const string_t&) override { return put(v); }
  bool string(string_t& v) override { return put(std::move(v)); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& v) override {
    open_.back().key = std::move(v);
    return true;
  }
  bool start_object(size_t) override { return open(Dict()); }
  bool start_array(size_t) override { return open(Value::List()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail(origin_, ": is not JSON, at byte ", position);
  }

 private:
  struct Open {
    Value value;
    std::string key;
  };
  bool open(Value value) {
    AR_CHECK(open_.size() < kDeepest, origin_, ": is nested more than ", kDeepest, " deep");
    open_.push_back({std::move(value), {}});
    return true;
  }
  bool close() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(done));
  }
  bool put(Value value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (Open& into = open_.back(); into.value.kind() == Value::Kind::list)
      into.value.push_back(std::move(value));
    else
      into.value[into.key] = std::move(value);
    return true;
  }

  const std::string& origin_;
  std::vector<Open> open_;
  Value root_;
};

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
}

void write(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::none:
      out += "null";
      break;
    case Value::Kind::boolean:
      out += *value.get_if<bool>() ? "true" : "false";
      break;
    case Value::Kind::integer:
      out += std::to_string(*value.get_if<int64_t>());
      break;
    case Value::Kind::real:
      out += nlohmann::json(*value.get_if<double>()).dump();
      break;
    case Value::Kind::string:
      out += quoted(*value.get_if<std::string>());
      break;
    case Value::Kind::list: {
      const char* separator = "";
      out += '[';
      for (const Value& v : *value.get_if<Value::List>()) out += std::exchange(separator, ","), write(out, v);
      out += ']';
      break;
    }
    case Value::Kind::dict: {
      const char* separator = "";
      out += '{';
      for (const auto& [key, v] : *value.get_if<Dict>()) {
        out.append(std::exchange(separator, ",")).append(quoted(to_string(key))).append(":");
        write(out, v);
      }
      out += '}';
      break;
    }
    case Value::Kind::tensor:
      fail("to_json: a tensor is no JSON");
  }
}

}  // namespace

Value parse_json(std::string_view text, const std::string& origin) {
  Builder builder(origin);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  Value value = builder.take();
  value.set_origin(origin);
  return value;
}

std::string to_json(const Value& value) {
  std::string out;
  write(out, value);
  return out;
}

}  // namespace ar::io
