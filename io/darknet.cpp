#include "io/darknet.h"

#include "io/torch_types.h"

namespace ar::io {
namespace {

constexpr int kHighestVersion = 1000;  // Darknet's own test, too

}  // namespace

bool looks_like_darknet(const ByteSource& source) {
  if (source.size() < 16) return false;
  ByteStream in(source, 0, 8);
  const uint64_t major = in.number(4), minor = in.number(4);
  return major < kHighestVersion && minor < kHighestVersion && major + minor > 0;
}

DarknetWeights read_darknet_weights(const ByteSource& source) {
  if (!looks_like_darknet(source)) source.error("is no file of Darknet weights");
  ByteStream in(source, 0, source.size());
  DarknetWeights w;
  w.major = int(in.number(4)), w.minor = int(in.number(4)), w.revision = int(in.number(4));
  w.seen = int64_t(in.number(w.major * 10 + w.minor >= 2 ? 8 : 4));
  if (in.left() % 4 != 0) source.error("is damaged or cut short: ", in.left(), " bytes are no whole number of floats");
  const int64_t n = in.left() / 4;
  w.values = Tensor(read_elements(source, in.position(), n, file_type_of(Dtype::f32)), 0, {n}, {1}, Dtype::f32);
  return w;
}

DarknetWeights load_darknet_weights(const std::string& path) { return read_darknet_weights(ByteSource(path)); }

}  // namespace ar::io
