// The drawn data: the same for the same seed, labelled as they say, in the layouts that the readers expect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "apps/demo/search_site.h"
#include "apps/demo/videos.h"
#include "io/annotations.h"
#include "io/image.h"
#include "io/video_index.h"
#include "io/video_writer.h"
#include "scrape/engine.h"
#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::apps::demo {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Every file below a folder, with what it holds.
std::map<std::string, std::string> files_below(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder)] = read_all(entry.path());
  return files;
}

void expect_same_files(const fs::path& a, const fs::path& b) {
  const auto in_a = files_below(a), in_b = files_below(b);
  EXPECT_EQ(in_a.size(), in_b.size());
  for (const auto& [name, bytes] : in_a) EXPECT_TRUE(in_b.contains(name) && in_b.at(name) == bytes) << name;
}

std::string pixels(const io::Image& image) {
  const auto* data = reinterpret_cast<const char*>(image.view().data);
  return {data, size_t(3 * image.width() * image.height())};
}

Film small_film(const std::string& action, uint64_t seed, uint64_t shot) {
  FilmOptions options = film_of(action_named(action), seed, shot, 1.5);
  options.width = 64;
  options.height = 48;
  return Film(options);
}

const Done kNothing = [] {};

TEST(Canvas, CoverageOfAStraightEdgeIsExact) {
  Canvas canvas(8, 8);
  const Vec2 square[] = {{2.25f, 2}, {6.5f, 2}, {6.5f, 6}, {2.25f, 6}};
  canvas.polygon(square, 0, {.colour = {1, 1, 1}});
  EXPECT_FLOAT_EQ(canvas.at(1, 4).r, 0);
  EXPECT_FLOAT_EQ(canvas.at(2, 4).r, 0.75f);
  EXPECT_FLOAT_EQ(canvas.at(4, 4).r, 1);
  EXPECT_FLOAT_EQ(canvas.at(6, 4).r, 0.5f);
  EXPECT_FLOAT_EQ(canvas.at(7, 4).r, 0);
}

TEST(Canvas, AreaOfRoundShapes) {
  const auto area = [](const auto& draw) {
    Canvas canvas(64, 64);
    draw(canvas);
    float sum = 0;
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x) sum += canvas.at(x, y).g;
    return sum;
  };
  const Paint white{.colour = {1, 1, 1}};
  EXPECT_NEAR(area([&](Canvas& c) { c.ellipse({32, 32}, {20, 9}, white); }), kPi * 20 * 9, 6);
  EXPECT_NEAR(area([&](Canvas& c) { c.capsule({16, 20}, 6, {40, 38}, 6, white); }), kPi * 36 + 30 * 12, 4);
}

TEST(Figure, BonesKeepTheirLength) {
  for (const Vec3 target : {Vec3{0.3f, -0.2f, 0.1f}, {2, 0, 0}, {0.001f, 0, 0}}) {
    const Limb limb = reach({0, 0, 0}, target, 0.3f, 0.25f, {0, 0, -1});
    EXPECT_NEAR(length(limb.joint), 0.3f, 1e-4f);
    EXPECT_NEAR(length(limb.end - limb.joint), 0.25f, 1e-4f);
  }
}

TEST(Figure, FeetStayOnTheFloorAndOutOfIt) {
  for (const Action& action : actions()) {
    for (float phase = 0; phase <= 1; phase += 0.05f) {
      const Pose pose = action.pose(phase, {});
      const float lowest = std::min(pose.foot[0].y, pose.foot[1].y);
      EXPECT_GE(lowest, 0.079f) << action.name << " " << phase;
      EXPECT_LE(lowest, 0.25f) << action.name << " " << phase;
    }
  }
}

TEST(Film, SameSeedsSamePicturesOthersDiffer) {
  const std::string first = pixels(small_film("waving", 3, 4).frame(5));
  EXPECT_EQ(pixels(small_film("waving", 3, 4).frame(5)), first);
  EXPECT_NE(pixels(small_film("waving", 3, 4).frame(6)), first);
  EXPECT_NE(pixels(small_film("waving", 3, 5).frame(5)), first);
  EXPECT_NE(pixels(small_film("waving", 4, 4).frame(5)), first);
}

TEST(Film, StandingUpIsSittingDownBackwards) {
  const Film down = small_film("sitting down", 7, 8), up = small_film("standing up", 7, 8);
  ASSERT_EQ(down.frames(), 18);
  ASSERT_EQ(up.frames(), 18);
  std::set<std::string> different;
  for (int i = 0; i < 18; ++i) {
    different.insert(pixels(down.frame(i)));
    EXPECT_EQ(pixels(down.frame(i)), pixels(up.frame(17 - i))) << i;
  }
  EXPECT_EQ(different.size(), 18u);
}

TEST(Site, ResultsAreWhatTheListSays) {
  const TempDir folder;
  const SiteOptions options{.seed = 5, .per_action = 6};
  const std::vector<SearchResult> results = write_search_site(folder.path(), options, kNothing);
  EXPECT_EQ(int(results.size()), count(options));
  std::map<ResultKind, int> seen;
  std::set<std::string> good;
  for (const SearchResult& result : results) {
    const std::string path = folder / result.file, bytes = fs::exists(path) ? read_all(path) : "";
    ++seen[result.kind];
    io::Image image;
    const auto decode = [&] { io::decode_image_file(path, {}, image); };
    switch (result.kind) {
      case ResultKind::missing:
        EXPECT_FALSE(fs::exists(path));
        break;
      case ResultKind::page:
      case ResultKind::cut:
        EXPECT_THROW(decode(), Error) << result.file;
        break;
      case ResultKind::copy:
        EXPECT_TRUE(good.contains(bytes)) << result.file;
        break;
      case ResultKind::tiny:
        decode();
        EXPECT_LT(image.width(), 64);
        break;
      default:
        decode();
        EXPECT_GE(image.width(), 96);
        EXPECT_TRUE(good.insert(bytes).second) << result.file;
    }
  }
  EXPECT_EQ(seen[ResultKind::good], 6 * 7);
  EXPECT_EQ(seen.size(), 9u);
  for (const auto& [kind, times] : seen) EXPECT_EQ(times % 7, 0) << to_string(kind);
}

