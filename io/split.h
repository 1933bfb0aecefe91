// Training and validation sides of a data set. Copies of one picture never stand on both: a network would be asked what
// it has learnt by heart.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/image_folder.h"
#include "io/perceptual_hash.h"

namespace ar::io {

/// Samples that are the same picture share a group.
struct DuplicateGroups {
  std::vector<int64_t> group;  // of each sample, counted from 0
  int64_t groups = 0;          // different pictures
  int64_t identical = 0;       // samples whose content an earlier one has, byte for byte
  int64_t similar = 0;         // further ones that join an earlier group by their looks
};

/// Groups what has the same content hash, or perceptual hashes that differ in at most `max_distance` of 64 bits (0..31;
/// negative: content alone), also by way of others (union-find). 100,000 samples take well under a second.
DuplicateGroups group_duplicates(const std::vector<std::string>& content, const std::vector<uint64_t>& perceptual,
                                 int max_distance = kNearIdentical);

/// Indices of samples, ascending.
struct Split {
  std::vector<int64_t> train, validation;
};

/// Puts `fraction` (in [0,1)) of each label's samples to the validation side, groups undivided, chosen by the seed
/// alone. A label keeps at least one sample on each side when it has two groups that allow it (and fraction > 0). Which
/// samples are chosen is the same on every machine.
Split stratified_split(const std::vector<int64_t>& labels, const std::vector<int64_t>& groups, double fraction,
                       uint64_t seed);

/// A split as checkpoints keep it: paths below the folder.
struct SplitLists {
  std::vector<std::string> train, validation;
};
SplitLists lists_of(const ImageFolder& folder, const Split& split);

/// A kept split found again in a folder: a resumed run uses it, not a new one.
struct MatchedSplit {
  Split split;
  std::vector<std::string> vanished;  // in the lists, no longer among `usable`
  std::vector<std::string> added;     // usable, in no list: on neither side
};
/// `usable`: the indices of the folder's files that can be read.
MatchedSplit from_lists(const ImageFolder& folder, const std::vector<int64_t>& usable, const SplitLists& lists);

}  // namespace ar::io
