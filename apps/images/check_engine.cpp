#include "apps/images/check_engine.h"

#include <cstdio>

#include "tensor/error.h"

namespace ar::apps {

void check_engine(scrape::Engine& engine, const scrape::Profile& profile, const scrape::SearchRequest& request) {
  std::printf(
      "engine %s, profile %s\n%s\n", profile.name.c_str(), profile.path.c_str(),
      scrape::search_url(profile, request.query, request.safe, request.license, profile.api ? "1" : "").c_str());
  size_t results = 0, full = 0, thumbnails = 0, pages = 0;
  const auto table = [&] {
    try {
      std::printf("%s", scrape::to_text(engine.inspect()).c_str());
    } catch (const scrape::Error&) {  // the browser is gone, as the error of the search tells
    }
  };
  try {
    engine.search(request, [&](scrape::Found&& found) {
      ++results;
      full += found.url.empty() ? 0 : 1;
      thumbnails += found.thumb.empty() ? 0 : 1;
      pages += found.page.empty() ? 0 : 1;
    });
  } catch (const scrape::Error&) {
    table();
    throw;
  }
  table();
  std::printf("of the first %zu results %zu have the image in full size, %zu a thumbnail, %zu their page\n", results,
              full, thumbnails, pages);
  AR_CHECK(results > 0, "engine ", profile.name, ": nothing was found for ", request.query, "; try another query");
}

}  // namespace ar::apps
