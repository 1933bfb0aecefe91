// Reading engine profiles.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "scrape/engine.h"
#include "scrape/url.h"

namespace ar::scrape {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Reads the members of one JSON object and tells of wrong, missing and unknown ones.
class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail(where_, ": must be a JSON object");
  }

  const json* find(const std::string& name) {
    known_.insert(name);
    const auto at = object_.find(name);
    return at == object_.end() ? nullptr : &*at;
  }
  std::string text(const std::string& name, bool required = false) {
    const json* value = find(name);
    if (value == nullptr) {
      if (required) fail(where_, ": member ", name, " is missing");
      return "";
    }
    if (!value->is_string()) fail(where_, ": member ", name, " must be a string");
    if (required && value->get_ref<const std::string&>().empty()) fail(where_, ": member ", name, " is empty");
    return *value;
  }
  double seconds(const std::string& name, double otherwise) {
    const json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= 0) || value->get<double>() > 3600) {
      fail(where_, ": member ", name, " must be a number of seconds from 0 to 3600");
    }
    return value->get<double>();
  }
  std::map<std::string, std::string> texts(const std::string& name) {
    std::map<std::string, std::string> result;
    const json* value = find(name);
    if (value == nullptr) return result;
    if (!value->is_object()) fail(where_, ": member ", name, " must be an object of strings");
    for (const auto& [key, text] : value->items()) {
      if (!text.is_string()) fail(where_, ": member ", name, ".", key, " must be a string");
      result[key] = text;
    }
    return result;
  }
  /// The elements of an array, each given to `read` with its place.
  template <class Read>
  void each(const std::string& name, Read read) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array()) fail(where_, ": member ", name, " must be an array");
    for (size_t i = 0; i < value->size(); ++i) read((*value)[i], cat(where_, ": ", name, "[", i, "]"));
  }
  void end() const {
    for (const auto& [name, value] : object_.items()) {
      if (!known_.contains(name) && name != "comment") fail(where_, ": unknown member ", name);
    }
  }

 private:
  const json& object_;
  std::string where_;
  std::set<std::string> known_;
};

std::vector<Rule> rules(Reader& reader, const std::string& name) {
  std::vector<Rule> result;
  reader.each(name, [&](const json& value, const std::string& where) {
    Reader one(value, where);
    Rule rule{one.text("selector"), false, one.text("attribute", true), one.text("json"), one.text("parameter")};
    const std::string scope = one.text("scope");
    if (scope != "" && scope != "result" && scope != "page") fail(where, ": scope is result or page, not ", scope);
    rule.in_page = scope == "page";
    if (rule.in_page && rule.selector.empty()) fail(where, ": scope page needs a selector");
    one.end();
    result.push_back(std::move(rule));
  });
  return result;
}

std::vector<Sign> signs(Reader& reader, const std::string& name) {
  std::vector<Sign> result;
  reader.each(name, [&](const json& value, const std::string& where) {
    Reader one(value, where);
    result.push_back({one.text("selector", true), one.text("text")});
    one.end();
  });
  return result;
}

/// Where shipped profiles may lie: beside an installed program, or in the source tree it was built from.
std::vector<fs::path> shipped_folders() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> folders;
  if (!error) folders.push_back(program.parent_path().parent_path() / "share/ar/engines");
  folders.emplace_back(AR_ENGINES_DIR);
  return folders;
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

std::string choice(const Profile& profile, const std::map<std::string, std::string>& from, const std::string& what,
                   const std::string& name) {
  if (const auto at = from.find(name); at != from.end()) return at->second;
  std::string known;
  for (const auto& entry : from) known += (known.empty() ? "" : ", ") + entry.first;
  fail("engine ", profile.name, ": there is no ", what, " ", name, " (", known.empty() ? "it has none" : known, ")");
}

}  // namespace

