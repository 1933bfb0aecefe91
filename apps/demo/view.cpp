#include "apps/demo/view.h"

namespace ar::apps::demo {
namespace {

float middle_depth(const Part& part) {
  float z = 0;
  for (const Vec3 point : part.points) z += point.z;
  return z / float(part.points.size()) + part.nearer;
}

}  // namespace

Vec2 View::project(Vec3 point) const {
  const float s = scale(point.z);
  const Vec3 turned = rolled({s * (point.x - camera_.eye.x), s * (point.y - camera_.eye.y), 0}, camera_.roll);
  return {camera_.middle.x + turned.x, camera_.middle.y - turned.y};
}

void View::draw(const Part& part) const {
  const auto paint = [&](float more, const Paint& p) {
    if (part.points.size() > 2) {
      std::vector<Vec2> flat;
      float s = 0;
      for (const Vec3 point : part.points) {
        flat.push_back(project(point));
        s += scale(point.z) / float(part.points.size());
      }
      canvas_.polygon(flat, (part.radius + more) * s, p);
    } else if (part.points.size() == 2) {
      const Vec3 a = part.points[0], b = part.points[1];
      canvas_.capsule(project(a), (part.radius + more) * scale(a.z), project(b), (part.end_radius + more) * scale(b.z),
                      p);
    } else {
      const float s = scale(part.points[0].z);
      canvas_.ellipse(project(part.points[0]),
                      {(part.radius * part.stretch.x + more) * s, (part.radius * part.stretch.y + more) * s}, p);
    }
  };
  if (part.outline > 0) paint(part.outline, {.colour = part.colour * 0.45f, .alpha = 0.8f});
  paint(0, {.colour = part.colour, .light = light_ * part.roundness});
}

void View::draw_sorted(std::vector<Part> parts) const {
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return middle_depth(a) < middle_depth(b); });
  for (const Part& part : parts) draw(part);
}

void View::rectangle(Vec3 corner, float width, float height, Colour colour) const {
  const auto at = [&](float x, float y) { return Vec3{corner.x + x, corner.y + y, corner.z}; };
  draw({.points = {at(0, 0), at(width, 0), at(width, height), at(0, height)},
        .radius = 0,
        .colour = colour,
        .roundness = 0.05f});
}

void View::ball(Vec3 centre, Vec2 radii, Colour colour, float roundness) const {
  draw({.points = {centre}, .radius = 1, .colour = colour, .roundness = roundness, .stretch = radii});
}

void View::bar(Vec3 a, Vec3 b, float radius, Colour colour) const {
  draw({.points = {a, b}, .radius = radius, .end_radius = radius, .colour = colour, .roundness = 0.15f});
}

void View::patch(Vec3 centre, float radius, Colour colour, float alpha) const {
  const Vec2 at = project(centre);
  const float near = project(centre + Vec3{0, 0, radius}).y, far = project(centre - Vec3{0, 0, radius}).y;
  canvas_.ellipse({at.x, (near + far) / 2}, {radius * scale(centre.z), std::abs(near - far) / 2 + 0.1f},
                  {.colour = colour, .alpha = alpha});
}

}  // namespace ar::apps::demo
