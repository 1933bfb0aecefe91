// JSON that holds names of files.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace ar::apps {

/// The value as text, with U+FFFD for bytes that are not UTF-8: where dump() would throw, and the work be lost.
inline std::string json_text(const nlohmann::json& value, int indent = -1) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ar::apps
