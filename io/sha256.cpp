#include "io/sha256.h"

extern "C" {
#include <libavutil/mem.h>
#include <libavutil/sha.h>
}

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace ar::io {

std::string sha256_hex(const ByteSource& source) {
  const std::unique_ptr<AVSHA, void (*)(void*)> state(av_sha_alloc(), av_free);
  AR_CHECK(state && av_sha_init(state.get(), 256) == 0, "sha256_hex: out of memory");
  std::vector<uint8_t> block(1 << 20);
  for (int64_t at = 0; at < source.size();) {
    const auto n = std::min(int64_t(block.size()), source.size() - at);
    source.read(at, block.data(), n);
    av_sha_update(state.get(), block.data(), size_t(n));
    at += n;
  }
  std::array<uint8_t, 32> digest = {};
  av_sha_final(state.get(), digest.data());
  std::string text;
  for (const uint8_t b : digest)
    for (const int nibble : {b >> 4, b & 15}) text += "0123456789abcdef"[nibble];
  return text;
}

std::string sha256_hex(std::span<const uint8_t> bytes) {
  return sha256_hex(ByteSource("", bytes.data(), bytes.size()));
}

}  // namespace ar::io
