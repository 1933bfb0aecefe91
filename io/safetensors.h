// safetensors (huggingface.co/docs/safetensors): a JSON header, then the tensors' bytes.
#pragma once
#include "io/atomic_file.h"
#include "io/byte_source.h"
#include "io/value.h"

namespace ar::io {

/// A dictionary of tensors by name; or, in files of write_safetensors, the tree that was saved. bool tensors come as
/// u8, int8 and int16 as i32.
Value read_safetensors(const ByteSource& source);

/// Every tensor is an entry "model.features.conv0.weight", row-major, named by its path; what else the tree holds
/// stands as JSON in the metadata "ar.tree".
void write_safetensors(AtomicFile& file, const Value& value);

}  // namespace ar::io
