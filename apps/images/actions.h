// The list of classes of a data set to build.
#pragma once
#include <string>
#include <vector>

#include "scrape/builder.h"

namespace ar::apps {

/// Reads a file with a class a line: "NAME", or "NAME<TAB>QUERY;QUERY" where the name is not what to search for. Spaces
/// around names and queries, CRLF, blank lines and lines that begin with # are passed over. `suffix` is added to every
/// query that is no address. Throws ar::Error with file and line: no class at all, a class named twice, a name that is
/// no plain folder name (with a path separator or control character, beginning with a dot, over 200 bytes).
std::vector<scrape::ActionClass> read_actions(const std::string& path, const std::string& suffix = "");

}  // namespace ar::apps
