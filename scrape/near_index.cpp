#include "scrape/near_index.h"

#include <algorithm>

#include "scrape/error.h"

namespace ar::scrape {

NearIndex::NearIndex(int max_distance) : bands_(max_distance + 1) {
  if (max_distance < 0 || max_distance > 15) fail("near duplicates: the distance must be from 0 to 15 bits");
  tables_.resize(static_cast<size_t>(bands_));
  for (int band = 0; band < bands_; ++band) {
    const int width = std::min(16, 64 * (band + 1) / bands_ - 64 * band / bands_);
    tables_[static_cast<size_t>(band)].resize(size_t{1} << width);
  }
}

void NearIndex::add(uint64_t hash) {
  const auto number = static_cast<uint32_t>(hashes_.size());
  hashes_.push_back(hash);
  for (int band = 0; band < bands_; ++band) tables_[static_cast<size_t>(band)][bits(hash, band)].push_back(number);
}

}  // namespace ar::scrape
