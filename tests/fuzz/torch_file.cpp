// Both formats of torch.save: zip archive, pickle, storages; and the network's state in what they hold.
#include "apps/model/weight_names.h"
#include "io/checkpoint_file.h"
#include "tests/fuzz/weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const ar::io::Value value = ar::io::load_checkpoint(ar::io::ByteSource("input", data, size));
    ar::visit(value);
    ar::apps::model_state(value);
  } catch (const ar::Error&) {
  }
  return 0;
}
