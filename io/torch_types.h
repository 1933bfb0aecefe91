// PyTorch's storage types and the element types they hold.
#pragma once
#include <string_view>

#include "io/byte_source.h"
#include "tensor/tensor.h"

namespace ar::io {

/// How elements lie in a file, and the dtype they are read as.
struct FileType {
  const char* storage;      // PyTorch's storage: torch.FloatStorage
  const char* safetensors;  // "F32"
  int64_t bytes;
  Dtype dtype;
  bool exact;  // the file's type is the dtype; else it is widened
};

/// Null for types that are not read (complex numbers, quantised ones, float8).
const FileType* find_torch_storage(std::string_view name);
const FileType* find_safetensors_type(std::string_view name);
/// How we write it.
const FileType& file_type_of(Dtype dtype);

/// Reads `count` elements from `offset` on into fresh memory, widened if need be. The range is checked before anything
/// is allocated.
std::shared_ptr<Storage> read_elements(const ByteSource& source, int64_t offset, int64_t count, const FileType& type);

}  // namespace ar::io
