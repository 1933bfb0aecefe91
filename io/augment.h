// From a decoded picture to a sample: fitting it to the network's input, and augmentation for training. The methods are
// torchvision's, with their default parameters; the random numbers are those of the sample's key.
#pragma once
#include <optional>
#include <string_view>

#include "io/dataset.h"
#include "io/image.h"

namespace ar::io {

/// How training pictures are varied.
enum class Augment {
  none,      // as for evaluation
  original,  // squash to the input size; mirror (p 0.5); erase a rectangle (p 0.5)
  imagenet,  // random resized crop; mirror (p 0.5); brightness, contrast and saturation 0.4 in random order
};
/// How evaluation pictures become as large as the input.
enum class Fit {
  squash,       // width and height each to the input's
  centre_crop,  // shorter side to 256/224 of the input's, then the middle
};

/// All that turns a picture into a sample. Named by its two words and the size in checkpoints.
struct ImageTransform {
  int height = 224, width = 224;
  Augment augment = Augment::none;
  Fit fit = Fit::squash;  // with Augment::none

  /// What evaluation after training with this one uses: a centre crop after imagenet, else a squash.
  ImageTransform evaluation() const;
};

const char* to_string(Augment augment);
const char* to_string(Fit fit);
/// Throws Error listing the names.
Augment augment_named(std::string_view name);
Fit fit_named(std::string_view name);

/// Writes the sample into `dst`, whose size is the transform's.
void transform_image(ImageView src, const ImageTransform& transform, const SampleKey& key, MutableImageView dst);

// ---- the parts ----

struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

/// A part of scale 0.08..1 of the area and aspect 3/4..4/3 (both drawn, the aspect's logarithm uniformly; ten tries,
/// else the largest middle within these aspects): Szegedy et al. 2015, section 6.
Box random_resized_crop(int width, int height, SampleRandom& random);
/// A rectangle of 0.02..0.33 of the area and aspect 0.3..3.3, within the picture; nothing after ten tries that do not
/// fit: Zhong et al. 2017.
std::optional<Box> random_erasing(int width, int height, SampleRandom& random);
/// The part of a picture that a resize of the shorter side to 256/224 of dst's and a crop of the middle would show.
void resize_centre_crop(ImageView src, MutableImageView dst);

/// x' = factor * x + (1 - factor) * y, cut to 0..255 and towards zero, where y is 0 for brightness, the mean grey of
/// the picture for contrast and the pixel's own grey for saturation; grey = 0.2989 r + 0.587 g + 0.114 b.
void adjust_brightness(MutableImageView image, double factor);
void adjust_contrast(MutableImageView image, double factor);
void adjust_saturation(MutableImageView image, double factor);
/// The three in an order that is drawn, each with a factor from U[1 - strength, 1 + strength).
void jitter_colours(MutableImageView image, double strength, SampleRandom& random);

}  // namespace ar::io
