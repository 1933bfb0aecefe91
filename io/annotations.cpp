#include "io/annotations.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <unordered_map>

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
  AR_CHECK(classes.size() > 1, path.string(), ": only one class; there is nothing to tell apart");
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
  AR_CHECK(files.size() > 1, o.annots_dir.string(), ": has no CLASS", ending, " for two classes or more");
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

/// CLASS/VIDEO below root, sorted. Names that begin with '.' are passed over.
std::vector<std::pair<std::string, std::string>> videos_in_folders(const fs::path& root) {
  std::error_code error;
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& folder : fs::directory_iterator(root, error)) {
    const std::string name = folder.path().filename().string();
    if (name.starts_with(".") || !folder.is_directory()) continue;
    for (const auto& file : fs::directory_iterator(folder.path())) {
      const std::string video = file.path().filename().string();
      if (!video.starts_with(".") && !file.is_directory()) found.emplace_back(name, video);
    }
  }
  AR_CHECK(!error, root.string(), ": ",
           error == std::errc::no_such_file_or_directory ? "no such folder" : error.message());
  std::sort(found.begin(), found.end());
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
  AR_CHECK(lists.classes.size() > 1, root.string(), ": only one class, '", lists.classes[0],
           "'; there is nothing to tell apart");
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
    return entry.read(o);
  }
  std::string known;
  for (const Entry& entry : kDatasets) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  fail("--dataset ", o.dataset, ": not one of ", known);
}

FoundVideos find_videos(const fs::path& root, const std::vector<ListedVideo>& list) {
  std::error_code error;
  AR_CHECK(fs::is_directory(root, error), root.string(), ": no such folder");
  // Several files may share a name: then it finds none of them.
  std::unordered_map<std::string, std::string> by_path, by_name;
  const auto add_name = [&](const std::string& name, const std::string& path) {
    const auto [at, fresh] = by_name.emplace(name, path);
    if (!fresh && at->second != path) at->second.clear();
  };
  static const std::regex times("_[0-9]{6}_[0-9]{6}$");
  for (const auto& entry :
       fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink, error)) {
    if (entry.is_directory()) continue;
    const std::string path = fs::relative(entry.path(), root).generic_string();
    const std::string stem = lower(entry.path().stem().string());
    by_path.emplace(lower(path), path);
    add_name(lower(entry.path().filename().string()), path);
    add_name(stem, path);
    if (const std::string id = std::regex_replace(stem, times, ""); id != stem) add_name(id, path);
  }
  AR_CHECK(!error, root.string(), ": ", error.message());
  const auto look = [](const auto& map, const std::string& name) {
    const auto at = map.find(name);
    return at == map.end() ? std::string() : at->second;
  };
  FoundVideos found;
  for (const ListedVideo& video : list) {
    const std::string name = lower(video.name), file = name.substr(name.rfind('/') + 1);
    std::string path = look(by_path, name);
    if (path.empty()) path = look(by_name, file);
    if (path.empty()) path = look(by_name, std::regex_replace(file, times, ""));
    if (path.empty())
      found.missing.push_back(video.name);
    else
      found.videos.push_back({path, video.label, video.group});
  }
  return found;
}

}  // namespace ar::io
