// A client of the W3C WebDriver protocol (https://www.w3.org/TR/webdriver2/): starts chromedriver or geckodriver, opens
// a browser session, and drives it.
#pragma once
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "scrape/error.h"
#include "scrape/http.h"
#include "scrape/process.h"

namespace ar::scrape {

/// An answer with a W3C error code, such as "no such element" or "stale element reference".
class WebDriverError : public Error {
 public:
  WebDriverError(std::string code, const std::string& message)
      : Error("webdriver: " + code + ", " + message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

/// The driver or the browser is gone: make a new Browser and go on.
class BrowserGone : public Error {
 public:
  using Error::Error;
};

/// A reference to an element of the page that is loaded.
struct Element {
  std::string id;
};

struct BrowserOptions {
  /// auto (the first of chromedriver, geckodriver that is installed with its browser), chromedriver, geckodriver, the
  /// path of a driver, or the URL of one that runs already.
  std::string driver = "auto";
  bool headless = true;
  bool sandbox = true;              ///< Chromium's, which it cannot have as root
  int width = 1280, height = 1600;  ///< of the window, in pixels
  double page_timeout_s = 60;       ///< for a page to load
  /// An existing folder. Driver and browser write all into a folder ".browser-..." in it, which is gone when they are,
  /// however we end. Where the path is too long for the sockets that Chromium makes there, or empty, it is the system's
  /// folder for temporary files instead.
  std::string folder;
  std::string log;                          ///< file for what the driver prints; empty discards it
  const std::atomic<bool>* stop = nullptr;  ///< when it turns true every call ends with an Error
};

/// Which driver and browser `BrowserOptions::driver` means on this machine; throws Error saying what to install.
struct DriverChoice {
  std::string url;      ///< of a running driver; the others are empty then
  std::string driver;   ///< path of the driver
  std::string browser;  ///< path of the browser
  bool firefox = false;
};
DriverChoice choose_driver(const std::string& driver);

/// May this process make user namespaces? Chromium's sandbox is made of them; many containers forbid them.
bool has_user_namespaces();

/// A browser session with, unless it belongs to a running WebDriver, a driver process of its own. All of it ends with
/// the object (see Process for what survives what). One thread at a time.
class Browser {
 public:
  /// Throws Error when no driver is found, or driver and browser do not fit each other.
  explicit Browser(const BrowserOptions& options);
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// Each command throws WebDriverError when the browser refuses it, BrowserGone when there is none any more.
  void navigate(const std::string& url);
  std::string current_url();
  std::string page_source();
  std::optional<Element> find(const std::string& css);
  std::vector<Element> find_all(const std::string& css);
  void click(const Element& element);
  /// Runs `script` as the body of a function with `arguments`; Element arguments are passed as to_json(element).
  nlohmann::json execute(const std::string& script, const nlohmann::json& arguments = nlohmann::json::array());
  /// PNG bytes of what the window shows.
  std::string screenshot();
  /// What the browser says of itself: name and version.
  const nlohmann::json& capabilities() const { return capabilities_; }
  /// Ends the session and the driver; the destructor does the same.
  void quit() noexcept;

 private:
  nlohmann::json command(const std::string& method, const std::string& path, const nlohmann::json& body = {},
                         double timeout_s = 0);
  void start_driver(const DriverChoice& choice);
  void new_session(const DriverChoice& choice);

  BrowserOptions options_;
  std::optional<Process> process_;
  HttpClient http_;
  std::string base_;     // URL of the driver
  std::string session_;  // its id
  nlohmann::json capabilities_;
};

/// An Element as an argument of execute(), and back; nothing when `value` is no element.
nlohmann::json to_json(const Element& element);
std::optional<Element> to_element(const nlohmann::json& value);

}  // namespace ar::scrape
