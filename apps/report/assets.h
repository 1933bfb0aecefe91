// The files of assets/ as text, embedded when the project is configured.
#pragma once
#include <string_view>

namespace ar::apps {

extern const std::string_view kReportCss, kReportJs;

}  // namespace ar::apps
