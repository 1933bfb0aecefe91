// The lists of video data sets, written as they are published.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "io/annotations.h"
#include "tests/errors.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class Annotations : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  VideoLists read(const std::string& dataset, int fold = 1) const {
    return read_video_lists({.dataset = dataset, .data_dir = folder, .annots_dir = folder, .fold = fold});
  }
  void write_ucf() const {
    write("classInd.txt", "1 Archery\r\n2 HandstandPushups\r\n");
    write("trainlist01.txt",
          "Archery/v_Archery_g08_c02.avi 1\r\nHandstandPushups/v_HandStandPushups_g09_c01.avi 2\r\n");
    write("testlist01.txt", "Archery/v_Archery_g01_c01.avi\r\n\r\n");
  }
  const fs::path folder = fs::temp_directory_path() / ("ar_annotations_" + std::to_string(getpid()));
};

std::vector<std::string> names(const std::vector<ListedVideo>& videos) {
  std::vector<std::string> all;
  for (const ListedVideo& v : videos) all.push_back(v.name + " " + std::to_string(v.label) + " " + v.group);
  return all;
}

TEST_F(Annotations, UcfListsWithCarriageReturnsAndNoLabels) {
  write_ucf();
  const VideoLists lists = read("UCF-101");
  EXPECT_THAT(lists.classes, ElementsAre("Archery", "HandstandPushups"));
  EXPECT_THAT(names(lists.train),
              ElementsAre("Archery/v_Archery_g08_c02.avi 0 Archery/g08",
                          "HandstandPushups/v_HandStandPushups_g09_c01.avi 1 HandstandPushups/g09"));
  EXPECT_THAT(names(lists.test), ElementsAre("Archery/v_Archery_g01_c01.avi 0 Archery/g01"));
}

TEST_F(Annotations, UcfMistakesAreNamed) {
  write_ucf();
  EXPECT_MESSAGE(read("UCF-101", 2), "trainlist02.txt");
  EXPECT_MESSAGE(read("UCF-101", 4), "--fold 4");
  write("trainlist01.txt", "Archery/v_Archery_g08_c02.avi 3\n");
  EXPECT_MESSAGE(read("UCF-101"), "label 3; classInd.txt has 1 to 2");
  write("trainlist01.txt", "Archery/v_Archery_g08_c02.avi 2\n");
  EXPECT_MESSAGE(read("UCF-101"), "gives that class 1");
  write("trainlist01.txt", "ok/ok.avi 1\n");
  EXPECT_MESSAGE(read("UCF-101"), "class 'ok'");
  write("trainlist01.txt", "lonely.avi\n");
  EXPECT_MESSAGE(read("UCF-101"), "line 1");
  write("trainlist01.txt", "");
  EXPECT_MESSAGE(read("UCF-101"), "is empty");
  write("classInd.txt", "1 Archery\n3 Surfing\n");
  EXPECT_MESSAGE(read("UCF-101"), "should have number 2");
  EXPECT_MESSAGE(read("UCF101"), "UCF-101, HMDB51, kinetics400, folder");
}

TEST_F(Annotations, HmdbSplits) {
  write("brush_hair_test_split1.txt",
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \nApril_09_brush_hair_u_nm_np1_ba_goo_1.avi 1 \n"
        "Haare #1_brush_hair_u_cm_np1_ba_goo_0.avi 2 \nunused_brush_hair_h.avi 0 \n");
  write("wave_test_split1.txt", "a_wave_u.avi 2\n");
  const VideoLists lists = read("HMDB51");
  EXPECT_THAT(lists.classes, ElementsAre("brush_hair", "wave"));
  EXPECT_THAT(names(lists.train),
              ElementsAre("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi 0 brush_hair/April_09",
                          "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi 0 brush_hair/April_09"));
  EXPECT_THAT(names(lists.test),
              ElementsAre("brush_hair/Haare #1_brush_hair_u_cm_np1_ba_goo_0.avi 0 brush_hair/Haare #1",
                          "wave/a_wave_u.avi 1 wave/a"));
}

