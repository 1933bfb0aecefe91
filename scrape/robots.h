// robots.txt (RFC 9309).
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ar::scrape {

/// Our product token, the name by which robots.txt and X-Robots-Tag may address us.
inline constexpr std::string_view kRobotName = "ar-build-image-ds";

/// The rules of one robots.txt for one robot.
class Robots {
 public:
  /// Everything allowed.
  Robots() = default;
  /// Nothing allowed: what RFC 9309, 2.3.1.4 asks for when a server cannot give its robots.txt.
  static Robots nothing();
  /// The rules of the groups that name `robot`, else of those for "*". Reads the first 500 KiB.
  static Robots parse(std::string_view text, std::string_view robot = kRobotName);

  /// Whether path and query `target` may be fetched: the longest rule that matches decides, Allow among equals.
  bool allows(std::string_view target) const;
  /// Seconds between requests that the server asks for (Crawl-delay, not in the RFC but common), at most 60.
  double delay_s() const { return delay_s_; }

 private:
  struct Rule {
    std::string pattern;
    bool allow;
  };
  std::vector<Rule> rules_;
  double delay_s_ = 0;
};

}  // namespace ar::scrape
