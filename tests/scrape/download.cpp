// Downloads of large files from servers that are slow, or whose file is not the one that was begun.
#include "scrape/download.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/scrape/support.h"
#include "tests/weights/http_server.h"

namespace ar::scrape {
namespace {

using namespace std::chrono_literals;
using test::Folder;
using test::read_all;

TEST(DownloadSlow, AServerThatHardlySendsAnythingIsGivenUp) {
  const HttpServer server([](const auto&, auto& answer) {
    answer.set_content_provider(400, "video/mp4", [](size_t, size_t, httplib::DataSink& sink) {
      std::this_thread::sleep_for(100ms);
      return sink.write("0123456789", 10);  // 100 bytes a second
    });
  });
  const Folder folder;
  Download request{.url = server.url("/a.mp4"), .path = folder.path + "/a.mp4", .attempts = 1, .stall_s = 1};
  EXPECT_ERROR(download(request), server.url("/a.mp4"), "too slow");
  request.bytes_per_s = 150;  // as slow as asked for
  request.url = server.url("/b.mp4");
  download(request);
}

TEST(DownloadChanged, PiecesOfTwoFilesAreNotJoined) {
  const std::string before(1000, 'a'), after(1000, 'b');
  int requests = 0;
  const HttpServer server([&](const auto& ask, auto& answer) {
    const bool first = ++requests == 1;
    answer.set_header("ETag", first ? "\"1\"" : "\"2\"");
    if (first) return send_and_break(answer, before, 500);
    EXPECT_EQ(ask.get_header_value("If-Range"), "\"1\"");
    if (ask.has_header("If-Range")) const_cast<httplib::Request&>(ask).ranges.clear();
    answer.set_content(after, "video/mp4");
  });
  const Folder folder;
  download({.url = server.url("/a.mp4"), .path = folder.path + "/a.mp4", .pause_s = 0.01});
  EXPECT_EQ(read_all(folder.path + "/a.mp4"), after);
}

TEST(DownloadChanged, AnotherRangeThanAskedForIsNotAppended) {
  const std::string body = std::string(500, 'a') + std::string(500, 'b');
  int requests = 0;
  const HttpServer server([&](const auto& ask, auto& answer) {
    if (++requests == 1) return send_and_break(answer, body, 500);
    const_cast<httplib::Request&>(ask).ranges.clear();
    if (requests == 2) {
      answer.status = 206;
      answer.set_header("Content-Range", "bytes 0-999/1000");
    }
    answer.set_content(body, "video/mp4");
  });
  const Folder folder;
  download({.url = server.url("/a.mp4"), .path = folder.path + "/a.mp4", .pause_s = 0.01});
  EXPECT_EQ(read_all(folder.path + "/a.mp4"), body);
}

}  // namespace
}  // namespace ar::scrape
