// SPDX-License-Identifier: Apache-2.0
//
// TLS settings of connections between sites: which certificate this side shows and whom it trusts.
// TLS 1.2 and newer. Files are PEM; they are read when the settings are loaded and not again.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "merrow/result.h"

namespace merrow::net {

/// Paths; empty where there is none.
struct TlsFiles {
  std::string certificate = {};  // this side's, followed by the intermediate ones if there are any
  std::string key = {};          // of `certificate`, not encrypted
  std::string ca = {};           // whom to trust
};

/// Private to src/net: owns the OpenSSL context.
struct TlsContext;
using SharedTlsContext = std::shared_ptr<TlsContext>;

/// For accepting. `certificate` and `key` are needed; with `require_client_certificate` (mutual
/// TLS) also `ca`, which the certificate of every peer must lead to.
/// Errors name the file: kNotFound, kIo, or kInvalidArgument for what does not fit.
Result<SharedTlsContext> LoadServerTls(const TlsFiles& files, bool require_client_certificate);

/// For dialling. Without `ca`, the system's authorities are trusted. Without `certificate`, none is
/// shown.
Result<SharedTlsContext> LoadClientTls(const TlsFiles& files);

/// When the certificate that is shown expires, in seconds of Unix time. Nothing if none is shown.
std::optional<int64_t> CertificateExpiry(TlsContext& tls);

}  // namespace merrow::net
