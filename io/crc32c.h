// CRC-32C (Castagnoli; RFC 3720, appendix B.4): the checksum of TFRecord files.
#pragma once
#include <cstdint>
#include <string_view>

namespace ar::io {

/// The CRC-32C of these bytes; `crc` continues one begun on the bytes before.
uint32_t crc32c(std::string_view bytes, uint32_t crc = 0);

}  // namespace ar::io
