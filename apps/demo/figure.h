// Articulated human figures: how one looks, how it stands, and how that becomes shapes.
#pragma once
#include <vector>

#include "apps/demo/random.h"
#include "apps/demo/view.h"

namespace ar::apps::demo {

/// What a person keeps from frame to frame.
struct Looks {
  float height = 1.75f;  ///< metres
  float bulk = 1;        ///< thickness of trunk and limbs
  float belly = 0;       ///< metres in front of the trunk
  Colour skin, hair, shirt, trousers, shoes;
  enum Hair { bald, cropped, longer, bun, cap } hairdo = cropped;
  enum Legs { long_trousers, shorts, skirt } legs = long_trousers;
  bool long_sleeves = false;
};
Looks random_looks(Random& random);

/// Where the limbs are, in metres of a body 1.75 m tall. The body looks to +z, its left is +x, the floor is y = 0.
/// Pairs are left, right.
struct Pose {
  Vec3 pelvis = {0, 0.92f, 0};
  float lean = 0;   ///< of the trunk, forwards (radians)
  float sway = 0;   ///< of the trunk, to the left
  float twist = 0;  ///< of the shoulders against the hips
  float nod = 0;    ///< of the head, forwards, besides the trunk
  /// Wrists, seen from the shoulders. What is too far away is reached for with a straight arm.
  Vec3 hand[2] = {{0.08f, -0.52f, 0.03f}, {-0.08f, -0.52f, 0.03f}};
  Vec3 elbow[2] = {{0.4f, 0, -1}, {-0.4f, 0, -1}};         ///< directions that the elbows point to
  Vec3 foot[2] = {{0.11f, 0.08f, 0}, {-0.11f, 0.08f, 0}};  ///< ankles
  float tiptoe[2] = {0, 0};                                ///< how much the toes point down (radians)
  Vec3 knee[2] = {{0.15f, 0, 1}, {-0.15f, 0, 1}};
  Vec3 place;     ///< of the body in the world
  float yaw = 0;  ///< of the body in the world: 0 looks at the viewer, pi / 2 to the right
};
Pose mix(const Pose& a, const Pose& b, float t);

/// The joint of a limb of two bones from `root` to `target`, bent towards `hint`, and where the limb really ends: the
/// law of cosines.
struct Limb {
  Vec3 joint, end;
};
Limb reach(Vec3 root, Vec3 target, float upper, float lower, Vec3 hint);

/// The person's shapes in the world.
std::vector<Part> figure(const Looks& looks, const Pose& pose);
/// A chair that somebody standing at `place` can sit down on, behind them. Made to measure: `size` 1 is for 1.75 m.
std::vector<Part> chair(Vec3 place, float yaw, float size, Colour colour);
inline constexpr float kUsualHeight = 1.75f;
/// From a body's place back to the middle of its chair's seat, and the height of the hips of who sits there.
inline constexpr float kSeatBack = 0.36f, kSeatedHips = 0.54f;

}  // namespace ar::apps::demo
