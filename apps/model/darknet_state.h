// The weights of a Darknet file by name.
#pragma once
#include <string>

#include "io/darknet.h"
#include "nn/module.h"

namespace ar::apps {

/// Cuts the numbers of a file into the tensors of Tiny Darknet, convolution by convolution. `like` is the state of the
/// network, with or without its head (the last convolution, called `head`); the file may have either, and a head for
/// any number of classes. Throws Error, starting with `file`, saying how many numbers are missing or left over.
nn::StateDict darknet_state(const nn::StateDict& like, const std::string& head, const io::DarknetWeights& weights,
                            const std::string& file);

}  // namespace ar::apps
