#include "apps/clips/scores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/jsonl.h"
#include "tensor/error.h"

namespace ar::apps {

void VideoScores::add(double at, const float* probability, int64_t classes) {
  seconds.push_back(std::round(at * 1e6) / 1e6);
  auto& kept = probabilities.emplace_back();
  for (int64_t c = 0; c < classes; ++c)
    if (probability[c] >= 1e-3f) kept.emplace_back(int(c), std::round(double(probability[c]) * 1e4) / 1e4);
}

std::vector<double> VideoScores::curve(int64_t label) const {
  std::vector<double> values(seconds.size(), 0.0);
  for (size_t i = 0; i < values.size(); ++i)
    for (const auto& [c, p] : probabilities[i])
      if (c == label) values[i] = p;
  return values;
}

std::vector<int64_t> VideoScores::strongest(size_t most) const {
  std::map<int64_t, double> greatest;
  for (const auto& frame : probabilities)
    for (const auto& [c, p] : frame) greatest[c] = std::max(greatest[c], p);
  std::vector<int64_t> labels;
  for (const auto& entry : greatest) labels.push_back(entry.first);
  std::stable_sort(labels.begin(), labels.end(), [&](int64_t a, int64_t b) { return greatest[a] > greatest[b]; });
  if (labels.size() > most) labels.resize(most);
  return labels;
}

void write_scores(const std::string& path, const VideoScores& scores, const std::vector<std::string>& classes) {
  const auto line = [](const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  };
  io::AtomicFile file(path);
  file.write(line({{"video", scores.path},
                   {"duration", scores.duration},
                   {"frames", scores.frames},
                   {"damaged", scores.damaged},
                   {"missing_seconds", scores.missing_seconds},
                   {"scored", scores.seconds.size()},
                   {"classes", classes}}));
  for (size_t i = 0; i < scores.seconds.size(); ++i) {
    nlohmann::json p = nlohmann::json::object();
    for (const auto& [c, value] : scores.probabilities[i]) p[std::to_string(c)] = value;
    file.write(line({{"t", scores.seconds[i]}, {"p", p}}));
  }
  file.commit();
}

VideoScores read_scores(const std::string& path) {
  VideoScores scores;
  const auto lines = io::read_json_lines(path);
  try {
    AR_CHECK(!lines.empty() && lines.size() == lines[0].at("scored").get<size_t>() + 1, path, ": is not complete");
    scores.path = lines[0].at("video");
    scores.duration = lines[0].at("duration");
    scores.frames = lines[0].at("frames");
    scores.damaged = lines[0].at("damaged");
    scores.missing_seconds = lines[0].at("missing_seconds");
    for (size_t i = 1; i < lines.size(); ++i) {
      scores.seconds.push_back(lines[i].at("t"));
      auto& kept = scores.probabilities.emplace_back();
      for (const auto& [c, p] : lines[i].at("p").items()) kept.emplace_back(std::atoi(c.c_str()), p.get<double>());
      std::sort(kept.begin(), kept.end());
    }
  } catch (const nlohmann::json::exception& e) {
    fail(path, ": is no file of scores (", e.what(), ")");
  }
  return scores;
}

}  // namespace ar::apps
