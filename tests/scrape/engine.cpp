// Engine profiles and their interpreters: real headless Chromium on stored pages of each engine's shape, and on a site
// that behaves like an image search; JSON APIs.
#include "scrape/engine.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>

#include "tests/scrape/site.h"
#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

using nlohmann::json;
using test::Folder;
using test::Site;

class Engines : public ::testing::Test {
 protected:
  void SetUp() override { AR_SKIP_WITHOUT_BROWSER(); }

  BrowserOptions browser() const { return test::browser_options(folder_.path); }
  /// The shipped profile, at a stored page.
  Profile at(const std::string& name, const std::string& page) const {
    Profile profile = find_profile(name);
    profile.search_url = site_.url("/fixture/" + page + "?q={query}");
    profile.load_s = 1;
    profile.patience_s = 1;
    profile.click_wait_s = 1;
    return profile;
  }
  std::vector<Found> search(const Profile& profile, SearchEnd expected = SearchEnd::kEnd, SearchRequest request = {}) {
    std::vector<Found> found;
    if (request.query.empty()) request.query = "a b";
    const auto engine = make_page_engine(profile, browser(), folder_.path + "/saved");
    EXPECT_EQ(engine->search(request, [&](Found&& one) { found.push_back(std::move(one)); }), expected);
    return found;
  }

  Site site_;
  Folder folder_;
};

TEST_F(Engines, GooglesPage) {
  const auto found = search(at("google", "google.html"));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].url, "https://one.example/big.jpg");
  EXPECT_EQ(found[0].page, "https://one.example/page");
  EXPECT_EQ(found[0].title, "one");
  EXPECT_EQ(found[0].thumb, "data:image/gif;base64,R0lGODlhAQABAAAAACw=");
  EXPECT_EQ(found[1].url, "https://two.example/big.png") << "by a click";
  EXPECT_EQ(found[2].url, "https://three.example/big.webp") << "behind the button";
}

TEST_F(Engines, GooglesOtherPages) {
  EXPECT_TRUE(search(at("google", "google-none.html")).empty());
  EXPECT_ERROR(search(at("google", "google-blocked.html")), "asks whether you are a robot");
}

TEST_F(Engines, BingsPage) {
  const auto found = search(at("bing", "bing.html"));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].url, "https://one.example/big.jpg");
  EXPECT_EQ(found[0].thumb, "https://th.example/one");
  EXPECT_EQ(found[0].page, "https://one.example/page");
  EXPECT_EQ(found[1].url, "https://two.example/b%20&%20c.png");
  EXPECT_EQ(found[2].url, "https://three.example/big.webp");
}

TEST_F(Engines, DuckDuckGosPage) {
  const auto found = search(at("duckduckgo", "duckduckgo.html"));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].url, "https://one.example/big.jpg");
  EXPECT_EQ(found[1].url, "https://two.example/big.png");
  EXPECT_EQ(found[1].page, "https://two.example/page");
  EXPECT_EQ(found[2].url, "https://three.example/big.webp");
}

TEST_F(Engines, APageOfAnotherShapeIsAnErrorWithEvidence) {
  for (const char* name : {"google", "bing", "duckduckgo"}) {
    EXPECT_ERROR(search(at(name, "changed.html")),
                 (std::string("engine profile ") + name + " no longer matches the page"), "saved.html", "saved.png",
                 "--engine");
    EXPECT_NE(test::read_all(folder_.path + "/saved.html").find("another shape"), std::string::npos);
    EXPECT_TRUE(test::read_all(folder_.path + "/saved.png").starts_with("\x89PNG"));
    EXPECT_NE(test::read_all(folder_.path + "/saved.txt").find("results         0 "), std::string::npos);
  }
}

