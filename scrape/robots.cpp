#include "scrape/robots.h"

#include <algorithm>
#include <cstdlib>

#include "scrape/url.h"

namespace ar::scrape {
namespace {

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

/// Whether `pattern` matches a beginning of `text`; * stands for any characters, $ at the end for the end.
bool matches(std::string_view pattern, std::string_view text) {
  const bool whole = pattern.ends_with('$');
  if (whole) pattern.remove_suffix(1);
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  for (;;) {
    if (p == pattern.size() && (!whole || t == text.size())) return true;
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      resume = t;
    } else if (p < pattern.size() && t < text.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos && resume < text.size()) {
      p = star;
      t = ++resume;
    } else {
      return false;
    }
  }
}

}  // namespace

Robots Robots::nothing() {
  Robots robots;
  robots.rules_.push_back({"/", false});
  return robots;
}

Robots Robots::parse(std::string_view text, std::string_view robot) {
  constexpr size_t kMaxBytes = 500 * 1024;  // RFC 9309, 2.5
  constexpr size_t kMaxRules = 2000;
  text = text.substr(0, kMaxBytes);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::string name = lower(robot);
  Robots ours, everybodys;
  bool names_us = false, names_all = false, in_rules = true, found = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    line = line.substr(0, line.find('#'));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string key = lower(trim(line.substr(0, colon)));
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "user-agent") {
      if (in_rules) names_us = names_all = in_rules = false;  // a new group
      names_us = names_us || lower(value) == name;
      names_all = names_all || value == "*";
      found = found || names_us;
      continue;
    }
    const bool allow = key == "allow";
    if (!allow && key != "disallow" && key != "crawl-delay") continue;
    in_rules = true;
    for (Robots* robots : {names_us ? &ours : nullptr, names_all ? &everybodys : nullptr}) {
      if (robots == nullptr) continue;
      if (key == "crawl-delay") {
        const double seconds = std::strtod(std::string(value).c_str(), nullptr);
        if (seconds > 0) robots->delay_s_ = std::min(seconds, 60.0);
      } else if (!value.empty() && robots->rules_.size() < kMaxRules) {
        robots->rules_.push_back({percent_decode(value), allow});
      }
    }
  }
  return found ? ours : everybodys;
}

bool Robots::allows(std::string_view target) const {
  const std::string plain = percent_decode(target);
  size_t longest = 0;
  bool allowed = true;
  for (const Rule& rule : rules_) {
    if (rule.pattern.size() < longest || !matches(rule.pattern, plain)) continue;
    allowed = rule.pattern.size() > longest ? rule.allow : allowed || rule.allow;
    longest = rule.pattern.size();
  }
  return allowed;
}

}  // namespace ar::scrape
