// A small rasteriser: shapes are signed distances, and their edges are smooth because a pixel's coverage is read off
// the distance of its middle from the edge.
#pragma once
#include <span>
#include <vector>

#include "apps/demo/geometry.h"
#include "io/image.h"

namespace ar::apps::demo {

/// How a shape is painted.
struct Paint {
  Colour colour;
  float alpha = 1;
  Vec2 light = {};  ///< brighter on the side this points to, darker on the other; its length is how much
};

/// Pictures in floating point, painted over one another. Pixels: x to the right, y down, (0.5, 0.5) is the middle of
/// the first. A shape covers 1/2 - d of a pixel, cut to 0..1, where d is the distance of its middle from the shape's
/// edge, negative inside: exact for a straight edge along the pixels, and near it for all others.
class Canvas {
 public:
  Canvas(int width, int height) : width_(width), height_(height), pixels_(size_t(width) * size_t(height)) {}
  int width() const { return width_; }
  int height() const { return height_; }
  Colour& at(int x, int y) { return pixels_[size_t(y) * size_t(width_) + size_t(x)]; }

  /// Rows from `top` to `bottom` over the whole width, the colour running from one to the other.
  void gradient(float top, float bottom, Colour upper, Colour lower);
  /// All points nearer to the line from a to b than a radius that runs from ra to rb.
  void capsule(Vec2 a, float ra, Vec2 b, float rb, const Paint& paint);
  /// A polygon, grown by `radius` all round; two points make a capsule, one a disc.
  void polygon(std::span<const Vec2> points, float radius, const Paint& paint);
  void ellipse(Vec2 centre, Vec2 radii, const Paint& paint);

  /// All pixels become so much more alike to this colour.
  void fade(Colour colour, float amount);
  /// Each pixel becomes the mean of its neighbours with weights 1 2 1 in both directions, so many times over.
  void blur(int times);
  /// The picture in 8 bits.
  io::Image image() const;

 private:
  template <class Distance>
  void paint(Vec2 low, Vec2 high, const Paint& paint, const Distance& distance);

  int width_, height_;
  std::vector<Colour> pixels_;
};

}  // namespace ar::apps::demo
