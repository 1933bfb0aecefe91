#include "apps/images/check_data_set.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "apps/images/image_check.h"
#include "io/perceptual_hash.h"
#include "io/sha256.h"
#include "scrape/manifest.h"

namespace ar::apps {

namespace fs = std::filesystem;

DataSetReport check_data_set(const std::string& folder) {
  std::map<std::pair<std::string, int64_t>, std::string> kept;  // (class, rank) -> place of its last record
  std::map<std::string, std::pair<std::string, std::string>> files;
  scrape::read_manifest(folder, [&](scrape::Record&& record, int64_t) {
    if (record.rank < 0) return;
    const std::pair key(record.name, record.rank);
    if (record.status == "kept") {
      kept[key] = record.file;
      files[record.file] = {record.name, record.sha256};
    } else if (const auto at = kept.find(key); at != kept.end()) {
      files.erase(at->second);
      kept.erase(at);
    }
  });
  DataSetReport report;
  std::set<std::string> classes;
  for (const auto& [file, what] : files) {
    classes.insert(what.first);
    ++report.images;
    const std::string path = folder + "/" + file;
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    if (!stream) {
      report.problems.push_back(path + ": missing (moved, deleted or unreadable)");
      continue;
    }
    const std::string bytes = text.str();
    const std::string hash = io::sha256_hex(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
    if (hash != what.second) {
      report.problems.push_back(path + ": its content is not what was downloaded");
    } else if (const auto image = check_image(bytes, {.min_size = 1}); !image.cause.empty()) {
      report.problems.push_back(path + ": " + image.cause + ", " + image.error);
    }
  }
  report.classes = static_cast<int64_t>(classes.size());
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory() || entry.path().filename().string().starts_with(".")) continue;
    for (const auto& file : fs::directory_iterator(entry.path())) {
      const std::string name = entry.path().filename().string() + "/" + file.path().filename().string();
      if (!files.contains(name)) report.problems.push_back(file.path().string() + ": the manifest does not know it");
    }
  }
  return report;
}

}  // namespace ar::apps
