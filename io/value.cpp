#include "io/value.h"

namespace ar::io {
namespace {

const char* name_of(Value::Kind kind) {
  constexpr const char* names[] = {"nothing",  "a boolean", "an integer",   "a number",
                                   "a string", "a list",    "a dictionary", "a tensor"};
  return names[int(kind)];
}

}  // namespace

std::string to_string(const Key& key) {
  const auto* text = std::get_if<std::string>(&key);
  return text ? *text : std::to_string(std::get<int64_t>(key));
}

// ---- Dict ----

Dict::Dict() = default;
Dict::Dict(const Dict&) = default;
Dict::Dict(Dict&&) noexcept = default;
Dict& Dict::operator=(const Dict&) = default;
Dict& Dict::operator=(Dict&&) noexcept = default;
Dict::~Dict() = default;

Value& Dict::operator[](const Key& key) {
  const auto [place, fresh] = index_.try_emplace(key, items_.size());
  if (fresh) items_.push_back({key, Value()});
  return items_[place->second].value;
}

const Value* Dict::find(const Key& key) const {
  const auto place = index_.find(key);
  return place == index_.end() ? nullptr : &items_[place->second].value;
}

int64_t Dict::size() const { return int64_t(items_.size()); }
const Dict::Item* Dict::begin() const { return items_.data(); }
const Dict::Item* Dict::end() const { return items_.data() + items_.size(); }

// ---- Value ----

Value Value::dict(const std::vector<std::pair<std::string, Tensor>>& values) {
  Dict d;
  for (const auto& [name, tensor] : values) d[name] = tensor;
  return d;
}

Value& Value::operator[](const Key& key) {
  if (is_none()) data_ = Dict();
  auto* dict = std::get_if<Dict>(&data_);
  AR_CHECK(dict, "value: ", name_of(kind()), " has no entry '", to_string(key), "'");
  return (*dict)[key];
}

void Value::push_back(Value value) {
  if (is_none()) data_ = List();
  auto* list = std::get_if<List>(&data_);
  AR_CHECK(list, "value: nothing can be appended to ", name_of(kind()));
  list->push_back(std::move(value));
}

Field Value::field() const { return {*this, origin_}; }
Field Value::at(const Key& key) const { return field().at(key); }
std::optional<Field> Value::find(const Key& key) const { return field().find(key); }

// ---- Field ----

void Field::error(const std::string& what) const { fail(path_, path_.empty() ? "" : ": ", what); }

Field Field::child(const Key& key, const Value& value) const {
  // "model.pt: model.weight": a colon after the file, dots between names.
  const char* separator = path_.empty() ? "" : path_ == value_->origin() ? ": " : ".";
  return {value, path_ + separator + to_string(key)};
}

template <class T>
const T& Field::get(const char* wanted) const {
  const T* found = value_->get_if<T>();
  if (!found) error(std::string(name_of(value_->kind())) + ", wanted " + wanted);
  return *found;
}

bool Field::boolean() const { return get<bool>("a boolean"); }
int64_t Field::integer() const { return get<int64_t>("an integer"); }
double Field::real() const {
  const auto* integer = value_->get_if<int64_t>();
  return integer ? double(*integer) : get<double>("a number");
}
const std::string& Field::string() const { return get<std::string>("a string"); }
const Tensor& Field::tensor() const { return get<Tensor>("a tensor"); }

std::optional<Field> Field::find(const Key& key) const {
  const Value* found = nullptr;
  if (const auto* list = value_->get_if<Value::List>()) {
    const auto* index = std::get_if<int64_t>(&key);
    if (!index) error("a list, wanted a dictionary");
    if (*index >= 0 && *index < int64_t(list->size())) found = &(*list)[size_t(*index)];
  } else {
    found = get<Dict>("a dictionary").find(key);
  }
  if (!found || found->is_none()) return {};
  return child(key, *found);
}

Field Field::at(const Key& key) const {
  std::optional<Field> found = find(key);
  if (!found) error("there is no '" + to_string(key) + "'");
  return *found;
}

std::vector<Field> Field::list() const {
  const auto& values = get<Value::List>("a list");
  std::vector<Field> fields;
  for (size_t i = 0; i < values.size(); ++i) fields.push_back(child(int64_t(i), values[i]));
  return fields;
}

std::vector<std::string> Field::strings() const {
  std::vector<std::string> texts;
  for (const Field& f : list()) texts.push_back(f.string());
  return texts;
}

std::vector<std::pair<Key, Field>> Field::dict() const {
  std::vector<std::pair<Key, Field>> fields;
  for (const auto& [key, value] : get<Dict>("a dictionary")) fields.emplace_back(key, child(key, value));
  return fields;
}

std::vector<std::pair<std::string, Tensor>> Field::tensors() const {
  std::vector<std::pair<std::string, Tensor>> found;
  for (const auto& [key, field] : dict()) found.emplace_back(to_string(key), field.tensor());
  return found;
}

}  // namespace ar::io
