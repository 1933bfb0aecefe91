// Base64 (RFC 4648, section 4).
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace ar::scrape {

/// The bytes that `text` encodes. White space and missing padding are tolerated, as browsers do in data: URIs, and the
/// URL-safe letters - and _ count too; nothing for any other character or an impossible length.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace ar::scrape
