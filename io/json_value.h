// JSON (RFC 8259) to and from Value, without loss: integers stay integers, numbers keep all their bits.
#pragma once
#include <string>
#include <string_view>

#include "io/value.h"

namespace ar::io {

/// Throws Error, starting with `origin`, on what is no JSON, is nested more than 100 deep, or has an integer beyond 64
/// bits.
Value parse_json(std::string_view text, const std::string& origin);

/// One line. Numbers that are not finite become null; text that is not UTF-8 loses those bytes. Throws Error on
/// tensors; integer keys become text.
std::string to_json(const Value& value);

}  // namespace ar::io
