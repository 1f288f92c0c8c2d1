// SPDX-License-Identifier: Apache-2.0
//
// Connections to other sites, from this end. A dial is one attempt: look the name up (on a thread
// of its own, so the loop does not wait), connect to its addresses one after the other, TLS with
// the host name checked, upgrade. What comes out is a connection like an accepted one
// (websocket.h). Whether and when to try again is the caller's business.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "merrow/result.h"
#include "net/counters.h"
#include "net/event_loop.h"
#include "net/peer_listener.h"
#include "net/peer_url.h"
#include "net/tls.h"
#include "net/websocket.h"

namespace merrow::net {

struct PeerDialerOptions {
  /// Sent as `Authorization: Bearer`. Empty: none.
  std::string token = {};
  /// From LoadClientTls. Null: made from the system's authorities when a wss:// URL is dialled.
  SharedTlsContext tls = {};
  /// For looking up, connecting, TLS and upgrade together. With several addresses, each one that
  /// does not answer gets its share of what is left.
  std::chrono::milliseconds dial_timeout{15'000};
  /// As in PeerListenerOptions.
  size_t kernel_unsent_bytes_max = 256 << 10;
  WebSocketOptions websocket = kPeerWebSocketOptions;
};

enum class DialStage : uint8_t {
  kResolve,  // the name was not found
  kConnect,  // nobody listens there, or there is no way
  kTls,      // a certificate was refused, by this side or the other, or no common protocol
  kUpgrade,  // the peer answered with `http_status`, or with something that is not HTTP
};
/// "resolve", ...
std::string_view DialStageName(DialStage stage);

struct DialFailure {
  DialStage stage = DialStage::kConnect;  // in which it failed
  bool timed_out = false;                 // dial_timeout passed
  int http_status = 0;                    // the peer's refusal (401: wrong token), else 0
  std::string message;                    // for the log; begins with the URL
};

struct PeerDialerState;

class PeerDialer {
 public:
  /// One attempt. Destroying it cancels the attempt: the events object is destroyed without any
  /// call and on_failed does not come. Once OnOpen was called it has no effect on the connection.
  class Dial {
   public:
    virtual ~Dial() = default;
  };
  using OnFailed = std::function<void(const DialFailure& failure)>;

  PeerDialer(EventLoop& loop, PeerDialerOptions options);
  /// Cancels the attempts and cuts all connections that are left; their OnClosed is called from
  /// here. Call on the loop's thread, or while the loop does not run.
  ~PeerDialer();
  PeerDialer(const PeerDialer&) = delete;
  PeerDialer& operator=(const PeerDialer&) = delete;

  /// Exactly one of events->OnOpen and on_failed comes, later, never from inside this call, unless
  /// the attempt is cancelled. Events are as for an accepted connection.
  [[nodiscard]] std::unique_ptr<Dial> Start(const PeerUrl& url,
                                            std::unique_ptr<WebSocketEvents> events,
                                            OnFailed on_failed);

  const NetCounters& counters() const;

  /// From now on, shows `token` and, with the next TLS handshake, works by `tls`, as in the
  /// options. Connections that stand stay.
  void Renew(std::string token, SharedTlsContext tls);

  /// Cancels the attempts and closes the connections with 1001 after what is queued for them. What
  /// is still open after `deadline` is cut. Then calls `on_done` once, on the loop. Nothing may be
  /// started any more.
  void Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);

 private:
  const std::shared_ptr<PeerDialerState> state_;
};

}  // namespace merrow::net
