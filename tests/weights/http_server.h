// A web server of this process, which can misbehave.
#pragma once
#include <httplib.h>

#include <functional>
#include <string>
#include <thread>

namespace ar {

class HttpServer {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;
  explicit HttpServer(const Handler& handler) {
    server_.Get(".*", handler);
    server_.set_keep_alive_max_count(1);  // or else it waits for more at the end
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~HttpServer() {
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

/// Announces all of `body` (from where the request's range begins) and breaks the connection after `bytes` of it.
inline void send_and_break(httplib::Response& response, const std::string& body, size_t bytes) {
  response.set_content_provider(body.size(), "application/octet-stream",
                                [body, bytes](size_t offset, size_t, httplib::DataSink& sink) {
                                  if (offset >= bytes) return false;
                                  sink.write(body.data() + offset, bytes - offset);
                                  return true;
                                });
}

}  // namespace ar
