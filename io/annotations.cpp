#include "io/annotations.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "tensor/error.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return text;
}

/// The lines of a text file without ends, surrounding blanks and a byte order mark; empty ones are left out.
struct Line {
  std::string text;
  int64_t number = 0;  // from 1
};
std::vector<Line> read_lines(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  AR_CHECK(in, path.string(), ": cannot be opened; --annots-dir should hold the data set's own lists");
  std::vector<Line> lines;
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    if (++number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    const auto first = line.find_first_not_of(" \t\r"), last = line.find_last_not_of(" \t\r");
    if (first != std::string::npos) lines.push_back({line.substr(first, last - first + 1), number});
  }
  AR_CHECK(!lines.empty(), path.string(), ": is empty");
  return lines;
}

template <class... Parts>
[[noreturn]] void bad_line(const fs::path& path, const Line& line, const Parts&... parts) {
  fail(path.string(), ": line ", line.number, " ('", line.text.substr(0, 80), "') ", parts...);
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

/// "NAME LABEL" with blanks between; NAME may hold blanks, LABEL may lack.
std::pair<std::string, std::optional<int64_t>> name_and_number(const std::string& line) {
  const auto gap = line.find_last_of(" \t");
  if (gap != std::string::npos)
    if (const auto number = number_of(std::string_view(line).substr(gap + 1)))
      return {line.substr(0, line.find_last_not_of(" \t", gap) + 1), number};
  return {line, {}};
}

// ---- UCF-101 ----

std::vector<std::string> read_class_index(const fs::path& path) {
  std::vector<std::string> classes;
  for (const Line& line : read_lines(path)) {
    const auto gap = line.text.find_first_of(" \t");
    const auto number = gap == std::string::npos ? std::nullopt : number_of(line.text.substr(0, gap));
    if (!number) bad_line(path, line, "is not 'NUMBER CLASS'");
    if (*number != int64_t(classes.size()) + 1) bad_line(path, line, "should have number ", classes.size() + 1);
    classes.push_back(line.text.substr(line.text.find_first_not_of(" \t", gap)));
  }
  return classes;
}

std::vector<ListedVideo> read_ucf_list(const fs::path& path, const std::vector<std::string>& classes) {
  std::map<std::string, int64_t> label_of;
  for (const std::string& name : classes) label_of.emplace(lower(name), int64_t(label_of.size()));
  AR_CHECK(label_of.size() == classes.size(), path.parent_path().string(), ": classInd.txt names a class twice");
  std::vector<ListedVideo> videos;
  for (const Line& line : read_lines(path)) {
    const auto [name, number] = name_and_number(line.text);
    const auto slash = name.find('/');
    if (slash == std::string::npos) bad_line(path, line, "is not 'CLASS/VIDEO' or 'CLASS/VIDEO LABEL'");
    const auto folder = label_of.find(lower(name.substr(0, slash)));
    if (folder == label_of.end())
      bad_line(path, line, "is of class '", name.substr(0, slash), "', which classInd.txt does not name");
    if (number && (*number < 1 || *number > int64_t(classes.size())))
      bad_line(path, line, "has label ", *number, "; classInd.txt has 1 to ", classes.size());
    if (number && *number != folder->second + 1)
      bad_line(path, line, "has label ", *number, ", but classInd.txt gives that class ", folder->second + 1);
    const std::string group = ucf_group(name);
    videos.push_back({name, folder->second, classes[size_t(folder->second)] + "/" + (group.empty() ? name : group)});
  }
  return videos;
}

VideoLists read_ucf(const AnnotationOptions& o) {
  const auto list = [&](const char* side) {
    return o.annots_dir / (side + std::string("list0") + std::to_string(o.fold) + ".txt");
  };
  VideoLists lists;
  lists.classes = read_class_index(o.annots_dir / "classInd.txt");
  lists.train = read_ucf_list(list("train"), lists.classes);
  lists.test = read_ucf_list(list("test"), lists.classes);
  return lists;
}

// ---- HMDB51 ----

VideoLists read_hmdb(const AnnotationOptions& o) {
  const std::string ending = "_test_split" + std::to_string(o.fold) + ".txt";
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(o.annots_dir, error))
    if (entry.path().filename().string().ends_with(ending)) files.push_back(entry.path());
  AR_CHECK(!error, o.annots_dir.string(), ": ", error.message());
  AR_CHECK(!files.empty(), o.annots_dir.string(), ": has no CLASS", ending);
  std::sort(files.begin(), files.end());
  VideoLists lists;
  for (const fs::path& file : files) {
    const std::string whole = file.filename().string(), name = whole.substr(0, whole.size() - ending.size());
    const auto label = int64_t(lists.classes.size());
    lists.classes.push_back(name);
    for (const Line& line : read_lines(file)) {
      const auto [video, side] = name_and_number(line.text);
      if (!side || *side < 0 || *side > 2) bad_line(file, line, "is not 'VIDEO 0', 'VIDEO 1' or 'VIDEO 2'");
      const auto at = video.find("_" + name + "_");
      const ListedVideo listed{name + "/" + video, label,
                               name + "/" + (at == std::string::npos ? video : video.substr(0, at))};
      if (*side == 1) lists.train.push_back(listed);
      if (*side == 2) lists.test.push_back(listed);
    }
  }
  return lists;
}

