// The published lists of video data sets: which videos there are, of which class, on which side.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ar::io {

/// A video as a list names it.
struct ListedVideo {
  std::string name;   // "Archery/v_Archery_g08_c02.avi": its path below the data set's folder, or a part of it
  int64_t label = 0;  // index into VideoLists::classes
  std::string group;  // videos cut from one recording share it
};

struct VideoLists {
  std::vector<std::string> classes;
  std::vector<ListedVideo> train, test;
};

struct AnnotationOptions {
  std::string dataset = "folder";    // see video_dataset_names()
  std::filesystem::path data_dir;    // the videos
  std::filesystem::path annots_dir;  // the lists; not for "folder", and "kinetics400" may go without
  int fold = 1;                      // of UCF-101 and HMDB51: 1 to 3
  /// The labels' names, when they are known before (those of a checkpoint, say). The lists' classes must be among them;
  /// the others have no videos. Empty: the lists' own, and there must be two at least.
  std::vector<std::string> classes = {};
};

/// "UCF-101", "HMDB51", "kinetics400", "folder".
std::vector<std::string> video_dataset_names();

/// Reads the lists as they are published. Throws Error, the file first.
///   UCF-101      classInd.txt ("1 ApplyEyeMakeup"), trainlist0N.txt ("Class/v_Class_g08_c01.avi 1") and
///                testlist0N.txt (the same without labels, which are the folders' names). A group is a class's gNN.
///   HMDB51       CLASS_test_splitN.txt ("NAME.avi 1": 1 train, 2 test, 0 neither). A group is what stands before the
///                class in the name.
///   kinetics400  train.csv and val.csv or validate.csv or test.csv (columns label, youtube_id, time_start, time_end);
///                without annots_dir the folders train/CLASS and val/CLASS. A group is one YouTube id.
///   folder       CLASS/VIDEO, all of them on both sides: who trains does not test here. Names like UCF-101's give
///                groups, every other video is its own. Links are followed, but not back to the folder itself.
VideoLists read_video_lists(const AnnotationOptions& options);

/// Which group a name like "v_Archery_g08_c02.avi" belongs to: "g08"; "" for other names.
std::string ucf_group(const std::string& name);

/// Where a listed video is on the disk.
struct FoundVideo {
  std::string path;  // below the data set's folder
  int64_t label = 0;
  std::string group;
};
struct FoundVideos {
  std::vector<FoundVideo> videos;    // in the list's order
  std::vector<std::string> missing;  // names
};

/// Looks the names up below a folder: by path, else by file name alone, else by file name without ending (Kinetics'
/// "ID_000010_000020.mp4" also by "ID", and "ID.mp4" by either), capitals counting as small letters where there is no
/// exact match, since published lists and folders differ there. A file found by its name alone counts only if it lies
/// in no folder of another class of the list, and is not what another entry means or could mean as well: no file serves
/// two entries. An entry given twice counts once. Links are followed, but not in circles. Throws Error where a folder
/// cannot be read.
FoundVideos find_videos(const std::filesystem::path& root, const std::vector<ListedVideo>& list);

}  // namespace ar::io
