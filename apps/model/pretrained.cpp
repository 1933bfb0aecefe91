#include "apps/model/pretrained.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include "apps/model/darknet_state.h"
#include "apps/model/weight_names.h"
#include "io/checkpoint_file.h"
#include "io/darknet.h"
#include "io/sha256.h"
#include "scrape/download.h"
#include "scrape/error.h"
#include "scrape/url.h"

namespace ar::apps {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWithout = ", or train without them (--pretrained none)";

struct Published {
  const char *name, *file;
};
// torchvision 0.29, IMAGENET1K_V1. The digits are the beginning of the file's SHA-256.
constexpr Published kPublished[] = {
    {"densenet121", "densenet121-a639ec97.pth"}, {"densenet161", "densenet161-8d451a50.pth"},
    {"densenet169", "densenet169-b2777c0a.pth"}, {"densenet201", "densenet201-c1103571.pth"},
    {"resnet18", "resnet18-f37072fd.pth"},       {"resnet50", "resnet50-0676ba61.pth"},
    {"resnet101", "resnet101-63fe2227.pth"},     {"mobilenet_v2", "mobilenet_v2-b0353104.pth"},
};

/// The digits of SHA-256 that a file's name carries, as in "resnet18-f37072fd.pth"; else "".
std::string hash_in_name(const std::string& file) {
  static const std::regex pattern(R"(-([0-9a-f]{8,64})\.[^.]*$)");
  std::smatch found;
  return std::regex_search(file, found, pattern) ? found[1].str() : "";
}

/// Throws Error unless the content's hash begins as `wanted` says.
void check_hash(const std::string& file, const std::string& wanted) {
  const std::string hash = io::sha256_hex(io::ByteSource(file));
  AR_CHECK(hash.starts_with(wanted), file, ": is damaged: its SHA-256 is ", hash.substr(0, 8), "..., wanted ", wanted,
           "; delete it");
}

void fetch(const std::string& url, const fs::path& to, const PretrainedOptions& options) {
  fs::create_directories(to.parent_path());
  scrape::Download request{.url = url, .path = to.string(), .progress = options.progress, .stop = options.stop};
  const std::string hash = hash_in_name(to.filename().string());
  if (!hash.empty()) request.check = [&](const std::string& part) { check_hash(part, hash); };
  scrape::download(request);
}

std::string find_published(std::string_view name, const PretrainedOptions& options, const fs::path& cache) {
  const std::string file = published_file(name);
  AR_CHECK(!file.empty(), name, ": torchvision publishes no weights of it; give a file or an address (--pretrained ",
           name == "tiny_darknet" ? "tiny.weights, as https://pjreddie.com/darknet/tiny-darknet/ has it" : "PATH", ")",
           kWithout);
  const fs::path path = cache / file;
  if (fs::exists(path)) {
    check_hash(path.string(), hash_in_name(file));
    return path.string();
  }
  const std::string url = options.site + file;
  try {
    fetch(url, path, options);
  } catch (const std::exception& e) {
    fail(name, ": its pretrained weights could not be downloaded (", e.what(), "); get ", url, " and put it at ",
         path.string(), ", or give another file (--pretrained PATH)", kWithout);
  }
  return path.string();
}

/// A name with a hash names one content; others are told apart by where they are from.
std::string find_address(const std::string& url, const PretrainedOptions& options, const fs::path& cache) {
  std::string place = url.substr(url.find("://") + 3);
  for (char& c : place)
    if (std::string_view("?&=:%#\\").find(c) != std::string_view::npos) c = '_';
  const std::string file = fs::path(place).filename().string();
  AR_CHECK(!file.empty() && place.find("..") == std::string::npos, url, ": names no file");
  const fs::path path = cache / (hash_in_name(file).empty() ? place : file);
  if (!fs::exists(path)) {
    try {
      fetch(url, path, options);
    } catch (const std::exception& e) {
      fail("the pretrained weights could not be downloaded (", e.what(), "); get the file otherwise and give its name",
           kWithout);
    }
  }
  return path.string();
}

/// The state of the whole network in a file, under its torchvision names.
nn::StateDict read_state(const std::string& file, std::string_view name, const nn::StateDict& wanted) {
  const io::ByteSource source(file);
  const std::string start = source.text(0, std::min<int64_t>(source.size(), 9));
  const bool safetensors = start.size() == 9 && start[8] == '{';
  if (!safetensors && io::looks_like_darknet(source)) {
    AR_CHECK(name == "tiny_darknet", file, ": is a file of Darknet, whose weights fit tiny_darknet only, not ", name);
    return darknet_state(wanted, head_name(name), io::read_darknet_weights(source), file);
  }
  return model_state(io::load_checkpoint(source));
}

bool is_head(const std::string& name, const std::string& head) { return name.starts_with(head + '.'); }

int64_t classes_in(const nn::StateDict& state, const std::string& head) {
  for (const auto& [name, tensor] : state)
    if (name == head + ".bias" && tensor.rank() == 1) return tensor.numel();
  return 0;
}

/// Where the heads are of different sizes, or only one side has one, the network's own takes the place of the file's.
void settle_head(nn::StateDict& state, const nn::StateDict& wanted, const std::string& head, const std::string& file,
                 std::vector<std::string>& notes) {
  const int64_t given = classes_in(state, head), here = classes_in(wanted, head);
  if (given == here) return;
  std::erase_if(state, [&](const auto& entry) { return is_head(entry.first, head); });
  for (const auto& entry : wanted)
    if (is_head(entry.first, head)) state.push_back(entry);
  if (here == 0) return;  // a network without a head needs no word about it
  const std::string fresh = "the network's own for " + std::to_string(here) + " starts afresh";
  notes.push_back(given == 0 ? file + ": has no classifier; " + fresh
                             : file + ": its classifier '" + head + "' for " + std::to_string(given) +
                                   " classes is left out; " + fresh);
}

/// What may stand as a classifier in files of this network. CaffeNet's own, fc8, is not the one that an image
/// classifier puts on its feature maps.
std::vector<std::string> heads_of(std::string_view name) {
  if (name == "caffenet") return {"fc8", head_name(name)};
  return {head_name(name)};
}

/// `wanted` is the network's state under the whole network's names, `load` puts such a state into it.
template <class Load>
Pretrained load_into(std::string_view name, const PretrainedOptions& options, const nn::StateDict& wanted,
                     Load&& load) {
  Pretrained done;
  if (options.source == "none") return done;
  done.file = find_pretrained(name, options);
  nn::StateDict state = read_state(done.file, name, wanted);
  for (const std::string& head : heads_of(name)) settle_head(state, wanted, head, done.file, done.notes);
  try {
    load(state);
  } catch (const Error& e) {
    fail(done.file, ": is not for ", name, ": ", e.what());
  }
  return done;
}

}  // namespace

