// The small texts that servers send: URLs, data: URIs, base64, Retry-After, X-Robots-Tag, robots.txt; and manifest
// lines.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "scrape/base64.h"
#include "scrape/manifest.h"
#include "scrape/robots.h"
#include "scrape/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ar::scrape;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto must = [](bool holds) {
    if (!holds) std::abort();
  };
  switch (data[0] % 7) {
    case 0:
      if (const auto url = parse_url(text)) {
        must(!url->host.empty() && !url->target.empty());
        const auto again = parse_url(url->text);
        must(again && again->text == url->text && again->origin() == url->origin());
      }
      break;
    case 1:
      if (const auto uri = parse_data_uri(text)) must(uri->bytes.size() <= size);
      break;
    case 2:
      must(base64_decode(text).value_or("").size() <= size);
      break;
    case 3:
      if (const auto seconds = parse_retry_after(text, 1'700'000'000)) must(*seconds >= 0 && *seconds <= 366 * 86400);
      break;
    case 4:
      forbids_ai(text);
      break;
    case 5: {
      const Robots robots = Robots::parse(text);
      robots.allows("/");
      robots.allows(text.substr(0, 200));
      must(robots.delay_s() >= 0 && robots.delay_s() <= 60);
      break;
    }
    default:
      try {
        from_line(to_line(from_line(text)));
      } catch (const Error&) {
      }
  }
  must(percent_decode(percent_encode(text)) == text);
  return 0;
}
