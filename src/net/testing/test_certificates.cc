// SPDX-License-Identifier: Apache-2.0
#include "net/testing/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "merrow/check.h"

namespace merrow::net::testing {

namespace {

template <auto function>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    function(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using File = std::unique_ptr<FILE, Deleter<fclose>>;

constexpr long kHour = 3600;

Key MakeKey() {
  Key key(EVP_EC_gen("P-256"));
  MERROW_CHECK(key != nullptr);
  return key;
}

void AddExtension(X509& certificate, int nid, const std::string& value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  MERROW_CHECK(extension != nullptr && X509_add_ext(&certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

struct Validity {
  long from_seconds = -kHour;
  long to_seconds = 24 * kHour;
};

Certificate MakeCertificate(const std::string& common_name, long serial, EVP_PKEY& key,
                            const Validity& validity) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), validity.from_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), validity.to_seconds);
  X509_set_pubkey(certificate.get(), &key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  return certificate;
}

void Sign(X509& certificate, X509& issuer, EVP_PKEY& issuer_key) {
  X509_set_issuer_name(&certificate, X509_get_subject_name(&issuer));
  MERROW_CHECK(X509_sign(&certificate, &issuer_key, EVP_sha256()) > 0);
}

File OpenForWriting(const std::string& path) {
  File file(fopen(path.c_str(), "w"));
  MERROW_CHECK(file != nullptr);
  return file;
}

}  // namespace

struct TestAuthority::Keys {
  Key key;
  Certificate certificate;
};

TestAuthority::TestAuthority() {
  std::string pattern = std::filesystem::temp_directory_path() / "merrow_tls_XXXXXX";
  MERROW_CHECK(mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  path_ = directory_ + "/ca.pem";
  Key key = MakeKey();
  Certificate certificate = MakeCertificate("authority of " + directory_, 1, *key, {});
  AddExtension(*certificate, NID_basic_constraints, "critical,CA:TRUE");
  Sign(*certificate, *certificate, *key);
  PEM_write_X509(OpenForWriting(path_).get(), certificate.get());
  keys_ = std::make_unique<Keys>(Keys{std::move(key), std::move(certificate)});
}

TestAuthority::~TestAuthority() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

TlsFiles TestAuthority::Issue(const Subject& subject) {
  ++issued_;
  const std::string stem = directory_ + "/site" + std::to_string(issued_);
  const TlsFiles files = {.certificate = stem + ".pem", .key = stem + ".key", .ca = path_};
  const Validity validity =
      subject.is_expired ? Validity{.from_seconds = -2 * kHour, .to_seconds = -kHour} : Validity();
  const Key key = MakeKey();
  const Certificate certificate =
      MakeCertificate("site " + std::to_string(issued_), issued_ + 1, *key, validity);
  AddExtension(*certificate, NID_subject_alt_name, subject.names);
  Sign(*certificate, *keys_->certificate, *keys_->key);
  PEM_write_X509(OpenForWriting(files.certificate).get(), certificate.get());
  PEM_write_PrivateKey(OpenForWriting(files.key).get(), key.get(), nullptr, nullptr, 0, nullptr,
                       nullptr);
  return files;
}

}  // namespace merrow::net::testing
