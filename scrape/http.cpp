#include "scrape/http.h"

#include <curl/curl.h>

#include <mutex>
#include <string_view>

#include "scrape/certificates.h"
#include "scrape/error.h"
#include "scrape/robots.h"

namespace ar::scrape {

void init_http() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) fail("http: libcurl does not start");
  });
}

const std::string& user_agent() {
  static const std::string text =
      std::string(kRobotName) + "/" AR_VERSION " (builds image data sets; obeys robots.txt)";
  return text;
}

namespace {

struct Exchange {
  const HttpRequest& request;
  HttpResponse response;
  bool too_long = false;
};

size_t on_body(const char* data, size_t, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.response.body.size() + size > exchange.request.max_bytes) {
    exchange.too_long = true;
    return 0;
  }
  exchange.response.body.append(data, size);
  return size;
}

size_t on_header(const char* data, size_t, size_t size, void* user) {
  auto& headers = static_cast<Exchange*>(user)->response.headers;
  std::string_view line(data, size);
  if (line.starts_with("HTTP/")) headers.clear();  // the answer after a redirect
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(line.substr(0, colon));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  line.remove_prefix(colon + 1);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  headers[name] = line;
  return size;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto* stop = static_cast<Exchange*>(user)->request.stop;
  return stop != nullptr && stop->load() ? 1 : 0;
}

}  // namespace

struct HttpClient::State {
  CURL* handle = curl_easy_init();
  ~State() { curl_easy_cleanup(handle); }
};

HttpClient::HttpClient() {
  init_http();
  state_ = std::make_unique<State>();
  if (state_->handle == nullptr) fail("http: out of memory");
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

HttpResponse HttpClient::send(const HttpRequest& request) {
  CURL* handle = state_->handle;
  curl_easy_reset(handle);
  Exchange exchange{request, {}};
  curl_slist* headers = nullptr;
  for (const std::string& header : request.headers) headers = curl_slist_append(headers, header.c_str());
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (!request.body.empty()) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent().c_str());
  curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_s * 1000));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, 15'000L);
  set_certificates(handle);
  if (!request.proxy) curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  const CURLcode code = curl_easy_perform(handle);
  curl_slist_free_all(headers);
  if (code == CURLE_ABORTED_BY_CALLBACK) fail(request.url, ": stopped");
  if (exchange.too_long) fail(request.url, ": the answer is longer than ", request.max_bytes, " bytes");
  if (code != CURLE_OK) fail(request.url, ": ", curl_easy_strerror(code));
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &exchange.response.status);
  const char* url = nullptr;
  curl_easy_getinfo(handle, CURLINFO_EFFECTIVE_URL, &url);
  exchange.response.url = url != nullptr ? url : request.url;
  return std::move(exchange.response);
}

}  // namespace ar::scrape
