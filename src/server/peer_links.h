// SPDX-License-Identifier: Apache-2.0
//
// Peer links: the connections to other sites. It listens for those that connect and dials those
// that it was told of, again and again, and joins every connection with a link of the Replicator.
//
// When a dialed connection ends or cannot be made, its URL is dialed again after a pause that
// doubles from redial_ms_min to redial_ms_max, half of it random; a connection that stood for
// good_ms starts the pauses afresh. The reason that a link ended with can say otherwise
// (RedialAfter in replication/link_sink.h): at once; never, because the URL is this very site; or
// when another link to the same peer has gone, because one is enough. For that, such a URL stands
// by: it is dialed when any link ends, and seldom without a reason.
//
// Everything is on the loop's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/event_loop.h"
#include "net/peer_dialer.h"
#include "net/peer_listener.h"
#include "replication/replicator.h"
#include "server/peer_secrets.h"

namespace merrow::server {

struct PeerLinksOptions {
  std::vector<net::PeerUrl> peers;
  int64_t redial_ms_min = 250;
  int64_t redial_ms_max = 15'000;
  int64_t good_ms = 10'000;
};

enum class DialState : uint8_t {
  kWaiting,    // for its next attempt
  kDialing,    // an attempt is under way
  kConnected,  // a link stands
  kStandby,    // another link to the same peer stands
  kSelf,       // the URL is this very site
};
std::string_view DialStateName(DialState state);

/// A URL that is dialed.
struct DialReport {
  std::string url;
  DialState state = DialState::kWaiting;
  std::optional<replication::LinkId> link;  // kConnected
  int64_t state_ms = 0;                     // for how long
  int64_t next_ms = 0;                      // until the next attempt; kWaiting, kStandby
  uint64_t attempts = 0;
  uint64_t failures = 0;   // in a row
  std::string last_error;  // why the last attempt failed or the last connection ended
};

/// What the connection of a link knows.
struct ConnectionReport {
  std::string url;      // that was dialed; empty: accepted
  std::string address;  // of the peer
  net::WebSocketTraffic traffic;
};

struct PeerLinksReport {
  std::vector<DialReport> dials;
  std::map<replication::LinkId, ConnectionReport> connections;
};

class PeerLink;

class PeerLinks final : public net::WebSocketHandler {
 public:
  /// The references must outlive this.
  PeerLinks(const PeerLinksOptions& options, net::EventLoop& loop,
            const replication::TimeSource& time, Random& random,
            replication::Replicator& replicator);
  /// Cuts what is left.
  ~PeerLinks() override;

  /// Accepts connections when the loop runs.
  Status Listen(const net::ListenAddress& address, net::PeerListenerOptions options);
  /// Begins to dial, and to let time pass for the Replicator.
  void Start(net::PeerDialerOptions options);
  /// Connections made from now on show and ask for these. REQUIRES: Start was called
  Status Renew(const PeerSecrets& secrets);
  /// Says Bye on all links and closes them; what is open after `deadline` is cut. `on_done` comes
  /// once, on the loop.
  void Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);

  /// Null if this site does not listen.
  const net::PeerListener* listener() const { return listener_.get(); }
  PeerLinksReport report() const;

  // --- net::WebSocketHandler ---
  Decision Accept(const net::HttpRequest& request) override;

 private:
  friend class PeerLink;

  struct Dial {
    net::PeerUrl url;
    DialState state = DialState::kWaiting;
    int64_t since_ms = 0;
    int64_t next_ms = 0;
    std::optional<replication::LinkId> link;
    uint64_t attempts = 0;
    uint64_t failures = 0;
    std::string last_error;
    std::unique_ptr<net::PeerDialer::Dial> attempt;
  };

  void OnOpened(PeerLink& link);
  void OnLinkEnded(replication::CloseReason reason);
  void OnClosed(PeerLink& link, const net::WebSocketCloseReason& reason);
  void Tick();
  void Arm();
  void StartDial(size_t index);
  void OnDialFailed(Dial& dial, const net::DialFailure& failure);
  void Enter(Dial& dial, DialState state);
  void Redial(Dial& dial, replication::Redial how, std::string error);
  int64_t Pause(uint64_t failures);
  /// Dials soon whatever is in `state`.
  void Wake(DialState state);

  const PeerLinksOptions options_;
  net::EventLoop& loop_;
  const replication::TimeSource& time_;
  Random& random_;
  replication::Replicator& replicator_;

  std::vector<Dial> dials_;
  std::map<replication::LinkId, PeerLink*> links_;
  bool stopping_ = false;
  net::EventLoop::Timer tick_;
  // Last, because their connections call back.
  std::unique_ptr<net::PeerListener> listener_;
  std::unique_ptr<net::PeerDialer> dialer_;
};

}  // namespace merrow::server