// ---- Kinetics ----

/// Comma-separated, with quotation marks as RFC 4180 has them.
std::vector<std::string> split_csv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      fields.back() += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

struct Clip {
  std::string label, id, name;
};

std::vector<Clip> read_kinetics_csv(const fs::path& path) {
  const std::vector<Line> lines = read_lines(path);
  const std::vector<std::string> header = split_csv(lines[0].text);
  const auto column = [&](const char* name) {
    const auto at = std::find(header.begin(), header.end(), name);
    AR_CHECK(at != header.end(), path.string(), ": has no column '", name, "' in its first line");
    return size_t(at - header.begin());
  };
  const size_t label = column("label"), id = column("youtube_id"), begin = column("time_start"),
               end = column("time_end");
  std::vector<Clip> clips;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> fields = split_csv(lines[i].text);
    if (fields.size() < header.size()) bad_line(path, lines[i], "has fewer columns than the first line");
    const auto first = number_of(fields[begin]), last = number_of(fields[end]);
    if (!first || !last) bad_line(path, lines[i], "has no whole seconds as time_start and time_end");
    char times[32];
    std::snprintf(times, sizeof times, "_%06lld_%06lld", static_cast<long long>(*first), static_cast<long long>(*last));
    clips.push_back({fields[label], fields[id], fields[id] + times});
  }
  AR_CHECK(!clips.empty(), path.string(), ": lists no video");
  return clips;
}

/// Sorted by name.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator(); at.increment(error))
    entries.push_back(*at);
  AR_CHECK(!error, folder.string(), ": ",
           error == std::errc::no_such_file_or_directory ? "no such folder" : error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// CLASS/VIDEO below root, sorted. Names that begin with '.' are passed over.
std::vector<std::pair<std::string, std::string>> videos_in_folders(const fs::path& root) {
  std::error_code none;  // what cannot be looked at is no folder
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& folder : entries_of(root)) {
    const std::string name = folder.path().filename().string();
    if (name.starts_with(".") || !folder.is_directory(none) || fs::equivalent(folder.path(), root, none)) continue;
    for (const auto& file : entries_of(folder.path())) {
      const std::string video = file.path().filename().string();
      if (!video.starts_with(".") && !file.is_directory(none)) found.emplace_back(name, video);
    }
  }
  return found;
}

int64_t label_in(const std::vector<std::string>& classes, const std::string& name) {
  return std::lower_bound(classes.begin(), classes.end(), name) - classes.begin();
}

