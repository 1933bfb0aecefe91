// Reports: escaping, well-formed pages without outside resources, charts, tables, matrices.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "apps/report/confusion_picture.h"
#include "apps/report/html_chart.h"
#include "apps/report/html_matrix.h"
#include "apps/report/html_report.h"
#include "apps/report/html_table.h"
#include "io/image.h"
#include "tests/errors.h"

namespace ar::apps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kHostile = "</script><script>alert('\"&\x01\xff歩";

/// "" if all elements are closed in order and all attributes quoted, else what is wrong. The insides of <script> and
/// <style> are taken as they are, as a browser does.
std::string malformed(const std::string& html) {
  static const std::set<std::string> empty_elements = {"meta", "img", "input", "br", "!DOCTYPE"};
  static const std::regex attributes(R"((\s+[A-Za-z][-A-Za-z]*(="[^"<]*")?)*\s*/?)");
  std::vector<std::string> open;
  for (size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return "a tag without end";
    std::string tag = html.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return "unexpected <" + tag + ">";
      open.pop_back();
      continue;
    }
    const size_t name_end = std::min(tag.find_first_of(" /\n"), tag.size());
    const std::string name = tag.substr(0, name_end), rest = tag.substr(name_end);
    // std::regex recurses for each character: pictures are checked by hand.
    const size_t data = rest.find("src=\"data:");
    const std::string checked = data == std::string::npos ? rest : rest.substr(0, data);
    if (name != "!DOCTYPE" && !std::regex_match(checked, attributes)) return "attributes of <" + tag + ">";
    if (tag.back() == '/' || empty_elements.contains(name)) continue;
    open.push_back(name);
    if (name == "script" || name == "style") at = html.find("</" + name + ">", at);
    if (at == std::string::npos) return "unclosed " + name;
  }
  return open.empty() ? "" : "unclosed <" + open.back() + ">";
}

/// The JSON of all data scripts.
std::vector<nlohmann::json> data_of(const std::string& html) {
  const std::string begin = "<script type=\"application/json\">";
  std::vector<nlohmann::json> all;
  for (size_t at = 0; (at = html.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    all.push_back(nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at)));
  }
  return all;
}

void add(ClassificationMetrics& metrics, int64_t truth, int64_t predicted, double probability = 0.9) {
  const auto n = int64_t(metrics.classes().size());
  std::vector<double> row(size_t(n), std::log((1 - probability) / double(n - 1)));
  row[size_t(predicted)] = std::log(probability);
  metrics.add(from_vector(row, {1, n}), from_vector<int64_t>({truth}, {1}));
}

TEST(Html, Escapes) {
  EXPECT_EQ(escape_html("a<b>&\"'\n\xff歩"), "a&lt;b&gt;&amp;&quot;&#39; \ufffd歩");
  EXPECT_EQ(escape_json_for_script(R"(["</script>"])"), R"(["\u003c/script>"])");
  EXPECT_EQ(data_uri("image/png", ""), "data:image/png;base64,");
  EXPECT_EQ(data_uri("a", "f"), "data:a;base64,Zg==");  // RFC 4648, section 10
  EXPECT_EQ(data_uri("a", "fooba"), "data:a;base64,Zm9vYmE=");
  EXPECT_EQ(data_uri("a", "foobar"), "data:a;base64,Zm9vYmFy");
  EXPECT_EQ(data_uri("a", "\xff\xfe"), "data:a;base64,//4=");
  EXPECT_EQ(grouped(-1234567), "-1\u2009234\u2009567");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(percent(NAN), "–");
}

