#include "apps/demo/figure.h"

namespace ar::apps::demo {
namespace {

constexpr float kOutline = 0.012f;
constexpr float kTrunk = 0.48f, kUpperArm = 0.28f, kForearm = 0.26f, kThigh = 0.43f, kShin = 0.42f;

Part ball(Vec3 at, float radius, Colour colour, float nearer = 0, Vec2 stretch = {1, 1}) {
  return {.points = {at},
          .radius = radius,
          .colour = colour,
          .nearer = nearer,
          .outline = kOutline,
          .roundness = 0.2f,
          .stretch = stretch};
}
Part bone(Vec3 a, float ra, Vec3 b, float rb, Colour colour, float nearer = 0) {
  return {.points = {a, b},
          .radius = ra,
          .end_radius = rb,
          .colour = colour,
          .nearer = nearer,
          .outline = kOutline,
          .roundness = 0.2f};
}

void add_head(std::vector<Part>& parts, const Looks& looks, Vec3 neck, const auto& turn) {
  const Vec3 head = neck + turn({0, 0.2f, 0.03f});
  const auto at = [&](float x, float y, float z) { return head + turn({x, y, z}); };
  parts.push_back(bone(neck, 0.055f, head, 0.05f, looks.skin * 0.9f, -0.02f));
  parts.push_back(ball(head, 0.115f, looks.skin, 0, {0.92f, 1.12f}));
  const Vec3 face = turn({0, 0, 1});
  if (face.z > 0.15f) {
    for (const float side : {-1.f, 1.f})
      parts.push_back({.points = {at(0.042f * side, 0.02f, 0.1f)},
                       .radius = 0.014f,
                       .colour = {0.08f, 0.06f, 0.05f},
                       .nearer = 0.1f});
    parts.push_back({.points = {at(-0.03f, -0.062f, 0.1f), at(0.03f, -0.062f, 0.1f)},
                     .radius = 0.009f,
                     .end_radius = 0.009f,
                     .colour = blend(looks.skin, {0.6f, 0.1f, 0.1f}, 0.6f),
                     .nearer = 0.1f});
  }
  if (face.z > -0.4f)
    parts.push_back(
        {.points = {at(0, -0.015f, 0.115f)}, .radius = 0.02f, .colour = looks.skin * 0.85f, .nearer = 0.09f});
  switch (looks.hairdo) {
    case Looks::bald:
      break;
    case Looks::longer:
      parts.push_back(bone(at(0, 0, -0.05f), 0.12f, at(0, -0.2f, -0.07f), 0.1f, looks.hair, -0.02f));
      [[fallthrough]];
    case Looks::bun:
      if (looks.hairdo == Looks::bun) parts.push_back(ball(at(0, 0.14f, -0.07f), 0.055f, looks.hair));
      [[fallthrough]];
    case Looks::cropped:
      parts.push_back(ball(at(0, 0.045f, -0.045f), 0.122f, looks.hair, face.z > 0.3f ? -0.02f : 0.02f));
      parts.push_back(bone(at(-0.05f, 0.105f, 0.04f), 0.035f, at(0.05f, 0.105f, 0.04f), 0.035f, looks.hair, 0.02f));
      break;
    case Looks::cap:
      parts.push_back(bone(at(0, 0.08f, -0.02f), 0.1f, at(0, 0.085f, 0.01f), 0.1f, looks.hair, 0.05f));
      parts.push_back(bone(at(0, 0.075f, 0.1f), 0.05f, at(0, 0.065f, 0.19f), 0.03f, looks.hair * 0.8f, 0.08f));
      break;
  }
}

}  // namespace

Looks random_looks(Random& random) {
  static constexpr Colour kSkins[] = {{0.98f, 0.83f, 0.72f}, {0.93f, 0.74f, 0.58f}, {0.80f, 0.58f, 0.42f},
                                      {0.62f, 0.42f, 0.28f}, {0.45f, 0.29f, 0.19f}, {0.33f, 0.21f, 0.14f}};
  static constexpr Colour kHairs[] = {{0.08f, 0.06f, 0.05f}, {0.25f, 0.15f, 0.08f}, {0.45f, 0.27f, 0.12f},
                                      {0.80f, 0.62f, 0.30f}, {0.62f, 0.25f, 0.10f}, {0.68f, 0.68f, 0.68f}};
  Looks looks;
  looks.height = random.uniform(1.52f, 1.95f);
  looks.bulk = random.uniform(0.85f, 1.3f);
  looks.belly = looks.bulk > 1.1f ? random.uniform(0, 0.09f) : 0;
  looks.skin = random.pick(kSkins) * random.uniform(0.92f, 1.05f);
  looks.hair = random.pick(kHairs);
  looks.shirt = random.colour(0.1f, 0.9f, 0.35f, 0.98f);
  looks.trousers =
      random.chance(0.6f) ? random.colour(0.2f, 0.6f, 0.15f, 0.5f) : random.colour(0.05f, 0.7f, 0.3f, 0.9f);
  looks.shoes = random.chance(0.5f) ? random.colour(0, 0.3f, 0.08f, 0.25f) : random.colour(0, 0.9f, 0.6f, 1);
  looks.hairdo = Looks::Hair(random.below(5));
  if (looks.hairdo == Looks::cap) looks.hair = random.colour(0.4f, 0.9f, 0.3f, 0.9f);
  looks.legs = random.chance(0.6f) ? Looks::long_trousers : random.chance(0.6f) ? Looks::shorts : Looks::skirt;
  looks.long_sleeves = random.chance(0.5f);
  return looks;
}

Pose mix(const Pose& a, const Pose& b, float t) {
  Pose pose = a;
  pose.pelvis = mix(a.pelvis, b.pelvis, t);
  pose.lean = mix(a.lean, b.lean, t);
  pose.sway = mix(a.sway, b.sway, t);
  pose.twist = mix(a.twist, b.twist, t);
  pose.nod = mix(a.nod, b.nod, t);
  for (int side = 0; side < 2; ++side) {
    pose.hand[side] = mix(a.hand[side], b.hand[side], t);
    pose.elbow[side] = mix(a.elbow[side], b.elbow[side], t);
    pose.foot[side] = mix(a.foot[side], b.foot[side], t);
    pose.tiptoe[side] = mix(a.tiptoe[side], b.tiptoe[side], t);
    pose.knee[side] = mix(a.knee[side], b.knee[side], t);
  }
  pose.place = mix(a.place, b.place, t);
  pose.yaw = mix(a.yaw, b.yaw, t);
  return pose;
}

Limb reach(Vec3 root, Vec3 target, float upper, float lower, Vec3 hint) {
  const Vec3 direction = unit(target - root);
  const float d = std::clamp(length(target - root), std::abs(upper - lower) + 0.01f, upper + lower - 0.002f);
  const float along = (upper * upper - lower * lower + d * d) / (2 * d);
  const float aside = std::sqrt(std::max(upper * upper - along * along, 0.f));
  const Vec3 bend = unit(hint - direction * dot(hint, direction));
  return {root + direction * along + bend * aside, root + direction * d};
}

std::vector<Part> figure(const Looks& looks, const Pose& pose) {
  std::vector<Part> parts;
  const float thick = looks.bulk;
  const auto trunk = [&](Vec3 v) { return pitched(rolled(v, pose.sway), pose.lean); };
  const auto shoulders = [&](Vec3 v) { return trunk(turned(v, pose.twist)); };
  const Vec3 neck = pose.pelvis + trunk({0, kTrunk + 0.05f, 0});
  Vec3 shoulder[2], hip[2];
  for (int side = 0; side < 2; ++side) {
    const float x = side == 0 ? 1 : -1;
    shoulder[side] = pose.pelvis + shoulders({0.165f * thick * x, kTrunk, 0});
    hip[side] = pose.pelvis + Vec3{0.085f * thick * x, 0, 0};

    const Limb arm = reach(shoulder[side], shoulder[side] + pose.hand[side], kUpperArm, kForearm, pose.elbow[side]);
    const Colour lower = looks.long_sleeves ? looks.shirt : looks.skin;
    const Vec3 hand = arm.end + unit(arm.end - arm.joint) * 0.05f;
    parts.push_back(bone(arm.end, 0.042f * thick, hand, 0.05f, looks.skin, 0.05f));
    parts.push_back(bone(arm.joint, 0.047f * thick, arm.end, 0.04f * thick, lower * 0.97f, 0.045f));
    parts.push_back(bone(shoulder[side], 0.066f * thick, arm.joint, 0.052f * thick, looks.shirt * 0.97f, 0.04f));

    const Limb leg = reach(hip[side], pose.foot[side], kThigh, kShin, pose.knee[side]);
    const Colour below = looks.legs == Looks::long_trousers ? looks.trousers : looks.skin;
    const Vec3 toe = leg.end + pitched({0.02f * x, -0.03f, 0.15f}, -pose.tiptoe[side]);
    parts.push_back(bone(leg.end + Vec3{0, -0.02f, -0.03f}, 0.048f, toe, 0.04f, looks.shoes, 0.02f));
    parts.push_back(bone(leg.joint, 0.062f * thick, leg.end, 0.047f * thick, below * 0.95f));
    parts.push_back(bone(hip[side], 0.092f * thick, leg.joint, 0.068f * thick,
                         looks.legs == Looks::skirt ? looks.skin : looks.trousers, -0.01f));
    if (looks.legs == Looks::shorts)
      parts.push_back(bone(hip[side], 0.094f * thick, mix(hip[side], leg.joint, 0.85f), 0.08f * thick, looks.trousers));
    if (looks.legs == Looks::skirt)
      parts.push_back(
          bone(hip[side], 0.11f * thick, mix(hip[side], leg.joint, 0.7f), 0.11f * thick, looks.trousers, 0.005f));
  }
  const Vec3 lower = pose.pelvis + trunk({0, 0.06f, 0});
  parts.push_back({.points = {mix(shoulder[0], neck, 0.15f), mix(shoulder[1], neck, 0.15f),
                              lower + (hip[1] - pose.pelvis) * 0.9f, lower + (hip[0] - pose.pelvis) * 0.9f},
                   .radius = 0.085f * thick,
                   .colour = looks.shirt,
                   .outline = kOutline,
                   .roundness = 0.2f});
  if (looks.belly > 0)
    parts.push_back({.points = {pose.pelvis + trunk({0, 0.15f, looks.belly})},
                     .radius = 0.15f,
                     .colour = looks.shirt,
                     .nearer = -looks.belly + 0.005f,
                     .roundness = 0.2f});
  const auto head = [&](Vec3 v) { return shoulders(pitched(v, pose.nod)); };
  add_head(parts, looks, neck, head);

  const float size = looks.height / kUsualHeight;
  for (Part& part : parts) {
    part.radius *= size;
    part.end_radius *= size;
    for (Vec3& point : part.points) point = turned(point * size, pose.yaw) + pose.place;
  }
  return parts;
}

std::vector<Part> chair(Vec3 place, float yaw, float size, Colour colour) {
  constexpr float kHalf = 0.21f, kSeat = 0.42f;
  const auto at = [&](float x, float y, float z) { return turned(Vec3{x, y, z - kSeatBack} * size, yaw) + place; };
  std::vector<Part> parts;
  for (const float x : {-kHalf, kHalf}) {
    for (const float z : {-kHalf, kHalf})
      parts.push_back(bone(at(x, 0, z), 0.02f, at(x, kSeat, z), 0.022f, colour * 0.8f, -0.02f));
    parts.push_back(bone(at(x, kSeat, -kHalf), 0.022f, at(x, 0.92f, -kHalf - 0.05f), 0.022f, colour * 0.85f));
  }
  parts.push_back({.points = {at(-kHalf, kSeat, -kHalf), at(kHalf, kSeat, -kHalf), at(kHalf, kSeat, kHalf),
                              at(-kHalf, kSeat, kHalf)},
                   .radius = 0.025f,
                   .colour = colour,
                   .nearer = -0.15f,
                   .outline = kOutline});
  parts.push_back({.points = {at(-kHalf, 0.66f, -kHalf - 0.03f), at(kHalf, 0.66f, -kHalf - 0.03f),
                              at(kHalf, 0.92f, -kHalf - 0.05f), at(-kHalf, 0.92f, -kHalf - 0.05f)},
                   .radius = 0.015f,
                   .colour = colour * 0.92f,
                   .outline = kOutline});
  return parts;
}

}  // namespace ar::apps::demo
