#include "apps/demo/search_site.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "apps/demo/film.h"
#include "apps/demo/search_page.h"
#include "io/atomic_file.h"
#include "io/image_write.h"
#include "tensor/error.h"
#include "tensor/parallel.h"

namespace ar::apps::demo {
namespace {

using nlohmann::json;

/// What is mixed in among 100 good results.
constexpr std::pair<ResultKind, int> kTrouble[] = {
    {ResultKind::wrong, 2},   {ResultKind::copy, 4}, {ResultKind::near, 3}, {ResultKind::shared, 2},
    {ResultKind::missing, 3}, {ResultKind::page, 2}, {ResultKind::cut, 2},  {ResultKind::tiny, 2}};

/// How many of a kind there are: one at least.
int count_of(int per_hundred, int good) { return std::max(1, per_hundred * good / 100); }

std::vector<SearchResult> plan(const SiteOptions& options) {
  std::vector<SearchResult> results;
  for (const Action* action : pictured_actions()) {
    std::vector<ResultKind> kinds(size_t(options.per_action), ResultKind::good);
    for (const auto& [kind, share] : kTrouble)
      kinds.insert(kinds.end(), size_t(count_of(share, options.per_action)), kind);
    Random random{options.seed, uint64_t(results.size()), 20};
    for (size_t i = kinds.size(); i > 1; --i) std::swap(kinds[i - 1], kinds[size_t(random.below(int(i)))]);
    std::swap(kinds[0], *std::find(kinds.begin(), kinds.end(), ResultKind::good));  // copies need an original
    for (size_t i = 0; i < kinds.size(); ++i) {
      char file[128];
      std::snprintf(file, sizeof file, "images/%s/%03d.jpg", action->label, int(i));
      results.push_back({action->name, int(i), file, kinds[i]});
    }
  }
  return results;
}

/// A picture of the action, of a random size and quality.
std::vector<uint8_t> picture(const Action& action, uint64_t seed, int quality) {
  Random random{seed, 21};
  const int height = 4 * (24 + random.below(17));
  constexpr float kAspects[] = {1.2f, 1.2f, 1.33f, 1};
  const int width = int(float(height) * random.pick(kAspects));
  return io::encode_jpeg(photograph(action, seed, width, height), quality);
}

/// What lies at the address of the result with this number; nothing for a missing one.
std::string content(std::span<const SearchResult> results, size_t i, uint64_t seed) {
  const SearchResult& result = results[i];
  const auto text = [](const std::vector<uint8_t>& bytes) { return std::string(bytes.begin(), bytes.end()); };
  const auto good = [&](size_t n, int quality) {
    return text(picture(action_named(results[n].action), Random{seed, uint64_t(n), 22}.next(), quality));
  };
  size_t original = i - size_t(result.rank);  // the first result is always a good one
  for (size_t n = original; n < i; ++n)
    if (results[n].kind == ResultKind::good && (n * 7 + i) % 5 == 0) original = n;
  switch (result.kind) {
    case ResultKind::wrong: {
      const std::vector<const Action*> all = pictured_actions();
      const Action* other = nullptr;
      Random random{seed, uint64_t(i), 23};
      do {
        other = all[size_t(random.below(int(all.size())))];
      } while (other->name == result.action);
      return text(picture(*other, random.next(), 88));
    }
    case ResultKind::copy:
      return good(original, 88);
    case ResultKind::near:
      return good(original, 55);
    case ResultKind::missing:
      return {};
    case ResultKind::page:
      return "<!doctype html><title>Sign in</title><p>Sign in to see this picture.</p>\n";
    case ResultKind::cut: {
      const std::string whole = good(i, 88);
      return whole.substr(0, whole.size() / 2);
    }
    case ResultKind::tiny: {
      io::Image icon(24, 24);
      std::fill_n(icon.view().row(0), 24 * 24 * 3, uint8_t(40 + 5 * result.rank));
      return text(io::encode_jpeg(icon, 90));
    }
    case ResultKind::good:
    case ResultKind::shared:
      return good(i, 88);
  }
  fail("no such kind of result");
}

}  // namespace

const char* to_string(ResultKind kind) {
  constexpr const char* kNames[] = {"good", "wrong", "copy", "near", "shared", "missing", "page", "cut", "tiny"};
  return kNames[size_t(kind)];
}

int count(const SiteOptions& options) { return int(plan(options).size()); }

std::vector<SearchResult> write_search_site(const std::filesystem::path& folder, const SiteOptions& options,
                                            const std::function<void()>& done) {
  const std::vector<SearchResult> results = plan(options);
  parallel_parts(int(results.size()), [&](int i, int) {
    const std::string bytes = content(results, size_t(i), options.seed);
    if (!bytes.empty()) io::write_file_atomically((folder / results[size_t(i)].file).string(), bytes);
    done();
  });

  std::map<std::string, json> lists;
  std::string truth = "action,rank,file,kind\n";
  const auto entry = [](const SearchResult& result) {
    return json{{"url", result.file}, {"title", result.action + " " + std::to_string(result.rank + 1)}};
  };
  for (const SearchResult& result : results) {
    lists[result.action].push_back(entry(result));
    truth +=
        result.action + "," + std::to_string(result.rank) + "," + result.file + "," + to_string(result.kind) + "\n";
  }
  // What two actions share stands in both lists.
  for (const SearchResult& result : results) {
    if (result.kind != ResultKind::shared) continue;
    auto next = std::next(lists.find(result.action));
    if (next == lists.end()) next = lists.begin();
    next->second.push_back(entry(result));
  }
  const auto write = [&](const std::string& name, const std::string& text) {
    io::write_file_atomically((folder / name).string(), text);
  };
  for (const auto& [action, list] : lists) write("results/" + action + ".json", list.dump(0) + "\n");
  write("search.html", kSearchPage);
  write("robots.txt", "User-agent: *\nDisallow:\n");
  write("truth.csv", truth);
  return results;
}

std::string engine_profile(const std::string& address) {
  return json{{"comment", "The image search of the demonstration, served by ar-make-demo-data --serve."},
              {"name", "demo"},
              {"kind", "page"},
              {"search_url", address + "/search.html?q={query}"},
              {"consent", {"#reject"}},
              {"results", ".result"},
              {"full", {{{"attribute", "data-result"}, {"json", "url"}}}},
              {"thumbnail", {{{"selector", "img"}, {"attribute", "src"}}}},
              {"page", {{{"selector", "a"}, {"attribute", "href"}}}},
              {"title", {{{"selector", "img"}, {"attribute", "alt"}}}},
              {"more", {{{"selector", "#more"}}}},
              {"end", {{{"selector", "#end"}}}},
              {"no_results", {{{"selector", "#none"}}}},
              {"load_s", 20},
              {"patience_s", 5}}
      .dump(2);
}

}  // namespace ar::apps::demo
