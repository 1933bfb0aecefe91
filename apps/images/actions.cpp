#include "apps/images/actions.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <string_view>

#include "scrape/url.h"
#include "tensor/error.h"

namespace ar::apps {
namespace {

std::string trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

/// Why `name` cannot be a folder's; empty when it can.
std::string trouble_with(const std::string& name) {
  if (name.empty()) return "the class has no name";
  if (name.find('/') != std::string::npos || name.find('\\') != std::string::npos)
    return "a path separator in its name";
  if (name.front() == '.') return "a name must not begin with a dot";
  if (name.size() > 200) return "a name of more than 200 bytes";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) return "a control character in its name";
  }
  return "";
}

}  // namespace

std::vector<scrape::ActionClass> read_actions(const std::string& path, const std::string& suffix) {
  std::ifstream file(path, std::ios::binary);
  AR_CHECK(file, path, ": cannot read the list of classes, ", std::strerror(errno));
  std::vector<scrape::ActionClass> classes;
  std::map<std::string, int> lines;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    if (trim(line).empty() || trim(line).front() == '#') continue;
    const size_t tab = line.find('\t');
    scrape::ActionClass one;
    one.name = trim(std::string_view(line).substr(0, tab));
    const std::string trouble = trouble_with(one.name);
    AR_CHECK(trouble.empty(), path, ":", number, ": class \"", one.name, "\": ", trouble);
    const auto [before, is_new] = lines.emplace(one.name, number);
    AR_CHECK(is_new, path, ":", number, ": class \"", one.name, "\" is already in line ", before->second);
    std::string_view queries = tab == std::string::npos ? std::string_view() : std::string_view(line).substr(tab + 1);
    while (!queries.empty()) {
      const size_t end = queries.find(';');
      if (std::string query = trim(queries.substr(0, end)); !query.empty()) one.queries.push_back(std::move(query));
      queries = end == std::string_view::npos ? std::string_view() : queries.substr(end + 1);
    }
    if (one.queries.empty()) one.queries.push_back(one.name);
    for (std::string& query : one.queries) {
      if (!suffix.empty() && !scrape::is_http(query)) query += " " + suffix;
    }
    classes.push_back(std::move(one));
  }
  AR_CHECK(!file.bad(), path, ": cannot read the list of classes, ", std::strerror(errno));
  AR_CHECK(!classes.empty(), path, ": there is no class in it, it should hold one a line");
  return classes;
}

}  // namespace ar::apps
