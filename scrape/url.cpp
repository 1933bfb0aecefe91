#include "scrape/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include "scrape/base64.h"
#include "scrape/robots.h"

namespace ar::scrape {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_private_ipv4(uint32_t address) {
  struct Range {
    uint32_t base;
    int bits;
  };
  constexpr auto kRanges = std::to_array<Range>({
      {0x00000000, 8},   // 0.0.0.0/8, this network
      {0x0A000000, 8},   // 10.0.0.0/8, private
      {0x64400000, 10},  // 100.64.0.0/10, carrier-grade NAT
      {0x7F000000, 8},   // 127.0.0.0/8, loopback
      {0xA9FE0000, 16},  // 169.254.0.0/16, link-local
      {0xAC100000, 12},  // 172.16.0.0/12, private
      {0xC0000000, 24},  // 192.0.0.0/24, protocol assignments
      {0xC0000200, 24},  // 192.0.2.0/24, documentation
      {0xC0586300, 24},  // 192.88.99.0/24, 6to4 relays
      {0xC0A80000, 16},  // 192.168.0.0/16, private
      {0xC6120000, 15},  // 198.18.0.0/15, benchmarking
      {0xC6336400, 24},  // 198.51.100.0/24, documentation
      {0xCB007100, 24},  // 203.0.113.0/24, documentation
      {0xE0000000, 3},   // 224.0.0.0/3: multicast, reserved, broadcast
  });
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [&](const Range& range) { return ((address ^ range.base) >> (32 - range.bits)) == 0; });
}

bool is_private_ipv6(const std::array<uint8_t, 16>& a) {
  const auto begins = [&](std::initializer_list<uint8_t> bytes) {
    return std::equal(bytes.begin(), bytes.end(), a.begin());
  };
  const auto ipv4_at = [&](int i) {
    return static_cast<uint32_t>(a[i]) << 24 | static_cast<uint32_t>(a[i + 1]) << 16 |
           static_cast<uint32_t>(a[i + 2]) << 8 | a[i + 3];
  };
  if (begins({0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0}))
    return is_private_ipv4(ipv4_at(12));                                                        // 64:ff9b::/96, NAT64
  if (begins({0x20, 0x02})) return is_private_ipv4(ipv4_at(2));                                 // 2002::/16, 6to4
  if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})) return is_private_ipv4(ipv4_at(12));  // IPv4-mapped
  if ((a[0] & 0xE0) != 0x20) return true;                // only 2000::/3 is global unicast
  return begins({0x20, 0x01, 0x0D, 0xB8}) ||             // 2001:db8::/32, documentation
         begins({0x20, 0x01, 0x00, 0x00}) ||             // 2001::/32, Teredo tunnels
         (begins({0x20, 0x01, 0x00}) && a[3] < 0x30) ||  // 2001:10::/28 and others, ORCHID and benchmarking
         (begins({0x3F, 0xFF}) && (a[2] & 0xF0) == 0);   // 3fff::/20, documentation
}

}  // namespace

std::string Url::origin() const { return scheme + "://" + host + ":" + std::to_string(port); }

bool is_http(std::string_view text) {
  const std::string start = lower(text.substr(0, 8));
  return start.starts_with("http://") || start == "https://";
}

std::optional<Url> parse_url(std::string_view text) {
  if (!is_http(text) || text.size() > 8192 || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::unique_ptr<CURLU, void (*)(CURLU*)> handle(curl_url(), curl_url_cleanup);
  const std::string copy(text);
  if (curl_url_set(handle.get(), CURLUPART_URL, copy.c_str(), CURLU_URLENCODE | CURLU_ALLOW_SPACE) != CURLUE_OK)
    return std::nullopt;
  curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0);
  const auto part = [&](CURLUPart which, unsigned flags = 0) {
    char* value = nullptr;
    std::string result;
    if (curl_url_get(handle.get(), which, &value, flags) == CURLUE_OK && value != nullptr) result = value;
    curl_free(value);
    return result;
  };
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty()) return std::nullopt;
  Url url;
  url.scheme = lower(part(CURLUPART_SCHEME));
  url.host = lower(part(CURLUPART_HOST));
  const std::string port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), url.port);
  const std::string query = part(CURLUPART_QUERY);
  url.target = part(CURLUPART_PATH) + (query.empty() ? "" : "?" + query);
  url.text = part(CURLUPART_URL);
  if (url.host.empty() || url.text.empty() || url.port == 0) return std::nullopt;
  return url;
}

std::string percent_encode(std::string_view text) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      result += c;
    } else {
      result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return result;
}

std::string percent_decode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      result += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool is_private_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, &address, sizeof ipv4);
    return is_private_ipv4(ntohl(ipv4.sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 ipv6;
    std::memcpy(&ipv6, &address, sizeof ipv6);
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &ipv6.sin6_addr, bytes.size());
    return is_private_ipv6(bytes);
  }
  return true;
}

std::optional<DataUri> parse_data_uri(std::string_view text) {
  if (lower(text.substr(0, 5)) != "data:") return std::nullopt;
  text.remove_prefix(5);
  const size_t comma = text.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  std::string_view head = text.substr(0, comma);
  DataUri uri;
  bool base64 = false;
  for (bool first = true; first || !head.empty(); first = false) {
    const size_t end = head.find(';');
    const std::string part = lower(trim(head.substr(0, end)));
    if (first) uri.type = part;
    base64 = !first && part == "base64";  // only the last parameter counts
    head = end == std::string_view::npos ? std::string_view() : head.substr(end + 1);
  }
  if (uri.type.empty()) uri.type = "text/plain";
  uri.bytes = percent_decode(text.substr(comma + 1));
  if (base64) {
    auto bytes = base64_decode(uri.bytes);
    if (!bytes) return std::nullopt;
    uri.bytes = std::move(*bytes);
  }
  return uri;
}

std::optional<int64_t> parse_retry_after(std::string_view text, int64_t now) {
  text = trim(text);
  if (text.empty()) return std::nullopt;
  constexpr int64_t kYear = 365 * 86400;
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    int64_t seconds = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
    return read.ec == std::errc() ? std::min(seconds, kYear) : kYear;
  }
  const time_t at = text.find('\0') == std::string_view::npos ? curl_getdate(std::string(text).c_str(), nullptr) : -1;
  if (at == -1) return std::nullopt;
  return std::clamp<int64_t>(at - now, 0, kYear);
}

bool forbids_ai(std::string_view tag) {
  // "noai, noimageai" for all robots, or "NAME: rule, ..." for one; other names' rules are not ours.
  bool ours = true;
  while (!tag.empty()) {
    const size_t comma = tag.find(',');
    std::string rule = lower(trim(tag.substr(0, comma)));
    tag = comma == std::string_view::npos ? std::string_view() : tag.substr(comma + 1);
    if (const size_t colon = rule.find(':'); colon != std::string::npos) {
      const std::string name = rule.substr(0, colon);
      if (name != "unavailable_after" && !name.starts_with("max-")) {  // rules with a value, not names
        ours = trim(name) == kRobotName || trim(name) == "*";
        rule = trim(std::string_view(rule).substr(colon + 1));
      }
    }
    if (ours && (rule == "noai" || rule == "noimageai")) return true;
  }
  return false;
}

}  // namespace ar::scrape
