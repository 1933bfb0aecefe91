#include "apps/model/machine.h"

#include <sstream>

#include "apps/report/progress.h"
#include "tensor/backend.h"

namespace ar::apps {
namespace {
Device device;
Dtype activations = Dtype::f32;
}  // namespace

Device compute_device() { return device; }

void set_device(const std::string& name) {
  AR_CHECK(name == "auto" || name == "cpu" || name == "cuda" || name.starts_with("cuda:"), "--device ", name,
           ": not one of auto, cpu, cuda[:n]");
  const Device wanted = name == "auto" ? Device{Device::Type::cuda, 0} : parse_device(name);
  std::ostringstream words;
  words << wanted;
  std::string problem = why_unavailable(wanted);
  if (const std::string known = "device " + words.str() + ": "; problem.starts_with(known))
    problem.erase(0, known.size());
  device = problem.empty() ? wanted : Device{};
  if (name == "auto" && problem.empty()) log_line("computing on " + words.str());
  AR_CHECK(name == "auto" || problem.empty(), "--device ", name, ": ", problem);
}

Dtype activation_dtype() { return activations; }

void set_precision(const std::string& name) {
  AR_CHECK(name == "f32" || name == "bf16", "--precision ", name, ": not one of f32, bf16");
  activations = Dtype::f32;
  if (name == "f32") return;
  const Kernels& kernels = *backend(device).kernels;
  if (kernels.conv2d.bf16)
    activations = Dtype::bf16;
  else
    log_line(std::string("note: --precision bf16 needs a processor with AVX512-BF16, these kernels are ") +
             kernels.name + "; computing in f32");
}

Tensor network_input(const Tensor& frames, const PixelStats& pixels, NormalizeFramesOptions options) {
  options.dtype = activations;
  return ops::normalize_frames(frames.to(device), pixels, options);
}

}  // namespace ar::apps