TEST_F(Annotations, KineticsTables) {
  write("train.csv",
        "label,youtube_id,time_start,time_end,split\n\"waxing, legs\",abc-_12,10,20,train\nyoga,xyz,7,17,train\n");
  write("val.csv", "label,youtube_id,time_start,time_end,split\nyoga,q\"\",1,11,val\n");
  const VideoLists lists = read("kinetics400");
  EXPECT_THAT(lists.classes, ElementsAre("waxing, legs", "yoga"));
  EXPECT_THAT(names(lists.train), ElementsAre("abc-_12_000010_000020 0 abc-_12", "xyz_000007_000017 1 xyz"));
  EXPECT_EQ(lists.test.size(), 1u);
  write("val.csv", "label,youtube_id\n");
  EXPECT_MESSAGE(read("kinetics400"), "time_start");
}

TEST_F(Annotations, FoldersOfVideos) {
  write("run/v_run_g01_c01.avi", "");
  write("run/other.mp4", "");
  write("jump/a.mp4", "");
  write("readme.txt", "");
  const VideoLists lists = read("folder");
  EXPECT_THAT(lists.classes, ElementsAre("jump", "run"));
  EXPECT_THAT(names(lists.train), ElementsAre("jump/a.mp4 0 jump/a.mp4", "run/other.mp4 1 run/other.mp4",
                                              "run/v_run_g01_c01.avi 1 run/g01"));
  EXPECT_MESSAGE(read_video_lists({.dataset = "folder", .data_dir = folder / "run", .annots_dir = {}}),
                 "no folders of videos");
}

TEST_F(Annotations, FoundWhateverTheCapitals) {
  write("v/HandStandPushups/v_HandStandPushups_g09_c01.avi", "");
  write("v/flat.avi", "");
  write("v/yoga/xyz_000007_000017.mp4", "");
  write("v/yoga/abc.mp4", "");
  const FoundVideos found = find_videos(folder / "v", {{"HandstandPushups/v_HandStandPushups_g09_c01.avi", 1, ""},
                                                       {"Class/flat.avi", 0, ""},
                                                       {"xyz_000007_000017", 0, ""},
                                                       {"abc_000010_000020", 0, ""},
                                                       {"Class/gone.avi", 0, ""}});
  std::vector<std::string> paths;
  for (const FoundVideo& v : found.videos) paths.push_back(v.path);
  EXPECT_THAT(paths, ElementsAre("HandStandPushups/v_HandStandPushups_g09_c01.avi", "flat.avi",
                                 "yoga/xyz_000007_000017.mp4", "yoga/abc.mp4"));
  EXPECT_THAT(found.missing, ElementsAre("Class/gone.avi"));
  EXPECT_MESSAGE(find_videos(folder / "nowhere", {}), "nowhere: no such folder");
}

TEST_F(Annotations, NoFileServesTwoEntries) {
  for (const char* file : {"Squats/002.mp4", "Walking/001.mp4", "Walking/more/003.mp4", "flat.mp4", "A.mp4",
                           "yoga/xyz_000001_000011.mp4", "yoga/abc.mp4", "yoga/def.mp4"})
    write(std::string("v/") + file, "");
  const auto missing = [&](const std::vector<ListedVideo>& list) { return find_videos(folder / "v", list).missing; };
  // A video of another class that has the same name, whether the list has it or not.
  EXPECT_THAT(missing({{"Squats/001.mp4", 0, ""}, {"Squats/002.mp4", 0, ""}, {"Walking/001.mp4", 1, ""}}),
              ElementsAre("Squats/001.mp4"));
  EXPECT_THAT(missing({{"Squats/001.mp4", 0, ""}, {"Squats/003.mp4", 0, ""}, {"Walking/002.mp4", 1, ""}}),
              ElementsAre("Squats/001.mp4", "Squats/003.mp4", "Walking/002.mp4"));
  // A file that could be either; the same entry twice.
  EXPECT_THAT(missing({{"Squats/flat.mp4", 0, ""}, {"Walking/flat.mp4", 1, ""}, {"a.mp4", 0, ""}, {"A.mp4", 0, ""}}),
              ElementsAre("Squats/flat.mp4", "Walking/flat.mp4", "a.mp4"));
  EXPECT_EQ(find_videos(folder / "v", {{"A.mp4", 0, ""}, {"A.mp4", 0, ""}}).videos.size(), 1u);
  // Another part of the same recording.
  EXPECT_THAT(missing({{"xyz_000005_000015", 0, ""},
                       {"abc_000001_000011", 0, ""},
                       {"abc_000021_000031", 1, ""},
                       {"def_000001_000011", 0, ""}}),
              ElementsAre("xyz_000005_000015", "abc_000001_000011", "abc_000021_000031"));
}

