// Filming a person who does one action after the other: person, place, camera, light and noise from seeds.
#pragma once
#include <cstdint>
#include <vector>

#include "apps/demo/actions.h"
#include "apps/demo/random.h"

namespace ar::apps::demo {

/// From `start` on (seconds) this action is done.
struct Segment {
  double start = 0;
  const Action* action = nullptr;  ///< null: the person stands there
  uint64_t seed = 0;               ///< of how it is done this time
  float phase = -1;                ///< at the start; negative: any
};

struct FilmOptions {
  uint64_t seed = 0;  ///< of the person and the place
  uint64_t shot = 0;  ///< of where the person stands in it, the camera, light and noise
  int width = 144, height = 120;
  double rate = 12;  ///< frames per second
  double seconds = 3;
  bool backwards = false;              ///< the last frame first
  std::vector<Segment> segments = {};  ///< in order, the first from 0 on
};

/// A film, any frame of which can be drawn for itself, in any order, by any number of threads.
class Film {
 public:
  explicit Film(FilmOptions options);
  int frames() const { return int(std::lround(options_.seconds * options_.rate)); }
  const FilmOptions& options() const { return options_; }
  io::Image frame(int index) const;

 private:
  struct Take {
    Segment segment;
    Style style;
    float period = 1, phase = 0;
    Pose at(double seconds) const;
  };
  /// Two waves of their own frequency.
  struct Wobble {
    float size[2] = {}, frequency[2] = {}, phase[2] = {};
    float at(double seconds) const;
  };
  Take take_of(const Segment& segment) const;
  Wobble wobble(Random& random, float size) const;
  Pose pose_at(double seconds) const;
  Camera camera_at(double seconds) const;
  void develop(Canvas& canvas, int index) const;

  FilmOptions options_;
  std::vector<Take> takes_;
  Looks looks_;
  Vec3 place_;
  bool chair_ = false;
  Vec3 chair_place_;
  float chair_yaw_ = 0;
  Colour chair_colour_;
  Camera camera_;
  float follow_ = 1;  ///< how much of the person's way the camera goes along
  Wobble sideways_, upwards_, roll_, zoom_;
  Vec2 light_;
  Colour tint_, haze_;
  float noise_ = 0, vignette_ = 0, haziness_ = 0;
  int blur_ = 0, focus_ = 0;  ///< of all, and of what lies behind the person
};

/// An action by itself. Of an action that is another's time reversal, the same seeds give the other's frames in
/// reverse.
FilmOptions film_of(const Action& action, uint64_t seed, uint64_t shot, double seconds);
/// A picture of an action, taken at one of its best moments.
io::Image photograph(const Action& action, uint64_t seed, int width, int height);

}  // namespace ar::apps::demo
