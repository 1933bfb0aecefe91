// Image loading beside the least that it could cost: libavcodec's JPEG decoder and libswscale.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/image.h"
#include "io/resize.h"
#include "tensor/error.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>
}

namespace {

namespace fs = std::filesystem;
using ar::io::MutableImageView;

struct Loader {
  const char* name;
  // Makes what a worker uses: a function that loads one file into a picture of the size asked for.
  std::function<std::function<void(const fs::path&, MutableImageView)>()> worker;
};

Loader ours() {
  return {"ours", [] {
            auto image = std::make_shared<ar::io::Image>();
            return [image](const fs::path& path, MutableImageView out) {
              ar::io::decode_image_file(path, {}, *image);
              ar::io::resize(*image, out);
            };
          }};
}

/// One decoder and one scaler for all pictures, no checks, no orientation, nothing but the two libraries.
struct Libav {
  AVCodecContext* decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  SwsContext* scaler = nullptr;
  int flags;

  explicit Libav(int scaler_flags) : flags(scaler_flags) {
    decoder->thread_count = 1;
    avcodec_open2(decoder, nullptr, nullptr);
  }
  Libav(const Libav&) = delete;
  ~Libav() {
    sws_freeContext(scaler);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
  }

  void load(const fs::path& path, MutableImageView out) {
    std::ifstream file(path, std::ios::binary);
    av_packet_unref(packet);
    av_new_packet(packet, int(fs::file_size(path)));
    file.read(reinterpret_cast<char*>(packet->data), packet->size);
    AR_CHECK(file && avcodec_send_packet(decoder, packet) >= 0 && avcodec_receive_frame(decoder, frame) >= 0,
             path.string(), ": libavcodec cannot read it");
    scaler = sws_getCachedContext(scaler, frame->width, frame->height, AVPixelFormat(frame->format), out.width,
                                  out.height, AV_PIX_FMT_RGB24, flags, nullptr, nullptr, nullptr);
    uint8_t* const planes[4] = {out.data};
    const int strides[4] = {int(out.stride)};
    sws_scale(scaler, frame->data, frame->linesize, 0, frame->height, planes, strides);
  }
};

Loader libav(const char* name, int flags) {
  return {name, [flags] {
            auto state = std::make_shared<Libav>(flags);
            return [state](const fs::path& path, MutableImageView out) { state->load(path, out); };
          }};
}

struct Pace {
  double rate;  // pictures a second
  double cpu;   // milliseconds of processor time a picture, which other processes disturb less
};

/// All files once.
Pace measure(const Loader& loader, const std::vector<fs::path>& files, int workers, int size) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    const auto load = loader.worker();
    std::vector<uint8_t> slot(size_t{3} * size * size + 64);
    for (size_t i; (i = next++) < files.size();) load(files[i], {slot.data(), size, size, ptrdiff_t{3} * size});
  };
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();  // of all threads
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < workers; ++i) threads.emplace_back(work);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto count = double(files.size());
  return {count / seconds, 1e3 * double(std::clock() - cpu) / CLOCKS_PER_SEC / count};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Loads all JPEGs below a folder, squashed to a square: images a second, beside libavcodec and libswscale.");
  std::string folder;
  int workers = 2, size = 224, rounds = 7;
  app.add_option("folder", folder, "where the JPEGs are")->required()->check(CLI::ExistingDirectory);
  app.add_option("--workers", workers, "threads")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--size", size, "side of the square, in pixels")->check(CLI::Range(16, 4096))->capture_default_str();
  app.add_option("--rounds", rounds, "how often each is measured, in turn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.path().extension() == ".jpg" || entry.path().extension() == ".jpeg") files.push_back(entry.path());
    AR_CHECK(!files.empty(), folder, ": no .jpg below");
    const Loader loaders[] = {ours(), libav("libavcodec + libswscale, area", SWS_AREA),
                              libav("libavcodec + libswscale, bilinear", SWS_BILINEAR)};
    for (const Loader& loader : loaders) measure(loader, files, workers, size);  // warm: files and code
    std::vector<Pace> paces[std::size(loaders)];
    for (int round = 0; round < rounds; ++round)
      for (size_t i = 0; i < std::size(loaders); ++i) paces[i].push_back(measure(loaders[i], files, workers, size));
    // The median over the rounds of some number of a round.
    const auto median = [&](const auto& number) {
      std::vector<double> values;
      for (int round = 0; round < rounds; ++round) values.push_back(number(round));
      std::nth_element(values.begin(), values.begin() + rounds / 2, values.end());
      return values[size_t(rounds / 2)];
    };
    std::printf("%zu files, %d workers, to %dx%d, medians of %d rounds\n\n", files.size(), workers, size, size, rounds);
    std::printf("| %-34s | images/s | ours takes | ms of CPU | ours takes |\n", "");
    std::printf("| %-34s | -------- | ---------- | --------- | ---------- |\n", "---");
    for (size_t i = 0; i < std::size(loaders); ++i)
      std::printf("| %-34s | %8.0f | %9.2fx | %9.3f | %9.2fx |\n", loaders[i].name,
                  median([&](int r) { return paces[i][r].rate; }),
                  median([&](int r) { return paces[i][r].rate / paces[0][r].rate; }),
                  median([&](int r) { return paces[i][r].cpu; }),
                  median([&](int r) { return paces[0][r].cpu / paces[i][r].cpu; }));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
