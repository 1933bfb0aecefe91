// What the tests of weights share: folders that vanish, and comparison of trees.
#pragma once
#include <filesystem>
#include <fstream>
#include <string>

#include "io/value.h"
#include "tests/errors.h"

namespace ar {

/// A fresh folder, removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = testing::TempDir() + "ar-weights-XXXXXX";
    AR_CHECK(::mkdtemp(name.data()), name, ": cannot be made");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}
inline std::string fixture(const std::string& name) { return AR_FIXTURES_DIR "/weights/" + name; }

/// The same kinds, values and bits; tensors by shape, dtype and elements.
inline void expect_same(const io::Value& a, const io::Value& b, const std::string& path = "") {
  SCOPED_TRACE(path);
  ASSERT_EQ(int(a.kind()), int(b.kind()));
  if (const auto* list = a.get_if<io::Value::List>()) {
    const auto& other = *b.get_if<io::Value::List>();
    ASSERT_EQ(list->size(), other.size());
    for (size_t i = 0; i < list->size(); ++i) expect_same((*list)[i], other[i], path + "." + std::to_string(i));
  } else if (const auto* dict = a.get_if<io::Dict>()) {
    const auto& other = *b.get_if<io::Dict>();
    ASSERT_EQ(dict->size(), other.size());
    for (int64_t i = 0; i < dict->size(); ++i) {
      EXPECT_EQ(dict->begin()[i].key, other.begin()[i].key);
      expect_same(dict->begin()[i].value, other.begin()[i].value, path + "." + io::to_string(dict->begin()[i].key));
    }
  } else if (const auto* tensor = a.get_if<Tensor>()) {
    const auto& other = *b.get_if<Tensor>();
    EXPECT_EQ(tensor->dtype(), other.dtype());
    EXPECT_EQ(tensor->shape(), other.shape());
    if (tensor->dtype() == Dtype::i64)
      EXPECT_EQ(tensor->to_vector<int64_t>(), other.to_vector<int64_t>());
    else
      EXPECT_EQ(tensor->to_vector<double>(), other.to_vector<double>());
  } else if (const auto* real = a.get_if<double>()) {
    const double other = *b.get_if<double>();
    EXPECT_EQ(std::isnan(*real), std::isnan(other));
    if (!std::isnan(*real)) {
      EXPECT_EQ(*real, other);
      EXPECT_EQ(std::signbit(*real), std::signbit(other));
    }
  } else if (const auto* text = a.get_if<std::string>()) {
    EXPECT_EQ(*text, *b.get_if<std::string>());
  } else if (const auto* integer = a.get_if<int64_t>()) {
    EXPECT_EQ(*integer, *b.get_if<int64_t>());
  } else if (const auto* boolean = a.get_if<bool>()) {
    EXPECT_EQ(*boolean, *b.get_if<bool>());
  }
}

}  // namespace ar
