#include "apps/clips/gallery.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "apps/clips/scores.h"
#include "apps/report/html_chart.h"
#include "apps/report/html_page.h"
#include "apps/report/text.h"
#include "io/image_write.h"
#include "io/video_reader.h"

namespace ar::apps {
namespace fs = std::filesystem;
namespace {

constexpr size_t kCurves = 5;  // per video: the classes of its clips first, then the strongest
constexpr int64_t kPosterWidth = 240;

constexpr const char* kStyle = R"(
.clips { display: flex; flex-wrap: wrap; gap: 1rem; margin: .5rem 0 1.5rem; }
.clip { width: 15rem; margin: 0; padding: .5rem; border: 1px solid #8884; border-radius: .5rem; }
.clip video { width: 100%; aspect-ratio: 4 / 3; background: #000; border-radius: .25rem; object-fit: contain; }
.clip figcaption { font-size: .85rem; margin-top: .25rem; overflow-wrap: anywhere; }
.clip fieldset { border: 0; padding: 0; margin: .25rem 0 0; display: flex; gap: 1rem; }
.clip.accept { border-color: #2a9d55; box-shadow: 0 0 0 1px #2a9d55; }
.clip.reject { opacity: .55; }
.review { position: sticky; top: 0; z-index: 1; padding: .5rem 0; backdrop-filter: blur(8px); }
.review button { font: inherit; padding: .3rem .8rem; }
)";

constexpr const char* kScript = R"(
(() => {
  const clips = [...document.querySelectorAll('.clip')];
  const key = clip => 'verdict ' + location.pathname + ' ' + clip.dataset.file;
  const count = document.getElementById('reviewed');
  const show = () => {
    const done = clips.filter(c => c.dataset.verdict).length;
    count.textContent = done + ' of ' + clips.length + ' reviewed';
  };
  const set = (clip, verdict) => {
    clip.dataset.verdict = verdict;
    clip.classList.toggle('accept', verdict === 'accept');
    clip.classList.toggle('reject', verdict === 'reject');
    for (const box of clip.querySelectorAll('input')) box.checked = box.value === verdict;
  };
  for (const clip of clips) {
    try { set(clip, localStorage.getItem(key(clip)) || ''); } catch (e) { set(clip, ''); }
    for (const box of clip.querySelectorAll('input'))
      box.addEventListener('change', () => {
        set(clip, box.checked ? box.value : '');
        try { localStorage.setItem(key(clip), clip.dataset.verdict); } catch (e) { /* a private window */ }
        show();
      });
  }
  show();
  const field = text => /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  document.getElementById('save').addEventListener('click', () => {
    const names = ['label', 'youtube_id', 'time_start', 'time_end', 'score', 'rank', 'file', 'verdict'];
    const rows = clips.map(c => names.map(n => field(c.dataset[n.replace(/_(.)/g, (_, x) => x.toUpperCase())] || '')));
    const text = [names, ...rows].map(r => r.join(',') + '\r\n').join('');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
    link.download = 'verdicts.csv';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
})();
)";

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

/// The frame at the peak as a picture within the page; "" where the clip cannot be read.
std::string poster(const std::string& path, double at) {
  try {
    io::VideoReader reader(path);
    const auto& facts = reader.facts();
    const int64_t width = std::min<int64_t>(kPosterWidth, facts.width);
    const int64_t height = std::max<int64_t>(1, int64_t{facts.height} * width / facts.width);
    const Tensor picture = io::frame_batch(1, height, width)[0];
    reader.seek(at);
    if (!reader.next(picture)) {
      reader.seek(0);
      if (!reader.next(picture)) return "";
    }
    const auto jpeg =
        io::encode_jpeg({picture.data<uint8_t>(), int(width), int(height), ptrdiff_t(picture.stride(1))}, 75);
    return data_uri("image/jpeg", {reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
  } catch (const Error&) {
    return "";
  }
}

std::string timeline(const std::string& out_dir, const VideoRecord& video, const std::vector<std::string>& classes) {
  VideoScores scores;
  try {
    scores = read_scores(out_dir + "/scores/" + video.name + ".jsonl");
  } catch (const Error&) {
    return "";
  }
  std::vector<int64_t> labels;
  const auto add = [&](int64_t label) {
    if (labels.size() < kCurves && std::find(labels.begin(), labels.end(), label) == labels.end())
      labels.push_back(label);
  };
  for (const ClipRecord& clip : video.clips) {
    const auto at = std::find(classes.begin(), classes.end(), clip.label);
    if (at != classes.end()) add(at - classes.begin());
  }
  for (const int64_t label : scores.strongest(kCurves)) add(label);
  LineChart chart{.x_label = "time", .y_min = 0, .y_max = 1, .percent = true, .clock = true, .height = 180};
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= int64_t(classes.size())) continue;
    ChartSeries series{.name = classes[size_t(labels[i])], .points = {}, .colour = int(i)};
    const std::vector<double> curve = scores.curve(labels[i]);
    for (size_t j = 0; j < curve.size(); ++j) series.points.emplace_back(scores.seconds[j], curve[j]);
    chart.series.push_back(std::move(series));
  }
  for (const ClipRecord& clip : video.clips)
    chart.bands.push_back({.from = clip.start,
                           .to = clip.end,
                           .label = std::to_string(clip.rank) + ": " + clip.label + ", " + number(clip.score, "%.3f")});
  return html_chart(chart);
}

std::string card(const std::string& out_dir, const VideoRecord& video, const ClipRecord& clip) {
  const auto data = [](const char* name, const std::string& value) {
    return std::string(" data-") + name + "=\"" + escape_html(value) + "\"";
  };
  const auto box = [](const char* verdict) {
    return std::string("<label><input type=\"checkbox\" value=\"") + verdict + "\"> " + verdict + "</label>";
  };
  std::string html = "<figure class=\"clip\"" + data("label", clip.label) +
                     data("youtube-id", fs::path(video.path).stem().string()) +
                     data("time-start", number(clip.start, "%.3f")) + data("time-end", number(clip.end, "%.3f")) +
                     data("score", number(clip.score, "%.4f")) + data("rank", std::to_string(clip.rank)) +
                     data("file", clip.file) + ">";
  // Names of clips are plain ASCII without a character that means something in an address.
  html += "<video controls preload=\"none\" src=\"" + escape_html(clip.file) + "\"";
  const std::string picture = poster(out_dir + "/" + clip.file, clip.peak - clip.start + clip.lead);
  if (!picture.empty()) html += " poster=\"" + picture + "\"";
  html += "></video>";
  html += "<figcaption><b>" + escape_html(clip.label) + "</b> " + number(clip.score, "%.3f") + "<br>" +
          format_duration(clip.start) + " to " + format_duration(clip.end) + "<fieldset>" + box("accept") +
          box("reject") + "</fieldset></figcaption></figure>\n";
  return html;
}

}  // namespace

std::string clip_gallery(const std::string& out_dir, const std::vector<VideoRecord>& videos,
                         const std::vector<std::string>& classes) {
  int64_t clips = 0, failed = 0;
  std::map<std::string, int64_t> per_label;
  for (const VideoRecord& video : videos) {
    failed += !video.done && !video.error.empty();
    clips += int64_t(video.clips.size());
    for (const ClipRecord& clip : video.clips) ++per_label[clip.label];
  }
  HtmlPage page("Candidate clips", grouped(clips) + " clips of " + grouped(int64_t(videos.size())) + " videos");
  page.style(kStyle).script(kScript);
  page.section("", html_tiles({{grouped(clips), "clips"},
                               {grouped(int64_t(videos.size())), "videos"},
                               {grouped(int64_t(per_label.size())), "classes"},
                               {grouped(failed), "videos failed"}}) +
                       "<p class=\"review\"><button id=\"save\">Save verdicts as CSV</button> "
                       "<span id=\"reviewed\"></span></p>");
  for (const VideoRecord& video : videos) {
    std::string html;
    if (!video.done && !video.error.empty()) html += "<p>" + escape_html(video.error) + "</p>";
    html += timeline(out_dir, video, classes);
    html += "<div class=\"clips\">\n";
    for (const ClipRecord& clip : video.clips) html += card(out_dir, video, clip);
    html += "</div>\n";
    page.section(video.name, html);
  }
  return page.str();
}

}  // namespace ar::apps
