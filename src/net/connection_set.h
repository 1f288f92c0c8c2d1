// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: the connections of one server, or of one dialer, and how they end.
//
// Invariants:
//   (1) A connection is in `connections` from Add to Remove; the set owns it, since a connection
//       whose handler is at work has no pending operation that would keep it alive.
//   (2) counters.connections_open == connections.size().
//   (3) After the owner (HttpServer, PeerListener, PeerDialer) is gone, `connections` is empty and
//   no
//       handler is called.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/asio.h"
#include "net/counters.h"
#include "net/websocket.h"

namespace merrow::net {

class Connection {
 public:
  virtual ~Connection() = default;
  /// Close as soon as nothing is owed to the peer.
  virtual void BeginShutdown() = 0;
  /// Close now. Must Remove itself.
  virtual void Cut(std::string_view why) = 0;
};

struct ConnectionSet : std::enable_shared_from_this<ConnectionSet> {
  using LogFunction = std::function<void(const std::string& line)>;

  ConnectionSet(EventLoop& event_loop, const WebSocketOptions& websocket_options,
                LogFunction log_function)
      : loop(event_loop), websocket(websocket_options), log(std::move(log_function)) {}
  virtual ~ConnectionSet() = default;

  void Add(std::shared_ptr<Connection> connection);
  void Remove(Connection& connection);

  /// Asks all connections to end, cuts what is left at `deadline`, then posts `on_done`.
  virtual void BeginShutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);
  /// For the owner's destructor: cuts all, and forgets a shutdown that is under way.
  virtual void End(std::string_view why);
  void CutAll(std::string_view why);

  void Log(const std::string& line) const {
    if (log) {
      log(line);
    }
  }

  EventLoop& loop;
  const WebSocketOptions websocket;
  const LogFunction log;
  NetCounters counters;

  bool stopping = false;
  EventLoop::Timer shutdown_deadline;
  std::function<void()> on_shutdown_done;

  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
};

/// "address:port" of the peer; empty if it is gone.
std::string RemoteAddress(const TcpSocket& socket);

/// Options are a matter of speed and memory; a socket that refuses one still works.
void TuneSocket(TcpSocket& socket, size_t kernel_unsent_bytes_max);

}  // namespace merrow::net
