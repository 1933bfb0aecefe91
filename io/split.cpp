#include "io/split.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

#include "io/sampler.h"

namespace ar::io {
namespace {

class UnionFind {
 public:
  explicit UnionFind(std::size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0); }
  std::size_t find(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  /// False if they were together already.
  bool unite(std::size_t a, std::size_t b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
    return a != b;
  }

 private:
  std::vector<std::size_t> parent_;
};

/// Calls f(i, j) for all pairs of hashes within the distance; a pair may come more than once. Of two such hashes, cut
/// into m parts, one part differs in at most distance / m bits: each hash looks through the buckets of so near parts.
template <class F>
void near_pairs(const std::vector<uint64_t>& hashes, int distance, F f) {
  const int parts = std::max(4, distance / 3 + 1), reach = distance / parts;  // reach <= 2: few buckets to look into
  for (int p = 0; p < parts; ++p) {
    const int first = 64 * p / parts, bits = 64 * (p + 1) / parts - first;
    const uint64_t mask = (uint64_t(1) << bits) - 1;
    const auto part = [&](std::size_t i) { return std::size_t(hashes[i] >> first & mask); };
    // Hashes sorted by this part; those with part v lie at [start[v], start[v + 1]).
    std::vector<uint32_t> start(mask + 2), sorted(hashes.size());
    for (std::size_t i = 0; i < hashes.size(); ++i) ++start[part(i) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<uint32_t> next = start;
    for (std::size_t i = 0; i < hashes.size(); ++i) sorted[next[part(i)]++] = uint32_t(i);
    std::vector<std::size_t> flips{0};
    for (int a = 0; a < bits && reach > 0; ++a) {
      flips.push_back(std::size_t(1) << a);
      for (int b = 0; b < a && reach > 1; ++b) flips.push_back(std::size_t(1) << a | std::size_t(1) << b);
    }
    for (std::size_t i = 0; i < hashes.size(); ++i)
      for (const std::size_t flip : flips) {
        const std::size_t bucket = part(i) ^ flip;
        for (uint32_t k = start[bucket]; k < start[bucket + 1] && sorted[k] < i; ++k)
          if (std::popcount(hashes[i] ^ hashes[sorted[k]]) <= distance) f(std::size_t(sorted[k]), i);
      }
  }
}

/// One group of samples: how many of each label.
struct Group {
  std::vector<int64_t> samples;
  std::map<int64_t, int64_t> count;
};

/// Validation samples that each label shall have and has.
struct Quota {
  int64_t all = 0, wanted = 0, taken = 0;
};

}  // namespace

DuplicateGroups group_duplicates(const std::vector<std::string>& content, const std::vector<uint64_t>& perceptual,
                                 int max_distance) {
  AR_CHECK(content.size() == perceptual.size(), "group_duplicates: ", content.size(), " content hashes, but ",
           perceptual.size(), " perceptual ones");
  AR_CHECK(max_distance < 32, "group_duplicates: a distance of ", max_distance, " of 64 bits is no likeness");
  const std::size_t n = content.size();
  DuplicateGroups result;
  UnionFind together(n);
  std::unordered_map<std::string, std::size_t> first_content;
  std::unordered_map<uint64_t, std::size_t> first_look;
  std::vector<uint64_t> looks;
  std::vector<std::size_t> sample_of_look;
  for (std::size_t i = 0; i < n; ++i) {
    const auto [same, is_new] = first_content.emplace(content[i], i);
    if (!is_new) {
      together.unite(same->second, i);
      ++result.identical;
      continue;  // its looks are known
    }
    if (max_distance < 0) continue;
    const auto [alike, new_look] = first_look.emplace(perceptual[i], i);
    if (new_look) {
      looks.push_back(perceptual[i]);
      sample_of_look.push_back(i);
    } else {
      result.similar += together.unite(alike->second, i);
    }
  }
  if (max_distance > 0)
    near_pairs(looks, max_distance, [&](std::size_t a, std::size_t b) {
      result.similar += together.unite(sample_of_look[a], sample_of_look[b]);
    });
  std::unordered_map<std::size_t, int64_t> number;
  for (std::size_t i = 0; i < n; ++i)
    result.group.push_back(number.emplace(together.find(i), int64_t(number.size())).first->second);
  result.groups = int64_t(number.size());
  return result;
}

Split stratified_split(const std::vector<int64_t>& labels, const std::vector<int64_t>& groups, double fraction,
                       uint64_t seed) {
  AR_CHECK(labels.size() == groups.size(), "split: ", labels.size(), " labels, but ", groups.size(), " groups");
  AR_CHECK(fraction >= 0 && fraction < 1, "split: the validation side's fraction must lie in [0,1), it is ", fraction);
  // Groups in the order of their first samples, whatever their numbers are.
  std::unordered_map<int64_t, std::size_t> place;
  std::vector<Group> all;
  std::map<int64_t, Quota> quota;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto [at, is_new] = place.emplace(groups[i], all.size());
    if (is_new) all.emplace_back();
    Group& g = all[at->second];
    g.samples.push_back(int64_t(i));
    ++g.count[labels[i]];
    ++quota[labels[i]].all;
  }
  for (auto& [label, q] : quota)
    if (fraction > 0 && q.all > 1) q.wanted = std::clamp<int64_t>(std::llround(fraction * double(q.all)), 1, q.all - 1);

