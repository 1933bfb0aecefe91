// What a program's networks compute on and in: --device and --precision. Set once, before anything is computed.
#pragma once
#include <string>

#include "tensor/ops_frames.h"

namespace ar::apps {

/// Where networks and their inputs lie: the CPU until told otherwise.
Device compute_device();
/// "cpu", "cuda", "cuda:N", or "auto": cuda where it can be used, else cpu. Throws Error with the reason where the
/// device cannot be used.
void set_device(const std::string& name);

/// The dtype that images are given to networks in, and so that of all activations: f32 until told otherwise.
Dtype activation_dtype();
/// For "f32" or "bf16", after set_device(). Where the device does not multiply bf16, a note says so and f32 stays.
/// Throws Error on other names.
void set_precision(const std::string& name);

/// ops::normalize_frames on the compute device (bytes travel there, if they are not there already), into
/// activation_dtype(): options.dtype does not count.
Tensor network_input(const Tensor& frames, const PixelStats& pixels, NormalizeFramesOptions options = {});

}  // namespace ar::apps
