// Plain blocking HTTP for small answers: the WebDriver protocol and JSON APIs. Images come by fetch_pool.h.
#pragma once
#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ar::scrape {

/// Prepares libcurl for this process; any thread may call it, any number of times.
void init_http();

/// "ar-build-image-ds/VERSION (...)": what we tell every server we are.
const std::string& user_agent();

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string body = {};                    ///< sent with POST and the like
  std::vector<std::string> headers = {};    ///< "Name: value"
  double timeout_s = 30;                    ///< for the whole exchange
  std::size_t max_bytes = 256 << 20;        ///< a longer answer is an error
  bool proxy = true;                        ///< whether http_proxy and the like of the environment count
  const std::atomic<bool>* stop = nullptr;  ///< when it turns true the request ends with an Error
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case; of equal ones the last
  std::string body;
  std::string url;  ///< after redirects
};

/// A connection kept alive between requests; one thread at a time.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  /// Any status is an answer; throws Error when there is none ("URL: reason").
  HttpResponse send(const HttpRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::scrape
