// Checksums, wire format, event files read back by a parser of the test's own, JSON lines, and the log of a run.
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/report/run_log.h"
#include "io/crc32c.h"
#include "io/event_file.h"
#include "io/jsonl.h"
#include "io/protobuf.h"
#include "tests/errors.h"

namespace ar {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

/// A folder that goes with the test.
struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "ar_report_XXXXXX").string();
    path = mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", uint8_t(c));
    out += digits;
  }
  return out;
}

// ---- a reader of messages and records that shares nothing with the writer -------------------------------------------

struct Field {
  int number = 0;
  uint64_t value = 0;  // of varint and fixed fields
  std::string bytes;   // of fields with a length
  double real() const {
    double out = 0;
    std::memcpy(&out, &value, sizeof(out));
    return out;
  }
  float single() const {
    const auto low = uint32_t(value);
    float out = 0;
    std::memcpy(&out, &low, sizeof(out));
    return out;
  }
};

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | uint8_t(bytes[i]);
  return value;
}

std::vector<Field> parse(std::string_view m) {
  std::vector<Field> fields;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = uint8_t(m.at(0));
      m.remove_prefix(1);
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const auto take = [&](size_t n) {
    const std::string out(m.substr(0, n));
    if (out.size() != n) throw std::runtime_error("field runs over the message's end");
    m.remove_prefix(n);
    return out;
  };
  while (!m.empty()) {
    const uint64_t key = varint();
    Field field{int(key >> 3), 0, ""};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = little_endian(take(8));
        break;
      case 5:
        field.value = little_endian(take(4));
        break;
      case 2:
        field.bytes = take(varint());
        break;
      default:
        throw std::runtime_error("unknown wire type");
    }
    fields.push_back(field);
  }
  return fields;
}

/// The first field of that number; the path goes down through messages.
Field at(std::string_view message, std::initializer_list<int> path) {
  Field found;
  std::string current(message);
  for (const int number : path) {
    found = {};
    for (const Field& field : parse(current)) {
      if (field.number != number) continue;
      found = field;
      break;
    }
    current = found.bytes;
  }
  return found;
}

std::vector<std::string> records(std::string_view file) {
  const auto unmasked = [](uint32_t masked) {
    const uint32_t rotated = masked - 0xa282ead8U;
    return (rotated >> 17) | (rotated << 15);
  };
  std::vector<std::string> out;
  while (!file.empty()) {
    const uint64_t length = little_endian(file.substr(0, 8));
    EXPECT_EQ(unmasked(uint32_t(little_endian(file.substr(8, 4)))), io::crc32c(file.substr(0, 8)));
    out.emplace_back(file.substr(12, length));
    EXPECT_EQ(unmasked(uint32_t(little_endian(file.substr(12 + length, 4)))), io::crc32c(out.back()));
    file.remove_prefix(16 + length);
  }
  return out;
}

std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind("events.out.tfevents.", 0) == 0) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// ---- bytes ----------------------------------------------------------------------------------------------------------

