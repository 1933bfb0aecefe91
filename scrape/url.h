// URLs as far as a download needs them. Parsing is libcurl's (RFC 3986 with the usual leniency).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace ar::scrape {

struct Url {
  std::string text;    ///< normalised, without fragment
  std::string scheme;  ///< http or https
  std::string host;    ///< lower case; an IPv6 address in brackets
  int port = 0;
  std::string target;  ///< path and query, "/a?b"
  /// "https://host:port", what robots.txt and limits go by.
  std::string origin() const;
};

/// Nothing unless it is an absolute http or https URL with a host and without a user name.
std::optional<Url> parse_url(std::string_view text);

/// Whether `text` begins http:// or https://, in any case.
bool is_http(std::string_view text);

/// Every byte but letters, digits and -._~ as %XX.
std::string percent_encode(std::string_view text);

/// %XX as bytes; a % without two hexadecimal digits stays.
std::string percent_decode(std::string_view text);

/// Whether a packet to `address` stays out of the public Internet: loopback, private, link-local, carrier-grade NAT,
/// benchmarking, documentation, multicast, reserved, unspecified (the registries of RFC 6890), the same inside
/// IPv4-mapped, NAT64 and 6to4 addresses, and every family but IPv4 and IPv6.
bool is_private_address(const sockaddr& address);

struct DataUri {
  std::string type;  ///< media type in lower case, "text/plain" when there is none
  std::string bytes;
};
/// RFC 2397; nothing when it is none or its base64 is wrong.
std::optional<DataUri> parse_data_uri(std::string_view text);

/// Seconds that a Retry-After header asks to wait (RFC 9110, 10.2.3: a number or a date), at the Unix time `now`;
/// nothing when it is neither. A date that has passed is 0.
std::optional<int64_t> parse_retry_after(std::string_view text, int64_t now);

/// Whether X-Robots-Tag's value, for us or for all robots, says noai or noimageai.
bool forbids_ai(std::string_view x_robots_tag);

}  // namespace ar::scrape
