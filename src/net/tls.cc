// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "net/tls_stream.h"

namespace merrow::net {

namespace {

// The reason of OpenSSL's last error; empties its queue.
std::string TakeOpenSslError() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(code);
  return reason == nullptr ? "error " + std::to_string(code) : reason;
}

// OpenSSL's own message for a missing file is not one to show.
Status CheckReadable(const char* what, const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const std::string message =
        std::string("cannot read the ") + what + " '" + path + "': " + std::strerror(errno);
    return errno == ENOENT ? NotFound(message) : IoError(message);
  }
  close(descriptor);
  return {};
}

Error Unusable(const char* what, const std::string& path) {
  return InvalidArgument(std::string("the ") + what + " '" + path +
                         "' cannot be used: " + TakeOpenSslError());
}

Status UseCertificate(SSL_CTX* context, const TlsFiles& files) {
  MERROW_TRY(CheckReadable("TLS certificate", files.certificate));
  MERROW_TRY(CheckReadable("TLS key", files.key));
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return Unusable("TLS certificate", files.certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Unusable("TLS key", files.key);
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return InvalidArgument("the TLS key '" + files.key + "' is not of the certificate '" +
                           files.certificate + "'");
  }
  return {};
}

Status UseAuthority(SSL_CTX* context, const std::string& path) {
  MERROW_TRY(CheckReadable("TLS authority", path));
  if (SSL_CTX_load_verify_file(context, path.c_str()) != 1) {
    return Unusable("TLS authority", path);
  }
  return {};
}

Result<SharedTlsContext> MakeContext(asio::ssl::context::method method) {
  SharedTlsContext shared;
  try {
    shared = std::make_shared<TlsContext>(method);
  } catch (const boost::system::system_error& error) {
    return IoError(std::string("cannot set up TLS: ") + error.what());
  }
  SSL_CTX* const context = shared->context.native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Connections between sites live long: nothing is won by resuming sessions, and a resumed one
  // would not check the certificate again.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An encrypted key is an error and no question on the terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  return shared;
}

bool IsAddress(const std::string& host) {
  in_addr ipv4;
  in6_addr ipv6;
  return inet_pton(AF_INET, host.c_str(), &ipv4) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &ipv6) == 1;
}

// SSL_set_tlsext_host_name is a macro with a C cast.
bool SetServerName(SSL* ssl, std::string host) {
  return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1;
}

}  // namespace

Result<SharedTlsContext> LoadServerTls(const TlsFiles& files, bool require_client_certificate) {
  if (files.certificate.empty() || files.key.empty()) {
    return InvalidArgument("to accept TLS, both a certificate and its key are needed");
  }
  if (require_client_certificate && files.ca.empty()) {
    return InvalidArgument("to check the certificates of peers, a TLS authority is needed");
  }
  MERROW_ASSIGN(SharedTlsContext shared, MakeContext(asio::ssl::context::tls_server));
  SSL_CTX* const context = shared->context.native_handle();
  MERROW_TRY(UseCertificate(context, files));
  if (require_client_certificate) {
    MERROW_TRY(UseAuthority(context, files.ca));
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files.ca.c_str()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    shared->requires_client_certificate = true;
  }
  return shared;
}

Result<SharedTlsContext> LoadClientTls(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return InvalidArgument("a TLS certificate needs its key, and a key its certificate");
  }
  MERROW_ASSIGN(SharedTlsContext shared, MakeContext(asio::ssl::context::tls_client));
  SSL_CTX* const context = shared->context.native_handle();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (!files.certificate.empty()) {
    MERROW_TRY(UseCertificate(context, files));
  }
  if (!files.ca.empty()) {
    MERROW_TRY(UseAuthority(context, files.ca));
  } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
    return IoError("cannot load the system's TLS authorities: " + TakeOpenSslError());
  }
  return shared;
}

std::optional<int64_t> CertificateExpiry(TlsContext& tls) {
  const X509* const shown = SSL_CTX_get0_certificate(tls.context.native_handle());
  tm expiry = {};
  if (shown == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(shown), &expiry) != 1) {
    return std::nullopt;
  }
  return timegm(&expiry);
}

Status ExpectHost(TlsStream& stream, const std::string& host) {
  SSL* const ssl = stream.native_handle();
  bool is_set = false;
  if (IsAddress(host)) {
    is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    is_set = SSL_set1_host(ssl, host.c_str()) == 1 && SetServerName(ssl, host);
  }
  return is_set ? Status() : InvalidArgument("'" + host + "' cannot be a TLS host name");
}

std::string DescribeTlsFailure(TlsStream& stream, error_code error) {
  const long verified = SSL_get_verify_result(stream.native_handle());
  if (verified == X509_V_OK) {
    return error.message();
  }
  return std::string("the peer's certificate is refused: ") +
         X509_verify_cert_error_string(verified);
}

}  // namespace merrow::net