void sort_unique(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

VideoLists lists_of_folders(const fs::path& root, const std::string& train, const std::string& test) {
  VideoLists lists;
  const auto add = [&](const std::string& side, std::vector<ListedVideo>& list) {
    for (const auto& [name, video] : videos_in_folders(root / side)) {
      const std::string path = name + "/" + video, group = ucf_group(video);
      list.push_back({side.empty() ? path : side + "/" + path, label_in(lists.classes, name),
                      name + "/" + (group.empty() ? video : group)});
    }
  };
  for (const std::string& side : {train, test})
    for (const auto& entry : videos_in_folders(root / side)) lists.classes.push_back(entry.first);
  sort_unique(lists.classes);
  AR_CHECK(!lists.classes.empty(), root.string(), ": holds no folders of videos, one for each class");
  add(train, lists.train);
  add(test, lists.test);
  return lists;
}

/// The first of these that exists.
fs::path first_of(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (fs::exists(folder / name)) return folder / name;
  std::string all;
  for (const char* name : names) all += (all.empty() ? "" : ", ") + std::string(name);
  fail(folder.string(), ": has none of ", all);
}

VideoLists read_kinetics(const AnnotationOptions& o) {
  if (o.annots_dir.empty()) {
    const std::string test = first_of(o.data_dir, {"val", "validate", "test"}).filename().string();
    return lists_of_folders(o.data_dir, first_of(o.data_dir, {"train"}).filename().string(), test);
  }
  const std::vector<Clip> train = read_kinetics_csv(first_of(o.annots_dir, {"train.csv", "kinetics_train.csv"}));
  const std::vector<Clip> test = read_kinetics_csv(
      first_of(o.annots_dir, {"val.csv", "validate.csv", "test.csv", "kinetics_val.csv", "kinetics_test.csv"}));
  VideoLists lists;
  for (const auto* side : {&train, &test})
    for (const Clip& clip : *side) lists.classes.push_back(clip.label);
  sort_unique(lists.classes);
  const auto listed = [&](const std::vector<Clip>& clips) {
    std::vector<ListedVideo> videos;
    for (const Clip& clip : clips) videos.push_back({clip.name, label_in(lists.classes, clip.label), clip.id});
    return videos;
  };
  lists.train = listed(train);
  lists.test = listed(test);
  return lists;
}

/// Labels become indices into `known`, which must hold all classes of the lists.
void take_classes(VideoLists& lists, const std::vector<std::string>& known, const fs::path& where) {
  std::vector<int64_t> label;  // in `known`
  for (const std::string& name : lists.classes) {
    const auto at = std::find(known.begin(), known.end(), name);
    AR_CHECK(at != known.end(), where.string(), ": class '", name, "' is not among the ", known.size(),
             " known classes, which begin with '", known.front(), "'");
    label.push_back(at - known.begin());
  }
  for (auto* side : {&lists.train, &lists.test})
    for (ListedVideo& video : *side) video.label = label[size_t(video.label)];
  lists.classes = known;
}

// ---- the files ----

/// Files below a folder, and what lists may call them. Several may share a name: then it means none of them.
struct VideoFiles {
  using Names = std::unordered_map<std::string, std::string>;  // in small letters, to the path
  std::unordered_set<std::string> paths;
  Names by_path, by_name, by_id;
};

std::string without_times(const std::string& name) {
  static const std::regex times("_[0-9]{6}_[0-9]{6}$");
  return std::regex_replace(name, times, "");
}

void add_name(VideoFiles::Names& names, const std::string& name, const std::string& path) {
  const auto [at, fresh] = names.emplace(lower(name), path);
  if (!fresh && at->second != path) at->second.clear();
}

/// Adds all files in `folder`, which is root or below. `above`: the folders that we are in, where a link may not lead
/// back to.
void add_files(const fs::path& root, const fs::path& folder, std::vector<fs::path>& above, VideoFiles& files) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (std::find(above.begin(), above.end(), real) != above.end()) return;
  above.push_back(real);
  for (const auto& entry : entries_of(folder)) {
    if (entry.is_directory(error)) {
      add_files(root, entry.path(), above, files);
      continue;
    }
    const std::string path = entry.path().lexically_relative(root).generic_string();
    const std::string stem = entry.path().stem().string(), id = without_times(stem);
    files.paths.insert(path);
    add_name(files.by_path, path, path);
    add_name(files.by_name, entry.path().filename().string(), path);
    add_name(files.by_name, stem, path);
    if (id != stem) add_name(files.by_id, id, path);
  }
  above.pop_back();
}

