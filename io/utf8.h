// Text that may not be UTF-8: names of files are just bytes.
#pragma once
#include <string>

namespace ar::io {

/// Length of the valid UTF-8 sequence (RFC 3629) that starts at `at`; 0 if there is none.
size_t utf8_length(const std::string& text, size_t at);
bool is_utf8(const std::string& text);

/// Python's way to hold arbitrary bytes as text (PEP 383): a byte b outside UTF-8 becomes the lone surrogate U+DC00 +
/// b, written as three bytes. bytes_of_surrogates undoes it.
std::string surrogates_of_bytes(const std::string& text);
std::string bytes_of_surrogates(const std::string& text);

/// For messages: everything but printable ASCII becomes '?', and a long text is cut.
std::string printable(const std::string& text);

}  // namespace ar::io
