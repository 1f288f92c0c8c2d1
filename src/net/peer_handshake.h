// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: an accepted connection of a peer listener, until it is a WebSocket or closed.
//
//   TLS handshake --> ReadHead --> Check --> WebSocketSession takes the stream over
//        |               |           |
//        +---------------+-----------+--> Refuse: short answer --> Linger --> closed
//
// After a failed TLS handshake there is no answer, but the alert that OpenSSL wrote is on its way,
// which is why the input is discarded for a while there too.

#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "net/listener.h"
#include "net/peer_listener.h"

namespace merrow::net {

struct PeerListenerState final : Listener {
  struct Handshake {
    std::string host;  // of the peer, without its port
    Connection* connection;
  };

  PeerListenerState(EventLoop& event_loop, PeerListenerOptions peer_options,
                    WebSocketHandler& websocket_handler);

  const PeerListenerOptions options;  // but for the next two
  std::vector<std::string> tokens;
  SharedTlsContext tls;
  WebSocketHandler& handler;
  /// Connections that are no WebSockets yet, oldest first.
  std::list<Handshake> handshakes;

 private:
  void OnSocket(TcpSocket socket) override;
  bool MakeRoom() override;
};

/// Adds itself to `listener` and starts.
void StartPeerHandshake(std::shared_ptr<PeerListenerState> listener, TcpSocket socket);

/// In time that depends on neither content nor the length of `expected`.
bool EqualSecrets(std::string_view given, std::string_view expected);

}  // namespace merrow::net
