// How many small images a second the builder downloads, checks and files from a web server on this machine, and how its
// memory grows with the number of results.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "apps/common/program.h"
#include "apps/images/image_check.h"
#include "io/image_write.h"
#include "scrape/builder.h"
#include "tensor/error.h"

namespace {

namespace fs = std::filesystem;
using namespace ar;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A picture whose low frequencies are those of `seed` alone.
std::vector<uint8_t> picture(unsigned seed) {
  std::mt19937 random(seed);
  float grid[9][9];
  for (auto& row : grid) {
    for (float& value : row) value = static_cast<float>(random() % 256);
  }
  io::Image image(96, 72);
  for (int y = 0; y < 72; ++y) {
    for (int x = 0; x < 96; ++x) {
      const int i = x / 12, j = y / 9;
      const float fx = static_cast<float>(x % 12) / 12, fy = static_cast<float>(y % 9) / 9;
      const float value = (grid[j][i] * (1 - fx) + grid[j][i + 1] * fx) * (1 - fy) +
                          (grid[j + 1][i] * (1 - fx) + grid[j + 1][i + 1] * fx) * fy;
      for (int c = 0; c < 3; ++c) image.view().row(y)[x * 3 + c] = static_cast<uint8_t>(value);
    }
  }
  return io::encode_jpeg(image, 85);
}

/// Answers every GET of /N with picture N, on keep-alive connections, a thread each.
class Server {
 public:
  Server() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    AR_CHECK(
        bind(socket_, generic, size) == 0 && listen(socket_, 512) == 0 && getsockname(socket_, generic, &size) == 0,
        "bench: no port on the loopback interface");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] {
      for (int one; (one = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        const std::lock_guard lock(mutex_);
        connections_.push_back(one);
        threads_.emplace_back([one] { serve(one); });
      }
    });
  }
  ~Server() {
    shutdown(socket_, SHUT_RDWR);
    acceptor_.join();
    for (const int one : connections_) shutdown(one, SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
    for (const int one : connections_) close(one);
    close(socket_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  std::string url(int64_t n) const { return "http://127.0.0.1:" + std::to_string(port_) + "/" + std::to_string(n); }

 private:
  static void serve(int connection) {
    const int on = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::string asked;
    char buffer[4096];
    for (ssize_t got; (got = recv(connection, buffer, sizeof buffer, 0)) > 0;) {
      asked.append(buffer, static_cast<size_t>(got));
      for (size_t end; (end = asked.find("\r\n\r\n")) != std::string::npos; asked.erase(0, end + 4)) {
        const auto body = picture(static_cast<unsigned>(std::atoi(asked.c_str() + std::strlen("GET /"))));
        std::string answer =
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n\r\n";
        answer.append(body.begin(), body.end());
        if (send(connection, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      }
    }
  }

  int socket_, port_ = 0;
  std::mutex mutex_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// Finds `count` pictures for each query.
class NumberEngine : public scrape::Engine {
 public:
  NumberEngine(const Server& server, int64_t count) : server_(server), count_(count) {}
  scrape::SearchEnd search(const scrape::SearchRequest& request, const scrape::OnFound& on_found) override {
    const int64_t first = std::stoll(request.query) * count_;
    for (int64_t i = 0; i < count_ && !*request.stop; ++i) {
      scrape::Found found;
      found.url = server_.url(first + i);
      found.page = "http://example.org/a/page/of/usual/length/" + std::to_string(i);
      on_found(std::move(found));
    }
    return scrape::SearchEnd::kEnd;
  }

 private:
  const Server& server_;
  int64_t count_;
};

/// Resident memory of this process in MiB.
double memory_mib() {
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

int run(int classes, int64_t images, int workers, std::string folder) {
  char temporary[] = "/tmp/ar-bench-XXXXXX";
  if (folder.empty()) folder = mkdtemp(temporary);
  const Server server;
  std::vector<scrape::ActionClass> list;
  for (int c = 0; c < classes; ++c) list.push_back({"class " + std::to_string(c), {std::to_string(c)}});
  scrape::BuildOptions options;
  options.ledger.folder = folder + "/set";
  options.ledger.wanted = images;
  options.fetch.workers = workers;
  options.fetch.per_host = 64;
  options.fetch.rate = 0;
  options.fetch.allow_private = true;
  const int64_t total = classes * images;
  const auto start = Clock::now();
  int64_t next_line = total / 10;
  double early = 0;
  const auto result = scrape::build_data_set(
      list, options, [&] { return std::make_unique<NumberEngine>(server, images); },
      [](const std::string& bytes) { return apps::check_image(bytes, {}); },
      [&](const scrape::BuildProgress& state) {
        if (state.kept < next_line) return;
        std::printf("%8ld images  %7.0f images/s  %7.1f MiB resident\n", static_cast<long>(state.kept),
                    static_cast<double>(state.kept) / seconds_since(start), memory_mib());
        if (early == 0) early = memory_mib();
        next_line += total / 10;
      });
  const double elapsed = seconds_since(start);
  int64_t kept = 0;
  for (const auto& counts : result.counts) kept += counts.kept;
  std::printf("%ld of %ld images kept, %d workers: %.0f images/s, memory grew by %.1f MiB since the first tenth\n",
              static_cast<long>(kept), static_cast<long>(total), workers, static_cast<double>(total) / elapsed,
              memory_mib() - early);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures downloading, checking and filing of small images from a server on this machine."};
  apps::add_common_options(app);
  int classes = 10, workers = 8;
  int64_t images = 1000;
  std::string folder;
  app.add_option("--classes", classes, "classes")->check(CLI::Range(1, 1000));
  app.add_option("--images", images, "images of each class")->check(CLI::Range(1, 100'000));
  app.add_option("--num-workers", workers, "download threads")->check(CLI::Range(1, 256));
  app.add_option("--out-path", folder, "new folder to work in, removed at the end; by default a temporary one");
  return apps::run_program(app, argc, argv, [&] { return run(classes, images, workers, folder); });
}
