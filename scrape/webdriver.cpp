#include "scrape/webdriver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "scrape/base64.h"
#include "scrape/url.h"

namespace ar::scrape {
namespace {

using nlohmann::json;

// https://www.w3.org/TR/webdriver2/#elements: the name of the member that holds an element's id.
constexpr const char* kElementKey = "element-6066-11e4-a52e-4f735466cecf";

constexpr const char* kInstall =
    "on Debian: apt install chromium chromium-driver; on Ubuntu: sudo snap install chromium";

constexpr const char* kGeckodriver = "https://github.com/mozilla/geckodriver/releases";

/// The beginning of a script; empty for any other program.
std::string script_text(const std::string& program) {
  std::ifstream file(program, std::ios::binary);
  std::string text(4096, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text.starts_with("#!") ? text : "";
}

/// Ubuntu's packages put scripts in the place of browsers and drivers, which run a snap.
bool is_snap(const std::string& program) {
  return program.starts_with("/snap/") || script_text(program).find("/snap/bin/") != std::string::npos;
}

/// Until that is installed they do no more than ask for it: the name of the snap that `program` asks for; empty for any
/// other program.
std::string missing_snap(const std::string& program) {
  const std::string text = script_text(program), folder = "/snap/bin/";
  const size_t at = text.find("-x " + folder);
  if (at == std::string::npos) return "";
  const size_t begin = at + 3;
  const std::string target = text.substr(begin, text.find_first_of(" ]\n", begin) - begin);
  if (access(target.c_str(), X_OK) == 0) return "";
  return target.substr(folder.size(), target.find('.') - folder.size());
}

/// The first of these that is installed; scripts that wait for their snap are not.
std::string first_program(std::initializer_list<std::string> names) {
  for (const std::string& name : names) {
    if (std::string path = find_program(name); !path.empty() && missing_snap(path).empty()) return path;
  }
  return "";
}

/// Says which snap the program of this name waits for, if it does.
void check_snap(const std::string& driver, const std::string& name) {
  const std::string path = find_program(name);
  const std::string snap = path.empty() ? "" : missing_snap(path);
  if (snap.empty()) return;
  fail("driver ", driver, ": ", path, " asks for the snap ", snap, ", which is not installed; sudo snap install ",
       snap);
}

/// A port of the loopback interface that was free a moment ago.
int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = socket >= 0 && bind(socket, generic, size) == 0 && getsockname(socket, generic, &size) == 0;
  const std::string reason = system_error();
  if (socket >= 0) close(socket);
  if (!bound) fail("webdriver: no free port on the loopback interface, ", reason);
  return ntohs(address.sin_port);
}

/// Chromium keeps shared memory in /dev/shm, which containers often make too small for it.
bool small_shared_memory() {
  struct statvfs info;
  return statvfs("/dev/shm", &info) != 0 || static_cast<double>(info.f_bavail) * info.f_frsize < 256e6;
}

/// ChromeDriver talks to the browser by this name.
bool knows_localhost() {
  addrinfo* found = nullptr;
  const bool known = getaddrinfo("localhost", nullptr, nullptr, &found) == 0;
  if (known) freeaddrinfo(found);
  return known;
}

bool wants_sandbox(const DriverChoice& choice, const BrowserOptions& options) {
  return !choice.firefox && options.sandbox && geteuid() != 0;
}

/// The likeliest reason why a browser does not start.
const char* remedy(const DriverChoice& choice, const BrowserOptions& options) {
  if (!knows_localhost()) return "the name localhost is not known here: /etc/hosts needs the line 127.0.0.1 localhost";
  if (wants_sandbox(choice, options) && choice.url.empty() && !has_user_namespaces())
    return "Chromium's sandbox needs user namespaces, which are forbidden here; --no-sandbox does without it";
  return "driver and browser must be of the same version, ar-build-image-ds --doctor compares them";
}

/// A new folder in `folder`, see BrowserOptions.
std::string browser_folder(const std::string& folder) {
  constexpr size_t kLongest = 55;  // 108 bytes in all less "/.org.chromium.Chromium.XXXXXX/SingletonSocket"
  const std::string name = "/.browser-XXXXXX";
  std::error_code error;
  std::string path = std::filesystem::absolute(folder, error).string() + name;
  if (folder.empty() || error || path.size() > kLongest) path = std::filesystem::temp_directory_path().string() + name;
  if (mkdtemp(path.data()) == nullptr) fail(path, ": cannot create a folder for the browser, ", system_error());
  return path;
}

json capabilities_for(const DriverChoice& choice, const BrowserOptions& options) {
  json always = {{"pageLoadStrategy", "normal"},
                 {"unhandledPromptBehavior", "dismiss"},
                 {"timeouts", {{"pageLoad", static_cast<long>(options.page_timeout_s * 1000)}, {"script", 30'000}}}};
  if (choice.firefox) {
    json arguments = {"-width", std::to_string(options.width), "-height", std::to_string(options.height)};
    if (options.headless) arguments.push_back("-headless");
    always["moz:firefoxOptions"] = {{"args", arguments}};
    if (!choice.browser.empty()) always["moz:firefoxOptions"]["binary"] = choice.browser;
  } else {
    json arguments = {"--no-first-run", "--disable-background-networking", "--disable-gpu", "--mute-audio",
                      cat("--window-size=", options.width, ",", options.height)};
    if (options.headless) arguments.push_back("--headless=new");
    if (!wants_sandbox(choice, options)) arguments.push_back("--no-sandbox");
    if (small_shared_memory()) arguments.push_back("--disable-dev-shm-usage");
    always["goog:chromeOptions"] = {{"args", arguments}};
    // A snap's driver sees no other browser than its own.
    if (!choice.browser.empty() && !is_snap(choice.driver)) always["goog:chromeOptions"]["binary"] = choice.browser;
  }
  return {{"capabilities", {{"alwaysMatch", always}}}};
}

}  // namespace

json to_json(const Element& element) { return {{kElementKey, element.id}}; }

std::optional<Element> to_element(const json& value) {
  if (!value.is_object() || !value.contains(kElementKey) || !value[kElementKey].is_string()) return std::nullopt;
  return Element{value[kElementKey]};
}

bool has_user_namespaces() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

DriverChoice choose_driver(const std::string& driver) {
  const auto chromium = [] {
    return first_program({"chromium", "google-chrome", "google-chrome-stable", "chromium-browser"});
  };
  const auto firefox = [] { return first_program({"firefox", "firefox-esr"}); };
  if (is_http(driver)) return {.url = driver, .driver = {}, .browser = {}};
  if (driver == "auto") {
    const DriverChoice chrome{{}, first_program({"chromedriver"}), chromium()};
    if (!chrome.driver.empty() && !chrome.browser.empty()) return chrome;
    const DriverChoice gecko{{}, first_program({"geckodriver"}), firefox(), true};
    if (!gecko.driver.empty() && !gecko.browser.empty()) return gecko;
    check_snap(driver, "chromedriver");
    if (!chrome.browser.empty()) fail("driver auto: there is ", chrome.browser, " but no chromedriver; ", kInstall);
    if (!gecko.browser.empty()) {
      fail("driver auto: there is ", gecko.browser, " but no geckodriver; get it from ", kGeckodriver, ", or ",
           kInstall);
    }
    fail("driver auto: no browser and driver are installed; ", kInstall);
  }
  const std::string path = find_program(driver);
  const bool gecko = driver.substr(driver.rfind('/') + 1).find("gecko") != std::string::npos;
  if (path.empty()) {
    fail("driver ", driver, ": there is no such program; ", gecko ? cat("get it from ", kGeckodriver) : kInstall);
  }
  check_snap(driver, driver);
  DriverChoice choice{{}, path, gecko ? firefox() : chromium(), gecko};
  if (choice.browser.empty()) {
    check_snap(driver, gecko ? "firefox" : "chromium-browser");
    fail("driver ", driver, ": ", gecko ? "Firefox" : "Chromium or Chrome", " is not installed; ",
         gecko ? "on Debian: apt install firefox-esr" : kInstall);
  }
  return choice;
}

Browser::Browser(const BrowserOptions& options) : options_(options) {
  const DriverChoice choice = choose_driver(options.driver);
  if (choice.url.empty()) {
    start_driver(choice);
  } else {
    base_ = choice.url.substr(0, choice.url.find_last_not_of('/') + 1);
  }
  new_session(choice);
}

Browser::~Browser() { quit(); }

void Browser::start_driver(const DriverChoice& choice) {
  Process::Options process;
  process.log = options_.log;
  constexpr int kAttempts = 5;  // another program may take the port between our look and the driver's
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string port = std::to_string(free_port());
    process.command = {choice.driver, (choice.firefox ? "--port" : "--port=" + port)};
    if (choice.firefox) process.command.push_back(port);
    process.folder = browser_folder(options_.folder);
    // A snap has a /tmp of its own and does not start with a HOME outside of /home.
    const bool snap = is_snap(choice.driver);
    if (!snap) process.environment = {{"TMPDIR", process.folder}};
    // Chromium also keeps crash reports and caches under these; a packaged Firefox needs its own HOME to start.
    if (!choice.firefox && !snap) {
      for (const char* name : {"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"}) {
        process.environment.emplace_back(name, process.folder);
      }
    }
    process_.emplace(process);
    base_ = "http://127.0.0.1:" + port;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (process_->running() && std::chrono::steady_clock::now() < until) {
      if (options_.stop != nullptr && options_.stop->load()) fail("webdriver: stopped");
      try {
        const HttpResponse answer = http_.send({.url = base_ + "/status", .timeout_s = 2, .proxy = false});
        const json body = json::parse(answer.body, nullptr, false);
        if (body.is_object() && body.value("value", json::object()).value("ready", false)) return;
      } catch (const Error&) {  // not listening yet
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    process_.reset();
  }
  fail(choice.driver, ": the driver does not start; run it by hand to see why");
}

void Browser::new_session(const DriverChoice& choice) {
  json value;
  try {
    value = command("POST", "/session", capabilities_for(choice, options_), 90);
  } catch (const WebDriverError& error) {
    const std::string message = error.what();
    quit();
    fail(choice.url.empty() ? choice.driver : choice.url, ": no browser session (", message, "); ",
         remedy(choice, options_));
  }
  session_ = value.value("sessionId", "");
  if (session_.empty()) fail(base_, ": this is no WebDriver, its answer has no sessionId");
  capabilities_ = value.value("capabilities", json::object());
}

json Browser::command(const std::string& method, const std::string& path, const json& body, double timeout_s) {
  HttpRequest request{.method = method, .url = base_ + path};
  if (method == "POST") {
    request.body = body.is_null() ? "{}" : body.dump(-1, ' ', false, json::error_handler_t::replace);
    request.headers = {"Content-Type: application/json; charset=utf-8"};
  }
  request.timeout_s = timeout_s > 0 ? timeout_s : options_.page_timeout_s + 30;
  request.proxy = false;
  request.stop = options_.stop;
  HttpResponse response;
  try {
    response = http_.send(request);
  } catch (const Error& error) {
    if (options_.stop != nullptr && options_.stop->load()) throw;
    throw BrowserGone(cat("webdriver: the driver does not answer (", error.what(), ")"));
  }
  json answer = json::parse(response.body, nullptr, false);
  if (!answer.is_object() || !answer.contains("value")) {
    throw BrowserGone(cat(base_, ": not an answer of a WebDriver (status ", response.status, ")"));
  }
  json& value = answer["value"];
  if (response.status == 200) return std::move(value);
  const auto text = [&](const char* name) {
    return value.is_object() && value.contains(name) && value[name].is_string() ? value[name].get<std::string>() : "";
  };
  const std::string code = text("error");
  std::string message = text("message");
  std::string reason;  // may be a second line
  if (const size_t line = message.find('\n'); line != std::string::npos) {
    reason = message.substr(line + 1, message.find('\n', line + 1) - line - 1);
    message.resize(line);
  }
  if (message.starts_with(code + ": ")) message.erase(0, code.size() + 2);  // chromedriver repeats it
  const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
  if (code == "invalid session id" || says("disconnected") || says("not reachable") || says("crashed") ||
      says("target window already closed") || code == "no such window") {
    throw BrowserGone(cat("webdriver: the browser is gone (", code, ", ", message, ")"));
  }
  throw WebDriverError(code, message == code && !reason.empty() ? reason : message);
}

void Browser::navigate(const std::string& url) { command("POST", "/session/" + session_ + "/url", {{"url", url}}); }

std::string Browser::current_url() { return command("GET", "/session/" + session_ + "/url"); }

std::string Browser::page_source() { return command("GET", "/session/" + session_ + "/source"); }

std::optional<Element> Browser::find(const std::string& css) {
  try {
    return to_element(
        command("POST", "/session/" + session_ + "/element", {{"using", "css selector"}, {"value", css}}));
  } catch (const WebDriverError& error) {
    if (error.code() != "no such element") throw;
    return std::nullopt;
  }
}

std::vector<Element> Browser::find_all(const std::string& css) {
  const json found = command("POST", "/session/" + session_ + "/elements", {{"using", "css selector"}, {"value", css}});
  std::vector<Element> elements;
  for (const json& value : found) {
    if (auto element = to_element(value)) elements.push_back(std::move(*element));
  }
  return elements;
}

void Browser::click(const Element& element) {
  command("POST", "/session/" + session_ + "/element/" + element.id + "/click", json::object());
}

json Browser::execute(const std::string& script, const json& arguments) {
  return command("POST", "/session/" + session_ + "/execute/sync", {{"script", script}, {"args", arguments}});
}

std::string Browser::screenshot() {
  const json value = command("GET", "/session/" + session_ + "/screenshot");
  auto bytes = value.is_string() ? base64_decode(value.get_ref<const std::string&>()) : std::nullopt;
  if (!bytes) throw WebDriverError("unable to capture screen", "the answer is not base64");
  return std::move(*bytes);
}

void Browser::quit() noexcept {
  if (process_) {
    process_->kill();  // with the browser and its folder; asking first could take long, when a page keeps it busy
    process_.reset();
  } else if (!session_.empty()) {
    options_.stop = nullptr;
    try {
      command("DELETE", "/session/" + session_, {}, 3);
    } catch (const std::exception&) {  // gone already
    }
  }
  session_.clear();
}

}  // namespace ar::scrape
