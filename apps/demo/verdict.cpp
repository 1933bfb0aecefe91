#include "apps/demo/verdict.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "apps/demo/actions.h"
#include "apps/report/html_page.h"
#include "io/atomic_file.h"
#include "io/image_write.h"
#include "io/jsonl.h"
#include "io/resize.h"
#include "scrape/manifest.h"
#include "tensor/error.h"

namespace ar::apps::demo {
namespace {

namespace fs = std::filesystem;

/// The lines of a CSV file without its first; none of ours has a comma or a quote inside a field.
std::vector<std::vector<std::string>> csv_rows(const fs::path& path) {
  std::ifstream file(path);
  AR_CHECK(file, path.string(), ": cannot be read");
  std::vector<std::vector<std::string>> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    if (line.ends_with('\r')) line.pop_back();
    std::istringstream fields(line);
    std::vector<std::string>& row = rows.emplace_back();
    for (std::string field; std::getline(fields, field, ',');) row.push_back(field);
  }
  return rows;
}

void read_pictures(const fs::path& folder, Figures& f) {
  std::set<std::string> good;  // the files that show what they should, once each
  for (const auto& row : csv_rows(folder / "data/site/truth.csv"))
    if (row.at(3) == "good") good.insert(row.at(2));
  std::map<std::pair<std::string, int64_t>, scrape::Record> last;
  scrape::read_manifest((folder / "images").string(), [&](scrape::Record&& record, int64_t) {
    if (record.rank >= 0) last[{record.name, record.rank}] = std::move(record);
  });
  for (const auto& [key, record] : last) {
    const size_t at = record.url.find("images/");
    const bool is_good = at != std::string::npos && good.contains(record.url.substr(at));
    const bool kept = record.status == "kept";
    ++f.results;
    f.kept += kept;
    f.bad += !is_good;
    f.bad_kept += kept && !is_good;
  }
}

void read_clips(const fs::path& folder, Figures& f) {
  std::map<std::string, std::vector<std::pair<double, double>>> done;  // when the wanted action is done, by video
  for (const auto& row : csv_rows(folder / "data/untrimmed/boundaries.csv"))
    if (row.at(0).starts_with(row.at(3) + "/"))
      done[row.at(0)].emplace_back(std::stod(row.at(1)), std::stod(row.at(2)));
  for (const auto& row : csv_rows(folder / "clips/clips.csv")) {
    const double middle = (std::stod(row.at(2)) + std::stod(row.at(3))) / 2;
    ++f.clips;
    for (const auto& [start, end] : done[row.at(0) + "/" + row.at(1) + ".mp4"])
      f.clips_right += middle >= start && middle < end;
  }
}

void read_videos(const fs::path& folder, Figures& f) {
  const fs::path path = folder / "lrcn.json";
  std::ifstream file(path);
  const nlohmann::json scores = nlohmann::json::parse(file, nullptr, false);
  AR_CHECK(!scores.is_discarded(), path.string(), ": cannot be read");
  f.video = scores.at("video").at("top1");
  f.single_frame = scores.at("single_frame").at("top1");
  const auto& classes = scores.at("classes");
  for (size_t i = 0; i < classes.size(); ++i) {
    const Action& action = action_named(classes[i].get<std::string>());
    if (!action.once) continue;
    const auto& row = scores.at("confusion").at(i);
    for (size_t j = 0; j < row.size(); ++j) f.ordered += row[j].get<int>();
    f.ordered_right += row[i].get<int>();
  }
}

double share(int part, int whole) { return whole > 0 ? double(part) / whole : 0; }
std::string of(int part, int whole) { return std::to_string(part) + " of " + std::to_string(whole); }
/// "12.5" of 0.125.
std::string points(double fraction) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * fraction);
  return text;
}

/// The first few pictures of each class in rows, as they were kept.
std::string gallery(const fs::path& folder) {
  constexpr int kEach = 6, kWidth = 120, kHeight = 90;
  std::string html;
  for (const Action* action : pictured_actions()) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder / "images" / action->name)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    html += "<figure>";
    for (int i = 0; i < std::min(kEach, int(files.size())); ++i) {
      io::Image whole, small(kWidth, kHeight);
      io::decode_image_file(files[size_t(i)], {}, whole);
      io::resize(whole, small.view());
      const std::vector<uint8_t> bytes = io::encode_jpeg(small, 80);
      html += "<img alt=\"\" width=120 height=90 src=\"" +
              data_uri("image/jpeg", {reinterpret_cast<const char*>(bytes.data()), bytes.size()}) + "\">";
    }
    html += "<figcaption>" + escape_html(action->name) + "</figcaption></figure>";
  }
  return "<div class=gallery>" + html + "</div>";
}

}  // namespace

