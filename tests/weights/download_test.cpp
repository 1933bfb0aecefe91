#include "scrape/download.h"

#include <atomic>
#include <cstdlib>

#include "scrape/error.h"
#include "tests/weights/http_server.h"
#include "tests/weights/weights_test.h"

namespace ar::scrape {
namespace {

using testing::HasSubstr;
using Names = std::vector<std::string>;

std::string message_of(const Download& request) {
  try {
    download(request);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "no error";
}

std::string noise(size_t bytes) {
  std::string text(bytes, '\0');
  uint32_t state = 1;
  for (char& c : text) c = char((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

class DownloadTest : public testing::Test {
 protected:
  DownloadTest() { ::setenv("no_proxy", "127.0.0.1", 1); }
  Download request(const HttpServer& server, const std::string& name = "/file") {
    return {.url = server.url(name), .path = folder_ / "file", .pause_s = 0.01, .stall_s = 2};
  }
  const TemporaryFolder folder_;
  const std::string body_ = noise(3'000'000);
  std::vector<std::string> ranges_;  // asked for, one of each request
  void note(const httplib::Request& r) { ranges_.push_back(r.get_header_value("Range")); }
};

TEST_F(DownloadTest, FetchesAFileAndTellsHowFarItIs) {
  const HttpServer server(
      [&](const auto&, auto& response) { response.set_content(body_, "application/octet-stream"); });
  Download r = request(server);
  int64_t last = 0;
  r.progress = [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, int64_t(body_.size()));
    last = done;
  };
  download(r);
  EXPECT_EQ(read_file(folder_ / "file"), body_);
  EXPECT_EQ(last, int64_t(body_.size()));
  EXPECT_EQ(folder_.files(), Names{"file"});
}

TEST_F(DownloadTest, ACutConnectionIsTakenUpWhereItBroke) {
  int requests = 0;
  const HttpServer server([&](const auto& r, auto& response) {
    note(r);
    if (++requests < 3) return send_and_break(response, body_, size_t(1'000'000 * requests));
    response.set_content(body_, "application/octet-stream");
  });
  download(request(server));
  EXPECT_EQ(read_file(folder_ / "file"), body_);
  EXPECT_EQ(ranges_, (Names{"", "bytes=1000000-", "bytes=2000000-"}));
}

TEST_F(DownloadTest, AnUnfinishedFileOfAnEarlierProcessIsTakenUp) {
  const HttpServer server([&](const auto& r, auto& response) {
    note(r);
    response.set_content(body_, "application/octet-stream");
  });
  write_file(folder_ / "file.part", body_.substr(0, 12345));
  Download r = request(server);
  r.check = [&](const std::string& file) { EXPECT_EQ(read_file(file), body_); };
  download(r);
  EXPECT_EQ(read_file(folder_ / "file"), body_);
  EXPECT_EQ(ranges_, Names{"bytes=12345-"});
}

TEST_F(DownloadTest, AnUnfinishedFileThatDoesNotBelongIsStartedOver) {
  const HttpServer server([&](const auto& r, auto& response) {
    note(r);
    response.set_content(body_, "application/octet-stream");
  });
  const auto wanted = [&](const std::string& file) {
    if (read_file(file) != body_) fail("wrong");
  };
  write_file(folder_ / "file.part", "something else");
  Download r = request(server);
  r.check = wanted;
  download(r);
  EXPECT_EQ(ranges_, (Names{"bytes=14-", ""}));
  // Longer than the file: the server has nothing to add.
  write_file(folder_ / "file.part", body_ + "something else");
  download(r);
  EXPECT_EQ(read_file(folder_ / "file"), body_);
  // Without a check nobody could tell.
  write_file(folder_ / "file.part", "something else");
  r.check = {};
  download(r);
  EXPECT_EQ(read_file(folder_ / "file"), body_);
}

TEST_F(DownloadTest, AServerWithoutRangesSendsItAllAgain) {
  int requests = 0;
  const HttpServer server([&](const auto& r, auto& response) {
    if (++requests == 1) return send_and_break(response, body_, 1000);
    const_cast<httplib::Request&>(r).ranges.clear();
    response.set_content(body_, "application/octet-stream");
  });
  download(request(server));
  EXPECT_EQ(read_file(folder_ / "file"), body_);
}

TEST_F(DownloadTest, WhatTheCheckRefusesIsGone) {
  const HttpServer server([&](const auto&, auto& response) { response.set_content("bad", "text/plain"); });
  Download r = request(server);
  r.check = [](const std::string&) { throw std::runtime_error("not what was wanted"); };
  EXPECT_EQ(message_of(r), "not what was wanted");
  EXPECT_EQ(folder_.files(), Names{});
}

TEST_F(DownloadTest, AMissingFileIsAnErrorAtOnce) {
  int requests = 0;
  const HttpServer server([&](const auto&, auto& response) {
    ++requests;
    response.status = 404;
    response.set_content("<html>not here</html>", "text/html");
  });
  EXPECT_EQ(message_of(request(server)), server.url("/file") + ": the server answers 404");
  EXPECT_EQ(requests, 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "file"));
}

TEST_F(DownloadTest, ABusyServerIsAskedAgain) {
  int requests = 0;
  const HttpServer server([&](const auto&, auto& response) {
    response.status = 503;
    if (++requests == 3) response.status = 200;
    response.set_content(requests == 3 ? "good" : "busy", "text/plain");
  });
  download(request(server));
  EXPECT_EQ(read_file(folder_ / "file"), "good");
}

TEST_F(DownloadTest, GivesUpInTheEndAndKeepsWhatItHas) {
  const HttpServer server([&](const auto&, auto& response) { send_and_break(response, body_, 1000); });
  Download r = request(server);
  r.attempts = 2;
  EXPECT_THAT(message_of(r), HasSubstr("(2 attempts)"));
  EXPECT_EQ(folder_.files(), Names{"file.part"});
}

TEST_F(DownloadTest, CanBeStopped) {
  std::atomic<bool> stop = false;
  const HttpServer server([&](const auto&, auto& response) {
    response.set_content_provider(body_.size(), "application/octet-stream",
                                  [&](size_t offset, size_t, httplib::DataSink& sink) {
                                    std::error_code none_yet;  // it stops when some of the file has arrived
                                    const auto size = std::filesystem::file_size(folder_ / "file.part", none_yet);
                                    if (offset >= 100'000 && !none_yet && size > 0) stop = true;
                                    if (offset >= 100'000) std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                    sink.write(body_.data() + offset, 10'000);
                                    return true;
                                  });
  });
  Download r = request(server);
  r.stop = &stop;
  EXPECT_EQ(message_of(r), r.url + ": stopped");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "file"));
  EXPECT_GT(std::filesystem::file_size(folder_ / "file.part"), 0u);
}

TEST_F(DownloadTest, OnlyTheWebIsRead) {
  EXPECT_THAT(message_of({.url = "file:///etc/hostname", .path = folder_ / "file"}),
              HasSubstr("file:///etc/hostname: "));
  EXPECT_THAT(message_of({.url = "http://127.0.0.1:1/x", .path = folder_ / "file", .attempts = 1}),
              HasSubstr("http://127.0.0.1:1/x: "));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "file"));
}

}  // namespace
}  // namespace ar::scrape
