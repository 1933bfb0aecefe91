// Names, tables, scores and the journal: what a run leaves on disk.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "apps/clips/journal.h"
#include "apps/clips/naming.h"
#include "apps/clips/scores.h"
#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::apps {
namespace {

using test::TempDir;
using ::testing::HasSubstr;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Names, AreSafeAndStayDifferent) {
  EXPECT_EQ(safe_name("playing cymbals"), "playing_cymbals");
  EXPECT_EQ(safe_name("v_Archery_g01_c01"), "v_Archery_g01_c01");
  EXPECT_THAT(safe_name("a/b"), testing::MatchesRegex("a_b-[0-9a-f]{8}"));
  EXPECT_THAT(safe_name("../../etc"), testing::MatchesRegex("_\\._\\.\\._etc-[0-9a-f]{8}|_\\._.+"));
  EXPECT_NE(safe_name("ü"), safe_name("ö"));
  EXPECT_NE(safe_name(""), "");
  EXPECT_NE(safe_name("con.mp4").substr(0, 4), "con.");
  EXPECT_NE(safe_name("LPT1"), "LPT1");
  for (const std::string& odd : {std::string("a\0b", 3), std::string(300, 'x'), std::string("."), std::string(".."),
                                 std::string("-rf"), std::string("a."), std::string("\xff\xfe"), std::string("a\nb")}) {
    const std::string name = safe_name(odd);
    EXPECT_LE(name.size(), 100u);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
              std::string::npos)
        << name;
    EXPECT_NE(name.front(), '.');
    EXPECT_NE(name.front(), '-');
  }
  EXPECT_NE(safe_name(std::string(300, 'x')), safe_name(std::string(301, 'x')));
}

TEST(Names, OfClipsCarryTheTimes) {
  EXPECT_EQ(clip_path("vid", 12.34, 22.34, "walk_dog"), "walk_dog/vid_00012340_00022340_walk_dog.mp4");
}

TEST(Names, OfVideosNeverMeet) {
  VideoNames names;
  EXPECT_EQ(names.claim("/a/x.mp4"), "x");
  EXPECT_EQ(names.claim("/a/x.mp4"), "x");
  const std::string second = names.claim("/b/X.avi");
  EXPECT_THAT(second, testing::MatchesRegex("X-[0-9a-f]{8}"));
  VideoNames later;
  later.remember("X-" + second.substr(2), "/b/X.avi");
  EXPECT_EQ(later.claim("/c/x.mp4"), "x");
}

TEST(Csv, QuotesAsRfc4180Says) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
}

TEST(Csv, HasTheColumnsOfKinetics) {
  const TempDir dir;
  write_clip_table(dir / "clips.csv",
                   {{.path = "/v/a b.mp4",
                     .name = "a_b",
                     .clips = {{.file = "x/c.mp4", .label = "x, y", .start = 1, .end = 11, .score = 0.5, .rank = 1}}}},
                   "train");
  EXPECT_EQ(text_of(dir / "clips.csv"),
            "label,youtube_id,time_start,time_end,split,score,rank,file\r\n"
            "\"x, y\",a b,1.000,11.000,train,0.5000,1,x/c.mp4\r\n");
}

TEST(Scores, ComeBackAsTheyWere) {
  const TempDir dir;
  VideoScores scores{.path = "/v/a.mp4", .duration = 2.5, .frames = 50, .damaged = 1, .times_corrected = true};
  const float p[3] = {0.12345f, 0.0005f, 0.87f};
  scores.add(0, p, 3);
  scores.add(1.0 / 3, p, 2);
  write_scores(dir / "scores" + std::string("/a.jsonl"), scores, {"x", "y", "z"});
  const VideoScores again = read_scores(dir / "scores/a.jsonl");
  EXPECT_EQ(again.seconds, scores.seconds);
  EXPECT_EQ(again.probabilities, scores.probabilities);
  EXPECT_EQ(again.duration, 2.5);
  EXPECT_TRUE(again.times_corrected);
  EXPECT_EQ(again.curve(2), (std::vector<double>{0.87f, 0}));
  EXPECT_EQ(again.curve(1), (std::vector<double>{0, 0}));
  EXPECT_EQ(again.strongest(1), (std::vector<int64_t>{2}));
  const std::string text = text_of(dir / "scores/a.jsonl");
  std::ofstream(dir / "cut.jsonl") << text.substr(0, text.rfind("{\"p\""));
  EXPECT_MESSAGE(read_scores(dir / "cut.jsonl"), "cut.jsonl: is not complete");
}

TEST(Journal, RemembersWhatWasDoneAndGuardsTheFolder) {
  const TempDir dir;
  const std::string out = dir / "out", video = dir / "v.mp4";
  std::ofstream(video) << "some bytes";
  const nlohmann::json settings = {{"clip-len", 10}, {"action", "any"}};
  {
    Journal journal(out, settings);
    EXPECT_MESSAGE(Journal(out, settings), "out: another run is writing here");
    VideoRecord v = journal.begin(video);
    EXPECT_FALSE(v.done);
    journal.scored(v);
    journal.clip(v, {.file = "x/v.mp4", .label = "x", .start = 1, .end = 2, .rank = 1});
    EXPECT_MESSAGE(journal.begin(dir / "none.mp4"), "none.mp4: cannot be read");
  }
  {
    std::ofstream(out + "/journal.jsonl", std::ios::app) << "{\"event\": \"do";  // a kill in mid-write
    Journal journal(out, settings);
    VideoRecord v = journal.begin(video);
    EXPECT_TRUE(v.scored);
    EXPECT_FALSE(v.done);
    ASSERT_EQ(v.clips.size(), 1u);
    EXPECT_EQ(v.clips[0].file, "x/v.mp4");
    journal.done(v);
  }
  EXPECT_TRUE(Journal(out, settings).begin(video).done);
  EXPECT_MESSAGE(Journal(out, {{"clip-len", 5}, {"action", "any"}}), "was begun with --clip-len 10, now it is 5");
  std::ofstream(video) << "other bytes, so the record is void";
  EXPECT_FALSE(Journal(out, settings).begin(video).done);
}

TEST(Journal, AFolderThatCannotBeWrittenIsNamed) {
  EXPECT_MESSAGE(Journal("/proc/nowhere", nlohmann::json::object()), "/proc/nowhere: cannot be made");
}

}  // namespace
}  // namespace ar::apps
