#include "apps/common/program.h"

#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/common/json_text.h"
#include "apps/common/profiling.h"
#include "apps/common/stop_signal.h"

namespace ar::apps {
namespace {

/// One line, whatever a message brings along.
void complain(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  std::fprintf(stderr, "error: %s\n", text.c_str());
}

/// When nobody reads standard output any more, what has something to print there ends, as cat does before head. A
/// closed standard error or connection ends nothing. A handler, since programs started from here would inherit SIG_IGN.
void end_only_at_a_closed_output() {
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = [](int signal) {
    pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
    if (__fpending(stdout) == 0 || poll(&out, 1, 0) != 1) return;
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  };
  sigaction(SIGPIPE, &action, nullptr);
}

/// The exit code of a program that has printed all it had to say.
int printed(int code) {
  errno = 0;
  const bool whole = std::cout.flush().good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (whole || code != 0) return code;
  complain(std::string("standard output cannot be written: ") + std::strerror(errno ? errno : EIO) +
           "; what was printed is not whole");
  return kFailed;
}

}  // namespace

void add_common_options(CLI::App& app) {
  app.option_defaults()->always_capture_default();
  app.set_version_flag("--version", AR_VERSION);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "read options from this file, one a line: batch-size = 32");
}

int run_program(CLI::App& app, int argc, char** argv, const std::function<int()>& run) {
  end_only_at_a_closed_output();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return printed(app.exit(e));  // --help, --version
    complain(std::string(e.what()) + "; --help shows the options");
    return kBadUse;
  }
  try {
    const int code = run();
    end_profile();
    return printed(code);
  } catch (const Stopped& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 128 + StopSignal::received();
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
  return nlohmann::json::parse(json_text(json));
}

}  // namespace ar::apps
