// Checkpoints: a tree of values and tensors in one file.
#pragma once
#include <string>

#include "io/byte_source.h"
#include "io/value.h"

namespace ar::io {

/// Reads safetensors and both formats of torch.save, told apart by their content. The tree's origin is the path. Throws
/// Error, starting with the path, on anything that is damaged, hostile, or of another format; nothing in a file is ever
/// executed.
Value load_checkpoint_file(const std::string& path);
Value load_checkpoint(const ByteSource& source);

/// Writes by the name's ending: ".pt" and ".pth" as torch.save does (torch.load(path, weights_only=True) opens it),
/// ".safetensors". Tensors may lie on any device; they are read onto the CPU. The file appears complete or not at all,
/// see AtomicFile.
void save_checkpoint_file(const std::string& path, const Value& value);
/// Throws the error that save_checkpoint_file would throw for the name's ending: before the work, not after it.
void check_checkpoint_name(const std::string& path);

}  // namespace ar::io