Figures read_figures(const fs::path& folder) {
  Figures f;
  read_pictures(folder, f);
  const fs::path log = folder / "logs/image/metrics.jsonl";
  io::for_each_json_line(log, [&](nlohmann::json&& line) {
    if (line.value("split", "") == "validation") f.validation = std::max(f.validation, line.value("top1", 0.0));
  });
  AR_CHECK(f.validation > 0, log.string(), ": holds no validation");
  read_clips(folder, f);
  read_videos(folder, f);
  return f;
}

std::vector<std::string> failures(const Figures& f, const Bounds& b) {
  std::vector<std::string> lines;
  const auto check = [&](const char* what, double is, double bound) {
    if (is < bound) lines.push_back(std::string(what) + " is " + points(is) + " %, less than " + points(bound) + " %");
  };
  check("validation accuracy", f.validation, b.validation);
  check("the share of clips that meet their action", share(f.clips_right, f.clips), b.clips);
  check("video accuracy", f.video, b.video);
  check("the gain over single frames", f.video - f.single_frame, b.gain);
  return lines;
}

std::string summary(const Figures& f, const Bounds& b) {
  const auto line = [](const char* what, const std::string& is, double bound) {
    char text[160];
    std::snprintf(text, sizeof text, "  %-34s %-40s at least %s %%\n", what, is.c_str(), points(bound).c_str());
    return std::string(text);
  };
  return "  images kept                        " + of(f.kept, f.results) + " results; of " + std::to_string(f.bad) +
         " bad ones " + std::to_string(f.bad_kept) + "\n" +
         line("image classifier, validation", points(f.validation) + " %", b.validation) +
         line("clips that meet their action",
              of(f.clips_right, f.clips) + " (" + points(share(f.clips_right, f.clips)) + " %)", b.clips) +
         line("LRCN, test videos", points(f.video) + " %", b.video) +
         line(
             "its gain over single frames",
             points(f.single_frame) + " -> " + points(f.video) + " % (" + points(f.video - f.single_frame) + " points)",
             b.gain) +
         "  sitting down or standing up        " + of(f.ordered_right, f.ordered) +
         " named; no single frame can tell\n";
}

void write_overview(const fs::path& folder, const Figures& f, const Bounds& b) {
  HtmlPage page("The demonstration", "From the names of actions to a network that names the action of a video");
  page.style(
      ".gallery { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)) }"
      ".gallery figure { margin: 0 } .gallery img { aspect-ratio: 4/3; border-radius: 3px; height: auto; margin: 0 2px "
      "2px 0; width: calc(100% / 6 - 2px) }"
      ".gallery figcaption { color: var(--soft); font-size: .9rem }"
      ".steps li { margin-bottom: .6rem }");
  const auto at_least = [](double bound) { return "; at least " + percent(bound) + " is asked for"; };
  page.section(
      "", html_tiles({{std::to_string(f.kept), "pictures kept of " + std::to_string(f.results) +
                                                   " results, among them " + of(f.bad_kept, f.bad) + " bad ones"},
                      {percent(f.validation), "validation pictures named" + at_least(b.validation)},
                      {of(f.clips_right, f.clips), "clips meet their action" + at_least(b.clips)},
                      {percent(f.video), "test videos named by the LRCN" + at_least(b.video)},
                      {percent(f.single_frame), "test videos named by single frames"},
                      {of(f.ordered_right, f.ordered), "told sitting down from standing up; no single frame can"}}));
  const auto link = [&](const char* file, const char* text) {
    AR_CHECK(fs::exists(folder / file), (folder / file).string(), ": is missing");
    return std::string("<a href=\"") + file + "\">" + text + "</a>";
  };
  page.section(
      "What each step left",
      "<ol class=steps>"
      "<li>ar-make-demo-data drew the data: an image search with bad results in it, long videos, short videos in "
      "UCF-101's layout. " +
          link("data/site/truth.csv", "What is bad about which result") + ", " +
          link("data/untrimmed/boundaries.csv", "boundaries in the long videos") +
          "."
          "<li>ar-build-image-ds searched with a real browser, downloaded, and left out what is broken or double. " +
          link("images/manifest.jsonl", "Every result and what became of it") +
          "."
          "<li>ar-train-image trained a DenseNet-121 on them. " +
          link("logs/image/report.html", "Report: curves, confusions, wrong predictions") +
          "."
          "<li>ar-generate-action-clip looked for actions in the long videos with it. " +
          link("clips/index.html", "Clips to watch, accept and reject") +
          "."
          "<li>ar-train-video trained an LSTM on that network's features of short videos. " +
          link("logs/video/report.html", "Report of the training") +
          "."
          "<li>ar-evaluate-video tested it on people it had not seen, beside single frames. " +
          link("lrcn.html", "Report: confusions, accuracy of each class") +
          "."
          "</ol>");
  page.section("Pictures that were kept", gallery(folder));
  page.footer("All people are drawn by a program; the commands are in scripts/demo.sh.");
  io::write_file_atomically((folder / "index.html").string(), page.str());
}

}  // namespace ar::apps::demo
