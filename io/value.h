// Value: a tree of plain data and tensors. It is what a checkpoint holds.
//
//   io::Value saved;
//   saved["epoch"] = 3;
//   saved["classes"] = io::Value::list(names);
//   saved["model"] = io::Value::dict(model.state_dict());
//
//   const io::Value loaded = io::load_checkpoint_file("model.pt");
//   loaded.at("epoch").integer();  // or an Error: "model.pt: epoch: a string, wanted an integer"
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace ar::io {

class Value;
class Field;

/// What a dictionary is indexed by.
using Key = std::variant<std::string, int64_t>;
std::string to_string(const Key& key);

/// A dictionary that keeps the order in which keys came first.
class Dict {
 public:
  struct Item;
  Dict();
  Dict(const Dict&);
  Dict(Dict&&) noexcept;
  Dict& operator=(const Dict&);
  Dict& operator=(Dict&&) noexcept;
  ~Dict();

  /// The value of a key; a new one is none.
  Value& operator[](const Key& key);
  /// Null where the key is missing.
  const Value* find(const Key& key) const;
  int64_t size() const;
  const Item* begin() const;
  const Item* end() const;

 private:
  std::vector<Item> items_;
  std::map<Key, size_t> index_;
};

class Value {
 public:
  using List = std::vector<Value>;
  enum class Kind { none, boolean, integer, real, string, list, dict, tensor };

  Value() = default;
  Value(bool v) : data_(v) {}
  Value(int v) : data_(int64_t(v)) {}
  Value(int64_t v) : data_(v) {}
  Value(double v) : data_(v) {}
  Value(const char* v) : data_(std::string(v)) {}
  Value(std::string v) : data_(std::move(v)) {}
  Value(List v) : data_(std::move(v)) {}
  Value(Dict v) : data_(std::move(v)) {}
  Value(Tensor v) : data_(std::move(v)) {}
  template <class T>
  Value(T*) = delete;  // a pointer is no bool

  template <class T>
  static Value list(const std::vector<T>& values) {
    return List(values.begin(), values.end());
  }
  /// From names and tensors, such as nn::StateDict.
  static Value dict(const std::vector<std::pair<std::string, Tensor>>& values);

  Kind kind() const { return Kind(data_.index()); }
  bool is_none() const { return kind() == Kind::none; }
  /// Null unless it is a T: bool, int64_t, double, std::string, List, Dict or Tensor.
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }

  /// For writing: the value of a key; none becomes a dictionary first. Throws Error on anything else.
  Value& operator[](const Key& key);
  /// For writing: none becomes a list first. Throws Error on anything else.
  void push_back(Value value);

  // ---- reading: see Field ----
  Field field() const;
  Field at(const Key& key) const;
  std::optional<Field> find(const Key& key) const;

  /// What it was read from; errors of reading start with it.
  const std::string& origin() const { return origin_; }
  void set_origin(std::string origin) { origin_ = std::move(origin); }

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Dict, Tensor> data_;
  std::string origin_;
};

struct Dict::Item {
  Key key;
  Value value;
};

/// A value and where in its file it stands. Every function throws an Error that says so if the value is of another
/// kind. It does not keep the tree alive.
class Field {
 public:
  Field(const Value& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const Value& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_none() const { return value_->is_none(); }

  bool boolean() const;
  int64_t integer() const;
  /// An integer serves as well.
  double real() const;
  const std::string& string() const;
  const Tensor& tensor() const;

  /// A dictionary's entry, or (with an integer) a list's element.
  Field at(const Key& key) const;
  /// The same; none where the key is missing or its value is none.
  std::optional<Field> find(const Key& key) const;
  std::vector<Field> list() const;
  std::vector<std::string> strings() const;
  std::vector<std::pair<Key, Field>> dict() const;
  /// A dictionary of tensors only, such as nn::StateDict.
  std::vector<std::pair<std::string, Tensor>> tensors() const;

  /// Throws an Error that starts with the path.
  [[noreturn]] void error(const std::string& what) const;

 private:
  template <class T>
  const T& get(const char* wanted) const;
  Field child(const Key& key, const Value& value) const;

  const Value* value_;
  std::string path_;
};

}  // namespace ar::io
