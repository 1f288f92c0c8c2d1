// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: what the connections of one server share.
//
// Invariants:
//   (1) A connection is in `connections` from Add to Remove; the set owns it, since a connection
//       whose handler is at work has no pending operation that would keep it alive.
//   (2) counters.connections_open == connections.size().
//   (3) After HttpServer is gone, `connections` is empty and no handler is called.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/asio.h"
#include "net/host_policy.h"
#include "net/http_server.h"

namespace merrow::net {

class Connection {
 public:
  virtual ~Connection() = default;
  /// Close as soon as nothing is owed to the peer.
  virtual void BeginShutdown() = 0;
  /// Close now. Must Remove itself.
  virtual void Cut(std::string_view why) = 0;
};

struct ServerState : std::enable_shared_from_this<ServerState> {
  ServerState(EventLoop& event_loop, HttpServerOptions server_options, HttpHandler& http_handler,
              WebSocketHandler* websocket_handler)
      : loop(event_loop),
        options(std::move(server_options)),
        host_policy(options.allowed_hosts),
        handler(http_handler),
        websockets(websocket_handler),
        acceptor(loop.impl().context.get_executor()) {}

  Status StartListening(const ListenAddress& address);
  void AcceptNext();
  void OnAccept(error_code error, TcpSocket socket);
  void BeginShutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);
  void CutAll(std::string_view why);

  void Add(std::shared_ptr<Connection> connection);
  void Remove(Connection& connection);

  void Log(const std::string& line) const {
    if (options.log) {
      options.log(line);
    }
  }

  EventLoop& loop;
  const HttpServerOptions options;
  const HostPolicy host_policy;
  HttpHandler& handler;
  WebSocketHandler* const websockets;
  NetCounters counters;
  TcpAcceptor acceptor;
  bool checks_host = false;
  EventLoop::Timer accept_retry;

  bool stopping = false;
  EventLoop::Timer shutdown_deadline;
  std::function<void()> on_shutdown_done;

  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
};

/// "address:port" of the peer; empty if it is gone.
std::string RemoteAddress(const TcpSocket& socket);

}  // namespace merrow::net
