// The download pool against hosts that misbehave.
#include "scrape/fetch_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <thread>

#include "tests/scrape/site.h"
#include "tests/scrape/support.h"
#include "tests/weights/http_server.h"

namespace ar::scrape {
namespace {

using namespace std::chrono_literals;
using test::Site;

FetchOptions local() {
  FetchOptions options;
  options.allow_private = true;
  options.rate = 0;
  options.timeout_s = 2;
  options.backoff_s = 0.05;
  options.max_bytes = 1 << 20;
  return options;
}

Fetched fetch(FetchPool& pool, const std::string& url) {
  std::promise<Fetched> answer;
  EXPECT_TRUE(pool.submit(url, [&](Fetched&& fetched) { answer.set_value(std::move(fetched)); }));
  return answer.get_future().get();
}

class Pool : public ::testing::Test {
 protected:
  Site site_;
  FetchPool pool_{local()};
};

TEST_F(Pool, EachTroubleHasItsCause) {
  const std::map<std::string, std::string> causes = {{"ok", ""},
                                                     {"404", "http-404"},
                                                     {"429", ""},
                                                     {"500", "http-500"},
                                                     {"html", ""},
                                                     {"redirect", ""},
                                                     {"loop", "redirects"},
                                                     {"noai", "noai"},
                                                     {"drip", "slow"},
                                                     {"endless", "too-large"},
                                                     {"truncated", "truncated"}};
  for (const auto& [kind, cause] : causes) {
    int n = 0;
    while (test::kind_of(n, true) != kind) ++n;
    const Fetched fetched = fetch(pool_, site_.url("/img/q/" + std::to_string(n)));
    EXPECT_EQ(fetched.cause, cause) << kind << ": " << fetched.error;
    if (cause.empty()) {
      EXPECT_FALSE(fetched.body.empty()) << kind;
    }
    if (kind == "429") {
      EXPECT_EQ(fetched.attempts, 2);
    }
    if (kind == "500" || kind == "truncated") {
      EXPECT_EQ(fetched.attempts, 4);
    }
    if (kind == "redirect") {
      EXPECT_NE(fetched.url.find("redirected"), std::string::npos);
    }
  }
  EXPECT_EQ(fetch(pool_, site_.other_url("/img/q/0")).cause, "robots");
  EXPECT_EQ(fetch(pool_, site_.url("/secret/x")).cause, "robots");
  EXPECT_EQ(fetch(pool_, site_.url("/to?url=" + site_.other_url("/img/q/0"))).cause, "robots");
  EXPECT_EQ(fetch(pool_, site_.url("/busy")).cause, "http-503");
  EXPECT_EQ(fetch(pool_, "http://127.0.0.1:1/").cause, "connect");
  EXPECT_EQ(fetch(pool_, "http://no-such-host.invalid/").cause, "dns");
  EXPECT_EQ(fetch(pool_, site_.url("/to?url=ftp://example.org/x")).cause, "redirects");
  EXPECT_EQ(fetch(pool_, site_.url("/to?url=file:///etc/passwd")).cause, "redirects");
}

TEST_F(Pool, DataUrisAndBadUrls) {
  EXPECT_EQ(fetch(pool_, "data:image/png;base64,aGk=").body, "hi");
  EXPECT_EQ(fetch(pool_, "file:///etc/passwd").cause, "bad-url");
  EXPECT_EQ(fetch(pool_, "data:image/png;base64,aGk" + std::string(1 << 21, 'A')).cause, "too-large");
}

TEST_F(Pool, PrivateAddressesAreRefused) {
  FetchOptions options = local();
  options.allow_private = false;
  options.robots = false;
  FetchPool pool(options);
  const std::string port = std::to_string(site_.port());
  for (const std::string host :
       {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"}) {
    const Fetched fetched = fetch(pool, "http://" + host + ":" + port + "/img/q/0");
    EXPECT_EQ(fetched.cause, "private-address") << host << " " << fetched.error;
  }
  EXPECT_EQ(site_.image_requests(), 0);
}

TEST_F(Pool, ARedirectIntoThePrivateNetworkIsRefused) {
  FetchOptions options = local();
  options.allow_private = false;
  options.private_origins = {site_.url("")};  // this one plays a host of the Internet
  FetchPool pool(options);
  EXPECT_EQ(fetch(pool, site_.url("/img/q/0")).cause, "");
  EXPECT_EQ(fetch(pool, site_.url("/img/q/19")).cause, "") << "redirected to itself";
  const int before = site_.image_requests();
  EXPECT_EQ(fetch(pool, site_.url("/to?url=" + site_.other_url("/img/q/0"))).cause, "private-address");
  EXPECT_EQ(fetch(pool, site_.url("/to?url=http://169.254.169.254/latest/meta-data")).cause, "private-address");
  EXPECT_EQ(site_.image_requests(), before);
}

TEST_F(Pool, RobotsCanBeIgnored) {
  FetchOptions options = local();
  options.robots = false;
  FetchPool pool(options);
  EXPECT_EQ(fetch(pool, site_.other_url("/img/q/0")).cause, "");
  EXPECT_EQ(fetch(pool, site_.url("/img/q/31")).cause, "");  // noai
}

TEST_F(Pool, RateIsKept) {
  FetchOptions options = local();
  options.rate = 20;
  FetchPool pool(options);
  std::atomic<int> done{0};
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 21; ++i) pool.submit(site_.url("/img/q/0"), [&](Fetched&&) { ++done; });
  while (done < 21) std::this_thread::sleep_for(5ms);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 950ms);
}

TEST_F(Pool, StopsAtOnceWithDownloadsUnderWay) {
  std::atomic<int> done{0};
  for (int i = 0; i < 50; ++i) pool_.submit(site_.url("/img/q/35"), [&](Fetched&&) { ++done; });
  std::this_thread::sleep_for(200ms);
  const auto start = std::chrono::steady_clock::now();
  pool_.stop();
  EXPECT_FALSE(pool_.submit(site_.url("/img/q/0"), [](Fetched&&) {}));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
  EXPECT_EQ(done, 0);
}

TEST(PoolAlone, ManyThreadsSubmit) {
  Site site({.total = 10, .trouble = false, .small_images = "bytes"});
  FetchOptions options = local();
  options.capacity = 16;
  FetchPool pool(options);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string name = std::to_string(t) + "/" + std::to_string(i);
        pool.submit(site.url("/img/" + name), [&good, name](Fetched&& fetched) {
          std::string expected = "bytes" + name;
          expected.erase(expected.find('/'), 1);
          good += fetched.body == expected ? 1 : 0;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (pool.pending() > 0) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(good, 800);
}

/// What becomes of a picture whose host answers to /robots.txt like this.
std::string cause_with(const HttpServer::Handler& robots) {
  const HttpServer server([&](const auto& ask, auto& answer) {
    if (ask.path == "/robots.txt") return robots(ask, answer);
    answer.set_content("picture", "image/jpeg");
  });
  std::promise<std::string> cause;
  auto known = cause.get_future();
  FetchPool pool(local());
  pool.submit(server.url("/x"), [&](Fetched&& fetched) { cause.set_value(fetched.cause); });
  return known.wait_for(10s) == std::future_status::ready ? known.get() : "nothing in 10 s";
}

TEST(PoolAlone, ARobotsTxtThatLeadsNowhereHasNoRules) {
  EXPECT_EQ(cause_with([](const auto&, auto& answer) { answer.status = 302; }), "");
  EXPECT_EQ(cause_with([](const auto&, auto& answer) { answer.set_redirect("/robots.txt"); }), "");
  EXPECT_EQ(cause_with([](const auto&, auto& answer) { answer.set_redirect("ftp://example.org/robots.txt"); }), "");
}

TEST(PoolAlone, TheBeginningOfALongRobotsTxtCounts) {
  const std::string end = "Disallow: /\n" + std::string(600'000, '#');
  const auto robots = [&](const std::string& agent) {
    return [=](const auto&, auto& answer) { answer.set_content("User-agent: " + agent + "\n" + end, "text/plain"); };
  };
  EXPECT_EQ(cause_with(robots("*")), "robots");
  EXPECT_EQ(cause_with(robots("somebody else")), "");
}

}  // namespace
}  // namespace ar::scrape
