// The actions, each a pose for every moment.
#pragma once
#include <span>
#include <string_view>

#include "apps/demo/figure.h"

namespace ar::apps::demo {

/// How this person does it this time.
struct Style {
  float size = 1;  ///< of the movement
  int side = 0;    ///< the arm or leg that leads: 0 left, 1 right
  Vec3 place;
  float yaw = 0;
};

struct Action {
  const char* name;   ///< "jumping jacks"
  const char* label;  ///< "JumpingJacks", as in lists of UCF-101's kind
  /// The body at a phase: one round of a repeated movement takes 1, a movement that happens once lasts from 0 to 1.
  Pose (*pose)(float phase, const Style& style);
  float period;              ///< seconds for a phase of 1, at a usual tempo
  bool once = false;         ///< not repeated
  bool chair = false;        ///< needs one behind the person
  bool pictured = true;      ///< pictures show what it is
  bool filmed = true;        ///< there are videos of it
  bool backwards = false;    ///< shown backwards in time
  float yaw_low, yaw_high;   ///< from where it is seen: radians away from the viewer, to either side
  float best_from, best_to;  ///< phases at which a photographer would press the button
};

/// All of them, sorted by name.
std::span<const Action> actions();
/// Those that pictures show: also "sitting", but neither "sitting down" nor "standing up", which no single picture
/// tells apart, one being the other backwards in time.
std::vector<const Action*> pictured_actions();
/// Those that there are short videos of.
std::vector<const Action*> filmed_actions();
/// By name or label. Throws Error.
const Action& action_named(std::string_view name);
/// Somebody who just stands there, breathing.
Pose standing(float phase, const Style& style);

}  // namespace ar::apps::demo
