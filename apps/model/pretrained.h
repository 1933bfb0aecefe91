// Pretrained weights: from a file, an address, or torchvision's published ones.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "nn/models/image_classifier.h"

namespace ar::apps {

struct PretrainedOptions {
  /// "auto": torchvision's file of that network from the cache, or else downloaded into it. "none": nothing is loaded.
  /// Otherwise a file (safetensors, both formats of torch.save, Darknet's .weights for tiny_darknet; file:// is a file,
  /// too) or an http(s) address, whose file is kept in the cache.
  std::string source = "auto";
  std::string cache = {};  // folder; empty: $AR_CACHE, else ~/.cache/ar
  std::string site = "https://download.pytorch.org/models/";
  std::function<void(int64_t done, int64_t total)> progress = {};  // of a download, in bytes; total -1: unknown
  const std::atomic<bool>* stop = nullptr;                         // ends a download with an Error
};

struct Pretrained {
  std::string file;                // what was read; empty for "none"
  std::vector<std::string> notes;  // what the user should hear: "FILE: its head ... is left out"
};

/// Loads weights of ImageNet or the like into a network called `name` (see nn::backbone_names()). A classifier of
/// another size than the network's is left out, with a note. Throws Error if the file cannot be had, saying how to go
/// on without, or does not fit, naming all entries; the network is then unchanged.
Pretrained load_pretrained(nn::Backbone& network, std::string_view name, const PretrainedOptions& options = {});
Pretrained load_pretrained(nn::ImageClassifier& network, const PretrainedOptions& options = {});

/// torchvision's file of a network ("resnet18-f37072fd.pth"); empty if it publishes none.
std::string published_file(std::string_view name);
/// $AR_CACHE, else ~/.cache/ar.
std::string cache_folder();
/// The file that a source means, downloaded if need be.
std::string find_pretrained(std::string_view name, const PretrainedOptions& options);

}  // namespace ar::apps