TEST_F(Engines, InspectTellsWhatEachPartOfTheProfileFinds) {
  Profile profile = at("google", "google.html");
  profile.end.push_back({"p[", ""});
  const auto engine = make_page_engine(profile, browser(), "");
  EXPECT_ERROR(engine->search({.query = "q", .wanted = 2}, [](Found&&) {}), "engine google: ", "not a valid selector",
               "google.json, --check-engine shows");
  profile.end.pop_back();
  const auto good = make_page_engine(profile, browser(), "");
  good->search({.query = "q", .wanted = 2}, [](Found&&) {});
  std::map<std::string, Inspected> lines;
  for (Inspected& line : good->inspect()) lines[line.member] = std::move(line);
  EXPECT_EQ(lines.at("results").count, 2);
  EXPECT_EQ(lines.at("full[0]").count, 1);
  EXPECT_EQ(lines.at("full[0]").of, 2);
  EXPECT_EQ(lines.at("full[0]").sample, "https://one.example/big.jpg");
  EXPECT_EQ(lines.at("full[1]").count, 0);
  EXPECT_EQ(lines.at("click").count, 2);
  EXPECT_EQ(lines.at("click.full[0]").sample, "https://two.example/big.png");
  EXPECT_EQ(lines.at("consent[0]").count, 0) << "clicked";
  EXPECT_EQ(lines.at("more[0]").count, 1);
  EXPECT_THAT(to_text(engine->inspect()), ::testing::ContainsRegex("end.1. +0 +p. +->  .*not a valid selector"));
  EXPECT_THAT(to_text({lines.at("full[0]")}), ::testing::StartsWith("full[0]         1 of 2      a[href*='imgurl=']"));
}

TEST_F(Engines, FullSizeGoneFromThePageIsAnError) {
  Profile profile = read_profile(site_.write_profile(folder_.path));
  profile.full = {{"img", false, "data-nothing", "", ""}};
  profile.click.clear();
  EXPECT_ERROR(search(profile), "not the URL of a full-size image");
}

TEST_F(Engines, ScrollsClicksAndGoesOnToTheEnd) {
  const Profile profile = read_profile(site_.write_profile(folder_.path));
  const auto engine = make_page_engine(profile, browser(), "");
  for (const char* query : {"alpha", "beta", "gamma"}) {  // one after another in the same browser
    SearchRequest request;
    request.query = query;
    request.wanted = 1000;
    std::vector<Found> found;
    EXPECT_EQ(engine->search(request, [&](Found&& one) { found.push_back(std::move(one)); }), SearchEnd::kEnd);
    ASSERT_EQ(found.size(), 300u) << query;
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(found[i].url.ends_with("/img/" + std::string(query) + "/" + std::to_string(i))) << found[i].url;
      EXPECT_EQ(found[i].page, site_.url("/page/" + std::to_string(i)));
      EXPECT_TRUE(found[i].thumb.starts_with("data:image/jpeg"));
    }
  }
}

TEST_F(Engines, StopsAtTheWantedNumberAndWhenTold) {
  const auto engine = make_page_engine(read_profile(site_.write_profile(folder_.path)), browser(), "");
  const auto expect = [&](const SearchRequest& request, SearchEnd end, size_t count) {
    size_t found = 0;
    EXPECT_EQ(engine->search(request, [&](Found&&) { ++found; }), end);
    EXPECT_EQ(found, count);
  };
  const std::atomic<bool> stop = true;
  expect({.query = "alpha", .wanted = 33}, SearchEnd::kWanted, 33);
  expect({.query = "alpha", .wanted = 33, .stop = &stop}, SearchEnd::kStopped, 0);
  expect({.query = "nothing"}, SearchEnd::kEnd, 0);
}

