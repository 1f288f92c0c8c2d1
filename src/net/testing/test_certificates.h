// SPDX-License-Identifier: Apache-2.0
//
// For tests: a certificate authority that lives as long as the test, made with libcrypto, so that
// nothing that expires is committed. Writes PEM files into a directory of its own.

#pragma once

#include <memory>
#include <string>

#include "net/tls.h"

namespace merrow::net::testing {

class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  struct Subject {
    /// As in a subjectAltName: "DNS:localhost,IP:127.0.0.1".
    std::string names = "DNS:localhost,IP:127.0.0.1";
    bool is_expired = false;
  };
  /// A certificate and its key, with this authority as `ca`.
  TlsFiles Issue(const Subject& subject);
  TlsFiles Issue() { return Issue(Subject()); }

  /// This authority's certificate.
  const std::string& path() const { return path_; }
  /// Where the files are. A test may put more there.
  const std::string& directory() const { return directory_; }

 private:
  struct Keys;
  std::string directory_;
  std::string path_;
  std::unique_ptr<Keys> keys_;
  int issued_ = 0;
};

}  // namespace merrow::net::testing
