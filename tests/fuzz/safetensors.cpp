// safetensors, with the tree that ours hold in their metadata.
#include "io/safetensors.h"
#include "tests/fuzz/weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    ar::visit(ar::io::read_safetensors(ar::io::ByteSource("input", data, size)));
  } catch (const ar::Error&) {
  }
  return 0;
}
