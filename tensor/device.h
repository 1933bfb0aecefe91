// Where a tensor's memory is.
#pragma once
#include <cstdint>
#include <ostream>
#include <string_view>

namespace ar {

struct Device {
  enum class Type : uint8_t { cpu, cuda };
  Type type = Type::cpu;
  int index = 0;

  bool is_cpu() const { return type == Type::cpu; }
  friend bool operator==(const Device&, const Device&) = default;
  /// Prints "cpu", "cuda:0".
  friend std::ostream& operator<<(std::ostream& out, const Device& d) {
    if (d.is_cpu()) return out << "cpu";
    return out << "cuda:" << d.index;
  }
};

/// Reads "cpu", "cuda" or "cuda:1"; throws Error on anything else.
Device parse_device(std::string_view text);

}  // namespace ar