TEST(Site, SameSeedSameFiles) {
  const TempDir folder;
  for (const char* name : {"a", "b"}) write_search_site(folder.path() / name, {.seed = 5, .per_action = 2}, kNothing);
  expect_same_files(folder.path() / "a", folder.path() / "b");
  EXPECT_TRUE(fs::exists(folder.path() / "a/search.html"));
}

TEST(Site, ItsEngineProfileIsOne) {
  const TempDir folder;
  std::ofstream(folder / "engine.json") << engine_profile("http://127.0.0.1:8000");
  const scrape::Profile profile = scrape::read_profile(folder / "engine.json");
  EXPECT_EQ(scrape::search_url(profile, "jumping jacks", "", ""),
            "http://127.0.0.1:8000/search.html?q=jumping%20jacks");
  // What the profile names is in the page.
  const TempDir site;
  write_search_site(site.path(), {.per_action = 1}, kNothing);
  const std::string page = read_all(site.path() / "search.html");
  for (const char* id : {"reject", "more", "end", "none"})
    EXPECT_THAT(page, ::testing::HasSubstr("id=\"" + std::string(id) + "\""));
}

TEST(LongVideos, BoundariesCoverTheVideos) {
  const TempDir folder;
  const LongVideoOptions options{.seed = 9, .per_action = 1, .height = 48};
  write_long_videos(folder.path(), options, kNothing);
  std::ifstream list(folder / "boundaries.csv");
  std::string line;
  std::getline(list, line);
  EXPECT_EQ(line, "video,start,end,action");
  std::map<std::string, std::vector<std::string>> done;
  std::map<std::string, double> ends;
  while (std::getline(list, line)) {
    std::istringstream fields(line);
    std::string video, start, end, action;
    std::getline(std::getline(std::getline(std::getline(fields, video, ','), start, ','), end, ','), action);
    EXPECT_DOUBLE_EQ(std::stod(start), ends[video]) << line;  // one begins where the one before ends
    EXPECT_GE(std::stod(end) - std::stod(start), 3.9) << line;
    ends[video] = std::stod(end);
    EXPECT_TRUE(action_named(action).pictured && action_named(action).filmed) << line;
    done[video].push_back(action);
  }
  EXPECT_EQ(int(done.size()), count(options));
  for (const auto& [video, segments] : done) {
    const std::string wanted = fs::path(video).parent_path();
    EXPECT_EQ(std::count(segments.begin(), segments.end(), wanted), 2) << video;
    EXPECT_EQ(segments.size(), 5u);
    const io::VideoIndex index = io::index_video(folder / video);
    EXPECT_NEAR(index.seconds(index.frames() - 1) + 1.0 / 12, ends[video], 2e-3) << video;
  }
}

TEST(Ucf101, ListsAreReadAndEveryVideoIsThere) {
  const TempDir folder;
  const Ucf101Options options{.seed = 2, .groups = 4, .per_group = 1, .height = 48};
  write_ucf101(folder.path(), options, kNothing);
  const io::VideoLists lists = io::read_video_lists(
      {.dataset = "UCF-101", .data_dir = folder.path() / "videos", .annots_dir = folder.path() / "annots"});
  EXPECT_EQ(lists.classes.size(), filmed_actions().size());
  EXPECT_EQ(lists.train.size() + lists.test.size(), size_t(count(options)));
  std::set<std::string> train_groups, test_groups;
  for (const auto& video : lists.train) train_groups.insert(video.group);
  for (const auto& video : lists.test) test_groups.insert(video.group);
  std::vector<std::string> both;
  std::set_intersection(train_groups.begin(), train_groups.end(), test_groups.begin(), test_groups.end(),
                        std::back_inserter(both));
  EXPECT_THAT(both, ::testing::IsEmpty());
  for (const auto* list : {&lists.train, &lists.test}) {
    EXPECT_FALSE(list->empty());
    EXPECT_THAT(io::find_videos(folder.path() / "videos", *list).missing, ::testing::IsEmpty());
    for (const auto& video : *list)
      EXPECT_TRUE(video.name.starts_with(lists.classes[size_t(video.label)] + "/")) << video.name;
  }
  const io::VideoIndex down = io::index_video(folder / "videos/SittingDown/v_SittingDown_g03_c01.mp4"),
                       up = io::index_video(folder / "videos/StandingUp/v_StandingUp_g03_c01.mp4");
  EXPECT_EQ(down.frames(), up.frames());
  EXPECT_GE(down.frames(), 26);

  const TempDir again;
  write_ucf101(again.path(), options, kNothing);
  expect_same_files(folder.path(), again.path());
}

TEST(VideoWriter, BadUse) {
  const TempDir folder;
  const std::string path = folder / "v.mp4";
  EXPECT_MESSAGE(io::VideoWriter(path, {.width = 33, .height = 48}), "v.mp4: a video of 33 x 48 pixels cannot");
  io::VideoWriter writer(path, {.width = 64, .height = 48});
  EXPECT_MESSAGE(writer.finish(), "v.mp4: a video without a picture");
  const io::Image picture(32, 48);
  EXPECT_MESSAGE(writer.write(picture), "v.mp4: a picture of 32 x 48 pixels in a video of 64 x 48");
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace ar::apps::demo
