// Profiles: what is counted, spans, the table and the trace.
#include "tensor/profile.h"

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "autograd/autograd.h"
#include "nn/layers.h"
#include "tensor/ops_elementwise.h"
#include "tests/errors.h"

namespace ar {
namespace {

using testing::HasSubstr;

const profile::Row* find(const profile::Report& report, const std::string& kind) {
  for (const profile::Row& row : report.rows)
    if (row.kind == kind) return &row;
  return nullptr;
}

std::vector<std::string> names(const profile::Report& report, const std::string& category) {
  std::vector<std::string> found;
  for (const profile::Event& e : report.events)
    if (category == e.category) found.push_back(e.name);
  return found;
}

TEST(Profile, CountsOperationsAndBytes) {
  const nn::Conv2d conv({.in = 4, .out = 8, .kernel = 3, .padding = 1, .bias = false});
  const Variable x(zeros({2, 4, 5, 6}), true);
  profile::start();
  conv(x).backward(ones({2, 8, 5, 6}));
  const profile::Report report = profile::stop();
  const double flops = 2.0 * (2 * 5 * 6) * 8 * 4 * 9, bytes = 4.0 * (2 * 4 * 30 + 8 * 4 * 9 + 2 * 8 * 30);
  for (const char* kind : {"conv 3x3", "conv 3x3 data gradient", "conv 3x3 weight gradient"}) {
    const profile::Row* row = find(report, kind);
    ASSERT_TRUE(row) << kind;
    EXPECT_EQ(row->calls, 1) << kind;
    EXPECT_DOUBLE_EQ(row->gflop, 1e-9 * flops) << kind;
    EXPECT_DOUBLE_EQ(row->gigabytes, 1e-9 * bytes) << kind;
    EXPECT_GT(row->seconds, 0) << kind;
  }
  double in_kernels = 0;
  for (const profile::Row& row : report.rows) in_kernels += row.seconds;
  EXPECT_NEAR(report.outside + in_kernels, report.seconds, 1e-6);
  EXPECT_THAT(names(report, "layer"), testing::ElementsAre(HasSubstr("Conv2d(4, 8")));
  EXPECT_THAT(names(report, "backward"), testing::ElementsAre("conv2d"));
}

TEST(Profile, TellsTypesApart) {
  profile::start();
  ops::add(ones({7}), ones({7}));
  ops::add(ones({7}, {.dtype = Dtype::f64}), ones({1}, {.dtype = Dtype::f64}));
  const profile::Report report = profile::stop();
  double bytes = 0;
  int rows = 0;
  for (const profile::Row& row : report.rows)
    if (row.kind == "elementwise") bytes += 1e9 * row.gigabytes, ++rows;
  EXPECT_EQ(rows, 2);
  EXPECT_DOUBLE_EQ(bytes, 3 * 7 * 4 + (7 + 1 + 7) * 8);  // the broadcast one is read once
}

TEST(Profile, OffItCountsNothing) {
  ops::add(ones({7}), ones({7}));
  EXPECT_FALSE(profile::enabled());
  EXPECT_MESSAGE(profile::stop(), "profile: stop without start");
  profile::start();
  EXPECT_TRUE(profile::stop().events.empty());
}

TEST(Profile, PhasesAreAddedUp) {
  profile::start();
  for (int i = 0; i < 3; ++i) const profile::Span span("phase", "forward");
  { const profile::Span span("layer", "forward"); }
  const profile::Report report = profile::stop();
  ASSERT_EQ(report.phases.size(), 1u);
  EXPECT_EQ(report.phases[0].name, "forward");
  EXPECT_EQ(report.phases[0].calls, 3);
  EXPECT_EQ(report.events.size(), 4u);
}

TEST(Profile, ThreadsAreToldApart) {
  profile::start();
  std::thread([] { ops::add(ones({7}), ones({7})); }).join();
  const profile::Report report = profile::stop();
  EXPECT_EQ(report.outside, report.seconds);  // this thread ran no kernel
  ASSERT_FALSE(report.events.empty());
  profile::start();
  ops::add(ones({7}), ones({7}));
  EXPECT_NE(profile::stop().events[0].thread, report.events[0].thread);
}

TEST(Profile, TableAndTrace) {
  profile::Report report;
  report.seconds = 2, report.outside = 0.5, report.page_faults = 3;
  report.rows = {{.kind = "conv 3x3", .calls = 4, .seconds = 1, .gflop = 50, .gigabytes = 1},
                 {.kind = "fill", .dtype = Dtype::bf16, .calls = 1, .seconds = 0.5, .gigabytes = 5}};
  report.phases = {{.name = "forward", .calls = 2, .seconds = 1.5}};
  report.events = {{.name = "a \"b\"", .detail = "(1)", .category = "layer", .begin = 1.5, .duration = 2, .thread = 1}};
  const std::string text = profile::table(report, {.f32 = 100, .bandwidth = 20});
  EXPECT_THAT(text, HasSubstr("conv 3x3         float32       4     1000.0  50.0%     50.0      1.0      50%\n"));
  EXPECT_THAT(text, HasSubstr("fill            bfloat16       1      500.0  25.0%              10.0      50%\n"));
  EXPECT_THAT(text, HasSubstr("not in a kernel                       500.0  25.0%\n"));
  EXPECT_THAT(text, HasSubstr("forward                        2     1500.0  75.0%\n"));
  EXPECT_THAT(text, HasSubstr("2.000 s, 3 page faults; peak 100 GFLOP/s f32; memory 20.0 GB/s\n"));

  const auto path = std::filesystem::path(testing::TempDir()) / "ar_profile_trace.json";
  profile::write_trace(report, path);
  std::ifstream in(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}),
            "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
            "{\"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": 1.500, \"dur\": 2.000, \"cat\": \"layer\", "
            "\"name\": \"a \\\"b\\\"\", \"args\": {\"shapes\": \"(1)\"}}\n]}\n");
  std::filesystem::remove(path);
  EXPECT_MESSAGE(profile::write_trace(report, "/nowhere/trace.json"), "/nowhere/trace.json: ");
}

}  // namespace
}  // namespace ar
