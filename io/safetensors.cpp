#include "io/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

#include "io/json_value.h"
#include "io/torch_types.h"
#include "io/utf8.h"

namespace ar::io {
namespace {

constexpr int64_t kLongestHeader = 100'000'000;  // as the reference implementation has it
constexpr int64_t kAlignment = 64;
constexpr const char *kMetadata = "__metadata__", *kTree = "ar.tree";

// What JSON cannot say is a dictionary of one entry: {"$tensor": name}, {"$real": "nan"}, {"$bytes": hexadecimal}, and
// {"$dict": [key, value, ...]} for dictionaries that JSON cannot hold.

Value tagged(const char* tag, Value value) {
  Dict d;
  d[tag] = std::move(value);
  return d;
}

std::string to_hex(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", unsigned(uint8_t(c)));
    out += digits;
  }
  return out;
}

std::string from_hex(const Field& field) {
  const std::string& hex = field.string();
  std::string out;
  const auto digit = [&](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    field.error("is not hexadecimal");
  };
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out += char(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return out;
}

// ---- writing ----

class TreeEncoder {
 public:
  struct Entry {
    std::string name;
    Tensor tensor;
  };
  std::vector<Entry> entries;

  Value encode(const Value& value, const std::string& path) {
    switch (value.kind()) {
      case Value::Kind::string: {
        const auto& text = *value.get_if<std::string>();
        return is_utf8(text) ? value : tagged("$bytes", to_hex(text));
      }
      case Value::Kind::real: {
        const double v = *value.get_if<double>();
        if (std::isfinite(v)) return value;
        return tagged("$real", std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
      }
      case Value::Kind::list: {
        Value::List list;
        for (const Value& v : *value.get_if<Value::List>())
          list.push_back(encode(v, joined(path, std::to_string(list.size()))));
        return list;
      }
      case Value::Kind::dict:
        return encode_dict(*value.get_if<Dict>(), path);
      case Value::Kind::tensor:
        return encode_tensor(*value.get_if<Tensor>(), path);
      default:
        return value;
    }
  }

 private:
  static std::string joined(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + '.' + name;
  }

  Value encode_dict(const Dict& dict, const std::string& path) {
    bool plain = true;
    for (const auto& [key, v] : dict) {
      const auto* text = std::get_if<std::string>(&key);
      plain = plain && text && !text->starts_with('$') && is_utf8(*text);
    }
    Dict object;
    Value::List pairs;
    for (const auto& [key, v] : dict) {
      Value item = encode(v, joined(path, to_string(key)));
      if (plain) {
        object[key] = std::move(item);
      } else {
        const auto* text = std::get_if<std::string>(&key);
        pairs.push_back(text ? encode(*text, "") : Value(std::get<int64_t>(key)));
        pairs.push_back(std::move(item));
      }
    }
    return plain ? Value(std::move(object)) : tagged("$dict", std::move(pairs));
  }

  Value encode_tensor(const Tensor& tensor, const std::string& path) {
    if (!tensor.defined()) return {};
    std::string name = path.empty() || !is_utf8(path) ? "tensor" : path;
    if (!names_.insert(name).second) {
      int n = 2;
      while (!names_.insert(name + '#' + std::to_string(n)).second) ++n;
      name += '#' + std::to_string(n);
    }
    entries.push_back({name, tensor});
    return tagged("$tensor", name);
  }

  std::set<std::string> names_ = {kMetadata};
};

// ---- reading ----

struct Span {
  std::string name;
  const FileType* type;
  Dims shape;
  int64_t begin, end;
};

Value decode(const Field& field, const Dict& tensors) {
  const Value& value = field.value();
  if (value.kind() == Value::Kind::list) {
    Value::List list;
    for (const Field& f : field.list()) list.push_back(decode(f, tensors));
    return list;
  }
  const auto* dict = value.get_if<Dict>();
  if (!dict) return value;
  const auto* tag = dict->size() == 1 ? std::get_if<std::string>(&dict->begin()->key) : nullptr;
  if (!tag || !tag->starts_with('$')) {
    Dict decoded;
    for (const auto& [key, f] : field.dict()) decoded[key] = decode(f, tensors);
    return decoded;
  }
  const Field content = field.at(*tag);
  if (*tag == "$tensor") {
    const Value* found = tensors.find(content.string());
    if (!found) content.error("names a tensor that the file has not");
    return *found;
  }
  if (*tag == "$real") {
    const std::string& text = content.string();
    const double infinity = std::numeric_limits<double>::infinity();
    return text == "nan" ? std::numeric_limits<double>::quiet_NaN() : text == "inf" ? infinity : -infinity;
  }
  if (*tag == "$bytes") return from_hex(content);
  if (*tag == "$dict") {
    Dict decoded;
    const std::vector<Field> pairs = content.list();
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const Value key = decode(pairs[i], tensors);
      const auto* number = key.get_if<int64_t>();
      decoded[number ? Key(*number) : Key(Field(key, pairs[i].path()).string())] = decode(pairs[i + 1], tensors);
    }
    return decoded;
  }
  content.error("is not known here; the file was written by a newer version");
}

}  // namespace

Value read_safetensors(const ByteSource& source) {
  uint64_t header_bytes = 0;
  source.read(0, &header_bytes, 8);
  if (header_bytes > uint64_t(kLongestHeader)) source.error("is damaged: a header of ", header_bytes, " bytes");
  const Value header = parse_json(source.text(8, int64_t(header_bytes)), source.name());
  const int64_t data = 8 + int64_t(header_bytes), data_bytes = source.size() - data;

  std::vector<Span> spans;
  std::optional<std::string> tree;
  for (const auto& [key, field] : header.field().dict()) {
    const std::string name = to_string(key);
    if (name == kMetadata) {
      if (const auto text = field.find(kTree)) tree = text->string();
      continue;
    }
    Span span{name, find_safetensors_type(field.at("dtype").string()), {}, 0, 0};
    if (!span.type) field.error("is of type " + printable(field.at("dtype").string()) + ", which is not read");
    const std::vector<Field> sizes = field.at("shape").list(), ends = field.at("data_offsets").list();
    if (sizes.size() > size_t(kMaxRank)) field.error("has " + std::to_string(sizes.size()) + " dimensions");
    __int128 bytes = span.type->bytes;
    for (const Field& size : sizes) {
      span.shape.push_back(size.integer());
      if (size.integer() < 0) field.error("has a negative size");
      bytes = std::min<__int128>(bytes * size.integer(), __int128(1) << 62);
    }
    if (ends.size() != 2) field.error("needs two data_offsets");
    span.begin = ends[0].integer(), span.end = ends[1].integer();
    if (span.begin < 0 || span.begin > span.end || span.end > data_bytes || span.end - span.begin != bytes)
      field.error("is damaged or cut short: its bytes are not all there");
    spans.push_back(std::move(span));
  }
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });

  Dict tensors;
  int64_t end = 0;
  for (const Span& s : spans) {
    if (s.begin < end) source.error(printable(s.name), ": is damaged: it overlaps another tensor");
    end = s.end;
    const int64_t numel = (s.end - s.begin) / s.type->bytes;
    tensors[s.name] = Tensor(read_elements(source, data + s.begin, numel, *s.type), 0, s.shape,
                             dense_strides(s.shape, Layout::channels_first), s.type->dtype);
  }
  if (!tree) return tensors;
  const Value encoded = parse_json(*tree, source.name());
  return decode(encoded.field(), tensors);
}