  std::vector<bool> validates(all.size());
  const auto take = [&](std::size_t g) {
    validates[g] = true;
    for (const auto& [label, n] : all[g].count) quota[label].taken += n;
  };
  const auto order = shuffled(int64_t(all.size()), SampleRandom({.seed = seed}, RandomStream::split).next64())(0);
  for (int64_t i : order) {
    const Group& g = all[std::size_t(i)];
    if (std::all_of(g.count.begin(), g.count.end(), [&](const auto& entry) {
          const Quota& q = quota[entry.first];
          return q.taken + entry.second <= q.wanted;
        }))
      take(std::size_t(i));
  }
  // Labels whose groups were all too large for their share get the smallest that leaves something to train on.
  for (const auto& [label, q] : quota) {
    if (q.taken > 0 || q.wanted == 0) continue;
    std::size_t best = all.size();
    for (int64_t i : order) {
      const Group& g = all[std::size_t(i)];
      if (!g.count.contains(label) || (best < all.size() && all[best].samples.size() <= g.samples.size())) continue;
      if (std::all_of(g.count.begin(), g.count.end(), [&](const auto& entry) {
            return quota[entry.first].taken + entry.second < quota[entry.first].all;
          }))
        best = std::size_t(i);
    }
    if (best < all.size()) take(best);
  }

  Split split;
  for (std::size_t i = 0; i < labels.size(); ++i)
    (validates[place[groups[i]]] ? split.validation : split.train).push_back(int64_t(i));
  return split;
}

SplitLists lists_of(const ImageFolder& folder, const Split& split) {
  SplitLists lists;
  for (int64_t i : split.train) lists.train.push_back(folder.files[std::size_t(i)].path);
  for (int64_t i : split.validation) lists.validation.push_back(folder.files[std::size_t(i)].path);
  return lists;
}

MatchedSplit from_lists(const ImageFolder& folder, const std::vector<int64_t>& usable, const SplitLists& lists) {
  std::unordered_map<std::string, int64_t> index;
  for (int64_t i : usable) index.emplace(folder.files[std::size_t(i)].path, i);
  MatchedSplit matched;
  const auto find_all = [&](const std::vector<std::string>& paths, std::vector<int64_t>& side) {
    for (const std::string& path : paths) {
      const auto at = index.find(path);
      if (at == index.end()) {
        matched.vanished.push_back(path);
        continue;
      }
      side.push_back(at->second);
      index.erase(at);
    }
    std::sort(side.begin(), side.end());
  };
  find_all(lists.train, matched.split.train);
  find_all(lists.validation, matched.split.validation);
  for (int64_t i : usable)
    if (const std::string& path = folder.files[std::size_t(i)].path; index.contains(path))
      matched.added.push_back(path);
  return matched;
}

}  // namespace ar::io
