#include "tests/scrape/site.h"

#include <httplib.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "io/image.h"
#include "io/image_write.h"
#include "scrape/ledger.h"
#include "tests/scrape/support.h"

namespace ar::scrape::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kPage = R"html(<!doctype html><meta charset=utf-8><title>search</title>
<style>.result{height:90px;border:1px solid} #consent{position:fixed;inset:0;background:#fff} [hidden]{display:none}</style>
<div id=list></div><button id=more hidden>More results</button><p id=end hidden>That is all.</p>
<p id=none hidden>No results found</p>
<aside id=panel hidden><img id=big width=50 height=50></aside>
<div id=consent><p>May we?</p><button id=accept>Yes</button><button id=reject>Reject all</button></div>
<script>
const q = new URLSearchParams(location.search).get('q');
let from = 0, busy = false, over = false, pressed = false;
const show = (id, on) => document.getElementById(id).hidden = !on;
async function load() {
  if (busy || over || (from >= 60 && !pressed)) { show('more', from >= 60 && !pressed && !over); return; }
  busy = true;
  const items = await (await fetch('/list?q=' + encodeURIComponent(q) + '&from=' + from)).json();
  await new Promise(done => setTimeout(done, 20));
  for (const [i, item] of items.entries()) {
    const div = document.createElement('div'), n = from + i;
    div.className = 'result';
    let inner = '<img src="' + item.thumb + '" alt="result ' + n + '">';
    if (item.style === 'json') div.dataset.m = JSON.stringify({image: {url: item.url}});
    if (item.style === 'link') inner = '<a href="/goto?target=' + encodeURIComponent(item.url) + '&x=1">' + inner + '</a>';
    div.innerHTML = inner + '<a class=source href="/page/' + n + '">source</a>';
    if (item.style === 'click') div.querySelector('img').onclick = () => setTimeout(() => {
      show('panel', true);
      document.getElementById('big').setAttribute('data-full', item.url);
    }, 10);
    document.getElementById('list').append(div);
  }
  from += items.length;
  over = items.length === 0;
  show('end', over && from > 0);
  show('none', over && from === 0);
  busy = false;
  show('more', from >= 60 && !pressed && !over);
  if (from < 20) load();
}
document.getElementById('more').onclick = () => { pressed = true; show('more', false); load(); };
document.getElementById('reject').onclick = () => { document.getElementById('consent').remove(); load(); };
addEventListener('scroll', () => { if (scrollY + innerHeight > document.documentElement.scrollHeight - 300) load(); });
</script>)html";

std::string base64(const std::string& bytes) {
  constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    unsigned bits = 0;
    for (size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kLetters[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

unsigned seed_of(const std::string& query, int n) {
  return static_cast<unsigned>(hash64(query + "/" + std::to_string(n)));
}

}  // namespace

std::string kind_of(int n, bool trouble) {
  if (!trouble) return "ok";
  if (n == 7) return "429";  // only once: it pauses the whole host
  if (n == 35) return "drip";
  if (n == 37) return "endless";
  if (n == 5 || n == 6) return n == 5 ? "shared" : "shared-near";
  const std::map<int, std::string> kinds = {{3, "404"},       {11, "500"},    {13, "html"}, {17, "truncated"},
                                            {19, "redirect"}, {21, "loop"},   {23, "huge"}, {25, "copy"},
                                            {27, "near"},     {29, "robots"}, {31, "noai"}, {33, "tiny"}};
  const auto at = kinds.find(n % 40);
  return at == kinds.end() ? "ok" : at->second;
}

std::string picture(unsigned seed, int quality) {
  // A coarse grid of random colours, smoothly enlarged: pictures that differ at the low frequencies.
  constexpr int kWidth = 120, kHeight = 96, kGrid = 10;
  std::mt19937 random(seed);
  std::vector<float> grid(kGrid * kGrid * 3);
  for (float& value : grid) value = static_cast<float>(random() % 256);
  io::Image image(kWidth, kHeight);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const float gx = static_cast<float>(x) * (kGrid - 1) / kWidth, gy = static_cast<float>(y) * (kGrid - 1) / kHeight;
      const int ix = static_cast<int>(gx), iy = static_cast<int>(gy);
      const float fx = gx - static_cast<float>(ix), fy = gy - static_cast<float>(iy);
      for (int c = 0; c < 3; ++c) {
        const auto at = [&](int i, int j) { return grid[static_cast<size_t>(((iy + j) * kGrid + ix + i) * 3 + c)]; };
        const float value =
            (at(0, 0) * (1 - fx) + at(1, 0) * fx) * (1 - fy) + (at(0, 1) * (1 - fx) + at(1, 1) * fx) * fy;
        image.view().row(y)[x * 3 + c] = static_cast<uint8_t>(value);
      }
    }
  }
  const std::vector<uint8_t> bytes = io::encode_jpeg(image, quality);
  return {bytes.begin(), bytes.end()};
}

