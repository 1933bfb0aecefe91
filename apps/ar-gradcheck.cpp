// Checks every gradient of the library against finite differences and prints op x case x worst relative error.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tensor/backend.h"
#include "tests/gradcheck/cases/cases.h"

namespace {

/// Prints one line per row and returns how many failed.
int check(const std::vector<const ar::gradcheck_cases::Case*>& rows) {
  int failed = 0;
  std::printf("%-24s %-28s %-12s\n", "op", "case", "worst relative error");
  for (const auto* row : rows) {
    ar::GradcheckResult r;
    try {
      const auto problem = row->make();
      r = ar::gradcheck(problem.f, problem.inputs, problem.parameters, problem.options);
    } catch (const ar::Error& e) {
      r.passed = false;
      r.message = e.what();
    }
    std::printf("%-24s %-28s %.2e%s%s\n", row->op.c_str(), row->name.c_str(), r.worst_relative_error,
                r.passed ? "" : "  FAILED: ", r.message.c_str());
    failed += !r.passed;
  }
  std::printf("%zu checked, %d failed\n", rows.size(), failed);
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Checks gradients against finite differences in float64: a gradient passes where it differs from the "
      "numerical one by less than 1e-5 + 1e-3 of it.");
  std::vector<std::string> ops;
  std::string device = "cpu";
  bool list = false;
  app.add_option("--op", ops, "only these ops (may be given several times)");
  app.add_option("--device", device, "where the operations run: cpu, cuda or cuda:N");
  app.add_flag("--list", list, "print the rows without checking them");
  app.set_version_flag("--version", AR_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    std::fprintf(stderr, "error: %s; --help shows the options\n", e.what());
    return 2;
  }
  try {
    const ar::Device wanted = ar::parse_device(device);
    const std::string problem = ar::why_unavailable(wanted);
    AR_CHECK(problem.empty(), "--device ", device, ": ", problem);
    ar::gradcheck_cases::set_device(wanted);
    std::vector<const ar::gradcheck_cases::Case*> rows;
    for (const auto& c : ar::gradcheck_cases::all())
      if (ops.empty() || std::find(ops.begin(), ops.end(), c.op) != ops.end()) rows.push_back(&c);
    for (const std::string& op : ops)
      AR_CHECK(std::any_of(rows.begin(), rows.end(), [&](const auto* c) { return c->op == op; }), "--op ", op,
               ": no such op in the table; --list shows them");
    if (!list) return check(rows) ? 1 : 0;
    for (const auto* row : rows) std::printf("%-24s %s\n", row->op.c_str(), row->name.c_str());
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
