// The same with headless Firefox: by geckodriver where that is installed, else by a stand-in for it that is made here,
// an HTTP server that passes commands on to Firefox's own protocol as geckodriver does (Marionette,
// https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html).
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "scrape/engine.h"
#include "scrape/process.h"
#include "scrape/webdriver.h"
#include "tests/scrape/site.h"
#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::Folder;
using test::Site;
namespace fs = std::filesystem;

/// Firefox's end of a session.
class Marionette {
 public:
  /// Starts `binary`, which writes below `folder`.
  Marionette(const std::string& binary, const json& arguments, const std::string& folder, int port) {
    fs::create_directories(folder);
    std::ofstream(folder + "/user.js") << "user_pref(\"marionette.port\", " << port << ");\n";
    std::vector<std::string> command = {binary, "--marionette", "--profile", folder};
    for (const json& argument : arguments) command.push_back(argument);
    firefox_.emplace(Process::Options{.command = command, .environment = {}, .log = folder + "/log"});
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 600 && firefox_->running(); ++i) {
      socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        receive();  // it says who it is
        return;
      }
      close(socket_);
      socket_ = -1;
      std::this_thread::sleep_for(50ms);
    }
    std::ifstream log(folder + "/log");
    fail("Firefox does not start: " + std::string(std::istreambuf_iterator<char>(log), {}));
  }
  ~Marionette() {
    if (socket_ >= 0) close(socket_);
  }
  Marionette(const Marionette&) = delete;
  Marionette& operator=(const Marionette&) = delete;

  /// [1, number, error, result]
  json ask(const std::string& command, const json& parameters) {
    const std::string text = json::array({0, ++number_, command, parameters}).dump();
    const std::string packet = std::to_string(text.size()) + ":" + text;
    if (send(socket_, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) fail("Firefox is gone");
    return receive();
  }

 private:
  json receive() {
    std::string text;
    for (char c = 0; recv(socket_, &c, 1, 0) == 1 && c != ':';) text += c;
    if (text.empty()) fail("Firefox is gone");
    const auto size = static_cast<size_t>(std::stoul(text));
    text.clear();
    while (text.size() < size) {
      char buffer[65536];
      const ssize_t got = recv(socket_, buffer, std::min(sizeof buffer, size - text.size()), 0);
      if (got <= 0) fail("Firefox is gone");
      text.append(buffer, static_cast<size_t>(got));
    }
    return json::parse(text);
  }

  std::optional<Process> firefox_;
  int socket_ = -1, number_ = 0;
};

/// Serves WebDriver on `port` until it is killed.
void serve(int port) {
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(1); };
  server.set_keep_alive_max_count(1'000'000);
  server.set_keep_alive_timeout(1000);
  std::optional<Marionette> firefox;
  const auto refuse = [](httplib::Response& answer, const std::string& code, const std::string& message) {
    answer.status = 500;
    answer.set_content(json{{"value", {{"error", code}, {"message", message}, {"stacktrace", ""}}}}.dump(),
                       "application/json");
  };
  const auto pass_on = [&](httplib::Response& answer, const std::string& command, const json& parameters) {
    try {
      const json reply = firefox.value().ask(command, parameters);
      if (!reply[2].is_null()) return refuse(answer, reply[2]["error"], reply[2]["message"]);
      const json& result = reply[3];
      const bool wrapped = result.is_object() && result.size() == 1 && result.contains("value");
      answer.set_content(json{{"value", wrapped ? result["value"] : result}}.dump(), "application/json");
    } catch (const std::exception& error) {
      refuse(answer, "invalid session id", error.what());
    }
  };
  server.Get("/status", [](const auto&, auto& answer) {
    answer.set_content(R"({"value":{"ready":true,"message":""}})", "application/json");
  });
  server.Post("/session", [&](const auto& ask, auto& answer) {
    json wanted = json::parse(ask.body)["capabilities"]["alwaysMatch"];
    const json options = wanted.at("moz:firefoxOptions");
    try {
      firefox.emplace(options.at("binary"), options.at("args"), std::string(std::getenv("TMPDIR")) + "/profile",
                      port + 1);
    } catch (const std::exception& error) {
      return refuse(answer, "session not created", error.what());
    }
    wanted.erase("moz:firefoxOptions");
    pass_on(answer, "WebDriver:NewSession", wanted);
  });
  const std::map<std::string, std::string> gets = {{"url", "WebDriver:GetCurrentURL"},
                                                   {"source", "WebDriver:GetPageSource"}},
                                           posts = {{"url", "WebDriver:Navigate"},
                                                    {"element", "WebDriver:FindElement"},
                                                    {"elements", "WebDriver:FindElements"},
                                                    {"execute/sync", "WebDriver:ExecuteScript"}};
  for (const auto& [path, command] : gets)
    server.Get("/session/[^/]+/" + path,
               [&, c = command](const auto&, auto& answer) { pass_on(answer, c, json::object()); });
  for (const auto& [path, command] : posts)
    server.Post("/session/[^/]+/" + path,
                [&, c = command](const auto& ask, auto& answer) { pass_on(answer, c, json::parse(ask.body)); });
  server.Get("/session/[^/]+/screenshot", [&](const auto&, auto& answer) {
    pass_on(answer, "WebDriver:TakeScreenshot", {{"full", false}, {"hash", false}});
  });
  server.Post("/session/[^/]+/element/([^/]+)/click", [&](const auto& ask, auto& answer) {
    pass_on(answer, "WebDriver:ElementClick", {{"id", ask.matches[1].str()}});
  });
  server.listen("127.0.0.1", port);
}