TEST(Html, ReportOfHostileNames) {
  ClassificationMetrics metrics({kHostile, "b", "c", "d", "e", "f"});
  add(metrics, 0, 1);
  add(metrics, 1, 0);
  add(metrics, 2, 2);
  RunLog log({});
  for (int i = 1; i < 4; ++i) log.scalars("train", i, i, {{"loss", i}, {"top1", 0.3 * i}, {kHostile, i}});
  const Report report{.title = kHostile,
                      .subtitle = kHostile,
                      .tiles = {{kHostile, kHostile, kHostile}},
                      .options = {{kHostile, kHostile}},
                      .curves = log.curves(),
                      .metrics = &metrics,
                      .thumbnail = [](int64_t i) { return i == 0 ? "\xff\xd8jpeg" : ""; },
                      .sample_name = [](int64_t) { return kHostile; },
                      .facts = {{kHostile, {kHostile, "x"}}, {"none", {}}},
                      .footer = kHostile};
  const std::string html = html_report(report);
  EXPECT_EQ(malformed(html), "");
  EXPECT_THAT(html, Not(HasSubstr("alert('")));
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(&#39;&quot;&amp; \ufffd歩"));
  EXPECT_THAT(html, HasSubstr("src=\"data:image/jpeg;base64,/9hqcGVn\""));
  EXPECT_EQ(data_of(html).size(), 3U);
  for (const char* outside : {"http:", "https:", "src=\"/", "@import", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
}

TEST(Html, TheTestsOwnCheckFindsFaults) {
  for (const char* bad : {"<p><b></p>", "<p", "<p class=x></p>", "</p>", "<p title=\"a<b\"></p>", "<script>"}) {
    EXPECT_NE(malformed(bad), "") << bad;
  }
}

TEST(Html, CurvesOfOneEpoch) {
  RunLog log({});
  log.scalars("steps", 1, 0.5, {{"loss", 2}, {"lr", 0.1}});
  log.scalars("steps", 2, 1, {{"loss", 1}, {"lr", 0.1}});
  log.scalars("train", 2, 1, {{"loss", 1.5}, {"lr", 0.1}, {"rate", 12}});
  const auto charts = data_of(html_curves(log.curves()));
  ASSERT_EQ(charts.size(), 2U);  // loss and learning rate; one point makes no curve of the rate
  EXPECT_EQ(charts[0]["series"].size(), 2U);
  EXPECT_EQ(charts[1]["series"].size(), 1U);
}

TEST(Html, EmptyReport) {
  EXPECT_EQ(malformed(html_report({.title = "nothing"})), "");
  const ClassificationMetrics metrics({"a", "b"});
  const std::string html = html_report({.title = "no samples", .metrics = &metrics});
  EXPECT_EQ(malformed(html), "");
  EXPECT_THAT(html, Not(HasSubstr("Worst mistakes")));
}

TEST(Html, FourHundredClassesStaySmall) {
  std::vector<std::string> names;
  for (int c = 0; c < 400; ++c) names.push_back("a class with a longish name " + std::to_string(c));
  ClassificationMetrics metrics(names);
  for (int64_t i = 0; i < 400 * 30; ++i) add(metrics, i % 400, i % 3 == 0 ? i * 7 % 400 : i % 400);
  const std::string html = html_report({.title = "large", .metrics = &metrics});
  EXPECT_LT(html.size(), 1'000'000U);
  EXPECT_EQ(malformed(html), "");
  const auto data = data_of(html);
  ASSERT_EQ(data.size(), 1U);
  int64_t all = 0;
  for (const auto& cell : data[0]["cells"]) all += cell[2].get<int64_t>();
  EXPECT_EQ(all, 400 * 30);
}

TEST(Html, WritesTheFileWhole) {
  const auto path = std::filesystem::temp_directory_path() / ("ar_report_" + std::to_string(getpid()) + ".html");
  write_html_report(path, {.title = "a title"});
  std::ifstream file(path);
  const std::string html{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(html, HasSubstr("<h1>a title</h1>"));
  EXPECT_THAT(html, testing::EndsWith("</html>\n"));
  std::filesystem::remove(path);
  EXPECT_MESSAGE(write_html_report("/proc/nothing/report.html", {}), "/proc/nothing/report.html");
}

TEST(Chart, Ticks) {
  EXPECT_THAT(nice_ticks(0, 1, 5),
              ElementsAre(0, 0.2, testing::DoubleEq(0.4), testing::DoubleNear(0.6, 1e-12), 0.8, 1));
  EXPECT_THAT(nice_ticks(-3, 17, 4), ElementsAre(0, 5, 10, 15));
  EXPECT_THAT(nice_ticks(0, 100, 8, true), ElementsAre(0, 15, 30, 45, 60, 75, 90));
  EXPECT_THAT(nice_ticks(0, 7000, 8, true), ElementsAre(0, 900, 1800, 2700, 3600, 4500, 5400, 6300));
  EXPECT_THAT(nice_ticks(0, 200'000, 8, true).at(1), 28'800);
  EXPECT_THAT(nice_ticks(0, 0.4, 8, true), ElementsAre(0));
  EXPECT_THAT(nice_ticks(2, 2, 4), ElementsAre());
  EXPECT_THAT(nice_ticks(0, INFINITY, 4), ElementsAre());
}

TEST(Chart, ThinsButKeepsThePeak) {
  ChartSeries series{.name = "score", .points = {}};
  for (int i = 0; i < 100'000; ++i) series.points.emplace_back(i, i == 54'321 ? 1 : 0.1);
  const std::string html = html_chart({.title = "t", .x_label = "s", .series = {series}, .clock = true});
  EXPECT_EQ(malformed(html), "");
  EXPECT_LT(html.size(), 60'000U);
  const auto data = data_of(html).at(0);
  bool found = false;
  for (const auto& point : data["series"][0]["points"]) found |= point[2] == "15:05:21" && point[3] == "1";
  EXPECT_TRUE(found);
}

TEST(Chart, OddValues) {
  EXPECT_EQ(html_chart({}), "");
  EXPECT_EQ(html_chart({.series = {{.name = "nan", .points = {{0, NAN}, {1, INFINITY}}}}}), "");
  for (const std::vector<std::pair<double, double>>& points : {std::vector<std::pair<double, double>>{{3, 5}},
                                                               {{0, 0}, {1, 0}},
                                                               {{0, NAN}, {1, 2}, {2, NAN}, {3, 1}, {4, 2}},
                                                               {{0, -1e300}, {1, 1e300}},
                                                               {{0, 1e-300}, {1, 2e-300}}}) {
    const std::string html = html_chart({.title = "odd", .series = {{.name = kHostile, .points = points}}});
    EXPECT_EQ(malformed(html), "");
    EXPECT_THAT(html, Not(HasSubstr("nan")));
    EXPECT_THAT(html, Not(HasSubstr("inf")));
  }
  const std::string gap = html_chart({.series = {{.name = "gap", .points = {{0, 1}, {1, NAN}, {2, 3}, {4, 5}}}}});
  EXPECT_TRUE(std::regex_search(gap, std::regex("class=\"line c0\" d=\"M[0-9. ]+h0M[0-9. ]+L[0-9. ]+\"")));
}

TEST(Chart, Bands) {
  const std::string html = html_chart(
      {.series = {{.name = "a", .points = {{0, 0}, {10, 1}}}}, .bands = {{.from = 5, .to = 7.5, .label = kHostile}}});
  EXPECT_EQ(malformed(html), "");
  EXPECT_THAT(html, HasSubstr("x=\"500\" y=\"0\" width=\"250\""));
}

TEST(Table, Cells) {
  const std::string html = html_table({.columns = {{"name"}, {"value", true, kHostile}},
                                       .rows = {{{.text = kHostile, .link = kHostile}, {"12 %", 0.12, 1.5}}},
                                       .caption = kHostile,
                                       .filter = true,
                                       .sorted_by = 1,
                                       .ascending = false});
  EXPECT_EQ(malformed(html), "");
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\" class=\"number\" aria-sort=\"descending\""));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\" data-sort=\"0.12\" style=\"--bar:100%\">"));
}

TEST(Matrix, NumbersThenPicture) {
  const std::vector<std::vector<int64_t>> counts = {{3, 1}, {0, 0}};
  const std::string small = html_matrix({kHostile, "b"}, counts);
  EXPECT_EQ(malformed(small), "");
  EXPECT_THAT(small, HasSubstr("taken for b: 1 of 4 (25.0 %)\">1</td>"));
  EXPECT_THAT(html_confused_pairs({kHostile, "b"}, counts), HasSubstr("25.0 %"));
  EXPECT_EQ(html_confused_pairs({"a", "b"}, {{3, 0}, {0, 1}}), "");
  std::vector<std::vector<int64_t>> many(30, std::vector<int64_t>(30));
  many[2][3] = 7;
  const std::string large = html_matrix(std::vector<std::string>(30, kHostile), many);
  EXPECT_EQ(malformed(large), "");
  EXPECT_EQ(data_of(large).at(0)["cells"], nlohmann::json::parse("[[2,3,7]]"));
}

TEST(ConfusionPicture, HasTheColoursOfItsCells) {
  ClassificationMetrics metrics({"a", "b", "c"});
  add(metrics, 0, 0);
  add(metrics, 1, 2);
  const std::string png = confusion_picture(metrics);
  io::Image image;
  io::decode_image({reinterpret_cast<const uint8_t*>(png.data()), png.size()}, {}, image);
  const auto pixel = [&](int truth, int predicted) {
    const uint8_t* at = image.view().row(28 + truth * 36 + 5) + ptrdiff_t{3} * (28 + predicted * 36 + 5);
    return std::vector<int>{at[0], at[1], at[2]};
  };
  EXPECT_EQ(image.width(), 28 + 3 * 36 + 2);
  EXPECT_THAT(pixel(0, 0), ElementsAre(37, 99, 200));
  EXPECT_THAT(pixel(1, 2), ElementsAre(225, 90, 20));
  EXPECT_THAT(pixel(2, 1), ElementsAre(255, 255, 255));
  ClassificationMetrics large(std::vector<std::string>(400, "x"));
  add(large, 399, 0);
  EXPECT_GT(confusion_picture(large).size(), 100U);
}

}  // namespace
}  // namespace ar::apps
