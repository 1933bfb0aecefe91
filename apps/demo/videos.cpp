#include "apps/demo/videos.h"

#include <cstdio>

#include "io/atomic_file.h"
#include "io/video_writer.h"
#include "tensor/parallel.h"

namespace ar::apps::demo {
namespace {

std::string two_digits(int n) {
  char text[16];
  std::snprintf(text, sizeof text, "%02d", n);
  return text;
}

/// Actions that there are pictures and films of.
std::vector<const Action*> both() {
  std::vector<const Action*> found = pictured_actions();
  std::erase_if(found, [](const Action* action) { return !action->filmed; });
  return found;
}

/// An even width, 6:5.
int width_for(int height) { return height * 3 / 5 * 2; }

/// One action after the other, of which the wanted one is the second and the fourth.
FilmOptions long_film(size_t wanted, uint64_t seed, int height) {
  const std::vector<const Action*> all = both();
  Random random{seed, 10};
  FilmOptions film{.seed = seed, .width = width_for(height), .height = height, .seconds = 0};
  size_t before = wanted;
  for (int i = 0; i < 5; ++i) {
    size_t action = wanted;
    if (i % 2 == 0) {  // any other, but not the last other again
      do {
        action = size_t(random.below(int(all.size())));
      } while (action == wanted || action == before);
      before = action;
    }
    film.segments.push_back({.start = film.seconds, .action = all[action], .seed = random.next()});
    film.seconds += std::round(film.rate * random.uniform(4, 6.5f)) / film.rate;
  }
  return film;
}

struct Job {
  std::filesystem::path path;
  FilmOptions film;
};
void write_all(const std::vector<Job>& jobs, const Done& done) {
  // A part for each file: which thread takes it is left to chance, the files are not.
  parallel_parts(int(jobs.size()), [&](int i, int) {
    write_film(jobs[size_t(i)].path, jobs[size_t(i)].film);
    done();
  });
}

}  // namespace

void write_film(const std::filesystem::path& path, const FilmOptions& options) {
  const Film film(options);
  io::VideoWriter writer(path.string(), {.width = options.width, .height = options.height, .rate = int(options.rate)});
  for (int i = 0; i < film.frames(); ++i) writer.write(film.frame(i));
  writer.finish();
}

int count(const LongVideoOptions& options) { return options.per_action * int(both().size()); }
int count(const Ucf101Options& options) { return options.groups * options.per_group * int(filmed_actions().size()); }

void write_long_videos(const std::filesystem::path& folder, const LongVideoOptions& options, const Done& done) {
  const std::vector<const Action*> all = both();
  std::vector<Job> jobs;
  std::string boundaries = "video,start,end,action\n";
  for (size_t a = 0; a < all.size(); ++a) {
    for (int n = 1; n <= options.per_action; ++n) {
      const std::string name = std::string(all[a]->name) + "/" + all[a]->label + "_" + two_digits(n) + ".mp4";
      jobs.push_back({folder / name, long_film(a, Random{options.seed, a, uint64_t(n), 11}.next(), options.height)});
      const FilmOptions& film = jobs.back().film;
      for (size_t s = 0; s < film.segments.size(); ++s) {
        const double end = s + 1 < film.segments.size() ? film.segments[s + 1].start : film.seconds;
        char times[64];
        std::snprintf(times, sizeof times, ",%.3f,%.3f,", film.segments[s].start, end);
        boundaries += name + times + film.segments[s].action->name + "\n";
      }
    }
  }
  write_all(jobs, done);
  io::write_file_atomically((folder / "boundaries.csv").string(), boundaries);
}

void write_ucf101(const std::filesystem::path& folder, const Ucf101Options& options, const Done& done) {
  std::vector<Job> jobs;
  // The published lists have Windows line ends, and labels in those for training alone.
  std::string classes, train, test;
  const int test_groups = std::max(1, int(std::lround(0.28 * options.groups)));
  int label = 0;
  for (const Action* const each : filmed_actions()) {
    const Action& action = *each;
    classes += std::to_string(++label) + " " + action.label + "\r\n";
    for (int g = 1; g <= options.groups; ++g) {
      for (int c = 1; c <= options.per_group; ++c) {
        const std::string name =
            std::string(action.label) + "/v_" + action.label + "_g" + two_digits(g) + "_c" + two_digits(c) + ".mp4";
        // All actions from one shot: the place, the camera and the length are no hint.
        Random random{options.seed, uint64_t(g), uint64_t(c), 12};
        FilmOptions film = film_of(action, Random{options.seed, uint64_t(g), 13}.next(), random.next(), 0);
        film.width = width_for(options.height);
        film.height = options.height;
        film.seconds = double(26 + random.below(9)) / film.rate;
        jobs.push_back({folder / "videos" / name, film});
        if (g <= test_groups)
          test += name + "\r\n";
        else
          train += name + " " + std::to_string(label) + "\r\n";
      }
    }
  }
  write_all(jobs, done);
  for (const auto& [name, text] :
       {std::pair{"classInd.txt", &classes}, {"trainlist01.txt", &train}, {"testlist01.txt", &test}})
    io::write_file_atomically((folder / "annots" / name).string(), *text);
}

}  // namespace ar::apps::demo
