#include "apps/clips/scores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/common/json_text.h"
#include "io/atomic_file.h"
#include "io/jsonl.h"
#include "tensor/error.h"

namespace ar::apps {

void VideoScores::add(double at, const float* probability, int64_t classes) {
  seconds.push_back(std::round(at * 1e6) / 1e6);
  const auto enough = [](float p) { return p >= 1e-3f; };
  auto& kept = probabilities.emplace_back();
  kept.reserve(size_t(std::count_if(probability, probability + classes, enough)));
  for (int64_t c = 0; c < classes; ++c)
    if (enough(probability[c])) kept.emplace_back(int(c), float(std::round(double(probability[c]) * 1e4) / 1e4));
}

std::vector<double> VideoScores::curve(int64_t label) const {
  std::vector<double> values(seconds.size(), 0.0);
  for (size_t i = 0; i < values.size(); ++i)
    for (const auto& [c, p] : probabilities[i])
      if (c == label) values[i] = p;
  return values;
}

std::vector<int64_t> VideoScores::strongest(size_t most) const {
  std::map<int64_t, float> greatest;
  for (const auto& frame : probabilities)
    for (const auto& [c, p] : frame) greatest[c] = std::max(greatest[c], p);
  std::vector<int64_t> labels;
  for (const auto& entry : greatest) labels.push_back(entry.first);
  std::stable_sort(labels.begin(), labels.end(), [&](int64_t a, int64_t b) { return greatest[a] > greatest[b]; });
  if (labels.size() > most) labels.resize(most);
  return labels;
}

void write_scores(const std::string& path, const VideoScores& scores, const std::vector<std::string>& classes) {
  const auto line = [](const nlohmann::json& value) { return json_text(value) + "\n"; };
  io::AtomicFile file(path);
  file.write(line({{"video", scores.path},
                   {"duration", scores.duration},
                   {"frames", scores.frames},
                   {"damaged", scores.damaged},
                   {"missing_seconds", scores.missing_seconds},
                   {"times_corrected", scores.times_corrected},
                   {"scored", scores.seconds.size()},
                   {"classes", classes}}));
  for (size_t i = 0; i < scores.seconds.size(); ++i) {
    nlohmann::json p = nlohmann::json::object();
    for (const auto& [c, value] : scores.probabilities[i]) p[std::to_string(c)] = std::round(double(value) * 1e4) / 1e4;
    file.write(line({{"t", scores.seconds[i]}, {"p", p}}));
  }
  file.commit();
}

VideoScores read_scores(const std::string& path) {
  VideoScores scores;
  std::optional<size_t> scored;
  try {
    io::for_each_json_line(path, [&](const nlohmann::json& line) {
      if (scored) {
        scores.seconds.push_back(line.at("t"));
        auto& kept = scores.probabilities.emplace_back();
        kept.reserve(line.at("p").size());
        for (const auto& [c, p] : line.at("p").items()) kept.push_back({std::atoi(c.c_str()), p.get<float>()});
        std::sort(kept.begin(), kept.end());
      } else {
        scored = line.at("scored").get<size_t>();
        scores.path = line.at("video");
        scores.duration = line.at("duration");
        scores.frames = line.at("frames");
        scores.damaged = line.at("damaged");
        scores.missing_seconds = line.at("missing_seconds");
        scores.times_corrected = line.value("times_corrected", false);
      }
    });
  } catch (const nlohmann::json::exception& e) {
    fail(path, ": is no file of scores (", e.what(), ")");
  }
  AR_CHECK(scored && scores.seconds.size() == *scored, path, ": is not complete");
  return scores;
}

}  // namespace ar::apps
