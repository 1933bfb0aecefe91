#include "io/checkpoint_file.h"

#include <bit>

#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

namespace ar::io {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read and written as they lie in memory");

using Writer = void (*)(AtomicFile&, const Value&);

Writer writer_of(const std::string& path) {
  if (path.ends_with(".pt") || path.ends_with(".pth")) return write_torch_zip;
  if (path.ends_with(".safetensors")) return write_safetensors;
  fail(path, ": a checkpoint's name must end in .pt, .pth or .safetensors");
}

}  // namespace

Value load_checkpoint(const ByteSource& source) {
  const std::string start = source.text(0, std::min<int64_t>(source.size(), 16));
  Value value;
  if (start.empty())
    source.error("is empty");
  else if (start.size() > 8 && start[8] == '{')  // before it a length, whose bytes may look like anything
    value = read_safetensors(source);
  else if (start.starts_with("PK\x03\x04"))
    value = read_torch_zip(source);
  else if (start[0] == '\x80')
    value = read_torch_legacy(source);
  else if (start.starts_with("<"))
    source.error("is a web page, not weights; download the file itself");
  else if (start.starts_with("version https://"))
    source.error("is a Git LFS pointer, not weights; fetch the file itself");
  else
    source.error("is neither safetensors nor a file of torch.save");
  value.set_origin(source.name());
  return value;
}

Value load_checkpoint_file(const std::string& path) { return load_checkpoint(ByteSource(path)); }

void check_checkpoint_name(const std::string& path) { writer_of(path); }

void save_checkpoint_file(const std::string& path, const Value& value) {
  const Writer write = writer_of(path);
  AtomicFile file(path);
  write(file, value);
  file.commit();
}

}  // namespace ar::io
