#include "apps/demo/scene.h"

#include "apps/demo/random.h"

namespace ar::apps::demo {
namespace {

/// The floor's edge at this depth, in pixels from the top; everything below is nearer.
float floor_line(const View& view, float z) { return view.project({0, 0, z}).y; }

// ---- indoors: a wall behind, what hangs on it, what stands before it ------------------------------------------------

constexpr float kWall = -2.4f;

void window(const View& view, Random& random, float x) {
  const float width = random.uniform(0.9f, 1.6f), height = random.uniform(1, 1.4f), y = random.uniform(0.9f, 1.1f);
  const Colour frame = random.chance(0.7f) ? Colour{0.93f, 0.93f, 0.9f} : Colour{0.4f, 0.27f, 0.16f};
  view.rectangle({x - 0.07f, y - 0.07f, kWall}, width + 0.14f, height + 0.14f, frame);
  view.rectangle({x, y, kWall}, width, height,
                 blend({0.55f, 0.75f, 0.95f}, {0.95f, 0.93f, 0.85f}, random.uniform(0, 1)));
  view.rectangle({x, y, kWall}, width, height * random.uniform(0.1f, 0.4f), {0.4f, 0.55f, 0.35f});
  view.rectangle({x + width / 2 - 0.03f, y, kWall}, 0.06f, height, frame);
  if (!random.chance(0.5f)) return;
  const Colour curtain = random.colour(0.2f, 0.8f, 0.4f, 0.9f);
  for (const float at : {x - 0.25f, x + width - 0.05f})
    view.rectangle({at, y - 0.3f, kWall}, 0.3f, height + 0.45f, curtain);
}

void picture(const View& view, Random& random, float x) {
  const float width = random.uniform(0.4f, 0.9f), height = random.uniform(0.4f, 0.8f), y = random.uniform(1.3f, 1.7f);
  view.rectangle({x - 0.05f, y - 0.05f, kWall}, width + 0.1f, height + 0.1f, random.colour(0.1f, 0.5f, 0.15f, 0.6f));
  view.rectangle({x, y, kWall}, width, height, random.colour(0.2f, 0.6f, 0.6f, 0.95f));
  view.rectangle({x, y, kWall}, width, height * 0.4f, random.colour(0.3f, 0.8f, 0.3f, 0.7f));
  view.ball({x + width * random.uniform(0.3f, 0.7f), y + height * 0.55f, kWall}, {0.1f, 0.1f},
            random.colour(0.5f, 0.9f, 0.6f, 1));
}

void bookshelf(const View& view, Random& random, float x) {
  const Colour wood = random.chance(0.5f) ? Colour{0.45f, 0.3f, 0.18f} : Colour{0.85f, 0.82f, 0.77f};
  view.rectangle({x, 0, kWall}, 1, 1.9f, wood * 0.75f);
  for (int row = 0; row < 4; ++row) {
    const float y = 0.1f + 0.45f * float(row);
    for (float at = 0.06f; at < 0.85f;) {
      const float width = random.uniform(0.04f, 0.12f);
      view.rectangle({x + at, y, kWall}, width, random.uniform(0.22f, 0.36f), random.colour(0.2f, 0.8f, 0.3f, 0.85f));
      at += width + 0.005f;
    }
    view.rectangle({x, y - 0.05f, kWall}, 1, 0.05f, wood);
  }
}

void sofa(const View& view, Random& random, float x) {
  const Colour cloth = random.colour(0.15f, 0.6f, 0.3f, 0.75f);
  const float z = kWall + 0.5f;
  view.rectangle({x, 0.3f, z}, 1.8f, 0.5f, cloth * 0.85f);
  view.rectangle({x, 0.1f, z + 0.2f}, 1.8f, 0.32f, cloth);
  for (const float end : {x - 0.1f, x + 1.7f}) view.rectangle({end, 0.1f, z + 0.2f}, 0.2f, 0.5f, cloth * 0.95f);
  view.ball({x + random.uniform(0.3f, 1.5f), 0.55f, z + 0.2f}, {0.17f, 0.15f}, random.colour(0.4f, 0.9f, 0.6f, 0.95f));
}

void plant(const View& view, Random& random, float x) {
  const float z = kWall + 0.5f, height = random.uniform(0.6f, 1.3f);
  const Colour leaf = Colour{0.2f, 0.5f, 0.2f} * random.uniform(0.8f, 1.3f);
  for (int i = 0; i < 9; ++i) {
    const float angle = -1.2f + 0.3f * float(i) + random.uniform(-0.1f, 0.1f);
    view.bar({x, 0.3f, z}, {x + 0.5f * height * std::sin(angle), 0.3f + height * std::cos(angle * 0.7f), z}, 0.045f,
             leaf * random.uniform(0.8f, 1.15f));
  }
  view.draw({.points = {{x, 0.06f, z}, {x, 0.33f, z}},
             .radius = 0.13f,
             .end_radius = 0.18f,
             .colour = {0.7f, 0.4f, 0.28f},
             .roundness = 0.2f});
}

void lamp(const View& view, Random& random, float x) {
  const float z = kWall + 0.3f;
  view.bar({x, 0, z}, {x, 1.5f, z}, 0.02f, {0.25f, 0.25f, 0.25f});
  view.draw({.points = {{x - 0.22f, 1.45f, z}, {x + 0.22f, 1.45f, z}, {x + 0.13f, 1.75f, z}, {x - 0.13f, 1.75f, z}},
             .colour = random.colour(0.1f, 0.4f, 0.85f, 1)});
}

void door(const View& view, Random& random, float x) {
  const Colour wood = random.chance(0.5f) ? Colour{0.9f, 0.89f, 0.85f} : Colour{0.5f, 0.33f, 0.2f};
  view.rectangle({x - 0.08f, 0, kWall}, 1.06f, 2.15f, wood * 0.8f);
  view.rectangle({x, 0, kWall}, 0.9f, 2.07f, wood);
  view.ball({x + 0.8f, 1, kWall}, {0.04f, 0.04f}, {0.75f, 0.65f, 0.3f});
}

void indoors(const View& view, Random& random) {
  const Colour wall = random.colour(0.05f, 0.4f, 0.55f, 0.95f),
               floor = random.chance(0.6f) ? blend({0.75f, 0.55f, 0.35f}, {0.35f, 0.22f, 0.13f}, random.uniform(0, 1))
                                           : random.colour(0.05f, 0.5f, 0.3f, 0.75f);
  const float edge = floor_line(view, kWall), low = float(view.canvas().height());
  view.canvas().gradient(-1, edge, wall, wall * 0.9f);
  if (random.chance(0.25f)) {
    const float step = random.uniform(0.25f, 0.6f);
    for (float x = -6; x < 6; x += step) view.rectangle({x, 0, kWall}, step / 2, 4, wall * 0.93f);
  }
  view.canvas().gradient(edge, low + 1, floor * 0.85f, floor * 1.05f);
  if (random.chance(0.5f))
    for (float x = -6; x < 6; x += 0.4f) view.bar({x, 0, kWall}, {x, 0, 2.5f}, 0.006f, floor * 0.7f);
  view.rectangle({-9, 0, kWall}, 18, 0.1f, blend(wall, {1, 1, 1}, 0.5f));
  using Draw = void (*)(const View&, Random&, float);
  constexpr Draw kHung[] = {window, picture, picture, door, bookshelf};
  constexpr Draw kStanding[] = {sofa, plant, lamp};
  for (float x = random.uniform(-4.5f, -3.5f); x < 4; x += random.uniform(1.7f, 2.6f))
    random.pick(kHung)(view, random, x);
  for (float x = random.uniform(-4.5f, -3); x < 4; x += random.uniform(2.2f, 4))
    random.pick(kStanding)(view, random, x);
  if (random.chance(0.4f)) {
    const Colour rug = random.colour(0.3f, 0.8f, 0.3f, 0.8f);
    view.patch({random.uniform(-0.4f, 0.4f), 0, -0.2f}, 1.5f, rug, 1);
    view.patch({random.uniform(-0.4f, 0.4f), 0, -0.2f}, 1.2f, rug * 1.2f, 1);
  }
}

// ---- outdoors: sky, hills, houses and trees, the ground -------------------------------------------------------------

void tree(const View& view, Random& random, float x, float z) {
  const float height = random.uniform(2.2f, 4.5f);
  const Colour leaf =
      blend({0.15f, 0.4f, 0.15f}, random.chance(0.2f) ? Colour{0.8f, 0.5f, 0.15f} : Colour{0.45f, 0.6f, 0.2f},
            random.uniform(0, 1));
  view.draw({.points = {{x, 0, z}, {x, height * 0.6f, z}},
             .radius = 0.16f,
             .end_radius = 0.1f,
             .colour = {0.36f, 0.25f, 0.17f},
             .roundness = 0.25f});
  if (random.chance(0.3f)) {  // a fir
    for (int i = 0; i < 4; ++i) {
      const float y = height * (0.25f + 0.2f * float(i)), half = height * (0.3f - 0.06f * float(i));
      view.draw({.points = {{x - half, y, z}, {x + half, y, z}, {x, y + height * 0.35f, z}},
                 .colour = leaf * (0.7f + 0.06f * float(i)),
                 .roundness = 0.2f});
    }
    return;
  }
  for (int i = 0; i < 6; ++i) {
    const float r = height * random.uniform(0.16f, 0.25f);
    view.ball({x + height * random.uniform(-0.22f, 0.22f), height * random.uniform(0.65f, 1), z}, {r, r * 0.9f},
              leaf * random.uniform(0.85f, 1.15f), 0.25f);
  }
}

void house(const View& view, Random& random, float x, float z) {
  const float width = random.uniform(3, 6), height = random.uniform(2.5f, 5), roof = random.uniform(1, 2);
  const Colour wall = random.colour(0.05f, 0.45f, 0.6f, 0.95f);
  view.rectangle({x, 0, z}, width, height, wall);
  view.draw({.points = {{x - 0.3f, height, z}, {x + width + 0.3f, height, z}, {x + width / 2, height + roof, z}},
             .colour = random.colour(0.3f, 0.7f, 0.3f, 0.6f)});
  for (float at = 0.5f; at < width - 0.9f; at += 1.4f)
    view.rectangle({x + at, height * 0.45f, z}, 0.7f, 0.9f, {0.35f, 0.45f, 0.55f});
}

void outdoors(const View& view, Random& random) {
  const Colour sky =
      blend({0.35f, 0.6f, 0.92f}, random.chance(0.3f) ? Colour{0.75f, 0.77f, 0.8f} : Colour{0.6f, 0.8f, 0.97f},
            random.uniform(0, 1));
  const float horizon = floor_line(view, -60), low = float(view.canvas().height());
  view.canvas().gradient(-1, horizon, sky, blend(sky, {1, 0.97f, 0.92f}, 0.6f));
  for (int i = random.below(5); i > 0; --i) {
    const float x = random.uniform(-30, 30), y = random.uniform(9, 20);
    for (int j = 0; j < 4; ++j)
      view.ball({x + random.uniform(-4, 4), y + random.uniform(-0.6f, 0.6f), -50},
                {random.uniform(1.5f, 4), random.uniform(0.8f, 1.5f)}, {0.97f, 0.97f, 0.98f}, 0.03f);
  }
  const Colour far = blend({0.45f, 0.6f, 0.45f}, {0.5f, 0.58f, 0.7f}, random.uniform(0, 1));
  for (int i = 0; i < 5; ++i)
    view.ball({random.uniform(-35, 35), 0, -48}, {random.uniform(8, 20), random.uniform(2, 8)},
              far * random.uniform(0.85f, 1.1f), 0.05f);
  constexpr Colour kGrounds[] = {
      {0.36f, 0.55f, 0.25f}, {0.45f, 0.6f, 0.3f}, {0.8f, 0.72f, 0.52f}, {0.5f, 0.5f, 0.5f}, {0.62f, 0.52f, 0.42f}};
  const Colour ground = random.pick(kGrounds) * random.uniform(0.85f, 1.1f);
  view.canvas().gradient(horizon, low + 1, blend(ground, far, 0.4f), ground);
  if (random.chance(0.45f))
    for (float x = random.uniform(-14, -8); x < 14; x += random.uniform(5, 9)) house(view, random, x, -16);
  if (random.chance(0.6f)) {  // a path
    const float z = random.uniform(-3, -0.8f);
    const Colour path = random.chance(0.5f) ? Colour{0.75f, 0.68f, 0.55f} : Colour{0.55f, 0.55f, 0.57f};
    view.canvas().gradient(floor_line(view, z), floor_line(view, z + random.uniform(1.2f, 2.8f)), path * 0.93f, path);
  }
  for (int i = 2 + random.below(6); i > 0; --i) tree(view, random, random.uniform(-8, 8), -12 + 1.2f * float(7 - i));
  if (random.chance(0.35f)) {  // a fence
    const Colour wood = random.chance(0.5f) ? Colour{0.9f, 0.9f, 0.88f} : Colour{0.5f, 0.36f, 0.24f};
    for (float x = -7; x < 7; x += 0.35f) view.rectangle({x, 0, -3.2f}, 0.12f, 0.95f, wood);
    for (const float y : {0.3f, 0.7f}) view.rectangle({-7, y, -3.2f}, 14, 0.1f, wood * 0.9f);
  }
  for (int i = random.below(4); i > 0; --i) {
    const float r = random.uniform(0.3f, 0.6f), x = random.uniform(-4, 4);
    for (int j = -1; j < 2; ++j)
      view.ball({x + 0.5f * r * float(j), r * 0.6f, -2.8f}, {r, r * 0.8f},
                Colour{0.2f, 0.42f, 0.2f} * random.uniform(0.8f, 1.2f), 0.25f);
  }
}

}  // namespace

void draw_scene(const View& view, uint64_t seed) {
  Random random{seed, 1};
  if (random.chance(0.5f))
    indoors(view, random);
  else
    outdoors(view, random);
}

}  // namespace ar::apps::demo
