// What --profile does: a profile from begin_profile() to the end of the program.
#pragma once
#include <filesystem>

namespace ar::apps {

/// Starts it. Throws Error when the file for the trace cannot be written.
void begin_profile(const std::filesystem::path& trace);
/// Where one was begun: prints its table on standard error and writes the trace.
void end_profile();

}  // namespace ar::apps
