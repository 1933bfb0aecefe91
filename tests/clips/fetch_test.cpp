// Fetching: arguments for yt-dlp, a stand-in for it, and addresses on a server of our own.
#include "apps/clips/fetch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/jsonl.h"
#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;
using test::TempDir;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Serves files over HTTP on the loopback interface, one connection at a time.
class Server {
 public:
  explicit Server(std::map<std::string, std::string> files) : files_(std::move(files)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 16);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (int c; (c = accept(listener_, nullptr, nullptr)) >= 0; close(c)) {
      std::string request;
      char buffer[4096];
      for (ssize_t n; request.find("\r\n\r\n") == std::string::npos && (n = recv(c, buffer, sizeof(buffer), 0)) > 0;)
        request.append(buffer, size_t(n));
      ++requests_;
      const size_t from = request.find(' ') + 1;
      const auto found = files_.find(request.substr(from, request.find_first_of(" ?", from) - from));
      const std::string body = found == files_.end() ? "nothing here" : found->second;
      const std::string answer = std::string("HTTP/1.1 ") + (found == files_.end() ? "404 Not Found" : "200 OK") +
                                 "\r\nContent-Length: " + std::to_string(body.size()) +
                                 "\r\nConnection: close\r\n\r\n" + body;
      for (size_t sent = 0; sent < answer.size();) {
        const ssize_t n = send(c, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += size_t(n);
      }
    }
  }

  std::map<std::string, std::string> files_;
  int listener_ = -1, port_ = 0;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

TEST(FetchVideos, AddressesAreFetchedOnceAndChecked) {
  const TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(50)});
  test::make_video(dir / "long.mp4", {.pts = test::steps(500)});
  const Server server({{"/a.mp4", text_of(dir / "a.mp4")},
                       {"/v/long.mp4", text_of(dir / "long.mp4")},
                       {"/page.mp4", std::string(5000, 'x')}});
  const std::vector<scrape::ActionClass> actions = {
      {"walk dog", {server.url("/a.mp4?x=1"), server.url("/none.mp4"), server.url("/page.mp4")}},
      {"jump", {server.url("/v/long.mp4")}}};
  FetchOptions o{.out_dir = dir / "out", .max_duration = 10, .yt_dlp = "/nowhere/yt-dlp"};
  testing::internal::CaptureStderr();
  const FetchResult r = fetch_videos(actions, o);
  const std::string errors = testing::internal::GetCapturedStderr();
  EXPECT_EQ(r.fetched, 1) << errors;
  EXPECT_EQ(r.failed, 3);
  EXPECT_THAT(errors, HasSubstr("longer than allowed"));
  const auto lines = io::read_json_lines(dir / "out/manifest.jsonl");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("action"), "walk dog");
  const std::string file = lines[0].at("file");
  EXPECT_THAT(file, MatchesRegex("walk_dog/a-[0-9a-f]{8}.mp4"));
  EXPECT_TRUE(text_of(dir / "out/" + file) == text_of(dir / "a.mp4"));
  EXPECT_EQ(lines[0].at("url"), server.url("/a.mp4?x=1"));
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "out"))
    files += entry.path().extension() != ".jsonl" && entry.is_regular_file();
  EXPECT_EQ(files, 2);  // the video and .lock

  const int before = server.requests();
  EXPECT_EQ(fetch_videos({{"walk dog", {server.url("/a.mp4?x=1")}}}, o).present, 1);
  EXPECT_EQ(server.requests(), before);
}

TEST(FetchVideos, TwoAddressesWithOneFileNameGiveTwoFiles) {
  const TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(50)});
  test::make_video(dir / "b.mp4", {.pts = test::steps(70)});
  const Server server({{"/a/video.mp4", text_of(dir / "a.mp4")}, {"/b/video.mp4", text_of(dir / "b.mp4")}});
  const std::vector<scrape::ActionClass> actions = {{"x", {server.url("/a/video.mp4"), server.url("/b/video.mp4")}}};
  const FetchOptions o{.out_dir = dir / "out"};
  EXPECT_EQ(fetch_videos(actions, o).fetched, 2);
  const auto lines = io::read_json_lines(dir / "out/manifest.jsonl");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(text_of(dir / "out/" + lines[0].at("file").get<std::string>()), text_of(dir / "a.mp4"));
  EXPECT_EQ(text_of(dir / "out/" + lines[1].at("file").get<std::string>()), text_of(dir / "b.mp4"));

  // Killed before it was listed: the file is there, complete.
  fs::resize_file(dir / "out/manifest.jsonl", 0);
  const int before = server.requests();
  EXPECT_EQ(fetch_videos(actions, o).failed, 0);
  EXPECT_EQ(server.requests(), before);
  EXPECT_EQ(io::read_json_lines(dir / "out/manifest.jsonl"), lines);
}

