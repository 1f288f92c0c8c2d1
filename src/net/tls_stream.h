// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: TLS over a TCP socket, and the OpenSSL context behind SharedTlsContext.

#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <string>

#include "net/asio.h"
#include "net/tls.h"

namespace merrow::net {

struct TlsContext {
  explicit TlsContext(asio::ssl::context::method method) : context(method) {}
  asio::ssl::context context;
  bool requires_client_certificate = false;
};

using TlsStream = boost::beast::ssl_stream<TcpSocket>;

inline TcpSocket& LowestSocket(TcpSocket& socket) { return socket; }
inline TcpSocket& LowestSocket(TlsStream& stream) { return stream.next_layer(); }

/// Makes the handshake of `stream` ask for `host` and accept only a certificate for it.
Status ExpectHost(TlsStream& stream, const std::string& host);

/// Why a handshake failed: what is wrong with the peer's certificate, if that was it.
std::string DescribeTlsFailure(TlsStream& stream, error_code error);

}  // namespace merrow::net