TEST_F(Engines, GoesOnAfterTheBrowserCrashed) {
  const Profile profile = read_profile(site_.write_profile(folder_.path));
  const auto engine = make_page_engine(profile, browser(), "");
  std::vector<std::string> urls;
  SearchRequest request;
  request.query = "alpha";
  request.wanted = 100;
  bool killed = false;
  engine->search(request, [&](Found&& found) {
    urls.push_back(found.url);
    if (urls.size() == 30 && !killed) {
      killed = true;  // the browser's processes name the profile folder; the driver starts them
      EXPECT_EQ(std::system(("for p in $(grep -la 'user-data-dir=" + folder_.path +
                             "' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); do grep -qa '^sh' /proc/$p/cmdline || "
                             "kill -9 $p 2>/dev/null; done; true")
                                .c_str()),
                0);
    }
  });
  ASSERT_EQ(urls.size(), 100u);
  for (size_t i = 0; i < urls.size(); ++i) EXPECT_TRUE(urls[i].ends_with(cat("/", i)));
}

TEST_F(Engines, AnUnreachableSiteIsAnError) {
  Profile profile = read_profile(site_.write_profile(folder_.path));
  profile.search_url = "http://no-such-host.invalid/?q={query}";
  EXPECT_ERROR(search(profile), "engine test: http://no-such-host.invalid/", "does not load");
}

TEST_F(Engines, APageThatNeverLoadsIsAnError) {
  Profile profile = read_profile(site_.write_profile(folder_.path));
  profile.search_url = site_.url("/hang?q={query}");
  BrowserOptions options = browser();
  options.page_timeout_s = 1;
  EXPECT_ERROR(make_page_engine(profile, options, "")->search({.query = "q"}, [](Found&&) {}),
               "/hang?q=q does not load, webdriver: timeout");
}

Profile api_profile(const Site& site) {
  Profile profile;
  profile.name = "api";
  profile.api = true;
  profile.search_url = site.url("/api?q={query}&page={page}");
  profile.list = "results";
  profile.image = "url";
  profile.landing = "landing";
  profile.license = "license";
  profile.license_version = "version";
  profile.author = "creator";
  profile.pages = "page_count";
  profile.pause_s = 0;
  return profile;
}

TEST(ApiEngine, PagesLicenceAndAuthor) {
  const Site site({.total = 50, .trouble = false});
  const auto engine = make_api_engine(api_profile(site), "");
  std::vector<Found> found;
  SearchRequest request;
  request.query = std::string("q");
  request.wanted = 1000;
  EXPECT_EQ(engine->search(request, [&](Found&& one) { found.push_back(std::move(one)); }), SearchEnd::kEnd);
  ASSERT_EQ(found.size(), 50u);
  EXPECT_EQ(found[49].url, site.url("/img/q/49"));
  EXPECT_EQ(found[0].license, "by 4.0");
  EXPECT_EQ(found[0].author, "Ann");
  EXPECT_EQ(found[0].page, "http://example.org/page");
  request.wanted = 7;
  EXPECT_EQ(engine->search(request, [&](Found&&) {}), SearchEnd::kWanted);
}

TEST(ApiEngine, AnotherShapeIsAnError) {
  const Site site;
  const Folder folder;
  const auto fails = [&](const Profile& profile, auto... parts) {
    EXPECT_ERROR(make_api_engine(profile, folder.path + "/saved")->search({.query = "q"}, [](Found&&) {}), parts...);
  };
  Profile profile = api_profile(site);
  profile.list = "items";
  fails(profile, "engine profile api no longer matches the page", "no list at \"items\"", "saved.json");
  profile = api_profile(site);
  profile.image = "uri";
  fails(profile, "no result has an image at \"uri\"");
  profile.search_url = site.url("/fixture/bing.html?{query}");
  fails(profile, "the answer is no JSON");
  profile.search_url = site.url("/absent?{query}");
  fails(profile, "the API refuses the request");
}