std::string published_file(std::string_view name) {
  for (const Published& p : kPublished)
    if (name == p.name) return p.file;
  return "";
}

std::string cache_folder() {
  const char* cache = std::getenv("AR_CACHE");
  if (cache && *cache) return cache;
  const char* home = std::getenv("HOME");
  AR_CHECK(home && *home, "pretrained: neither AR_CACHE nor HOME is set, so there is no place for downloads");
  return std::string(home) + "/.cache/ar";
}

std::string find_pretrained(std::string_view name, const PretrainedOptions& options) {
  const auto cache = [&] { return fs::path(options.cache.empty() ? cache_folder() : options.cache); };
  if (options.source == "auto") return find_published(name, options, cache());
  if (scrape::is_http(options.source)) return find_address(options.source, options, cache());
  constexpr std::string_view scheme = "file://";
  return options.source.starts_with(scheme) ? options.source.substr(scheme.size()) : options.source;
}

Pretrained load_pretrained(nn::Backbone& network, std::string_view name, const PretrainedOptions& options) {
  return load_into(name, options, network.state_dict(),
                   [&](const nn::StateDict& state) { network.load_state_dict(state); });
}

Pretrained load_pretrained(nn::ImageClassifier& network, const PretrainedOptions& options) {
  const std::string& name = network.options().feature_extractor;
  return load_into(name, options, whole_model_state(network),
                   [&](const nn::StateDict& state) { load_whole_model_state(network, state); });
}

}  // namespace ar::apps