TEST(FetchVideos, OneRunAtATimeWritesIntoAFolder) {
  const TempDir dir;
  fs::create_directories(dir / "out");
  const int lock = open((dir / "out/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  EXPECT_MESSAGE(fetch_videos({{"x", {"http://127.0.0.1:1/a.mp4"}}}, {.out_dir = dir / "out"}),
                 "another run is writing here");
  close(lock);
}

TEST(FetchVideos, ALimitOnBytesHolds) {
  const TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(50)});
  const Server server({{"/a.mp4", text_of(dir / "a.mp4")}});
  testing::internal::CaptureStderr();
  const FetchResult r = fetch_videos({{"x", {server.url("/a.mp4")}}}, {.out_dir = dir / "out", .max_bytes = 1000});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("larger than allowed"));
  EXPECT_EQ(r.failed, 1);
  EXPECT_TRUE(fs::is_empty(dir / "out/x"));
}

TEST(FetchVideos, ALimitOnTheRateHolds) {
  const TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(50)});
  std::string video = text_of(dir / "a.mp4");
  video += std::string("\x00\x80\x00\x00", 4) + "free" + std::string((8 << 20) - 8, '\0');  // a box of 8 MiB to skip
  const Server server({{"/a.mp4", video}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(fetch_videos({{"x", {server.url("/a.mp4")}}}, {.out_dir = dir / "out", .rate = 4 << 20}).fetched, 1);
  EXPECT_GT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
            0.5);  // a first burst is let through
}

TEST(FetchVideos, YtDlpGetsItsLimitsAndNoQueryBecomesAnOption) {
  const FetchOptions o{.out_dir = "/o", .max_duration = 60, .max_bytes = 1000, .rate = 500, .max_height = 240};
  const auto a = yt_dlp_arguments("--exec rm; $(x)", "/o/jump", "/o/lines", 3, 8, o);
  EXPECT_EQ(a.back(), "ytsearch8:--exec rm; $(x)");
  EXPECT_EQ(a[a.size() - 2], "--");
  for (const char* part :
       {"!is_live & duration <=? 60", "1000", "500", "/o/archive.txt", "/o/jump/%(id)s.%(ext)s", "3"})
    EXPECT_THAT(a, Contains(part));
  const auto percent = yt_dlp_arguments("x", "/100%/jump", "/100%/lines", 1, 1, o);
  for (const char* part : {"/100%%/jump/%(id)s.%(ext)s", "/100%%/lines"}) EXPECT_THAT(percent, Contains(part));
  EXPECT_EQ(yt_dlp_arguments("https://a.b/watch?v=1", "f", "l", 1, 1, o).back(), "https://a.b/watch?v=1");
}

TEST(FetchVideos, WithoutYtDlpASearchIsAnError) {
  const TempDir dir;
  EXPECT_MESSAGE(fetch_videos({{"jump", {"people jumping"}}}, {.out_dir = dir / "out", .yt_dlp = "/nowhere/yt-dlp"}),
                 "/nowhere/yt-dlp: is not installed");
}

