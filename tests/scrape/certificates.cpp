// HTTPS finds the certificates of systems other than the one that libcurl was built on.
#include "scrape/certificates.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "scrape/download.h"
#include "scrape/error.h"
#include "scrape/http.h"
#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

namespace fs = std::filesystem;

class Certificates : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("CURL_CA_BUNDLE");
    unsetenv("SSL_CERT_FILE");
    std::string name = (fs::temp_directory_path() / "certificates-XXXXXX").string();
    root = mkdtemp(name.data());
  }
  void TearDown() override {
    unsetenv("CURL_CA_BUNDLE");
    unsetenv("SSL_CERT_FILE");
    fs::remove_all(root);
  }
  void put(const std::string& file) const {
    fs::create_directories(fs::path(root + file).parent_path());
    std::ofstream(root + file) << "-";
  }
  std::string root;
};

constexpr const char* kDebian = "/etc/ssl/certs/ca-certificates.crt";
constexpr const char* kFedora = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";

TEST_F(Certificates, TheLibrarysOwnPlaceNeedsNothing) {
  put(kDebian);
  put(kFedora);
  EXPECT_EQ(certificate_file(kDebian, root), "");
}

TEST_F(Certificates, ElsewhereTheUsualPlaces) {
  EXPECT_EQ(certificate_file(kDebian, root), "") << "there are none at all";
  put("/etc/ssl/cert.pem");
  EXPECT_EQ(certificate_file(kDebian, root), root + "/etc/ssl/cert.pem");
  put(kFedora);
  EXPECT_EQ(certificate_file(kDebian, root), root + kFedora);
  put(kDebian);
  EXPECT_EQ(certificate_file("/built/somewhere/else.pem", root), root + kDebian);
}

TEST_F(Certificates, TheEnvironmentGoesFirst) {
  put(kDebian);
  setenv("SSL_CERT_FILE", "/one.pem", 1);
  EXPECT_EQ(certificate_file(kDebian, root), "/one.pem");
  setenv("CURL_CA_BUNDLE", "/two.pem", 1);
  EXPECT_EQ(certificate_file(kDebian, root), "/two.pem");
  setenv("CURL_CA_BUNDLE", "", 1);
  EXPECT_EQ(certificate_file(kDebian, root), "/one.pem");
}

TEST_F(Certificates, EveryRequestAsksForThem) {
  httplib::Server server;  // without TLS; the file is opened before anything is said
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  setenv("CURL_CA_BUNDLE", (root + "/missing.pem").c_str(), 1);
  const std::string url = "https://127.0.0.1:" + std::to_string(port) + "/";
  const auto says = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(says([&] { HttpClient().send({.url = url}); }), testing::HasSubstr("CA cert"));
  EXPECT_THAT(says([&] { download({.url = url, .path = root + "/file", .attempts = 1}); }),
              testing::HasSubstr("CA cert"));
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace ar::scrape
