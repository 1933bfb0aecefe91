// Verifying a data set against its manifest.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ar::apps {

struct DataSetReport {
  int64_t classes = 0, images = 0;    ///< that the manifest says are kept
  std::vector<std::string> problems;  ///< one line each: missing, changed or undecodable files, files it does not know
};

/// Reads every kept image of the data set, compares its SHA-256 and decodes it. Throws ar::Error or ar::scrape::Error
/// when there is no data set.
DataSetReport check_data_set(const std::string& folder);

}  // namespace ar::apps
