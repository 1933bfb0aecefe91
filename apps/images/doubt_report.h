// What a user sees of doubted labels: a table for programs, a contact sheet for eyes.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/images/label_doubt.h"

namespace ar::apps {

struct DoubtReport {
  std::string data_dir = {};
  std::string method = {};  // how the probabilities came about: a sentence
  std::vector<std::string> classes = {};
  std::vector<LabelDoubt> doubts = {};  // ranked
  SuspectLimits limits = {};
  int64_t show = 200;                                         // pictures on the sheet
  std::function<std::string(int64_t sample)> path = {};       // below data_dir
  std::function<std::string(int64_t sample)> thumbnail = {};  // a JPEG file; empty: none
};

/// "rank,path,label,probability,suggested,suggested_probability" and a line for each (RFC 4180).
std::string doubts_csv(const DoubtReport& report);
/// A self-contained page: the worst pictures in a section for each label, the most doubted first.
std::string contact_sheet(const DoubtReport& report);

}  // namespace ar::apps