struct Site::State {
  explicit State(const Options& given) : options(given) {
    server.new_task_queue = [] { return new httplib::ThreadPool(24); };
    server.set_keep_alive_max_count(1'000'000);
    server.set_tcp_nodelay(true);
    server.Get("/search", [](const auto&, auto& answer) { answer.set_content(kPage, "text/html"); });
    server.Get("/list", [this](const auto& ask, auto& answer) {
      answer.set_content(list(ask.get_param_value("q"), std::stoi(ask.get_param_value("from")), 20).dump(),
                         "application/json");
    });
    server.Get("/api", [this](const auto& ask, auto& answer) {
      const int page = std::stoi(ask.get_param_value("page"));
      if (page == 2 && !asked_twice.exchange(true)) {
        answer.status = 429;
        answer.set_header("Retry-After", "1");
        return;
      }
      json results = json::array();
      for (const json& item : list(ask.get_param_value("q"), (page - 1) * 20, 20)) {
        results.push_back({{"url", item["url"]},
                           {"landing", "http://example.org/page"},
                           {"license", "by"},
                           {"version", "4.0"},
                           {"creator", "<a href='x'>Ann</a>"}});
      }
      answer.set_content(json{{"page_count", (options.total + 19) / 20}, {"results", results}}.dump(),
                         "application/json");
    });
    server.Get("/robots.txt", [](const auto& ask, auto& answer) {
      const bool other = ask.get_header_value("Host").starts_with("localhost");
      answer.set_content(other ? "User-agent: *\nDisallow: /img/\n" : "User-agent: *\nDisallow: /secret/\n",
                         "text/plain");
    });
    server.Get(R"(/fixture/([a-z.-]+))", [](const auto& ask, auto& answer) {
      answer.set_content(read_all(std::string(AR_FIXTURES_DIR) + "/engines/" + ask.matches[1].str()), "text/html");
    });
    server.Get(R"(/img/([^/]+)/(\d+))", [this](const auto& ask, auto& answer) {
      ++image_requests;
      image(ask.matches[1].str(), std::stoi(ask.matches[2].str()), answer);
    });
    server.Get("/loop", [](const auto&, auto& answer) { answer.set_redirect("/loop"); });
    server.Get("/to", [](const auto& ask, auto& answer) { answer.set_redirect(ask.get_param_value("url")); });
    server.Get("/hang", [this](const auto&, auto&) {
      while (!ending) std::this_thread::sleep_for(20ms);
    });
    server.Get("/busy", [](const auto&, auto& answer) {
      answer.status = 503;
      answer.set_header("Retry-After", "100000");
    });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::sleep_for(1ms);
  }

  ~State() {
    ending = true;
    server.stop();
    thread.join();
  }

  json list(const std::string& query, int from, int count) const {
    json items = json::array();
    if (query.starts_with("nothing")) return items;
    for (int n = from; n < std::min(from + count, options.total); ++n) {
      const bool robots = kind_of(n, options.trouble) == "robots";
      const std::string host = robots ? "http://localhost:" : "http://127.0.0.1:";
      // One query shows the URL in JSON, another in a link's parameter, and now and then only after a click.
      const char* style = query == "beta" ? "link" : "json";
      if (query == "gamma" && n % 10 == 0) style = "click";
      json item = {{"url", host + std::to_string(port) + "/img/" + query + "/" + std::to_string(n)}, {"style", style}};
      if (options.small_images.empty()) {
        const std::string kind = kind_of(n, options.trouble);
        // What cannot be had in full size has its thumbnail, except for some.
        const bool gone = kind == "404" || kind == "500";
        item["thumb"] = "data:image/jpeg;base64," +
                        base64(gone ? picture(seed_of(query, n), 60) : "no picture " + std::to_string(n));
      }
      items.push_back(std::move(item));
    }
    return items;
  }