TEST(Crc32c, Vectors) {  // RFC 3720, appendix B.4
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += char(i);
  EXPECT_EQ(io::crc32c(""), 0U);
  EXPECT_EQ(io::crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(io::crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(io::crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(io::crc32c(ascending), 0x46dd794eU);
  EXPECT_EQ(io::crc32c("6789", io::crc32c("12345")), 0xe3069283U);
}

TEST(Message, Wire) {  // the examples of the encoding's description, and the types it lacks
  EXPECT_EQ(hex(io::Message().varint(1, 150).bytes()), "089601");
  EXPECT_EQ(hex(io::Message().text(2, "testing").bytes()), "120774657374696e67");
  EXPECT_EQ(hex(io::Message().message(3, io::Message().varint(1, 150)).bytes()), "1a03089601");
  EXPECT_EQ(hex(io::Message().real(1, 1).bytes()), "09000000000000f03f");
  EXPECT_EQ(hex(io::Message().single(2, -2).bytes()), "15000000c0");
  EXPECT_EQ(hex(io::Message().varint(20, uint64_t(-1)).bytes()), "a001ffffffffffffffffff01");
}

TEST(TfRecord, Golden) {  // what TensorBoard's own RecordWriter writes
  EXPECT_EQ(hex(io::tf_record("abc")), "0300000000000000b099490e6162636e57f121");
}

// ---- event files ----------------------------------------------------------------------------------------------------

TEST(EventFile, HoldsWhatWasWritten) {
  const TemporaryFolder folder;
  fs::path path;
  const std::string png = std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\1\2", 24) + "rest";
  {
    io::EventFile file(folder.path / "deep" / "folder", 7);
    file.scalar("loss", 12, 0.5);
    file.scalar("loss", int64_t{1} << 40, NAN);
    file.image("picture", 3, png);
    file.text("words", 4, "**é**");
    EXPECT_MESSAGE(file.image("picture", 3, "GIG"), "picture is neither a PNG nor a GIF file");
    path = file.path();
  }
  const auto events = records(contents(path));
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(at(events[0], {3}).bytes, "brain.Event:2");
  EXPECT_NEAR(at(events[0], {1}).real(), double(time(nullptr)), 60);
  EXPECT_EQ(at(events[1], {2}).value, 7U);
  EXPECT_EQ(at(events[1], {7, 1}).value, 1U);
  EXPECT_EQ(at(events[2], {2}).value, 12U);
  EXPECT_EQ(at(events[2], {5, 1, 1}).bytes, "loss");
  EXPECT_EQ(at(events[2], {5, 1, 2}).single(), 0.5F);
  EXPECT_EQ(at(events[3], {2}).value, uint64_t{1} << 40);
  EXPECT_TRUE(std::isnan(at(events[3], {5, 1, 2}).single()));
  EXPECT_EQ(at(events[4], {5, 1, 4, 2}).value, 3U);
  EXPECT_EQ(at(events[4], {5, 1, 4, 1}).value, 258U);
  EXPECT_EQ(at(events[4], {5, 1, 4, 4}).bytes, png);
  EXPECT_EQ(at(events[5], {5, 1, 8, 8}).bytes, "**é**");
  EXPECT_EQ(at(events[5], {5, 1, 9, 1, 1}).bytes, "text");
}

TEST(EventFile, NamesSortInOrderOfMaking) {
  const TemporaryFolder folder;
  std::vector<fs::path> made;
  for (int i = 0; i < 3; ++i) made.push_back(io::EventFile(folder.path).path());
  EXPECT_EQ(event_files(folder.path), made);
}

TEST(EventFile, HParams) {
  const TemporaryFolder folder;
  io::EventFile file(folder.path);
  file.hparams({{"rate", 0.5}, {"flip", true}, {"model", "lrcn"}}, {{"validation", "top1", "Top 1"}});
  file.session_end(true);
  const auto events = records(contents(file.path()));
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(at(events[3], {5, 1, 1}).bytes, "_hparams_/session_start_info");
  EXPECT_EQ(at(events[3], {5, 1, 9, 1, 1}).bytes, "hparams");
  const std::string start = at(events[3], {5, 1, 9, 1, 2, 3}).bytes;
  EXPECT_EQ(at(start, {1, 1}).bytes, "rate");
  EXPECT_EQ(at(start, {1, 2, 2}).real(), 0.5);
  const std::string about = at(events[2], {5, 1, 9, 1, 2, 2}).bytes;
  EXPECT_EQ(at(about, {5, 1, 2}).bytes, "top1");
  EXPECT_EQ(at(events[4], {5, 1, 9, 1, 2, 4, 1}).value, 1U);
}

TEST(EventFile, FullDiskIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_MESSAGE(io::JsonLines("/dev/full").write(1), "/dev/full: cannot write: No space left");
  EXPECT_MESSAGE(io::EventFile("/dev/null/log"), "/dev/null/log: cannot create this folder for the log: Not a dir");
}

// ---- JSON lines -----------------------------------------------------------------------------------------------------

TEST(JsonLines, AppendsAndRepairs) {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "sub" / "journal.jsonl";
  io::JsonLines(path).write({{"a", NAN}, {"b", "\xff"}});
  EXPECT_EQ(contents(path), "{\"a\":null,\"b\":\"\ufffd\"}\n");
  const std::string good = "{\"a\":1}\n{\"b\":\"" + std::string(10000, 'x') + "\"}\n";
  const std::pair<std::string, std::string> cases[] = {{good, good},
                                                       {good + "{\"c\":", good},
                                                       {good + "{\"c\":\"" + std::string(9000, 'y'), good},
                                                       {good + "{\"c\":3}", good + "{\"c\":3}\n"},
                                                       {"{\"c\":", ""},
                                                       {"", ""}};
  for (const auto& [before, after] : cases) {
    std::ofstream(path, std::ios::binary) << before;
    io::JsonLines(path).write({{"last", true}});
    EXPECT_EQ(contents(path), after + "{\"last\":true}\n");
  }
}

TEST(JsonLines, AWriteThatFailsHalfwayLeavesNothing) {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "a.jsonl";
  io::JsonLines lines(path);
  lines.write({{"n", 1}});
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{100, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = error_of([&] { lines.write(std::string(200, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(error, HasSubstr("a.jsonl: cannot write: File too large"));
  lines.write({{"n", 2}});
  EXPECT_EQ(contents(path), "{\"n\":1}\n{\"n\":2}\n");
}

TEST(JsonLines, ReadsAndFilters) {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "a.jsonl";
  EXPECT_TRUE(io::read_json_lines(path).empty());
  std::ofstream(path) << "{\"n\":1}\r\n\nbroken\n{\"n\":2}\n[3]\n{\"n\":";
  int64_t bad = 0;
  EXPECT_THAT(io::read_json_lines(path, &bad), ElementsAre(Json{{"n", 1}}, Json{{"n", 2}}, Json::array({3})));
  EXPECT_EQ(bad, 2);
  io::filter_json_lines(path, [](const Json& line) { return line.is_object() && line["n"] != 1; });
  EXPECT_EQ(contents(path), "{\"n\":2}\n");
}

// ---- the log of a run -----------------------------------------------------------------------------------------------

std::vector<int64_t> steps_of(const apps::Curves& curves, const std::string& split, const std::string& name) {
  std::vector<int64_t> steps;
  for (const auto& point : curves.at(split).at(name)) steps.push_back(point.step);
  return steps;
}

TEST(RunLog, ResumedCurvesDoNotDouble) {
  const TemporaryFolder folder;
  const apps::RunLogOptions fresh{.folder = folder.path};
  {
    apps::RunLog log(fresh);
    log.options({{"rate", 0.1}, {"name", "a|b"}, {"list", {1, 2}}}, {{"validation", "top1"}});
    for (int step = 10; step <= 40; step += 10) log.scalars("train", step, step / 10.0, {{"loss", 1.0 / step}});
    log.scalars("validation", 40, 4, {{"loss", NAN}, {"top1", 0.5}});
  }
  std::ofstream(folder.path / "metrics.jsonl", std::ios::app) << "{\"torn\":";
  {
    apps::RunLog log({.folder = folder.path, .resume_step = 20});
    EXPECT_THAT(steps_of(log.curves(), "train", "loss"), ElementsAre(10, 20));
    EXPECT_FALSE(log.curves().contains("validation"));
    log.options({{"rate", 0.2}}, {});
    log.scalars("train", 30, 3, {{"loss", 7}});
    log.finish(true);
    EXPECT_THAT(steps_of(log.curves(), "train", "loss"), ElementsAre(10, 20, 30));
  }
  const auto own = records(contents(event_files(folder.path).at(0)));
  EXPECT_EQ(at(own.back(), {5, 1, 1}).bytes, "validation/top1");  // what the HPARAMS tab shows
  std::vector<uint64_t> cards;  // of one step only one would be seen, or both side by side
  for (const fs::path& file : event_files(folder.path))
    for (const std::string& event : records(contents(file)))
      if (at(event, {5, 1, 1}).bytes == "options") cards.push_back(at(event, {2}).value);
  EXPECT_THAT(cards, ElementsAre(0, 20));
  const auto lines = io::read_json_lines(folder.path / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[2]["loss"], 7);
  EXPECT_EQ(lines[2]["split"], "train");
  const auto files = event_files(folder.path / "train");
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(at(records(contents(files[1])).at(1), {2}).value, 21U);  // readers forget step 21 and later
  apps::RunLog again(fresh);
  EXPECT_TRUE(again.curves().empty());
  EXPECT_EQ(io::read_json_lines(folder.path / "metrics.previous.jsonl").size(), 3U);
}

TEST(RunLog, WithoutAFolderCurvesAreStillCollected) {
  apps::RunLog log({});
  EXPECT_FALSE(log.enabled());
  log.options({{"a", 1}}, {});
  log.scalars("train", 1, 0.5, {{"loss", 2}, {"bad", INFINITY}});
  log.image("x", 1, "no picture");
  log.finish(false);
  EXPECT_EQ(log.curves().at("train").at("loss").at(0).epoch, 0.5);
  EXPECT_TRUE(std::isinf(log.curves().at("train").at("bad").at(0).value));
}

TEST(RunLog, UnwritableFolder) { EXPECT_MESSAGE(apps::RunLog({.folder = "/proc/nothing/log"}), "/proc/nothing/log"); }

}  // namespace
}  // namespace ar
