// Whoever adds a differentiable function or a layer adds its rows: what the headers declare is in the table.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

/// The first groups of all lines of a folder's headers that match.
std::set<std::string> declared(const char* folder, const char* pattern) {
  const std::regex line_pattern(pattern);
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(AR_SOURCE_DIR) / folder)) {
    if (file.path().extension() != ".h") continue;
    std::ifstream in(file.path());
    std::smatch match;
    for (std::string line; std::getline(in, line);)
      if (std::regex_search(line, match, line_pattern)) names.insert(match[1]);
  }
  return names;
}

std::set<std::string> missing(std::set<std::string> names, std::initializer_list<const char*> without_gradients) {
  for (const Case& c : all()) names.erase(c.op);
  for (const char* name : without_gradients) names.erase(name);
  return names;
}

TEST(Coverage, EveryDifferentiableFunction) {
  const auto functions = declared("autograd", R"(^(?:Variable|\w+Result) (\w+)\()");
  EXPECT_GT(functions.size(), 40u);
  // cast rounds, and finite differences drown in that: tests/autograd checks it.
  EXPECT_EQ(missing(functions, {"record", "gradcheck", "cast"}), std::set<std::string>());
}

TEST(Coverage, EveryLayer) {
  const auto layers = declared("nn", R"(^class (\w+) : public (?:Module|Stateless|BatchNorm)\b)");
  EXPECT_GT(layers.size(), 15u);
  EXPECT_EQ(missing(layers, {"BatchNorm", "Stateless", "ModuleList"}), std::set<std::string>());
}

TEST(Coverage, NoRowTwice) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Case& c : all()) EXPECT_TRUE(seen.emplace(c.op, c.name).second) << c.op << " " << c.name;
}

}  // namespace
}  // namespace ar::gradcheck_cases
