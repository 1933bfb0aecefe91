#include "scrape/certificates.h"

#include <curl/curl.h>
#include <unistd.h>

#include <cstdlib>

namespace ar::scrape {

std::string certificate_file(const std::string& built_in, const std::string& root) {
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const char* file = std::getenv(name); file != nullptr && *file != '\0') return file;
  const auto exists = [](const std::string& path) { return access(path.c_str(), R_OK) == 0; };
  if (!built_in.empty() && exists(root + built_in)) return "";
  for (const char* usual : {"/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch, Gentoo
                            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, Red Hat
                            "/etc/pki/tls/certs/ca-bundle.crt",                   // the same, older
                            "/etc/ssl/ca-bundle.pem",                             // openSUSE
                            "/etc/ssl/cert.pem"}) {                               // Void, and much else
    if (exists(root + usual)) return root + usual;
  }
  return "";
}

void set_certificates(void* handle) {
  const curl_version_info_data* built = curl_version_info(CURLVERSION_NOW);
  const std::string file = certificate_file(built->cainfo != nullptr ? built->cainfo : "");
  if (!file.empty()) curl_easy_setopt(static_cast<CURL*>(handle), CURLOPT_CAINFO, file.c_str());
}

}  // namespace ar::scrape