std::string folder_of(const std::string& name) { return lower(fs::path(name).parent_path().filename().string()); }

/// The path of the file that an entry means; empty: none.
std::string find_file(const VideoFiles& files, const std::string& listed, const std::set<std::string>& classes) {
  if (files.paths.contains(listed)) return listed;
  const auto look = [](const VideoFiles::Names& names, const std::string& name) {
    const auto at = names.find(name);
    return at == names.end() ? std::string() : at->second;
  };
  const std::string name = lower(listed), file = name.substr(name.rfind('/') + 1), id = without_times(file);
  std::string path = look(files.by_path, name);
  if (path.empty()) path = look(files.by_name, file);
  if (path.empty()) path = id == file ? look(files.by_id, id) : look(files.by_name, id);
  const std::string own = folder_of(listed);
  for (const fs::path& folder : fs::path(path).parent_path())  // of another class: another video of the same name
    if (const std::string part = lower(folder.string()); part != own && classes.contains(part)) return "";
  return path;
}

// ---- the table ----

struct Entry {
  const char* name;
  VideoLists (*read)(const AnnotationOptions&);
  bool needs_lists;
};
constexpr Entry kDatasets[] = {
    {"UCF-101", read_ucf, true},
    {"HMDB51", read_hmdb, true},
    {"kinetics400", read_kinetics, false},
    {"folder", [](const AnnotationOptions& o) { return lists_of_folders(o.data_dir, "", ""); }, false},
};

}  // namespace

std::string ucf_group(const std::string& name) {
  static const std::regex pattern("_(g[0-9]+)_c[0-9]+(\\.[^./]*)?$");
  std::smatch found;
  return std::regex_search(name, found, pattern) ? found[1].str() : "";
}

std::vector<std::string> video_dataset_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kDatasets) names.push_back(entry.name);
  return names;
}

VideoLists read_video_lists(const AnnotationOptions& o) {
  for (const Entry& entry : kDatasets) {
    if (entry.name != o.dataset) continue;
    AR_CHECK(!entry.needs_lists || !o.annots_dir.empty(), "--annots-dir: ", o.dataset,
             " needs the folder of its lists");
    AR_CHECK(o.fold >= 1 && o.fold <= 3, "--fold ", o.fold, ": there are 1, 2 and 3");
    VideoLists lists = entry.read(o);
    const fs::path& where = o.annots_dir.empty() ? o.data_dir : o.annots_dir;
    AR_CHECK(lists.classes.size() > 1 || !o.classes.empty(), where.string(), ": only one class, '", lists.classes[0],
             "'; there is nothing to tell apart");
    if (!o.classes.empty()) take_classes(lists, o.classes, where);
    return lists;
  }
  std::string known;
  for (const Entry& entry : kDatasets) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  fail("--dataset ", o.dataset, ": not one of ", known);
}

FoundVideos find_videos(const fs::path& root, const std::vector<ListedVideo>& list) {
  std::vector<fs::path> above;
  VideoFiles files;
  add_files(root, root, above, files);
  std::set<std::string> classes, seen;
  for (const ListedVideo& video : list) classes.insert(folder_of(video.name));
  std::vector<std::pair<const ListedVideo*, std::string>> entries;
  std::unordered_map<std::string, int64_t> claims;  // entries that mean a file
  for (const ListedVideo& video : list) {
    if (!seen.insert(video.name).second) continue;
    entries.emplace_back(&video, find_file(files, video.name, classes));
    ++claims[entries.back().second];
  }
  FoundVideos found;
  for (const auto& [video, path] : entries) {
    const bool owned = path == video->name || (!path.empty() && claims[path] == 1);
    if (owned)
      found.videos.push_back({path, video->label, video->group});
    else
      found.missing.push_back(video->name);
  }
  return found;
}

}  // namespace ar::io
