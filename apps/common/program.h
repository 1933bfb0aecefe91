// What every program does alike: options, errors, exit codes.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>

namespace ar::apps {

/// Exit codes of all programs. A program may add its own from 3 on.
inline constexpr int kFailed = 1, kBadUse = 2;

/// Adds --version and --config (any option from a file of lines "name = value"), shows defaults in --help.
void add_common_options(CLI::App& app);

/// Parses, then calls run. Bad use and whatever run() throws become one line "error: ..." on standard error; returns
/// the exit code. Stopped (apps/common/stop_signal.h) is no error: its line is printed as it is, and the code is 128
/// and the number of the signal. The code is kFailed also where not all of standard output could be written. A closed
/// pipe there ends the program quietly, as SIGPIPE does; anywhere else SIGPIPE has no effect.
int run_program(CLI::App& app, int argc, char** argv, const std::function<int()>& run);

/// All options and their values as {"batch-size": "16", ...}, given or not. It can be written anywhere: in names of
/// files, bytes that are not UTF-8 became U+FFFD.
nlohmann::json options_as_json(const CLI::App& app);

}  // namespace ar::apps
