// A camera, and shapes of the world as it sees them.
#pragma once
#include <vector>

#include "apps/demo/canvas.h"

namespace ar::apps::demo {

/// Looks along -z, level. A point at distance d in front of it is shown `focal` / d pixels a metre large.
struct Camera {
  Vec3 eye = {0, 1.3f, 6};
  float focal = 200;     ///< pixels
  Vec2 middle = {0, 0};  ///< pixel that shows what is straight ahead
  float roll = 0;        ///< about the line of sight
};

/// Shapes with all their points in one list: one point is a ball, two a limb with a radius at either end, more a flat
/// piece with rounded rim.
struct Part {
  std::vector<Vec3> points;
  float radius = 0.02f, end_radius = 0.02f;
  Colour colour;
  float nearer = 0;       ///< metres nearer to the viewer than its middle, where it is decided what hides what
  float outline = 0;      ///< metres of darker rim
  float roundness = 0;    ///< how much the light tells one side from the other
  Vec2 stretch = {1, 1};  ///< of balls
};

class View {
 public:
  View(Canvas& canvas, const Camera& camera, Vec2 light) : canvas_(canvas), camera_(camera), light_(light) {}
  Canvas& canvas() const { return canvas_; }
  /// Pixels a metre at this depth.
  float scale(float z) const { return camera_.focal / std::max(camera_.eye.z - z, 0.3f); }
  Vec2 project(Vec3 point) const;

  void draw(const Part& part) const;
  /// The farthest first, so that the nearest is on top.
  void draw_sorted(std::vector<Part> parts) const;

  void rectangle(Vec3 corner, float width, float height, Colour colour) const;
  void ball(Vec3 centre, Vec2 radii, Colour colour, float roundness = 0.15f) const;
  void bar(Vec3 a, Vec3 b, float radius, Colour colour) const;
  /// A round patch on the floor.
  void patch(Vec3 centre, float radius, Colour colour, float alpha) const;

 private:
  Canvas& canvas_;
  const Camera& camera_;
  Vec2 light_;
};

}  // namespace ar::apps::demo
