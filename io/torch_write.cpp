// Writing PyTorch's zip format.
#include <unordered_map>

#include "io/pickle.h"
#include "io/torch_file.h"
#include "io/torch_types.h"
#include "io/zip.h"

namespace ar::io {
namespace {

constexpr int64_t kAlignment = 64;

/// The part of a storage that tensors use, in elements.
struct Range {
  Dtype dtype;
  int64_t begin, end;
  int tensors = 0;
  bool mixed = false;  // tensors of several dtypes look at it
};

Range range_of(const Tensor& t) {
  int64_t end = t.offset() + (t.numel() > 0 ? 1 : 0);
  for (int d = 0; d < t.rank(); ++d)
    if (t.numel() > 0) end += (t.size(d) - 1) * t.stride(d);
  return {t.dtype(), t.offset(), end};
}

class TreeWriter {
 public:
  explicit TreeWriter(AtomicFile& file) : file_(file) {}

  void write(const Value& value) {
    collect(value);
    put(value);
    ZipWriter zip(file_);
    // torch.load wants all in one folder, whose name does not matter.
    zip.add("archive/data.pkl", std::move(out_).finish());
    zip.add("archive/byteorder", "little");
    for (size_t i = 0; i < blobs_.size(); ++i) {
      const Tensor bytes = blobs_[i].to(Device{});
      zip.add("archive/data/" + std::to_string(i), bytes.data<uint8_t>(), bytes.numel(), kAlignment);
    }
    zip.add("archive/version", "3\n");
    zip.finish();
  }

 private:
  void collect(const Value& value) {
    if (const auto* list = value.get_if<Value::List>())
      for (const Value& v : *list) collect(v);
    if (const auto* dict = value.get_if<Dict>())
      for (const auto& [key, v] : *dict) collect(v);
    const auto* tensor = value.get_if<Tensor>();
    if (!tensor || !tensor->defined()) return;
    const Range range = range_of(*tensor);
    Range& whole = ranges_.try_emplace(tensor->storage().get(), range).first->second;
    whole.begin = std::min(whole.begin, range.begin);
    whole.end = std::max(whole.end, range.end);
    whole.mixed = whole.mixed || whole.dtype != range.dtype;
    ++whole.tensors;
  }

  void put(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::none:
        return out_.none();
      case Value::Kind::boolean:
        return out_.boolean(*value.get_if<bool>());
      case Value::Kind::integer:
        return out_.integer(*value.get_if<int64_t>());
      case Value::Kind::real:
        return out_.real(*value.get_if<double>());
      case Value::Kind::string:
        return out_.string(*value.get_if<std::string>());
      case Value::Kind::list:
        out_.empty_list(), out_.mark();
        for (const Value& v : *value.get_if<Value::List>()) put(v);
        return out_.appends();
      case Value::Kind::dict:
        out_.empty_dict(), out_.mark();
        for (const auto& [key, v] : *value.get_if<Dict>()) put_key(key), put(v);
        return out_.setitems();
      case Value::Kind::tensor:
        return put(*value.get_if<Tensor>());
    }
  }

  void put_key(const Key& key) {
    if (const auto* text = std::get_if<std::string>(&key))
      out_.string(*text);
    else
      out_.integer(std::get<int64_t>(key));
  }

  void put(const Tensor& given) {
    if (!given.defined()) return out_.none();
    Tensor t = given;
    Range range = ranges_.at(t.storage().get());
    if (range.mixed || (range.tensors == 1 && !t.is_dense_in_any_order())) {
      t = t.clone(Layout::channels_first);
      range = range_of(t);
    }
    const auto [place, fresh] = keys_.try_emplace(t.storage().get(), blobs_.size());
    if (fresh) {
      const int64_t size = size_of(t.dtype());
      blobs_.emplace_back(t.storage(), range.begin * size, Dims{(range.end - range.begin) * size}, Dims{1}, Dtype::u8);
    }
    out_.global("torch._utils", "_rebuild_tensor_v2");
    out_.mark();
    out_.mark();
    out_.string("storage");
    out_.global("torch", file_type_of(t.dtype()).storage);
    out_.string(std::to_string(place->second));
    out_.string("cpu");
    out_.integer(range.end - range.begin);
    out_.tuple(), out_.persistent();
    out_.integer(t.offset() - range.begin);
    put_dims(t.shape()), put_dims(t.strides());
    out_.boolean(false);  // requires_grad
    out_.global("collections", "OrderedDict");
    out_.empty_tuple(), out_.call();
    out_.tuple(), out_.call();
  }

  void put_dims(const Dims& dims) {
    out_.mark();
    for (const int64_t d : dims) out_.integer(d);
    out_.tuple();
  }

  AtomicFile& file_;
  pickle::Writer out_;
  std::unordered_map<const Storage*, Range> ranges_;
  std::unordered_map<const Storage*, size_t> keys_;
  std::vector<Tensor> blobs_;  // the bytes of storages, where they are
};

}  // namespace

void write_torch_zip(AtomicFile& file, const Value& value) { TreeWriter(file).write(value); }

}  // namespace ar::io
