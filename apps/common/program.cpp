#include "apps/common/program.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/common/profiling.h"

namespace ar::apps {

void add_common_options(CLI::App& app) {
  app.option_defaults()->always_capture_default();
  app.set_version_flag("--version", AR_VERSION);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "read options from this file, one a line: batch-size = 32");
}

int run_program(CLI::App& app, int argc, char** argv, const std::function<int()>& run) {
  // One line, whatever a message brings along.
  const auto complain = [](std::string text) {
    for (char& c : text)
      if (c == '\n' || c == '\r') c = ' ';
    std::fprintf(stderr, "error: %s\n", text.c_str());
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    complain(std::string(e.what()) + "; --help shows the options");
    return kBadUse;
  }
  try {
    const int code = run();
    end_profile();
    return code;
  } catch (const std::exception& e) {
    complain(e.what());
    return kFailed;
  }
}

nlohmann::json options_as_json(const CLI::App& app) {
  nlohmann::json json = nlohmann::json::object();
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_single_name();
    if (name == "help" || name == "version" || name == "config") continue;
    if (option->count() == 0) {
      json[name] = option->get_default_str();
      continue;
    }
    const auto values = option->results();
    if (values.size() == 1)
      json[name] = values.front();
    else
      json[name] = values;
  }
  for (const CLI::App* group : app.get_subcommands([](const CLI::App* a) { return a->get_name().empty(); }))
    json.update(options_as_json(*group));
  return json;
}

}  // namespace ar::apps
