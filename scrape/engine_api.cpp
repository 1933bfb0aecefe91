// Searching by a JSON API.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <thread>

#include "scrape/engine.h"
#include "scrape/http.h"
#include "scrape/url.h"

namespace ar::scrape {
namespace {

using nlohmann::json;

/// The value at a dotted path ("a.0.b"); null when there is none.
const json& at_path(const json& value, const std::string& path) {
  static const json none;
  const json* at = &value;
  for (size_t begin = 0; begin <= path.size() && !path.empty();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, end - begin);
    begin = end + 1;
    if (at->is_object() && at->contains(key)) {
      at = &(*at)[key];
    } else if (at->is_array() && !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == key.npos &&
               std::stoul(key) < at->size()) {
      at = &(*at)[std::stoul(key)];
    } else {
      return none;
    }
  }
  return *at;
}

/// A string or a number as text, HTML tags taken out (some APIs mark up author names).
std::string text_at(const json& value, const std::string& path) {
  if (path.empty()) return "";
  const json& found = at_path(value, path);
  if (found.is_number()) return found.dump();
  if (!found.is_string()) return "";
  std::string plain;
  bool in_tag = false;
  for (const char c : found.get_ref<const std::string&>()) {
    if (c == '<') in_tag = true;
    if (!in_tag) plain += c;
    if (c == '>') in_tag = false;
  }
  return plain;
}

std::string url_at(const json& value, const std::string& path) {
  if (path.empty()) return "";
  const json& found = at_path(value, path);
  const std::string text = found.is_string() ? found.get<std::string>() : "";
  return is_http(text) ? text : "";
}

class ApiEngine : public Engine {
 public:
  ApiEngine(const Profile& profile, std::string save_as) : profile_(profile), save_as_(std::move(save_as)) {}

  SearchEnd search(const SearchRequest& request, const OnFound& on_found) override {
    size_t found = 0;
    std::string page = profile_.next.empty() ? "1" : "0";
    for (long number = 1;; ++number) {
      const std::string url = search_url(profile_, request.query, request.safe, request.license, page);
      last_ = ask(url, request);
      const json& answer = last_;
      if (stopped(request)) return SearchEnd::kStopped;
      if (answer.is_null()) {
        if (number > 1) return SearchEnd::kEnd;  // APIs refuse to go on past some page
        mismatch("the API refuses the request", url, answer);
      }
      const json& list = at_path(answer, profile_.list);
      if (!list.is_array() && !list.is_object()) {
        if (answer.is_object() && list.is_null() && number > 1) return SearchEnd::kEnd;
        // An API may leave the list out when it is empty, but it does not fail to answer with an object.
        if (answer.is_object() && !answer.contains("error") && profile_.list.find('.') != std::string::npos) {
          return SearchEnd::kEnd;
        }
        mismatch("there is no list at \"" + profile_.list + "\"", url, answer);
      }
      std::vector<const json*> results;
      for (const json& value : list) results.push_back(&value);
      if (!profile_.sort_by.empty()) {
        const auto place = [&](const json* value) {
          const json& at = at_path(*value, profile_.sort_by);
          return at.is_number() ? at.get<double>() : 1e18;
        };
        std::stable_sort(results.begin(), results.end(), [&](auto* a, auto* b) { return place(a) < place(b); });
      }
      size_t usable = 0;
      for (const json* value : results) {
        Found result{url_at(*value, profile_.image),    url_at(*value, profile_.preview),
                     url_at(*value, profile_.landing),  text_at(*value, profile_.caption),
                     text_at(*value, profile_.license), text_at(*value, profile_.author)};
        const std::string version = text_at(*value, profile_.license_version);
        if (!version.empty()) result.license += " " + version;
        if (result.url.empty() && result.thumb.empty()) continue;
        ++usable;
        on_found(std::move(result));
        if (++found >= request.wanted) return SearchEnd::kWanted;
      }
      if (usable == 0 && !results.empty())
        mismatch("no result has an image at \"" + profile_.image + "\"", url, answer);
      if (results.empty()) return SearchEnd::kEnd;
      if (!profile_.next.empty()) {
        page = text_at(answer, profile_.next);
        if (page.empty()) return SearchEnd::kEnd;
      } else {
        const json& pages = at_path(answer, profile_.pages);
        if (!profile_.pages.empty() && pages.is_number() && pages.get<double>() <= static_cast<double>(number)) {
          return SearchEnd::kEnd;
        }
        page = std::to_string(number + 1);
      }
      if (!wait(profile_.pause_s, request)) return SearchEnd::kStopped;
    }
  }

