// Drawn videos: long ones with known boundaries, and a data set in UCF-101's layout.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

#include "apps/demo/film.h"

namespace ar::apps::demo {

/// Called after each finished file.
using Done = std::function<void()>;

/// Draws all frames and encodes them.
void write_film(const std::filesystem::path& path, const FilmOptions& options);

struct LongVideoOptions {
  uint64_t seed = 0;
  int per_action = 2;
  int height = 120;  ///< of the picture, which is 6:5
};
/// Films of about half a minute, in which somebody does one action after the other: FOLDER/ACTION/video_NN.mp4, where
/// ACTION is done twice and other actions before, between and after, as if the video had been found by searching for
/// it; and FOLDER/boundaries.csv (video, start and end in seconds, action). Only actions that pictures show.
void write_long_videos(const std::filesystem::path& folder, const LongVideoOptions& options, const Done& done);

struct Ucf101Options {
  uint64_t seed = 0;
  int groups = 25;    ///< persons with their places; the first 28 % are for testing, as with UCF-101
  int per_group = 2;  ///< clips of a group and class
  int height = 120;
};
/// FOLDER/videos/Action/v_Action_gXX_cYY.mp4 and FOLDER/annots/{classInd,trainlist01,testlist01}.txt. Each group does
/// all actions in one place, so that neither says anything of the other; a clip of an action that is another's time
/// reversal has exactly that one's frames in reverse.
void write_ucf101(const std::filesystem::path& folder, const Ucf101Options& options, const Done& done);

/// How many files these write.
int count(const LongVideoOptions& options);
int count(const Ucf101Options& options);

}  // namespace ar::apps::demo
