// Searching in a browser by a page profile.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

#include "scrape/engine.h"
#include "scrape/page_script.h"
#include "scrape/url.h"

namespace ar::scrape {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr auto kPoll = std::chrono::milliseconds(100);
constexpr auto kFirstPoll = std::chrono::milliseconds(10);  // most pages answer soon
constexpr int kBrowserStarts = 3;      // for one search, before a browser that always crashes is given up
constexpr double kSolveSeconds = 300;  // for the user to answer whether he is a robot, where there is a window
constexpr size_t kEnoughToJudge = 20;  // results without any full-size URL: the page has changed

json rules_json(const std::vector<Rule>& rules) {
  json array = json::array();
  for (const Rule& rule : rules) {
    array.push_back({{"selector", rule.selector},
                     {"page", rule.in_page},
                     {"attribute", rule.attribute},
                     {"json", rule.json},
                     {"parameter", rule.parameter}});
  }
  return array;
}

json signs_json(const std::vector<Sign>& signs) {
  json array = json::array();
  for (const Sign& sign : signs) array.push_back({{"selector", sign.selector}, {"text", sign.text}});
  return array;
}

json page_arguments(const Profile& profile) {
  return {{"results", profile.results},
          {"full", rules_json(profile.full)},
          {"thumbnail", rules_json(profile.thumbnail)},
          {"page", rules_json(profile.page)},
          {"title", rules_json(profile.title)},
          {"more", signs_json(profile.more)},
          {"end", signs_json(profile.end)},
          {"no_results", signs_json(profile.no_results)},
          {"blocked", signs_json(profile.blocked)},
          {"consent", profile.consent},
          {"click", profile.click},
          {"after_click", rules_json(profile.full_after_click)}};
}

class PageEngine : public Engine {
 public:
  PageEngine(const Profile& profile, const BrowserOptions& options, std::string save_as)
      : profile_(profile), arguments_(page_arguments(profile)), options_(options), save_as_(std::move(save_as)) {}

  SearchEnd search(const SearchRequest& request, const OnFound& on_found) override {
    const std::string url = search_url(profile_, request.query, request.safe, request.license);
    size_t given = 0;  // results that the caller has: a new browser starts over, and skips them
    for (int start = 1;; ++start) {
      try {
        if (!browser_) browser_.emplace(options_);
        return search_once(request, url, given, on_found);
      } catch (const BrowserGone& error) {
        browser_.reset();
        if (start == kBrowserStarts) throw Error(cat("engine ", profile_.name, ": ", error.what()));
      }
    }
  }

  std::vector<Inspected> inspect() override {
    std::vector<Inspected> lines;
    if (!browser_) return lines;
    for (const json& line : browser_->execute(kInspectPage, json::array({arguments_}))) {
      const json& of = line.at("of");
      lines.push_back({line.at("member"), line.at("what"), line.at("count"), of.is_null() ? -1 : of.get<int64_t>(),
                       line.at("sample")});
    }
    return lines;
  }

 private:
  static bool stopped(const SearchRequest& request) { return request.stop != nullptr && request.stop->load(); }

  json read(size_t from) {
    try {
      return browser_->execute(kReadPage, {arguments_, from});
    } catch (const WebDriverError& error) {  // such as "... is not a valid selector"
      fail("engine ", profile_.name, ": ", error.what(), "; mend ", profile_.path,
           ", --check-engine shows what each part of it finds");
    }
  }