void write_safetensors(AtomicFile& file, const Value& value) {
  TreeEncoder encoder;
  Dict metadata;
  metadata["format"] = "pt";
  metadata[kTree] = to_json(encoder.encode(value, ""));
  Dict header;
  header[kMetadata] = std::move(metadata);

  // Large elements first: then each tensor starts at a multiple of its element's size.
  auto& entries = encoder.entries;
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return size_of(a.tensor.dtype()) > size_of(b.tensor.dtype()); });
  int64_t offset = 0;
  for (const auto& [name, tensor] : entries) {
    Dict entry;
    entry["dtype"] = file_type_of(tensor.dtype()).safetensors;
    entry["shape"] = Value::list(std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end()));
    const int64_t end = offset + tensor.numel() * size_of(tensor.dtype());
    entry["data_offsets"] = Value::List{offset, end};
    header[name] = std::move(entry);
    offset = end;
  }
  std::string text = to_json(std::move(header));
  text.resize((8 + text.size() + kAlignment - 1) / kAlignment * kAlignment - 8, ' ');
  AR_CHECK(int64_t(text.size()) <= kLongestHeader, file.path(), ": too much besides tensors for safetensors; use .pt");
  const uint64_t header_bytes = text.size();
  file.write(&header_bytes, 8);
  file.write(text);
  for (const auto& [name, tensor] : entries) {
    const Tensor rows = tensor.to(Device{}).contiguous(Layout::channels_first);
    file.write(rows.storage()->data() + rows.offset() * size_of(rows.dtype()), rows.numel() * size_of(rows.dtype()));
  }
}

}  // namespace ar::io
