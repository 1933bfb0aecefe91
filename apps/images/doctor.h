// Whether this machine can build image data sets.
#pragma once
#include <string>

#include "scrape/engine.h"
#include "scrape/webdriver.h"

namespace ar::apps {

/// Looks for browsers and drivers, whether their versions fit, whether a session starts, whether the engine's site can
/// be reached, and whether `folder` (or where it would be made) can be written; prints a line for each on standard
/// output, with what to do about it. Whether all is well.
bool run_doctor(const scrape::BrowserOptions& browser, const scrape::Profile& profile, const std::string& folder);

}  // namespace ar::apps
