// PyTorch's files: what torch.save writes and torch.load(weights_only=True) reads.
#pragma once
#include "io/atomic_file.h"
#include "io/byte_source.h"
#include "io/value.h"

namespace ar::io {

/// The zip format of PyTorch 1.6 and later. Tensors that share a storage share it here. Tuples come as lists, sets too;
/// bool tensors as u8, int8 and int16 as i32. Throws Error on everything that is not plain data.
Value read_torch_zip(const ByteSource& source);

/// The format before: pickles one after another, then the storages.
Value read_torch_legacy(const ByteSource& source);

/// The zip format. A storage that tensors share is saved once. A tensor whose elements do not lie side by side, and
/// which shares its storage with no other, is saved row-major; others keep their strides.
void write_torch_zip(AtomicFile& file, const Value& value);

}  // namespace ar::io
