// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: one WebSocket connection, accepted or dialled, over TCP or TLS. Beast's
// stream does framing, masks, UTF-8 checks, pings and the closing handshake; the session adds the
// send queue, its limits, and the deadlines that Beast leaves open (a closing handshake behind a
// write that never ends).

#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <string>

#include "net/connection_set.h"
#include "net/tls_stream.h"
#include "net/websocket.h"

namespace merrow::net {

/// What the side that dials says in its handshake, and to whom a failure is told.
struct WebSocketClientHandshake {
  struct Failure {
    error_code error = {};
    int http_status = 0;      // of an answer that is not 101
    std::string answer = {};  // its body
  };

  std::string host;  // for the Host header
  std::string target;
  std::string authorization;  // empty: none
  /// Called once: with nothing just before OnOpen, or with what went wrong, also when the
  /// connection was cut.
  std::function<void(const Failure* failure)> on_done;
};

class WebSocketSession : public Connection, public WebSocketConnection {
 public:
  using UpgradeRequest = boost::beast::http::request<boost::beast::http::string_body>;

  /// Answers the handshake. `request` is not used after the call.
  virtual void Accept(const UpgradeRequest& request) = 0;
  /// Begins the handshake.
  virtual void Connect(WebSocketClientHandshake handshake) = 0;
};

/// The caller adds it to `set`, then calls Accept or Connect.
std::shared_ptr<WebSocketSession> MakeWebSocketSession(std::shared_ptr<ConnectionSet> set,
                                                       TcpSocket socket,
                                                       std::unique_ptr<WebSocketEvents> events,
                                                       std::string remote_address);
std::shared_ptr<WebSocketSession> MakeWebSocketSession(std::shared_ptr<ConnectionSet> set,
                                                       TlsStream stream,
                                                       std::unique_ptr<WebSocketEvents> events,
                                                       std::string remote_address);

}  // namespace merrow::net
