// What the tests of scrape/ share.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scrape/process.h"
#include "scrape/webdriver.h"

namespace ar::scrape::test {

/// A folder that goes away with the object.
struct Folder {
  Folder() {
    char name[] = "/tmp/ar-scrape-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path;
};

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The message of what `body` throws; empty when it throws nothing.
template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Processes whose environment or command names `mark`, zombies and ourselves left out.
inline int processes_with(const std::string& mark) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos || pid == std::to_string(getpid())) continue;
    const std::string all = read_all("/proc/" + pid + "/cmdline") + read_all("/proc/" + pid + "/environ");
    count += all.find(mark) != std::string::npos ? 1 : 0;
  }
  return count;
}

inline BrowserOptions browser_options(const std::string& folder) {
  BrowserOptions options;
  options.folder = folder;
  options.sandbox = has_user_namespaces();
  return options;
}

}  // namespace ar::scrape::test

#define EXPECT_ERROR(expression, ...)                                                      \
  do {                                                                                     \
    const std::string message = ar::scrape::test::message_of([&] { (void)(expression); }); \
    EXPECT_FALSE(message.empty()) << "nothing was thrown";                                 \
    for (const std::string& part : std::vector<std::string>{__VA_ARGS__})                  \
      EXPECT_THAT(message, ::testing::HasSubstr(part));                                    \
    EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("\n")));                      \
  } while (0)

#define AR_SKIP_WITHOUT_BROWSER()                                                                                  \
  if (const std::string missing = ar::scrape::test::message_of([] { ar::scrape::choose_driver("chromedriver"); }); \
      !missing.empty())                                                                                            \
  GTEST_SKIP() << missing
