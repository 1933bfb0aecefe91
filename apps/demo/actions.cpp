#include "apps/demo/actions.h"

#include "tensor/error.h"

namespace ar::apps::demo {
namespace {

float sign_of(int side) { return side == 0 ? 1.f : -1.f; }
/// 0 to 1 and back, once a round.
float there_and_back(float phase) { return 0.5f - 0.5f * std::cos(2 * kPi * phase); }
float fraction(float x) { return x - std::floor(x); }

Pose at_place(const Style& style) {
  Pose pose;
  pose.place = style.place;
  pose.yaw = style.yaw;
  return pose;
}

Pose waving(float phase, const Style& style) {
  Pose pose = standing(phase * 0.3f, style);
  const float x = sign_of(style.side), angle = 0.75f * style.size * std::sin(2 * kPi * phase) + 0.1f;
  pose.hand[style.side] = Vec3{0.2f * x, 0.17f, 0.06f} + Vec3{std::sin(angle) * x, std::cos(angle), 0.1f} * 0.27f;
  pose.elbow[style.side] = {x, -0.8f, 0};
  pose.sway = 0.05f * x * std::sin(2 * kPi * phase) - 0.04f * x;
  return pose;
}

Pose jumping_jacks(float phase, const Style& style) {
  Pose pose = at_place(style);
  const float open = there_and_back(phase), spread = 0.34f * style.size;
  const float angle = mix(-1.4f, 1.35f, open), air = 0.09f * std::pow(std::sin(2 * kPi * phase), 2.f);
  pose.pelvis = {0, mix(0.92f, 0.86f, open) + air, 0};
  for (int side = 0; side < 2; ++side) {
    const float x = sign_of(side);
    pose.hand[side] = Vec3{std::cos(angle) * x, std::sin(angle), 0.04f} * 0.53f;
    pose.elbow[side] = {0, -0.3f, -1};
    pose.foot[side] = {(0.09f + spread * open) * x, 0.08f + air, 0};
    pose.tiptoe[side] = 5 * air;
    pose.knee[side] = {0.6f * x, 0, 1};
  }
  return pose;
}

Pose squats(float phase, const Style& style) {
  Pose pose = at_place(style);
  const float down = there_and_back(phase);
  pose.pelvis = {0, mix(0.91f, 0.91f - 0.45f * style.size, down), -0.26f * down};
  pose.lean = 0.75f * down;
  pose.nod = -0.4f * down;
  for (int side = 0; side < 2; ++side) {
    const float x = sign_of(side);
    pose.hand[side] = mix(Vec3{0.05f * x, -0.5f, 0.1f}, {-0.03f * x, 0, 0.54f}, smooth(2 * down));
    pose.elbow[side] = {0.5f * x, -1, 0};
    pose.foot[side] = {0.19f * x, 0.08f, 0};
    pose.knee[side] = {0.5f * x, 0, 1};
  }
  return pose;
}

Pose walking(float phase, const Style& style) {
  Pose pose;
  constexpr float kStride = 1.05f, kLane = 1.25f;  // metres a round; half the way, before the person turns
  const float way = fraction((phase * kStride + (style.side == 0 ? 0.4f : 2.9f) * kLane) / (4 * kLane)) * 4;
  pose.place = style.place + Vec3{kLane * (way < 2 ? way - 1 : 3 - way), 0, 0};
  // To the right on the way there, to the left on the way back, and turning to the viewer at the ends.
  const float back = smooth((way - 1.85f) / 0.3f) - smooth((way - 3.85f) / 0.3f) +
                     (way < 0.15f ? 1 - smooth((way + 0.15f) / 0.3f) : 0);
  pose.yaw = mix(1, -1, back) * (kPi / 2 - 0.35f + 0.3f * style.yaw);
  pose.pelvis = {0, 0.9f + 0.015f * std::cos(4 * kPi * (phase - 0.3f)), 0};
  pose.lean = 0.06f;
  const float swing = std::sin(2 * kPi * phase);
  pose.twist = 0.12f * swing;
  for (int side = 0; side < 2; ++side) {
    const float x = sign_of(side), q = fraction(phase + 0.5f * float(side)), reach = 0.33f * style.size;
    const float lift = q > 0.6f ? std::sin(kPi * (q - 0.6f) / 0.4f) : 0;
    const float z = q < 0.6f ? mix(reach, -reach, q / 0.6f) : mix(-reach, reach, smooth((q - 0.6f) / 0.4f));
    pose.foot[side] = {0.07f * x, 0.08f + 0.13f * lift + (z < -0.15f ? 0.3f * (-0.15f - z) : 0), z};
    pose.tiptoe[side] = q > 0.45f && q < 0.8f ? 0.6f : q > 0.9f ? -0.3f : 0;
    const float arm = -1.1f * z / std::max(style.size, 0.1f);
    pose.hand[side] = {0.06f * x, -0.47f + 0.3f * std::abs(arm) * 0.5f, arm * 1.05f + 0.06f};
    pose.elbow[side] = {0.2f * x, -0.2f, -1};
  }
  return pose;
}

Pose punching(float phase, const Style& style) {
  Pose pose = at_place(style);
  const float beat = std::sin(2 * kPi * phase);
  const int front = style.side;
  pose.pelvis = {0, 0.85f + 0.01f * std::cos(4 * kPi * phase), 0.05f};
  pose.lean = 0.12f;
  for (int side = 0; side < 2; ++side) {
    const float x = sign_of(side), out = smooth(1.3f * (side == front ? beat : -beat));
    pose.hand[side] = mix(Vec3{-0.07f * x, 0.04f, 0.22f}, {-0.12f * x, 0.06f, 0.55f}, out * std::min(style.size, 1.f));
    pose.elbow[side] = {0.6f * x, -1, 0};
    pose.twist -= 0.55f * out * x;
    pose.foot[side] = {0.14f * x, 0.08f, side == front ? 0.24f : -0.26f};
    pose.knee[side] = {0.3f * x, 0, 1};
  }
  return pose;
}

Pose bowing(float phase, const Style& style) {
  Pose pose = at_place(style);
  phase = fraction(phase);
  const float down = smooth(phase / 0.38f) * (1 - smooth((phase - 0.6f) / 0.38f));
  pose.lean = 1.3f * style.size * down;
  pose.nod = 0.25f * down;
  pose.pelvis = {0, 0.92f, -0.13f * down};
  for (int side = 0; side < 2; ++side) {
    const float x = sign_of(side);
    pose.hand[side] = pitched({0.05f * x, -0.52f, 0.06f}, 0.6f * pose.lean);
    pose.foot[side].x = 0.08f * x;
  }
  return pose;
}

Pose sitting_down(float phase, const Style& style) {
  Pose pose = at_place(style);
  const float down = smooth(phase);
  pose.pelvis = {0, mix(0.92f, kSeatedHips, down), -kSeatBack * smooth(1.15f * phase)};
  pose.lean = 0.65f * style.size * std::sin(kPi * down) + 0.02f;
  pose.nod = -0.3f * std::sin(kPi * down);
  for (int side = 0; side < 2; ++side) {
    const float x = sign_of(side);
    pose.hand[side] = mix(pose.hand[side], {-0.01f * x, -0.37f, 0.3f}, down);
    pose.elbow[side] = {0.7f * x, 0, -1};
    pose.foot[side].z = 0.03f;
  }
  return pose;
}

Pose sitting(float phase, const Style& style) {
  Pose pose = sitting_down(1, style);
  const float sway = std::sin(2 * kPi * phase);
  pose.lean = 0.08f + 0.1f * style.size * sway;
  pose.nod = 0.1f * std::sin(4 * kPi * phase);
  return pose;
}

constexpr float degrees(float d) { return d * kPi / 180; }

constexpr Action kActions[] = {
    {.name = "bowing",
     .label = "Bowing",
     .pose = bowing,
     .period = 2.6f,
     .yaw_low = degrees(35),
     .yaw_high = degrees(90),
     .best_from = 0.28f,
     .best_to = 0.7f},
    {.name = "jumping jacks",
     .label = "JumpingJacks",
     .pose = jumping_jacks,
     .period = 1.1f,
     .yaw_low = 0,
     .yaw_high = degrees(35),
     .best_from = 0.28f,
     .best_to = 0.72f},
    {.name = "punching",
     .label = "Punching",
     .pose = punching,
     .period = 0.9f,
     .yaw_low = degrees(30),
     .yaw_high = degrees(85),
     .best_from = 0,
     .best_to = 1},
    {.name = "sitting",
     .label = "Sitting",
     .pose = sitting,
     .period = 3,
     .chair = true,
     .filmed = false,
     .yaw_low = degrees(25),
     .yaw_high = degrees(80),
     .best_from = 0,
     .best_to = 1},
    {.name = "sitting down",
     .label = "SittingDown",
     .pose = sitting_down,
     .period = 1.4f,
     .once = true,
     .chair = true,
     .pictured = false,
     .yaw_low = degrees(25),
     .yaw_high = degrees(80),
     .best_from = 0,
     .best_to = 1},
    {.name = "squats",
     .label = "Squats",
     .pose = squats,
     .period = 1.7f,
     .yaw_low = degrees(20),
     .yaw_high = degrees(85),
     .best_from = 0.28f,
     .best_to = 0.72f},
    {.name = "standing up",
     .label = "StandingUp",
     .pose = sitting_down,
     .period = 1.4f,
     .once = true,
     .chair = true,
     .pictured = false,
     .backwards = true,
     .yaw_low = degrees(25),
     .yaw_high = degrees(80),
     .best_from = 0,
     .best_to = 1},
    {.name = "walking",
     .label = "Walking",
     .pose = walking,
     .period = 1.05f,
     .yaw_low = 0,
     .yaw_high = 1,
     .best_from = 0,
     .best_to = 1},
    {.name = "waving",
     .label = "Waving",
     .pose = waving,
     .period = 0.75f,
     .yaw_low = 0,
     .yaw_high = degrees(40),
     .best_from = 0,
     .best_to = 1},
};

}  // namespace

std::span<const Action> actions() { return kActions; }

std::vector<const Action*> pictured_actions() {
  std::vector<const Action*> found;
  for (const Action& action : actions())
    if (action.pictured) found.push_back(&action);
  return found;
}

std::vector<const Action*> filmed_actions() {
  std::vector<const Action*> found;
  for (const Action& action : actions())
    if (action.filmed) found.push_back(&action);
  return found;
}

const Action& action_named(std::string_view name) {
  for (const Action& action : actions())
    if (name == action.name || name == action.label) return action;
  fail("\"", name, "\" is no action that can be drawn");
}

Pose standing(float phase, const Style& style) {
  Pose pose = at_place(style);
  const float breath = std::sin(2 * kPi * phase);
  pose.pelvis.x = 0.012f * breath;
  pose.lean = 0.02f + 0.01f * breath;
  pose.nod = 0.05f * std::sin(1.7f * phase);
  return pose;
}

}  // namespace ar::apps::demo
