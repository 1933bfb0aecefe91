// Whether an engine profile still fits its page, part by part.
#pragma once
#include "scrape/engine.h"

namespace ar::apps {

/// Searches for `request`, and prints what each part of the profile finds and how many results have what. Throws what
/// the search throws, with the table printed before.
void check_engine(scrape::Engine& engine, const scrape::Profile& profile, const scrape::SearchRequest& request);

}  // namespace ar::apps
