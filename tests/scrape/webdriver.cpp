// The WebDriver client against real headless Chromium; and that nothing of it survives.
#include "scrape/webdriver.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

using namespace std::chrono_literals;
using test::Folder;
using test::processes_with;

bool gone_soon(const std::string& mark) {
  for (int i = 0; i < 200; ++i) {
    if (processes_with(mark) == 0) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

TEST(Process, EndsWithAllThatItStarted) {
  const std::string mark = "AR_TEST_MARK=" + std::to_string(getpid()) + "a";
  Process process({.command = {"sh", "-c", "(setsid sleep 1000 &); sleep 1000 & sleep 1000"},
                   .environment = {{"AR_TEST_MARK", std::to_string(getpid()) + "a"}},
                   .log = ""});
  while (processes_with(mark) < 4) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(process.running());
  process.kill();
  EXPECT_EQ(processes_with(mark), 0);
  EXPECT_FALSE(process.running());
}

TEST(Process, EndsWhenItsOwnerIsKilled) {
  const std::string mark = std::to_string(getpid()) + "b";
  const pid_t owner = fork();
  if (owner == 0) {
    Process process({.command = {"sh", "-c", "(setsid sleep 1000 &); sleep 1000"},
                     .environment = {{"AR_TEST_MARK", mark}},
                     .log = ""});
    for (;;) pause();
  }
  while (processes_with("AR_TEST_MARK=" + mark) < 3) std::this_thread::sleep_for(10ms);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  EXPECT_TRUE(gone_soon("AR_TEST_MARK=" + mark));
}

TEST(Process, TellsOutputAndMissingPrograms) {
  EXPECT_EQ(output_of({"sh", "-c", "echo out; echo err >&2"}, 10), "out\nerr\n");
  EXPECT_EQ(output_of({"no-such-program-of-ours"}, 10), "");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(output_of({"sleep", "1000"}, 0.2), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_THROW(Process({.command = {"/no/such/program"}, .environment = {}, .log = ""}), Error);
}

class WebDriver : public ::testing::Test {
 protected:
  void SetUp() override {
    AR_SKIP_WITHOUT_BROWSER();
    std::ofstream(folder_.path + "/page.html") << R"(<!doctype html><title>A page</title>
      <p class=one id=first data-x="ü">first</p><p class=one>second</p>
      <button onclick="document.title='clicked'">press</button>)";
  }
  BrowserOptions options() const { return test::browser_options(folder_.path); }
  std::string page() const { return "file://" + folder_.path + "/page.html"; }
  Folder folder_;
};

TEST_F(WebDriver, DrivesAPage) {
  Browser browser(options());
  EXPECT_EQ(browser.capabilities().value("browserName", ""), "chrome");
  browser.navigate(page());
  EXPECT_EQ(browser.current_url(), page());
  EXPECT_EQ(browser.find_all(".one").size(), 2u);
  EXPECT_FALSE(browser.find("#none").has_value());
  const auto first = browser.find("#first");
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(browser.execute("return arguments[0].dataset.x + arguments[1]", {to_json(*first), 7}), "ü7");
  browser.click(*browser.find("button"));
  EXPECT_EQ(browser.execute("return document.title"), "clicked");
  EXPECT_NE(browser.page_source().find("<button"), std::string::npos);
  EXPECT_TRUE(browser.screenshot().starts_with("\x89PNG"));
  EXPECT_TRUE(to_element(browser.execute("return document.querySelector('p')")).has_value());
}

TEST_F(WebDriver, UsesADriverThatRunsAlready) {
  const std::string port = std::to_string(20000 + getpid() % 10000);
  Process driver({.command = {"chromedriver", "--port=" + port}, .environment = {{"TMPDIR", folder_.path}}, .log = ""});
  BrowserOptions options = this->options();
  options.driver = "http://127.0.0.1:" + port + "/";
  for (int i = 0; i < 100; ++i) {  // until it listens
    try {
      HttpClient().send({.url = options.driver + "status"});
      break;
    } catch (const Error&) {
      std::this_thread::sleep_for(50ms);
    }
  }
  {
    Browser browser(options);
    browser.navigate(page());
    EXPECT_EQ(browser.find_all(".one").size(), 2u);
  }
  EXPECT_TRUE(driver.running());
  options.driver = "http://127.0.0.1:1";
  EXPECT_THROW(Browser{options}, BrowserGone);
}

TEST_F(WebDriver, NamesTheErrorOfTheBrowser) {
  Browser browser(options());
  browser.navigate(page());
  const auto button = browser.find("button");
  browser.navigate("about:blank");
  try {
    browser.click(*button);
    FAIL();
  } catch (const WebDriverError& error) {
    EXPECT_EQ(error.code(), "stale element reference");
  }
  EXPECT_THROW(browser.execute("throw Error('no')"), WebDriverError);
  EXPECT_THROW(browser.find("["), WebDriverError);
  EXPECT_THROW(browser.navigate("http://no-such-host.invalid/"), WebDriverError);
}

TEST_F(WebDriver, LeavesNothingBehind) {
  {
    Browser browser(options());
    browser.navigate(page());
    EXPECT_GT(processes_with(folder_.path), 2);
  }
  EXPECT_EQ(processes_with(folder_.path), 0);
  try {
    Browser browser(options());
    throw std::runtime_error("in the middle");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(processes_with(folder_.path), 0);
}

TEST_F(WebDriver, LeavesNothingBehindWhenKilled) {
  const pid_t owner = fork();
  if (owner == 0) {
    Browser browser(options());
    browser.navigate(page());
    for (;;) pause();
  }
  while (processes_with(folder_.path) < 7) std::this_thread::sleep_for(10ms);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  EXPECT_TRUE(gone_soon(folder_.path));
}

TEST_F(WebDriver, TellsWhenTheBrowserCrashed) {
  Browser browser(options());
  browser.navigate(page());
  const pid_t pid = browser.capabilities()["goog:processID"];
  kill(pid, SIGKILL);
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) {
          browser.page_source();
          std::this_thread::sleep_for(50ms);
        }
      },
      BrowserGone);
  browser.quit();
  EXPECT_EQ(processes_with(folder_.path), 0);
}

