// Images a second that the loader delivers from a folder, for each augmentation and number of workers, and what an
// image costs in processor time: the number that other programs on the machine do not change.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench/program.h"
#include "io/image_folder.h"
#include "io/loader.h"
#include "tensor/ops_frames.h"

namespace {

using namespace ar;

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Options {
  std::string folder;
  std::vector<int> workers{0, 1, 2};
  int64_t batch = 32;
  int size = 224, epochs = 2;
  bool normalize = false;
};

void measure(const std::shared_ptr<const io::ImageDataset>& data, const char* augment, int workers, const Options& o) {
  io::Loader loader(data, io::shuffled(data->size(), 0), {.batch_size = o.batch, .workers = workers});
  double best = 0, processor = 0;
  for (int epoch = 0; epoch < o.epochs; ++epoch) {
    const double used = processor_seconds();
    const auto begin = std::chrono::steady_clock::now();
    int64_t n = 0;
    loader.start(uint64_t(epoch));
    while (const auto batch = loader.next()) {
      if (o.normalize) ops::normalize_frames(batch->inputs);
      n += batch->size();
    }
    const double rate = double(n) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (rate > best) best = rate, processor = (processor_seconds() - used) / double(n);
  }
  std::printf("%-9s %7d %10.0f %16.2f\n", augment, workers, best, 1e3 * processor);
}

int run(int argc, char** argv) {
  Options o;
  CLI::App app("Images a second of the loader");
  app.add_option("--data-dir", o.folder, "A folder with a sub-folder of images for each class")->required();
  app.add_option("--workers", o.workers, "Numbers of workers")->capture_default_str();
  app.add_option("--batch-size", o.batch)->capture_default_str();
  app.add_option("--image-size", o.size)->capture_default_str();
  app.add_option("--epochs", o.epochs, "The best one counts; the first also warms the file cache")
      ->capture_default_str();
  app.add_flag("--normalize", o.normalize, "Also turn each batch into floats");
  CLI11_PARSE(app, argc, argv);

  const io::ImageFolder folder = io::list_images(o.folder);
  std::vector<int64_t> all;
  for (int64_t i = 0; i < folder.size(); ++i) all.push_back(i);
  std::printf("%-9s %7s %10s %16s\n", "augment", "workers", "images/s", "processor ms/im");
  for (const io::Augment augment : {io::Augment::none, io::Augment::original, io::Augment::imagenet}) {
    const io::ImageTransform transform{.height = o.size, .width = o.size, .augment = augment};
    const auto data = std::make_shared<const io::ImageDataset>(folder, all, transform);
    for (int workers : o.workers) measure(data, io::to_string(augment), workers, o);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return ar::bench::run_or_complain([&] { return run(argc, argv); });
}
