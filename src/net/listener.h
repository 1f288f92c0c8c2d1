// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: accepts TCP connections up to a limit. What becomes of them is the derived
// class's business.

#pragma once

#include <cstddef>
#include <functional>

#include "merrow/result.h"
#include "net/connection_set.h"
#include "net/listen_address.h"

namespace merrow::net {

struct Listener : ConnectionSet {
  struct Options {
    size_t connections_max = 0;
    size_t kernel_unsent_bytes_max = 0;
    /// Connections over the limit are told so in HTTP. Not for TLS, where it would be noise.
    bool answers_when_busy = true;
  };

  Listener(EventLoop& event_loop, const Options& options, const WebSocketOptions& websocket_options,
           LogFunction log_function)
      : ConnectionSet(event_loop, websocket_options, std::move(log_function)),
        listener_options(options),
        acceptor(event_loop.impl().context.get_executor()) {}

  /// The address with the port that was picked.
  Result<ListenAddress> StartListening(const ListenAddress& address);
  void BeginShutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) override;
  void End(std::string_view why) override;

 protected:
  /// A new connection, within the limit. Must Add what it becomes.
  virtual void OnSocket(TcpSocket socket) = 0;
  /// All of connections_max are open: may end one that matters less than a new one. False: none.
  virtual bool MakeRoom() { return false; }

 private:
  void AcceptNext();
  void OnAccept(error_code error, TcpSocket socket);
  void StopAccepting();

  const Options listener_options;
  TcpAcceptor acceptor;
  EventLoop::Timer accept_retry;
};

}  // namespace merrow::net