TEST(WebDriverErrors, SayWhatToDo) {
  BrowserOptions options;
  options.driver = "/no/such/driver";
  EXPECT_ERROR(Browser{options}, "driver /no/such/driver: there is no such program", "apt install");
  options.driver = "true";  // starts, answers nothing
  AR_SKIP_WITHOUT_BROWSER();
  EXPECT_ERROR(Browser{options}, "the driver does not start");
}

TEST(WebDriverErrors, AScriptThatWaitsForItsSnapIsNoDriver) {
  const Folder folder;
  const auto script = [&](const std::string& name, const std::string& snap) {
    std::ofstream(folder.path + "/" + name) << "#!/bin/sh\nif ! [ -x /snap/bin/" << snap << " ]; then\n  exit 1\nfi\n";
    std::filesystem::permissions(folder.path + "/" + name, std::filesystem::perms::owner_all);
  };
  script("chromedriver", "not-a-snap.chromedriver");
  script("chromium-browser", "not-a-snap");
  const std::string before = std::getenv("PATH");
  setenv("PATH", folder.path.c_str(), 1);
  for (const std::string driver : {"auto", "chromedriver"}) {
    EXPECT_ERROR(choose_driver(driver), "driver " + driver + ": " + folder.path + "/chromedriver asks for the snap ",
                 " not-a-snap, which is not installed; sudo snap install not-a-snap");
  }
  setenv("PATH", before.c_str(), 1);
}

TEST(WebDriverOfASnap, KeepsItsHome) {
  const Folder folder;
  const std::string driver = folder.path + "/chromedriver";
  std::ofstream(driver) << "#!/bin/sh\n# exec /snap/bin/chromium.chromedriver\necho \"$HOME\" > " << folder.path
                        << "/home\n";
  std::filesystem::permissions(driver, std::filesystem::perms::owner_all);
  std::ofstream(folder.path + "/chromium") << "#!/bin/sh\n";
  std::filesystem::permissions(folder.path + "/chromium", std::filesystem::perms::owner_all);
  const std::string before = std::getenv("PATH");
  setenv("PATH", (folder.path + ":" + before).c_str(), 1);
  BrowserOptions options;
  options.driver = driver;
  EXPECT_ERROR(Browser{options}, "the driver does not start");
  setenv("PATH", before.c_str(), 1);
  std::ifstream file(folder.path + "/home");
  std::string home;
  std::getline(file, home);
  EXPECT_EQ(home, std::getenv("HOME"));
}

TEST(WebDriverErrors, ADriverOfAnotherVersion) {
  httplib::Server server;  // answers as chromedriver does
  server.Post("/session", [](const auto&, auto& answer) {
    answer.status = 500;
    answer.set_content(
        R"({"value":{"error":"session not created","message":"session not created: This version of )"
        R"(ChromeDriver only supports Chrome version 99\nCurrent browser version is 156","stacktrace":""}})",
        "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  BrowserOptions options;
  options.driver = cat("http://127.0.0.1:", port);
  EXPECT_ERROR(Browser{options},
               "no browser session (webdriver: session not created, This version of ChromeDriver only",
               "driver and browser must be of the same version, ar-build-image-ds --doctor compares them");
  server.stop();
  thread.join();
}

TEST(WebDriverErrors, TheReasonMayBeASecondLine) {
  httplib::Server server;
  server.Post("/session", [](const auto&, auto& answer) {
    answer.status = 500;
    answer.set_content(R"({"value":{"error":"session not created","message":"session not created\nfrom disconnected: )"
                       R"(unable to connect to renderer\nthird","stacktrace":""}})",
                       "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  BrowserOptions options;
  options.driver = cat("http://127.0.0.1:", port);
  EXPECT_ERROR(
      Browser{options},
      "no browser session (webdriver: session not created, from disconnected: unable to connect to renderer);");
  server.stop();
  thread.join();
}

TEST(WebDriverErrors, StopEndsACommand) {
  AR_SKIP_WITHOUT_BROWSER();
  Folder folder;
  std::atomic<bool> stop = false;
  BrowserOptions options = test::browser_options(folder.path);
  options.stop = &stop;
  Browser browser(options);
  std::thread later([&] {
    std::this_thread::sleep_for(300ms);
    stop = true;
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(browser.execute("const t = Date.now(); while (Date.now() - t < 20000);"), Error);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  later.join();
}

}  // namespace
}  // namespace ar::scrape
