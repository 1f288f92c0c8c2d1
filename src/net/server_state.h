// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: what the connections of one HTTP server share.

#pragma once

#include <memory>
#include <utility>

#include "net/host_policy.h"
#include "net/http_server.h"
#include "net/listener.h"

namespace merrow::net {

struct ServerState final : Listener {
  ServerState(EventLoop& event_loop, HttpServerOptions server_options, HttpHandler& http_handler,
              WebSocketHandler* websocket_handler)
      : Listener(event_loop,
                 {.connections_max = server_options.connections_max,
                  .kernel_unsent_bytes_max = server_options.kernel_unsent_bytes_max},
                 server_options.websocket, server_options.log),
        options(std::move(server_options)),
        host_policy(options.allowed_hosts),
        handler(http_handler),
        websockets(websocket_handler) {}

  const HttpServerOptions options;
  const HostPolicy host_policy;
  HttpHandler& handler;
  WebSocketHandler* const websockets;
  bool checks_host = false;

 private:
  void OnSocket(TcpSocket socket) override;
};

}  // namespace merrow::net