/// The script that write_driver() makes calls this program again, as the stand-in.
const bool kServes = [] {
  if (const char* port = std::getenv("AR_TEST_GECKODRIVER_PORT")) serve(std::atoi(port));
  return true;
}();

class Firefox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (find_program("firefox").empty() && find_program("firefox-esr").empty()) {
      GTEST_SKIP() << "Firefox is not installed";
    }
    driver_ = find_program("geckodriver");
    if (driver_.empty()) driver_ = write_driver();
  }
  std::string write_driver() const {
    std::string path = folder_.path + "/geckodriver";
    std::ofstream(path) << "#!/bin/sh\nAR_TEST_GECKODRIVER_PORT=$2 exec " << fs::read_symlink("/proc/self/exe").string()
                        << "\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  BrowserOptions options() const {
    BrowserOptions options;
    options.driver = driver_;
    options.folder = folder_.path;
    return options;
  }

  Folder folder_;
  std::string driver_;
};

TEST_F(Firefox, DrivesAPage) {
  std::ofstream(folder_.path + "/page.html") << R"(<!doctype html><title>A page</title><p class=one data-x="ü">first
      <button onclick="document.title='clicked'">press</button>)";
  {
    Browser browser(options());
    EXPECT_EQ(browser.capabilities().value("browserName", ""), "firefox");
    browser.navigate("file://" + folder_.path + "/page.html");
    const auto first = browser.find(".one");
    ASSERT_TRUE(first.has_value());
    EXPECT_FALSE(browser.find("#none").has_value());
    EXPECT_EQ(browser.find_all("p, button").size(), 2u);
    EXPECT_EQ(browser.execute("return arguments[0].dataset.x + arguments[1]", {to_json(*first), 7}), "ü7");
    browser.click(*browser.find("button"));
    EXPECT_EQ(browser.execute("return document.title"), "clicked");
    EXPECT_TRUE(browser.screenshot().starts_with("\x89PNG"));
    EXPECT_THROW(browser.find("["), WebDriverError);
    EXPECT_GT(test::processes_with(folder_.path + "/.browser"), 2);
  }
  EXPECT_EQ(test::processes_with(folder_.path + "/.browser"), 0);
  for (const auto& entry : fs::directory_iterator(folder_.path)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".browser"));
  }
}

TEST_F(Firefox, SearchesAsChromiumDoes) {
  const Site site;
  const auto engine = make_page_engine(read_profile(site.write_profile(folder_.path)), options(), "");
  std::vector<Found> found;
  EXPECT_EQ(engine->search({.query = "gamma", .wanted = 1000}, [&](Found&& one) { found.push_back(std::move(one)); }),
            SearchEnd::kEnd);
  ASSERT_EQ(found.size(), 300u);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].url.ends_with(cat("/img/gamma/", i))) << found[i].url;
}

TEST_F(Firefox, ReadsThePagesOfEachEngine) {
  const Site site({.total = 1});
  for (const char* name : {"google", "bing", "duckduckgo"}) {
    Profile profile = find_profile(name);
    profile.search_url = site.url(std::string("/fixture/") + name + ".html?q={query}");
    profile.load_s = 5;
    profile.patience_s = profile.click_wait_s = 1;
    std::vector<std::string> urls;
    make_page_engine(profile, options(), "")->search({.query = "q"}, [&](Found&& one) { urls.push_back(one.url); });
    ASSERT_EQ(urls.size(), 3u) << name;
    EXPECT_EQ(urls[0], "https://one.example/big.jpg");
    EXPECT_TRUE(urls[1].starts_with("https://two.example/b"));
    EXPECT_EQ(urls[2], "https://three.example/big.webp");
  }
}

TEST_F(Firefox, GoesOnAfterTheBrowserCrashed) {
  const Site site;
  const auto engine = make_page_engine(read_profile(site.write_profile(folder_.path)), options(), "");
  size_t found = 0;
  engine->search({.query = "alpha", .wanted = 60}, [&](Found&&) {
    if (++found != 30) return;
    const std::string mark = "--profile" + std::string(1, '\0') + folder_.path;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string pid = entry.path().filename();
      if (test::read_all("/proc/" + pid + "/cmdline").find(mark) != std::string::npos) kill(std::stoi(pid), SIGKILL);
    }
  });
  EXPECT_EQ(found, 60u);
}

TEST_F(Firefox, BuildsADataSet) {
  const Site site({.total = 40, .trouble = false});
  std::ofstream(folder_.path + "/actions") << "alpha\nbeta\ngamma\n";
  const std::string program = fs::read_symlink("/proc/self/exe").parent_path() / "ar-build-image-ds";
  Process build({.command = {program, "--actions", folder_.path + "/actions", "--out-path", folder_.path + "/set",
                             "--engine", site.write_profile(folder_.path), "--driver", driver_, "--images-per-action",
                             "30", "--rate", "0", "--allow-private"},
                 .environment = {},
                 .log = folder_.path + "/log"});
  for (int i = 0; i < 2400 && build.running(); ++i) std::this_thread::sleep_for(50ms);
  EXPECT_NE(test::read_all(folder_.path + "/log").find("all 3 classes: 90 kept"), std::string::npos)
      << test::read_all(folder_.path + "/log");
}

}  // namespace
}  // namespace ar::scrape