  void image(const std::string& query, int n, httplib::Response& answer) {
    const std::string kind = options.small_images.empty() ? kind_of(n, options.trouble) : "small";
    const auto jpeg = [&](const std::string& bytes) { answer.set_content(bytes, "image/jpeg"); };
    const unsigned seed = seed_of(query, n);
    if (kind == "small") return jpeg(options.small_images + query + std::to_string(n));
    if (kind == "404" || kind == "500") {
      answer.status = std::stoi(kind);
    } else if (kind == "429") {
      const std::lock_guard lock(mutex);
      if (seen[query + std::to_string(n)]++ > 0) return jpeg(picture(seed));
      answer.status = 429;
      answer.set_header("Retry-After", "1");
    } else if (kind == "html") {
      answer.set_content("<html>Sign in to see this picture</html>", "image/jpeg");
    } else if (kind == "truncated") {
      auto bytes = std::make_shared<std::string>(picture(seed));
      answer.set_content_provider(bytes->size(), "image/jpeg", [bytes](size_t from, size_t, httplib::DataSink& sink) {
        if (from > 0) return false;
        return sink.write(bytes->data(), bytes->size() / 2);
      });
    } else if (kind == "redirect") {
      answer.set_redirect("/img/" + query + "-redirected/" + std::to_string(n + 1));
    } else if (kind == "loop") {
      answer.set_redirect("/loop");
    } else if (kind == "huge") {
      // A PNG of 60000 x 60000 pixels: header and end.
      const unsigned char head[] = {0x89, 'P',  'N',  'G',  13,   10, 26, 10,   0,    0,   0,   13,   'I',  'H',  'D',
                                    'R',  0,    0,    0xEA, 0x60, 0,  0,  0xEA, 0x60, 8,   2,   0,    0,    0,    0x0F,
                                    0xB0, 0xE2, 0x15, 0,    0,    0,  0,  'I',  'E',  'N', 'D', 0xAE, 0x42, 0x60, 0x82};
      answer.set_content(std::string(head, head + sizeof head), "image/png");
    } else if (kind == "copy") {
      jpeg(picture(seed_of(query, n - 1)));
    } else if (kind == "near") {
      jpeg(picture(seed_of(query, n - 1), 40));
    } else if (kind == "shared") {
      jpeg(picture(12345));
    } else if (kind == "shared-near") {
      jpeg(picture(54321, 70 + static_cast<int>(seed % 25)));
    } else if (kind == "noai") {
      answer.set_header("X-Robots-Tag", "noindex, noimageai");
      jpeg(picture(seed));
    } else if (kind == "tiny") {
      io::Image dot(8, 8);
      std::fill_n(dot.view().row(0), 8 * 8 * 3, static_cast<uint8_t>(n));
      const auto bytes = io::encode_jpeg(dot, 90);
      jpeg({bytes.begin(), bytes.end()});
    } else if (kind == "drip") {
      answer.set_content_provider(100000, "image/jpeg", [this](size_t, size_t, httplib::DataSink& sink) {
        std::this_thread::sleep_for(100ms);
        return !ending && sink.write("x", 1);
      });
    } else if (kind == "endless") {
      answer.set_chunked_content_provider("image/jpeg", [this](size_t, httplib::DataSink& sink) {
        return !ending && sink.write(std::string(65536, 'x').data(), 65536);
      });
    } else {
      jpeg(picture(seed));
    }
  }

  Options options;
  httplib::Server server;
  int port = 0;
  std::atomic<int> image_requests{0};
  std::atomic<bool> ending{false}, asked_twice{false};
  std::mutex mutex;
  std::map<std::string, int> seen;
  std::thread thread;
};

Site::Site(const Options& options) : state_(std::make_unique<State>(options)) {}
Site::~Site() = default;
std::string Site::url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(state_->port) + path;
}
std::string Site::other_url(const std::string& path) const {
  return "http://localhost:" + std::to_string(state_->port) + path;
}
int Site::port() const { return state_->port; }
int Site::image_requests() const { return state_->image_requests; }

std::string Site::write_profile(const std::string& folder) const {
  const json profile = {{"name", "test"},
                        {"kind", "page"},
                        {"search_url", url("/search?q={query}")},
                        {"consent", {"#reject"}},
                        {"results", ".result"},
                        {"full",
                         {{{"attribute", "data-m"}, {"json", "image.url"}},
                          {{"selector", "a[href*='target=']"}, {"attribute", "href"}, {"parameter", "target"}}}},
                        {"thumbnail", {{{"selector", "img"}, {"attribute", "src"}}}},
                        {"page", {{{"selector", "a.source"}, {"attribute", "href"}}}},
                        {"title", {{{"selector", "img"}, {"attribute", "alt"}}}},
                        {"click",
                         {{"selector", "img"},
                          {"wait_s", 2},
                          {"full", {{{"scope", "page"}, {"selector", "#big"}, {"attribute", "data-full"}}}}}},
                        {"more", {{{"selector", "#more"}}}},
                        {"end", {{{"selector", "#end"}, {"text", "That is all"}}}},
                        {"no_results", {{{"selector", "#none"}}}},
                        {"load_s", 5},
                        {"patience_s", 3}};
  const std::string path = folder + "/test-engine.json";
  std::ofstream(path) << profile.dump(2);
  return path;
}

std::string Site::write_api_profile(const std::string& folder) const {
  const json profile = {{"name", "test-api"},
                        {"kind", "api"},
                        {"search_url", url("/api?q={query}&page={page}")},
                        {"list", "results"},
                        {"image", "url"},
                        {"landing", "landing"},
                        {"license", "license"},
                        {"license_version", "version"},
                        {"author", "creator"},
                        {"pages", "page_count"},
                        {"pause_s", 0}};
  const std::string path = folder + "/test-api.json";
  std::ofstream(path) << profile.dump(2);
  return path;
}

}  // namespace ar::scrape::test