// Answers of the documented shape, https://api.openverse.org/v1/ and https://www.mediawiki.org/wiki/API:Imageinfo.
TEST(ApiEngine, ShippedProfilesReadTheDocumentedAnswers) {
  const Site site;
  const std::map<std::string, std::string> licenses = {{"openverse", "by-sa 2.0"}, {"wikimedia", "CC BY-SA 4.0"}};
  for (const auto& [name, license] : licenses) {
    Profile profile = find_profile(name);
    profile.search_url = site.url("/fixture/" + name + ".json?q={query}");
    profile.pause_s = 0;
    std::vector<Found> found;
    SearchRequest request;
    request.query = std::string("q");
    request.wanted = 2;
    make_api_engine(profile, "")->search(request, [&](Found&& one) { found.push_back(std::move(one)); });
    ASSERT_EQ(found.size(), 2u) << name;
    EXPECT_EQ(found[0].url, "https://one.example/big.jpg");
    EXPECT_EQ(found[0].thumb, "https://th.example/one.jpg");
    EXPECT_EQ(found[0].page, "https://one.example/page");
    EXPECT_EQ(found[0].license, license);
    EXPECT_EQ(found[0].author, "Ann Author");
    EXPECT_EQ(found[1].url, "https://two.example/big.png");
  }
}

TEST(Profiles, AllShippedOnesAreWellFormed) {
  EXPECT_THAT(shipped_engines(), ::testing::ElementsAre("bing", "duckduckgo", "google", "openverse", "wikimedia"));
  for (const std::string& name : shipped_engines()) {
    const Profile profile = find_profile(name);
    EXPECT_EQ(profile.name, name);
    const std::string url = search_url(profile, "air drumming & more", "on", "cc", "1");
    EXPECT_NE(url.find("air%20drumming%20%26%20more"), std::string::npos);
    EXPECT_EQ(url.find('{'), std::string::npos) << url;
  }
  EXPECT_ERROR(find_profile("altavista"), "engine altavista: there is no such engine", "google", "wikimedia");
  EXPECT_ERROR(search_url(find_profile("google"), "x", "maybe", ""), "safe-search level maybe", "off, on");
  EXPECT_ERROR(search_url(find_profile("bing"), "x", "on", "mine"), "no license mine", "public-domain");
}

TEST(Profiles, MistakesAreNamed) {
  const Folder folder;
  const Site site({.total = 1});
  const json good = json::parse(test::read_all(site.write_profile(folder.path)));
  const std::string path = folder.path + "/mine.json";
  const auto fails = [&](const json& profile, const char* what) {
    std::ofstream(path) << profile.dump();
    EXPECT_ERROR(find_profile(path), what, path);
  };
  const auto with = [&](const char* member, json value) {
    json changed = good;
    changed[member] = std::move(value);
    return changed;
  };
  const auto without = [&](const char* member) {
    json changed = good;
    changed.erase(member);
    return changed;
  };
  fails(with("resluts", "x"), "unknown member resluts");
  fails(without("results"), "member results is missing");
  fails(with("results", 5), "member results must be a string");
  fails(with("kind", "paper"), "kind is page or api, not paper");
  fails(with("search_url", "http://x/"), "must hold {query}");
  fails(with("search_url", "file:///{query}"), "must begin http");
  fails(with("full", "x"), "member full must be an array");
  fails(with("full", json::array({{{"attribute", "a"}, {"scope", "world"}}})),
        "full[0]: scope is result or page, not world");
  fails(with("full", json::array({{{"selector", "a"}}})), "full[0]: member attribute is missing");
  fails(with("more", json::array({{{"text", "x"}}})), "more[0]: member selector is missing");
  fails(with("load_s", -1), "member load_s must be a number of seconds");
  fails(with("click", {{"selector", "x"}}), "click: member full is missing");
  fails(json::array(), "must be a JSON object");
  std::ofstream(path) << "{\"name\": ";
  EXPECT_ERROR(find_profile(path), "this is no JSON");
  EXPECT_ERROR(find_profile("/no/such.json"), "/no/such.json: cannot read the engine profile, No such file");
}

}  // namespace
}  // namespace ar::scrape