  std::vector<Inspected> inspect() override {
    const json& list = at_path(last_, profile_.list);
    const auto results = static_cast<int64_t>(list.is_structured() ? list.size() : 0);
    std::vector<Inspected> lines = {{"list", profile_.list, results, -1, ""}};
    const auto shown = [](const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
    for (const auto& [member, path] :
         {std::pair("image", &profile_.image), std::pair("preview", &profile_.preview),
          std::pair("landing", &profile_.landing), std::pair("caption", &profile_.caption),
          std::pair("license", &profile_.license), std::pair("author", &profile_.author)}) {
      if (path->empty()) continue;
      Inspected line{member, *path, 0, results, ""};
      if (results > 0) {
        for (const json& result : list) {
          const json& value = at_path(result, *path);
          if (value.is_null()) continue;
          if (line.count++ == 0) line.sample = shown(value);
        }
      }
      lines.push_back(std::move(line));
    }
    for (const auto& [member, path] : {std::pair("pages", &profile_.pages), std::pair("next", &profile_.next)}) {
      if (path->empty()) continue;
      const json& value = at_path(last_, *path);
      lines.push_back({member, *path, value.is_null() ? 0 : 1, -1, value.is_null() ? "" : shown(value)});
    }
    return lines;
  }

 private:
  static bool stopped(const SearchRequest& request) { return request.stop != nullptr && request.stop->load(); }

  /// Sleeps unless stopped; whether it was not.
  static bool wait(double seconds, const SearchRequest& request) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!stopped(request) && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return !stopped(request);
  }

  /// The answer to a GET; null when the API refuses it. Waits and asks again when told to, or when it fails for a
  /// moment.
  json ask(const std::string& url, const SearchRequest& request) {
    constexpr int kAttempts = 5;
    double pause = 1;
    std::string reason;
    for (int attempt = 1; attempt <= kAttempts; ++attempt, pause *= 2) {
      double wait_s = pause;
      try {
        HttpRequest get;
        get.url = url;
        get.headers = {"Accept: application/json"};
        get.max_bytes = 64 << 20;
        get.stop = request.stop;
        const HttpResponse response = http_.send(get);
        if (response.status == 200) {
          json answer = json::parse(response.body, nullptr, false);
          if (answer.is_discarded()) mismatch("the answer is no JSON", url, response.body.substr(0, 4096));
          return answer;
        }
        reason = cat("status ", response.status);
        if (response.status != 429 && response.status < 500) return nullptr;
        const auto retry = response.headers.find("retry-after");
        if (retry != response.headers.end()) {
          wait_s = static_cast<double>(parse_retry_after(retry->second, std::time(nullptr)).value_or(0));
          if (wait_s > 600) break;
          wait_s = std::max(wait_s, 0.1);
        }
      } catch (const ProfileMismatch&) {
        throw;
      } catch (const Error& error) {
        if (stopped(request)) return nullptr;
        reason = error.what();
      }
      if (attempt < kAttempts && !wait(wait_s, request)) return nullptr;
    }
    fail("engine ", profile_.name, ": ", url, " does not answer, ", reason);
  }

  [[noreturn]] void mismatch(const std::string& why, const std::string& url, const json& answer) {
    std::string saved;
    if (!save_as_.empty() && !answer.is_null()) {
      std::ofstream file(save_as_ + ".json");
      if (file << answer.dump(2, ' ', false, json::error_handler_t::replace) << "\n") saved = save_as_ + ".json";
    }
    throw ProfileMismatch(cat("engine profile ", profile_.name, " no longer matches the page: ", why, "; ", url,
                              saved.empty() ? "" : ", saved in " + saved, "; mend ", profile_.path,
                              " (docs/engine-profiles.md) or take another --engine"));
  }

  Profile profile_;
  std::string save_as_;
  json last_;  // answer
  HttpClient http_;
};

}  // namespace

std::unique_ptr<Engine> make_api_engine(const Profile& profile, const std::string& save_as) {
  return std::make_unique<ApiEngine>(profile, save_as);
}

}  // namespace ar::scrape
