#include "apps/demo/film.h"

#include "apps/demo/scene.h"
#include "tensor/error.h"

namespace ar::apps::demo {

Pose Film::Take::at(double seconds) const {
  const auto since = float(seconds - segment.start);
  const Action* const action = segment.action;
  return (action ? action->pose : standing)(phase + since / period, style);
}

float Film::Wobble::at(double seconds) const {
  float sum = 0;
  for (int i = 0; i < 2; ++i) sum += size[i] * std::sin(frequency[i] * float(seconds) + phase[i]);
  return sum;
}

Film::Wobble Film::wobble(Random& random, float size) const {
  Wobble w;
  for (int i = 0; i < 2; ++i) {
    w.size[i] = size * random.uniform(0.3f, 1) / float(1 + i);
    w.frequency[i] = random.uniform(1.5f, 4) * float(1 + 2 * i);
    w.phase[i] = random.uniform(0, 2 * kPi);
  }
  return w;
}

Film::Film(FilmOptions options) : options_(std::move(options)) {
  AR_CHECK(!options_.segments.empty(), "a film needs a segment at least");
  Random looks{options_.seed, 2};
  looks_ = random_looks(looks);
  Random random{options_.seed, options_.shot, 3};
  place_ = {random.uniform(-0.3f, 0.3f), 0, random.uniform(-0.3f, 0.3f)};

  const float distance = random.uniform(4.5f, 7.5f), share = random.uniform(0.64f, 0.76f);
  camera_.eye = {0, random.uniform(0.9f, 1.7f), distance};
  camera_.focal = share * float(options_.height) / kUsualHeight * distance;
  camera_.middle = {float(options_.width) / 2, float(options_.height) * random.uniform(0.5f, 0.53f) +
                                                   camera_.focal / distance * (1 - camera_.eye.y)};
  follow_ = random.uniform(0.6f, 1);
  const float shake = random.chance(0.3f) ? 0 : random.uniform(0.3f, 1);
  sideways_ = wobble(random, 0.03f * shake);
  upwards_ = wobble(random, 0.02f * shake);
  roll_ = wobble(random, 0.012f * shake);
  zoom_ = wobble(random, 0.015f * shake);

  const float brightness = random.uniform(0.85f, 1.15f), warmth = random.uniform(-0.08f, 0.08f);
  light_ = {random.chance(0.5f) ? 1.f : -1.f, -0.7f};
  tint_ = {brightness * (1 + warmth), brightness, brightness * (1 - warmth)};
  noise_ = random.uniform(0.004f, 0.03f);
  vignette_ = random.uniform(0, 0.35f);
  blur_ = random.chance(0.2f) ? 1 : 0;
  focus_ = 1 + random.below(3);
  haze_ = random.colour(0, 0.15f, 0.6f, 0.9f);
  haziness_ = random.uniform(0.2f, 0.5f);

  for (const Segment& segment : options_.segments) takes_.push_back(take_of(segment));
  const Action* const first = options_.segments[0].action;
  chair_colour_ = random.chance(0.5f) ? blend({0.5f, 0.33f, 0.2f}, {0.8f, 0.65f, 0.45f}, random.uniform(0, 1))
                                      : random.colour(0.1f, 0.8f, 0.25f, 0.9f);
  chair_ = random.chance(0.3f);  // one that only stands there
  chair_place_ = place_ + Vec3{(random.chance(0.5f) ? 1.f : -1.f) * random.uniform(0.9f, 1.4f), 0, -0.8f};
  chair_yaw_ = random.uniform(-1, 1);
  if (!first || !first->chair) return;
  chair_ = true;
  chair_place_ = takes_[0].style.place;
  chair_yaw_ = takes_[0].style.yaw;
}

Film::Take Film::take_of(const Segment& segment) const {
  Random random{options_.seed, options_.shot, segment.seed, 4};
  Take take{.segment = segment, .style = {.place = place_}};
  take.style.size = random.uniform(0.85f, 1.1f);
  take.style.side = random.below(2);
  const Action* const action = segment.action;
  const float side = random.chance(0.5f) ? 1.f : -1.f;
  take.style.yaw = action ? side * random.uniform(action->yaw_low, action->yaw_high) : side * random.uniform(0, 0.6f);
  take.period = (action ? action->period : 3.f) * random.uniform(0.85f, 1.2f);
  take.phase = segment.phase >= 0 ? segment.phase : random.uniform(0, 1);
  if (action && action->once && segment.phase < 0) {  // somewhere in the time there is
    const float rest = std::max(float(options_.seconds - segment.start) - take.period, 0.f);
    take.phase = -random.uniform(0.2f, 0.8f) * rest / take.period;
  }
  return take;
}

Pose Film::pose_at(double seconds) const {
  constexpr double kChange = 0.5;  // seconds from one action to the next
  size_t now = 0;
  while (now + 1 < takes_.size() && takes_[now + 1].segment.start <= seconds) ++now;
  const Pose pose = takes_[now].at(seconds);
  const double since = seconds - takes_[now].segment.start;
  if (now == 0 || since >= kChange) return pose;
  return mix(takes_[now - 1].at(seconds), pose, smooth(float(since / kChange)));
}

Camera Film::camera_at(double seconds) const {
  Camera camera = camera_;
  float way = 0;  // of the person, as a camera follows it: not at once
  for (int i = -2; i <= 2; ++i) way += (pose_at(std::max(0.0, seconds + 0.2 * i)).place.x - place_.x) / 5;
  camera.eye.x += follow_ * way + sideways_.at(seconds);
  camera.eye.y += upwards_.at(seconds);
  camera.roll = roll_.at(seconds);
  camera.focal *= 1 + zoom_.at(seconds);
  return camera;
}

/// What lens and film make of the picture.
void Film::develop(Canvas& canvas, int index) const {
  canvas.blur(blur_);
  Random random{options_.seed, options_.shot, uint64_t(index), 5};
  const float flicker = random.uniform(0.99f, 1.01f);
  const float cx = float(canvas.width()) / 2, cy = float(canvas.height()) / 2;
  for (int y = 0; y < canvas.height(); ++y) {
    for (int x = 0; x < canvas.width(); ++x) {
      const float dx = (float(x) - cx) / cx, dy = (float(y) - cy) / cy;
      const float light = flicker * (1 - vignette_ * 0.5f * (dx * dx + dy * dy));
      const uint64_t bits = random.next();  // three sums of two uniform numbers
      const auto grain = [&](int shift) {
        return noise_ * 2.4f * (float(bits >> shift & 1023) + float(bits >> (shift + 10) & 1023) - 1023) / 1023;
      };
      Colour& c = canvas.at(x, y);
      c = {c.r * tint_.r * light + grain(0), c.g * tint_.g * light + grain(20), c.b * tint_.b * light + grain(40)};
    }
  }
}

io::Image Film::frame(int index) const {
  if (options_.backwards) index = frames() - 1 - index;
  const double seconds = index / options_.rate;
  Canvas canvas(options_.width, options_.height);
  const Camera camera = camera_at(seconds);
  const View view(canvas, camera, light_);
  draw_scene(view, options_.seed);
  canvas.blur(focus_);
  canvas.fade(haze_, haziness_);
  const Pose pose = pose_at(seconds);
  std::vector<Part> parts = figure(looks_, pose);
  const float size = looks_.height / kUsualHeight;
  const Vec3 under = turned(Vec3{pose.pelvis.x, 0, pose.pelvis.z} * size, pose.yaw) + pose.place;
  view.patch(under, 0.34f * looks_.bulk, {0, 0, 0}, 0.3f);
  if (chair_) {
    const std::vector<Part> more = chair(chair_place_, chair_yaw_, size, chair_colour_);
    parts.insert(parts.end(), more.begin(), more.end());
    view.patch(chair_place_ + turned({0, 0, -kSeatBack * size}, chair_yaw_), 0.3f, {0, 0, 0}, 0.2f);
  }
  view.draw_sorted(std::move(parts));
  develop(canvas, index);
  return canvas.image();
}

FilmOptions film_of(const Action& action, uint64_t seed, uint64_t shot, double seconds) {
  return {
      .seed = seed, .shot = shot, .seconds = seconds, .backwards = action.backwards, .segments = {{.action = &action}}};
}

io::Image photograph(const Action& action, uint64_t seed, int width, int height) {
  Random random{seed, 6};
  FilmOptions options = film_of(action, seed, 0, 1);
  options.width = width;
  options.height = height;
  options.segments[0].phase = random.uniform(action.best_from, action.best_to);
  return Film(options).frame(0);
}

}  // namespace ar::apps::demo
