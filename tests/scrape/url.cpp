// URLs, addresses, data: URIs, Retry-After, robots.txt, base64.
#include "scrape/url.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

#include "scrape/base64.h"
#include "scrape/robots.h"

namespace ar::scrape {
namespace {

TEST(Url, Parts) {
  const auto url = parse_url("HTTPS://Example.ORG:8443/a b?c=d#e");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->origin(), "https://example.org:8443");
  EXPECT_EQ(url->target, "/a%20b?c=d");
  EXPECT_EQ(parse_url("http://example.org")->port, 80);
  EXPECT_EQ(parse_url("http://example.org")->target, "/");
  EXPECT_EQ(parse_url("http://[::1]:81/")->host, "[::1]");
  for (const char* bad :
       {"", "ftp://a/b", "file:///etc/passwd", "javascript:alert(1)", "/a", "http://", "http://exa mple.org/",
        "http://user@example.org/", "http://user:secret@example.org/", "data:,x"}) {
    EXPECT_FALSE(parse_url(bad).has_value()) << bad;
  }
  EXPECT_FALSE(parse_url("http://a/" + std::string(10000, 'x')).has_value());
}

TEST(Url, Percent) {
  EXPECT_EQ(percent_encode("air drumming & ü"), "air%20drumming%20%26%20%C3%BC");
  EXPECT_EQ(percent_decode("%41%zz%4"), "A%zz%4");
}

bool is_private(const char* text) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    storage.ss_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &v6->sin6_addr), 1) << text;
    storage.ss_family = AF_INET6;
  }
  return is_private_address(reinterpret_cast<const sockaddr&>(storage));
}

TEST(Address, PrivateOnes) {
  for (const char* text : {"127.0.0.1",
                           "127.255.255.255",
                           "10.1.2.3",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.168.1.1",
                           "169.254.169.254",
                           "100.64.0.1",
                           "0.0.0.0",
                           "224.0.0.1",
                           "255.255.255.255",
                           "198.18.0.1",
                           "192.0.2.1",
                           "::",
                           "::1",
                           "fe80::1",
                           "fc00::1",
                           "fd12::1",
                           "ff02::1",
                           "::ffff:127.0.0.1",
                           "::ffff:192.168.0.1",
                           "::127.0.0.1",
                           "64:ff9b::7f00:1",
                           "2002:7f00:1::1",
                           "2001:db8::1",
                           "2001::1"}) {
    EXPECT_TRUE(is_private(text)) << text;
  }
  for (const char* text :
       {"8.8.8.8", "172.32.0.1", "172.15.0.1", "100.128.0.1", "192.169.0.1", "11.0.0.1", "223.255.255.255",
        "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"}) {
    EXPECT_FALSE(is_private(text)) << text;
  }
  sockaddr_storage unix_socket{};
  unix_socket.ss_family = AF_UNIX;
  EXPECT_TRUE(is_private_address(reinterpret_cast<const sockaddr&>(unix_socket)));
}

TEST(DataUri, Forms) {
  EXPECT_EQ(parse_data_uri("data:image/png;base64,aGk=")->bytes, "hi");
  EXPECT_EQ(parse_data_uri("DATA:Image/PNG;base64,aGk=")->type, "image/png");
  EXPECT_EQ(parse_data_uri("data:,a%20b")->bytes, "a b");
  EXPECT_EQ(parse_data_uri("data:,x")->type, "text/plain");
  EXPECT_EQ(parse_data_uri("data:;charset=x;base64,aGk")->bytes, "hi");
  EXPECT_FALSE(parse_data_uri("data:image/png;base64").has_value());
  EXPECT_FALSE(parse_data_uri("data:image/png;base64,a").has_value());
  EXPECT_FALSE(parse_data_uri("data:image/png;base64,!!!!").has_value());
  EXPECT_FALSE(parse_data_uri("http://a/").has_value());
}

TEST(Base64, Forms) {
  EXPECT_EQ(base64_decode("").value(), "");
  EXPECT_EQ(base64_decode("AAEC/w==").value(), std::string("\0\1\2\xFF", 4));
  EXPECT_EQ(base64_decode("AAEC_w").value(), std::string("\0\1\2\xFF", 4));
  EXPECT_EQ(base64_decode("AA\nEC").value(), std::string("\0\1\2", 3));
  EXPECT_FALSE(base64_decode("A").has_value());
  EXPECT_FALSE(base64_decode("AA==AA").has_value());
}

TEST(RetryAfter, SecondsAndDates) {
  EXPECT_EQ(parse_retry_after("120", 0), 120);
  EXPECT_EQ(parse_retry_after(" 0 ", 0), 0);
  EXPECT_EQ(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", 1445412480 - 30), 30);
  EXPECT_EQ(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", 1445412480 + 30), 0);
  EXPECT_GT(parse_retry_after("99999999999999999999999", 0), 86400);
  for (const char* bad : {"", "soon", "-5", "1.5"}) EXPECT_FALSE(parse_retry_after(bad, 0).has_value()) << bad;
}

TEST(RobotsTag, NoAi) {
  for (const char* text :
       {"noai", "noindex, NoImageAI", "ar-build-image-ds: noai", "*: noai", "max-snippet: 5, noai"}) {
    EXPECT_TRUE(forbids_ai(text)) << text;
  }
  for (const char* text : {"", "noindex", "otherbot: noai, noimageai", "noaidea"})
    EXPECT_FALSE(forbids_ai(text)) << text;
}

TEST(Robots, LongestRuleDecides) {
  const Robots robots = Robots::parse(
      "# comment\r\nUser-agent: other\r\nDisallow: /\r\n\r\nUser-Agent: * # all\r\nDisallow: /private/\r\n"
      "Allow: /private/open\r\nDisallow: /*.gif$\r\nDisallow:\r\nCrawl-delay: 2\r\n");
  EXPECT_TRUE(robots.allows("/"));
  EXPECT_FALSE(robots.allows("/private/a.jpg"));
  EXPECT_FALSE(robots.allows("/%70rivate/a.jpg"));
  EXPECT_TRUE(robots.allows("/private/open/a.jpg"));
  EXPECT_FALSE(robots.allows("/a/b.gif"));
  EXPECT_TRUE(robots.allows("/a/b.gif?x"));
  EXPECT_EQ(robots.delay_s(), 2);
}

TEST(Robots, OurOwnGroupCounts) {
  const Robots robots =
      Robots::parse("User-agent: *\nDisallow: /\nUser-agent: a\nUser-agent: AR-Build-Image-DS\nDisallow: /x\n");
  EXPECT_TRUE(robots.allows("/y"));
  EXPECT_FALSE(robots.allows("/x"));
  EXPECT_TRUE(Robots::parse("").allows("/x"));
  EXPECT_TRUE(Robots().allows("/x"));
  EXPECT_FALSE(Robots::nothing().allows("/x"));
  EXPECT_TRUE(Robots::parse("User-agent: *\nDisallow: /a\nAllow: /a\n").allows("/a"));
}

TEST(Robots, HostilePatternsEndSoon) {
  std::string stars = "User-agent: *\nDisallow: /";
  for (int i = 0; i < 2000; ++i) stars += "*a";
  EXPECT_TRUE(Robots::parse(stars + "b$\n").allows("/" + std::string(8000, 'a')));
}

}  // namespace
}  // namespace ar::scrape
