// Whose certificates HTTPS trusts. Every distribution keeps them elsewhere, and libcurl knows only the place of the one
// it was built on: programs that were copied to another would reach no server.
#pragma once
#include <string>

namespace ar::scrape {

/// The file of trusted certificates in PEM: that of CURL_CA_BUNDLE or SSL_CERT_FILE, as for the program curl; "" if the
/// one that libcurl was built with is there, or none is; else the first that exists of the usual places below `root`.
std::string certificate_file(const std::string& built_in, const std::string& root = "");

/// Makes a CURL* use it.
void set_certificates(void* handle);

}  // namespace ar::scrape