TEST_F(Annotations, LinksAreFollowedButNotInCircles) {
  write("store/blob1.mp4", "");
  fs::create_directories(folder / "v/Squats");
  fs::create_symlink(folder / "store/blob1.mp4", folder / "v/Squats/001.mp4");
  fs::create_directory_symlink("..", folder / "v/Squats/parent");
  fs::create_directory_symlink(".", folder / "v/itself");
  fs::create_symlink("itself.mp4", folder / "v/Squats/itself.mp4");
  write("v/Walking/001.mp4", "");
  write("v/readme.txt", "");
  const VideoLists lists =
      read_video_lists({.dataset = "folder", .data_dir = folder / "v", .annots_dir = {}, .classes = {}});
  EXPECT_THAT(lists.classes, ElementsAre("Squats", "Walking"));
  const FoundVideos found = find_videos(folder / "v", lists.train);
  EXPECT_THAT(found.missing, ElementsAre());
  ASSERT_EQ(found.videos.size(), 3u);
  EXPECT_EQ(found.videos[0].path, "Squats/001.mp4");
}

TEST_F(Annotations, KnownClassesNeedNotAllBeThere) {
  write("Walking/a.mp4", "");
  AnnotationOptions options{.dataset = "folder", .data_dir = folder, .annots_dir = {}, .classes = {}};
  EXPECT_MESSAGE(read_video_lists(options), "only one class, 'Walking'");
  options.classes = {"Squats", "Walking"};
  const VideoLists lists = read_video_lists(options);
  EXPECT_EQ(lists.classes, options.classes);
  EXPECT_THAT(names(lists.test), ElementsAre("Walking/a.mp4 1 Walking/a.mp4"));
  options.classes = {"Jumping", "Squats"};
  EXPECT_MESSAGE(read_video_lists(options), "class 'Walking' is not among the 2 known classes");
}

TEST(OfficialLists, OfUcf101) {
  const char* data = std::getenv("AR_TEST_DATA");
  if (!data) GTEST_SKIP() << "AR_TEST_DATA is not set";
  const fs::path folder = fs::path(data) / "ucf101";
  const size_t train[] = {9537, 9586, 9624}, test[] = {3783, 3734, 3696};
  for (int fold = 1; fold <= 3; ++fold) {
    const VideoLists lists = read_video_lists(
        {.dataset = "UCF-101", .data_dir = folder / "videos", .annots_dir = folder / "annots", .fold = fold});
    EXPECT_EQ(lists.classes.size(), 101u);
    EXPECT_EQ(lists.train.size(), train[fold - 1]);
    EXPECT_EQ(lists.test.size(), test[fold - 1]);
    std::set<std::string> groups;
    for (const ListedVideo& v : lists.train) groups.insert(v.group);
    for (const ListedVideo& v : lists.test) EXPECT_FALSE(groups.contains(v.group)) << v.name;
  }
  const VideoLists six = read_video_lists(
      {.dataset = "UCF-101", .data_dir = folder / "videos", .annots_dir = folder / "annots-6", .fold = 1});
  EXPECT_TRUE(find_videos(folder / "videos", six.train).missing.empty());
  EXPECT_EQ(find_videos(folder / "videos", six.test).videos.size(), 36u);
}

}  // namespace
}  // namespace ar::io