TEST(FetchVideos, WhatYtDlpFetchedGoesIntoTheManifest) {
  const TempDir dir;
  test::make_video(dir / "short.mp4", {.pts = test::steps(50)});
  test::make_video(dir / "long.mp4", {.pts = test::steps(500)});
  // A program with yt-dlp's manners: one video per call, or an error for a query with "none" in it.
  const std::string fake = dir / "yt-dlp";
  std::ofstream(fake) << R"(#!/bin/bash
printf '%s\n' "$@" >"$(dirname "$0")/arguments"
while (($#)); do
  case $1 in
    --output) file=${2//%(id)s.%(ext)s/abc.mp4} ;;
    --print-to-file) lines=$3 ;;
  esac
  query=$1; shift
done
if [[ $query == *none* ]]; then echo "ERROR: nothing found for it"; exit 1; fi
if [[ $query == *marathon* ]]; then length=long; else length=short; fi
cp "$(dirname "$0")/$length.mp4" "$file"
printf '{"id":"abc","title":"a \\"title\\"","webpage_url":"https://x/abc","license":"CC BY","uploader":"me","duration":null,"filepath":"%s"}\n' "$file" >>"$lines"
)";
  fs::permissions(fake, fs::perms::owner_all);
  const FetchOptions o{.out_dir = dir / "out", .count = 1, .max_duration = 10, .yt_dlp = fake};
  testing::internal::CaptureStderr();
  const FetchResult r =
      fetch_videos({{"jump", {"people jumping", "never asked"}}, {"swim", {"none"}}, {"run", {"marathon"}}}, o);
  const std::string errors = testing::internal::GetCapturedStderr();
  EXPECT_EQ(r.fetched, 1) << errors;
  EXPECT_EQ(r.failed, 1);
  EXPECT_THAT(errors, HasSubstr("nothing found for it"));
  EXPECT_THAT(errors, HasSubstr("takes 20 s, longer than allowed; removed"));
  EXPECT_THAT(errors, HasSubstr("note: run: \"marathon\" gave no new video"));
  EXPECT_FALSE(fs::exists(dir / "out/run/abc.mp4"));
  const auto lines = io::read_json_lines(dir / "out/manifest.jsonl");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("license"), "CC BY");
  EXPECT_EQ(lines[0].at("duration"), 2);
  EXPECT_EQ(lines[0].at("file"), "jump/abc.mp4");
  EXPECT_THAT(text_of(dir / "arguments"), HasSubstr("ytsearch2:marathon"));
  EXPECT_EQ(fetch_videos({{"jump", {"people jumping"}}}, o).present, 1);
}

TEST(FetchVideos, WhatAKilledRunFetchedIsListedByTheNext) {
  const TempDir dir;
  test::make_video(dir / "short.mp4", {.pts = test::steps(50)});
  // Fetches one video in the first call and waits to be killed, another in the second.
  const std::string fake = dir / "yt-dlp";
  std::ofstream(fake) << R"(#!/bin/bash
here=$(dirname "$0")
while (($#)); do
  case $1 in
    --output) output=$2 ;;
    --print-to-file) lines=$3 ;;
  esac
  shift
done
if [[ -e $here/waiting ]]; then id=two; else id=one; fi
file=${output//%(id)s.%(ext)s/$id.mp4}
cp "$here/short.mp4" "$file"
printf '{"id":"%s","webpage_url":"https://x/%s","license":"CC BY","filepath":"%s"}\n' $id $id "$file" >>"$lines"
if [[ $id == one ]]; then touch "$here/waiting"; sleep 60; fi
)";
  fs::permissions(fake, fs::perms::owner_all);
  const FetchOptions o{.out_dir = dir / "out", .count = 2, .yt_dlp = fake};
  const std::vector<scrape::ActionClass> actions = {{"long jump", {"people jumping"}}};
  const pid_t run = fork();
  if (run == 0) {
    fetch_videos(actions, o);
    _exit(0);
  }
  for (int i = 0; i < 1000 && !fs::exists(dir / "waiting"); ++i) usleep(10'000);
  kill(run, SIGKILL);
  waitpid(run, nullptr, 0);
  const FetchResult r = fetch_videos(actions, o);
  EXPECT_EQ(r.present, 1);
  EXPECT_EQ(r.fetched, 1);
  const auto lines = io::read_json_lines(dir / "out/manifest.jsonl");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].at("action"), "long jump");
  EXPECT_EQ(lines[0].at("license"), "CC BY");
  EXPECT_EQ(lines[0].at("file"), "long_jump/one.mp4");
  EXPECT_EQ(lines[1].at("file"), "long_jump/two.mp4");
}

}  // namespace
}  // namespace ar::apps
