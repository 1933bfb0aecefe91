// SHA-256 (FIPS 180-4).
#pragma once
#include <string>

#include "io/byte_source.h"

namespace ar::io {

/// 64 hexadecimal digits, in lower case.
std::string sha256(const ByteSource& source);

}  // namespace ar::io
