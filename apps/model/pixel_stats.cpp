#include "apps/model/pixel_stats.h"

namespace ar::apps {
namespace {

io::Value list_of(const std::array<double, 3>& values) {
  return io::Value::list(std::vector<double>(values.begin(), values.end()));
}

std::array<double, 3> three(const io::Field& saved) {
  const auto values = saved.list();
  if (values.size() != 3) saved.error("three numbers are wanted");
  return {values[0].real(), values[1].real(), values[2].real()};
}

}  // namespace

void save_pixel_stats(io::Value& checkpoint, const PixelStats& pixels) {
  checkpoint["mean"] = list_of(pixels.mean);
  checkpoint["std"] = list_of(pixels.std);
}

PixelStats pixel_stats_from(const io::Value& checkpoint) {
  return {.mean = three(checkpoint.at("mean")), .std = three(checkpoint.at("std"))};
}

}  // namespace ar::apps
