// CRC-32 (ISO 3309): the checksum of zip archives and of PNG.
#pragma once
#include <cstdint>

namespace ar::io {

uint32_t crc32(const void* data, int64_t bytes);

}  // namespace ar::io
