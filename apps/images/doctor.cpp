#include "apps/images/doctor.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>

#include "scrape/http.h"
#include "scrape/process.h"
#include "scrape/url.h"
#include "scrape/webdriver.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;

bool line(bool good, const std::string& what) {
  std::printf("%s  %s\n", good ? "ok     " : "problem", what.c_str());
  return good;
}

/// The first number with a dot in it that a program prints with --version.
std::string version_of(const std::string& program) {
  const std::string text = scrape::output_of({program, "--version"}, 20);
  for (size_t at = text.find_first_of("0123456789"); at != std::string::npos;
       at = text.find_first_of("0123456789", text.find_first_not_of("0123456789.", at))) {
    const size_t end = text.find_first_not_of("0123456789.", at);
    const std::string number = text.substr(at, end == std::string::npos ? end : end - at);
    if (number.find('.') != std::string::npos) return number;
    if (end == std::string::npos) break;
  }
  return "";
}

bool check_driver(const scrape::BrowserOptions& options) {
  scrape::DriverChoice choice;
  try {
    choice = scrape::choose_driver(options.driver);
  } catch (const scrape::Error& error) {
    return line(false, error.what());
  }
  bool good = true;
  if (choice.url.empty()) {
    const std::string browser = version_of(choice.browser), driver = version_of(choice.driver);
    good = line(!browser.empty(), "browser " + choice.browser + ", version " + (browser.empty() ? "unknown" : browser));
    good =
        line(!driver.empty(), "driver " + choice.driver + ", version " + (driver.empty() ? "unknown" : driver)) && good;
    const std::string major = browser.substr(0, browser.find('.'));
    if (!choice.firefox && good && driver.substr(0, driver.find('.')) != major) {
      good = line(false, "driver and browser do not fit: install the chromedriver of version " + major +
                             "; on Debian chromium and chromium-driver of the same version");
    }
  }
  try {
    scrape::Browser session(options);
    session.navigate("about:blank");
    line(true, "a browser session starts: " + session.capabilities().value("browserName", "") + " " +
                   session.capabilities().value("browserVersion", ""));
  } catch (const scrape::Error& error) {
    good = line(false, error.what());
  }
  return good;
}

bool check_site(const scrape::Profile& profile) {
  const auto url = scrape::parse_url(profile.search_url.substr(0, profile.search_url.find('{')));
  const bool usual = url && url->port == (url->scheme == "https" ? 443 : 80);
  const std::string site = !url ? profile.search_url : usual ? url->scheme + "://" + url->host : url->origin();
  try {
    scrape::HttpRequest request;
    request.url = site + "/";
    request.timeout_s = 15;
    const long status = scrape::HttpClient().send(request).status;
    return line(true, "engine " + profile.name + ": " + site + " answers (status " + std::to_string(status) + ")");
  } catch (const scrape::Error& error) {
    return line(false, "engine " + profile.name + ": " + error.what() + "; is this machine connected?");
  }
}

bool check_folder(const std::string& folder) {
  std::error_code error;
  fs::path where = fs::weakly_canonical(fs::absolute(folder), error);
  while (!fs::exists(where, error) && where.has_parent_path() && where != where.parent_path())
    where = where.parent_path();
  if (access(where.c_str(), W_OK | X_OK) != 0) {
    return line(false, where.string() + ": no permission to write there; choose another --out-path");
  }
  const fs::space_info space = fs::space(where, error);
  char text[64];
  std::snprintf(text, sizeof text, "%.1f GB free", static_cast<double>(space.available) / 1e9);
  if (!error && space.available < 1'000'000'000) return line(false, where.string() + ": only " + text);
  return line(true, where.string() + ": can be written, " + text);
}

}  // namespace

bool run_doctor(const scrape::BrowserOptions& browser, const scrape::Profile& profile, const std::string& folder) {
  bool good = true;
  if (profile.api) {
    line(true, "engine " + profile.name + " needs no browser");
  } else {
    good = check_driver(browser);
  }
  good = check_site(profile) && good;
  good = check_folder(folder) && good;
  std::printf("%s\n", good ? "All is well." : "Not all is well; see above.");
  return good;
}

}  // namespace ar::apps
