// SHA-256 (FIPS 180-4).
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "io/byte_source.h"

namespace ar::io {

/// 64 hexadecimal digits, in lower case.
std::string sha256_hex(const ByteSource& source);
std::string sha256_hex(std::span<const uint8_t> bytes);

}  // namespace ar::io