Profile read_profile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, ": cannot read the engine profile, ", system_error());
  json root;
  try {
    root = json::parse(file, nullptr, true, true);
  } catch (const json::exception& error) {
    std::string reason = error.what();
    fail(path, ": this is no JSON, ", reason.substr(reason.find(']') == std::string::npos ? 0 : reason.find(']') + 2));
  }
  Reader reader(root, path);
  Profile profile;
  profile.path = path;
  profile.name = reader.text("name", true);
  const std::string kind = reader.text("kind", true);
  if (kind != "page" && kind != "api") fail(path, ": kind is page or api, not ", kind);
  profile.api = kind == "api";
  profile.search_url = reader.text("search_url", true);
  if (profile.search_url.find("{query}") == std::string::npos) fail(path, ": search_url must hold {query}");
  if (!is_http(profile.search_url)) fail(path, ": search_url must begin http:// or https://");
  profile.safe_search = reader.texts("safe_search");
  profile.licenses = reader.texts("licenses");
  if (profile.api) {
    profile.list = reader.text("list", true);
    profile.image = reader.text("image", true);
    profile.preview = reader.text("preview");
    profile.landing = reader.text("landing");
    profile.caption = reader.text("caption");
    profile.license = reader.text("license");
    profile.license_version = reader.text("license_version");
    profile.author = reader.text("author");
    profile.sort_by = reader.text("sort_by");
    profile.next = reader.text("next");
    profile.pages = reader.text("pages");
    profile.pause_s = reader.seconds("pause_s", profile.pause_s);
  } else {
    profile.results = reader.text("results", true);
    profile.full = rules(reader, "full");
    profile.thumbnail = rules(reader, "thumbnail");
    profile.page = rules(reader, "page");
    profile.title = rules(reader, "title");
    if (const json* click = reader.find("click")) {
      Reader one(*click, path + ": click");
      profile.click = one.text("selector", true);
      profile.full_after_click = rules(one, "full");
      profile.click_wait_s = one.seconds("wait_s", profile.click_wait_s);
      if (profile.full_after_click.empty()) fail(path, ": click: member full is missing");
      one.end();
    }
    reader.each("consent", [&](const json& value, const std::string& where) {
      if (!value.is_string()) fail(where, ": must be a string, the selector of a button");
      profile.consent.push_back(value);
    });
    profile.more = signs(reader, "more");
    profile.end = signs(reader, "end");
    profile.no_results = signs(reader, "no_results");
    profile.blocked = signs(reader, "blocked");
    profile.load_s = reader.seconds("load_s", profile.load_s);
    profile.patience_s = reader.seconds("patience_s", profile.patience_s);
    if (profile.full.empty() && profile.click.empty() && profile.thumbnail.empty()) {
      fail(path, ": full, click or thumbnail must tell where an image's URL stands");
    }
  }
  reader.end();
  return profile;
}

Profile find_profile(const std::string& name_or_path) {
  if (name_or_path.ends_with(".json")) return read_profile(name_or_path);
  if (name_or_path.find('/') == std::string::npos) {
    for (const fs::path& folder : shipped_folders()) {
      const fs::path path = folder / (name_or_path + ".json");
      if (fs::exists(path)) return read_profile(path);
    }
  }
  std::string known;
  for (const std::string& name : shipped_engines()) known += name + ", ";
  fail("engine ", name_or_path, ": there is no such engine; it is one of ", known,
       "or a profile of your own, a .json file");
}

std::vector<std::string> shipped_engines() {
  std::set<std::string> names;
  for (const fs::path& folder : shipped_folders()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".json") names.insert(entry.path().stem());
    }
  }
  return {names.begin(), names.end()};
}

std::string search_url(const Profile& profile, const std::string& query, const std::string& safe,
                       const std::string& license, const std::string& page) {
  std::string url = profile.search_url;
  // An engine without safe search has nothing to switch; asking for a licence it cannot promise is an error.
  const bool has_safe = !profile.safe_search.empty();
  replace_all(url, "{safe}", has_safe ? choice(profile, profile.safe_search, "safe-search level", safe) : "");
  replace_all(url, "{license}", license.empty() ? "" : choice(profile, profile.licenses, "license", license));
  replace_all(url, "{page}", percent_encode(page));
  replace_all(url, "{continue}", percent_encode(page));
  replace_all(url, "{query}", percent_encode(query));
  return url;
}

}  // namespace ar::scrape
