#include "io/torch_types.h"

#include <algorithm>
#include <vector>

namespace ar::io {
namespace {

constexpr FileType kTypes[] = {
    {"FloatStorage", "F32", 4, Dtype::f32, true},  {"DoubleStorage", "F64", 8, Dtype::f64, true},
    {"HalfStorage", "F16", 2, Dtype::f16, true},   {"BFloat16Storage", "BF16", 2, Dtype::bf16, true},
    {"LongStorage", "I64", 8, Dtype::i64, true},   {"IntStorage", "I32", 4, Dtype::i32, true},
    {"ByteStorage", "U8", 1, Dtype::u8, true},     {"BoolStorage", "BOOL", 1, Dtype::u8, false},
    {"ShortStorage", "I16", 2, Dtype::i32, false}, {"CharStorage", "I8", 1, Dtype::i32, false},
};

template <class Narrow>
void widen(const ByteSource& source, int64_t offset, int64_t count, int32_t* out) {
  std::vector<Narrow> block(size_t(std::min<int64_t>(count, 1 << 15)));
  while (count > 0) {
    const auto n = std::min(count, int64_t(block.size()));
    source.read(offset, block.data(), n * int64_t(sizeof(Narrow)));
    out = std::copy_n(block.data(), n, out);
    offset += n * int64_t(sizeof(Narrow)), count -= n;
  }
}

}  // namespace

const FileType* find_torch_storage(std::string_view name) {
  for (const FileType& t : kTypes)
    if (name == t.storage) return &t;
  return nullptr;
}

const FileType* find_safetensors_type(std::string_view name) {
  for (const FileType& t : kTypes)
    if (name == t.safetensors) return &t;
  return nullptr;
}

const FileType& file_type_of(Dtype dtype) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const FileType& t) { return t.dtype == dtype; });
}

std::shared_ptr<Storage> read_elements(const ByteSource& source, int64_t offset, int64_t count, const FileType& type) {
  if (count < 0 || count > source.size()) source.error("is damaged or cut short: it claims ", count, " elements");
  source.check_range(offset, count * type.bytes);
  auto storage = Storage::allocate(count * size_of(type.dtype), {});
  if (type.dtype == Dtype::i32 && type.bytes == 2)
    widen<int16_t>(source, offset, count, reinterpret_cast<int32_t*>(storage->data()));
  else if (type.dtype == Dtype::i32 && type.bytes == 1)
    widen<int8_t>(source, offset, count, reinterpret_cast<int32_t*>(storage->data()));
  else
    source.read(offset, storage->data(), count * type.bytes);
  return storage;
}

}  // namespace ar::io
