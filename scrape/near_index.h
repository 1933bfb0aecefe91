// Finding equal and nearly equal pictures among many by their 64-bit perceptual hashes.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ar::scrape {

/// Numbers added one after another, each found again by any hash that differs from its own in at most `max_distance`
/// bits. The hash is cut into max_distance + 1 bands: two such hashes agree in at least one band entirely (pigeonhole),
/// so only the few entries that share a band are compared.
class NearIndex {
 public:
  /// 0 <= max_distance <= 15.
  explicit NearIndex(int max_distance);

  /// Adds a hash; its number is how many were added before.
  void add(uint64_t hash);

  /// Calls visit(number) for each entry within the distance, once each, in no particular order.
  template <class Visit>
  void near(uint64_t hash, Visit visit) const {
    for (int band = 0; band < bands_; ++band) {
      for (const uint32_t number : tables_[static_cast<std::size_t>(band)][bits(hash, band)]) {
        if (std::popcount(hashes_[number] ^ hash) > bands_ - 1) continue;
        bool seen = false;  // in an earlier band
        for (int before = 0; before < band && !seen; ++before) {
          seen = bits(hashes_[number], before) == bits(hash, before);
        }
        if (!seen) visit(number);
      }
    }
  }

 private:
  std::size_t bits(uint64_t hash, int band) const {
    const int from = 64 * band / bands_, to = 64 * (band + 1) / bands_;
    const int width = to - from > 16 ? 16 : to - from;  // a wide band is looked up by a part of it
    return hash >> from & ((uint64_t{1} << width) - 1);
  }

  int bands_;
  std::vector<uint64_t> hashes_;
  std::vector<std::vector<std::vector<uint32_t>>> tables_;  // [band][bits] -> numbers
};

}  // namespace ar::scrape
