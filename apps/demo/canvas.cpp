#include "apps/demo/canvas.h"

#include <limits>

namespace ar::apps::demo {
namespace {

/// A point's distance from a shape's edge, and where it lies across the shape: from -1 to 1 in both directions.
struct Near {
  float distance;
  Vec2 across;
};

/// The point's offset from the line from a to b, at its nearest, and where on the line that is: 0 at a, 1 at b.
struct FromLine {
  Vec2 offset;
  float along;
};
FromLine from_line(Vec2 p, Vec2 a, Vec2 b) {
  const Vec2 line = b - a;
  const float squared = dot(line, line);
  const float t = squared > 0 ? std::clamp(dot(p - a, line) / squared, 0.f, 1.f) : 0;
  return {p - (a + line * t), t};
}

Vec2 least(Vec2 a, Vec2 b) { return {std::min(a.x, b.x), std::min(a.y, b.y)}; }
Vec2 greatest(Vec2 a, Vec2 b) { return {std::max(a.x, b.x), std::max(a.y, b.y)}; }

}  // namespace

template <class Distance>
void Canvas::paint(Vec2 low, Vec2 high, const Paint& paint, const Distance& distance) {
  const auto pixel = [](float v, int size) { return int(std::clamp(v, 0.f, float(size))); };
  const int left = pixel(low.x - 1, width_), right = pixel(high.x + 2, width_);
  const int top = pixel(low.y - 1, height_), bottom = pixel(high.y + 2, height_);
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      const Near near = distance(Vec2{float(x) + 0.5f, float(y) + 0.5f});
      const float cover = std::clamp(0.5f - near.distance, 0.f, 1.f) * paint.alpha;
      if (cover <= 0) continue;
      Colour& under = at(x, y);
      under = blend(under, paint.colour * (1 + dot(near.across, paint.light)), cover);
    }
  }
}

void Canvas::gradient(float top, float bottom, Colour upper, Colour lower) {
  const float span = std::max(bottom - top, 1e-3f);
  for (int y = 0; y < height_; ++y) {
    const float cover = std::clamp(float(y) + 1 - top, 0.f, 1.f) * std::clamp(bottom - float(y), 0.f, 1.f);
    if (cover <= 0) continue;
    const Colour colour = blend(upper, lower, std::clamp((float(y) + 0.5f - top) / span, 0.f, 1.f));
    for (int x = 0; x < width_; ++x) at(x, y) = blend(at(x, y), colour, cover);
  }
}

void Canvas::capsule(Vec2 a, float ra, Vec2 b, float rb, const Paint& p) {
  const Vec2 r{std::max(ra, rb), std::max(ra, rb)};
  paint(least(a, b) - r, greatest(a, b) + r, p, [&](Vec2 point) {
    const FromLine near = from_line(point, a, b);
    const float radius = mix(ra, rb, near.along);
    return Near{length(near.offset) - radius, near.offset * (1 / std::max(radius, 1e-3f))};
  });
}

void Canvas::polygon(std::span<const Vec2> points, float radius, const Paint& p) {
  Vec2 low = points[0], high = points[0];
  for (const Vec2 point : points) low = least(low, point), high = greatest(high, point);
  low = low - Vec2{radius, radius}, high = high + Vec2{radius, radius};
  const Vec2 middle = (low + high) * 0.5f, half = (high - low) * 0.5f;
  paint(low, high, p, [&](Vec2 point) {
    float squared = std::numeric_limits<float>::max();
    bool inside = false;  // a ray to the right crosses an odd number of edges
    for (size_t i = 0; i < points.size(); ++i) {
      const Vec2 a = points[i], b = points[(i + 1) % points.size()];
      const Vec2 offset = from_line(point, a, b).offset;
      squared = std::min(squared, dot(offset, offset));
      if ((a.y > point.y) != (b.y > point.y) && point.x < a.x + (b.x - a.x) * (point.y - a.y) / (b.y - a.y))
        inside = !inside;
    }
    const Vec2 across{(point.x - middle.x) / std::max(half.x, 1e-3f), (point.y - middle.y) / std::max(half.y, 1e-3f)};
    return Near{(inside ? -std::sqrt(squared) : std::sqrt(squared)) - radius, across};
  });
}

void Canvas::ellipse(Vec2 centre, Vec2 radii, const Paint& p) {
  paint(centre - radii, centre + radii, p, [&](Vec2 point) {
    const Vec2 across{(point.x - centre.x) / radii.x, (point.y - centre.y) / radii.y};
    // The distance to first order: the function that is 0 on the edge, over the length of its gradient.
    const float k = length(across);
    const float slope = length(Vec2{across.x / radii.x, across.y / radii.y});
    return Near{slope > 0 ? (k - 1) * k / slope : -std::min(radii.x, radii.y), across};
  });
}

void Canvas::fade(Colour colour, float amount) {
  for (Colour& pixel : pixels_) pixel = blend(pixel, colour, amount);
}

void Canvas::blur(int times) {
  const auto pass = [&](int count, int other, auto&& pixel) {
    for (int j = 0; j < other; ++j) {
      Colour before = pixel(0, j);
      for (int i = 0; i < count; ++i) {
        const Colour here = pixel(i, j), after = pixel(std::min(i + 1, count - 1), j);
        pixel(i, j) = blend(here, blend(before, after, 0.5f), 0.5f);
        before = here;
      }
    }
  };
  for (int n = 0; n < times; ++n) {
    pass(width_, height_, [&](int i, int j) -> Colour& { return at(i, j); });
    pass(height_, width_, [&](int i, int j) -> Colour& { return at(j, i); });
  }
}

io::Image Canvas::image() const {
  io::Image image(width_, height_);
  uint8_t* to = image.view().row(0);
  for (const Colour& c : pixels_)
    for (const float value : {c.r, c.g, c.b}) *to++ = uint8_t(std::lrint(std::clamp(value, 0.f, 1.f) * 255));
  return image;
}

}  // namespace ar::apps::demo