  SearchEnd search_once(const SearchRequest& request, const std::string& url, size_t& given, const OnFound& on_found) {
    try {
      browser_->navigate(url);
    } catch (const WebDriverError& error) {
      fail("engine ", profile_.name, ": ", url, " does not load, ", error.what(), "; is this machine connected?");
    }
    const bool full = request.full && !(profile_.full.empty() && profile_.click.empty());
    size_t seen = 0, with_full = 0, with_image = 0, index = 0;
    std::string opened;  // what the last click showed
    auto grew = Clock::now();
    auto pause = kFirstPoll;  // grows to kPoll while nothing happens
    for (;;) {
      if (stopped(request)) return SearchEnd::kStopped;
      const json state = read(seen);
      if (state.at("blocked")) {
        const bool patient = !options_.headless && Seconds(Clock::now() - grew).count() < kSolveSeconds;
        if (!patient) mismatch("it asks whether you are a robot; wait, or solve it with --no-headless", url);
        std::this_thread::sleep_for(kPoll);
        continue;
      }
      if (auto button = to_element(state.at("consent"))) {
        press(*button);
        std::this_thread::sleep_for(kFirstPoll);
        if (Seconds(Clock::now() - grew).count() < profile_.load_s) continue;
      }
      for (const json& item : state.at("items")) {
        ++seen;
        Found found{item.at("url"), item.at("thumb"), item.at("page"), item.at("title"), {}, {}};
        const bool is_new = seen > given;
        if (full && is_new && found.url.empty() && !profile_.click.empty()) found.url = open(seen - 1, opened);
        with_full += found.url.empty() ? 0 : 1;
        with_image += found.url.empty() && found.thumb.empty() ? 0 : 1;
        if (full && with_full == 0 && index + 1 >= kEnoughToJudge) {
          mismatch("results are there, but not the URL of a full-size image", url);
        }
        ++index;
        grew = Clock::now();
        if (is_new) {
          given = seen;
          on_found(std::move(found));
        }
        if (with_image >= request.wanted) return SearchEnd::kWanted;
        if (stopped(request)) return SearchEnd::kStopped;
      }
      const double waited = Seconds(Clock::now() - grew).count();
      if (seen == 0) {
        if (state.at("no_results")) return SearchEnd::kEnd;
        if (waited > profile_.load_s) mismatch("there are no results in it, nor the sign that there are none", url);
      } else if (with_image == 0 && waited > profile_.patience_s) {
        mismatch("results are there, but no URL of an image", url);
      } else if (waited > profile_.patience_s) {
        return SearchEnd::kEnd;
      }
      if (state.at("end") && state.at("items").empty()) return SearchEnd::kEnd;
      if (!state.at("items").empty()) {
        pause = kFirstPoll;
        continue;
      }
      if (seen > 0) {
        const auto more = to_element(state.at("more"));
        if (more) press(*more);
        browser_->execute(kScroll, {profile_.results});
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kPoll);
    }
  }

  /// Clicks as a user would, or by script where something else lies on top. The element may be gone meanwhile.
  void press(const Element& element) {
    try {
      browser_->click(element);
    } catch (const WebDriverError&) {
      try {
        browser_->execute("arguments[0].click()", {to_json(element)});
      } catch (const WebDriverError&) {
      }
    }
  }

  /// The URL that shows after a click on result number `index`; empty when none does in time.
  std::string open(size_t index, std::string& opened) {
    const auto target = to_element(browser_->execute(kClickTarget, {profile_.results, index, profile_.click}));
    if (!target) return "";
    press(*target);
    const json arguments = {{"opened", rules_json(profile_.full_after_click)}};
    const auto until = Clock::now() + Seconds(profile_.click_wait_s);
    while (Clock::now() < until) {
      std::string url = browser_->execute(kReadPage, {arguments, 0});
      if (is_http(url) && url != opened) return opened = url;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
    }
    return "";
  }

  [[noreturn]] void mismatch(const std::string& why, const std::string& url) {
    std::string saved;
    if (!save_as_.empty()) {
      const auto save = [&](const char* ending, const std::string& bytes) {
        std::ofstream file(save_as_ + ending, std::ios::binary);
        if (file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
          saved += (saved.empty() ? "" : ", ") + save_as_ + ending;
        }
      };
      try {
        save(".txt", url + "\n" + to_text(inspect()));
        save(".html", browser_->page_source());
        save(".png", browser_->screenshot());
      } catch (const Error&) {  // what could be saved is
      }
    }
    throw ProfileMismatch(cat("engine profile ", profile_.name, " no longer matches the page: ", why, "; ", url,
                              saved.empty() ? "" : ", saved in " + saved, "; mend ", profile_.path,
                              " (docs/engine-profiles.md) or take another --engine"));
  }

  Profile profile_;
  json arguments_;
  BrowserOptions options_;
  std::string save_as_;
  std::optional<Browser> browser_;
};

}  // namespace

std::string to_text(const std::vector<Inspected>& lines) {
  std::string text;
  for (const Inspected& line : lines) {
    std::string member = line.member, count = std::to_string(line.count);
    if (line.of >= 0) count += " of " + std::to_string(line.of);
    member.resize(std::max<size_t>(member.size(), 15), ' ');
    count.resize(std::max<size_t>(count.size(), 11), ' ');
    text += member + " " + count + " " + line.what + (line.sample.empty() ? "" : "  ->  " + line.sample) + "\n";
  }
  return text;
}

std::unique_ptr<Engine> make_page_engine(const Profile& profile, const BrowserOptions& browser,
                                         const std::string& save_as) {
  return std::make_unique<PageEngine>(profile, browser, save_as);
}

}  // namespace ar::scrape
