// SPDX-License-Identifier: Apache-2.0
//
// The door for other sites: a port that does nothing but upgrade requests for kReplicationPath to
// WebSockets. It is apart from the HTTP server, so that what browsers may reach and what sites may
// reach are opened and closed separately.
//
// Whoever connects must show what was configured: one of the tokens (`Authorization: Bearer`,
// compared in constant time), a certificate that leads to the CA (mutual TLS), or both. Only on a
// loopback address may a listener ask for nothing. Requests with an Origin header are refused: a
// browser always sends one and a site never does. Tokens and certificates can be renewed while it
// listens; connections that stand were checked when they were made and stay.
//
// All else gets a short HTTP error (401 wrong token, 403 a browser, 404 another path, 426 not a
// WebSocket, 431 long headers, 503 too many connections) and is closed. TLS handshake, request and
// answer together have WebSocketOptions::handshake_timeout.
//
// Strangers cannot keep sites out by holding connections open: those that have not shown what they
// must are few, and when there are too many, the oldest one of the address that has most of them
// goes.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/result.h"
#include "net/counters.h"
#include "net/event_loop.h"
#include "net/listen_address.h"
#include "net/peer_url.h"
#include "net/tls.h"
#include "net/websocket.h"

namespace merrow::net {

/// Limits of a connection between sites, used for accepted and dialled ones alike. A message is one
/// frame of up to 16 MiB and what is around it.
inline constexpr WebSocketOptions kPeerWebSocketOptions = {
    .message_bytes_max = (16 << 20) + (64 << 10),
    .send_buffer_bytes_max = 64 << 20,
    .send_buffer_bytes_low = 1 << 20,
    .idle_timeout = std::chrono::milliseconds(30'000),
    .handshake_timeout = std::chrono::milliseconds(10'000),
};

/// A token is sent in a header, so it is of visible ASCII characters.
Status CheckPeerToken(std::string_view token);

struct PeerListenerOptions {
  /// One of them must be shown; several let them change at one site after the other. Empty: none is
  /// asked for.
  std::vector<std::string> tokens = {};
  /// From LoadServerTls. Null: plain TCP.
  SharedTlsContext tls = {};
  /// Connections at once, those that are still in their handshake included.
  size_t connections_max = 256;
  /// Of these, in their handshake at once. One more ends the oldest.
  size_t handshakes_max = 64;
  /// Request line and headers.
  size_t header_bytes_max = 8 << 10;
  /// Unsent bytes that the operating system may hold per connection. 0: no such limit.
  size_t kernel_unsent_bytes_max = 256 << 10;
  /// How long to go on discarding input after a refusal, so that the peer can read why.
  std::chrono::milliseconds linger_timeout{2'000};
  WebSocketOptions websocket = kPeerWebSocketOptions;
  /// Gets one line for every refused connection. May be empty.
  std::function<void(const std::string& line)> log = {};
};

struct PeerListenerState;

class PeerListener {
 public:
  /// Listens at once; connections are served when the loop runs. `handler` decides about peers that
  /// passed all checks, and must outlive the listener.
  /// kInvalidArgument: the address is not loopback and neither a token nor mutual TLS is set.
  static Result<std::unique_ptr<PeerListener>> Listen(EventLoop& loop, const ListenAddress& address,
                                                      PeerListenerOptions options,
                                                      WebSocketHandler& handler);

  /// Cuts all connections that are left; their OnClosed is called from here.
  /// Call on the loop's thread, or while the loop does not run.
  ~PeerListener();
  PeerListener(const PeerListener&) = delete;
  PeerListener& operator=(const PeerListener&) = delete;

  uint16_t port() const { return address_.port; }
  /// With the port that was picked.
  const ListenAddress& address() const { return address_; }
  const NetCounters& counters() const;

  /// From the next handshake on, asks for one of `tokens`, and shows and checks certificates by
  /// `tls`. kInvalidArgument, and nothing changes: what Listen refuses, or that `tls` is null and
  /// was not, or the other way round.
  Status Renew(std::vector<std::string> tokens, SharedTlsContext tls);

  /// Stops listening and closes the connections with 1001 after what is queued for them. What is
  /// still open after `deadline` is cut. Then calls `on_done` once, on the loop.
  void Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);

 private:
  PeerListener(std::shared_ptr<PeerListenerState> state, ListenAddress address);

  const std::shared_ptr<PeerListenerState> state_;
  const ListenAddress address_;
};

}  // namespace merrow::net
