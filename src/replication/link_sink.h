// SPDX-License-Identifier: Apache-2.0
//
// LinkSink: the sending side of one connection to another site, as replication sees it. The server
// implements it on a WebSocket. No call may call back into the Replicator before it returns.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "merrow/bytes.h"

namespace merrow::replication {

using SharedBytes = std::shared_ptr<const Bytes>;

/// Why a link ends. DO NOT CHANGE the numbers: they are on the wire (Bye).
enum class CloseReason : uint8_t {
  kShutdown = 0,     // the site stops
  kProtocol = 1,     // a message that does not decode, or that breaks a rule
  kVersion = 2,      // no protocol version that both speak
  kSelf = 3,         // the peer is this very process
  kDuplicate = 4,    // there is another link to the same peer
  kRecheck = 5,      // proofs have to be exchanged once more: dial again at once
  kNewIdentity = 6,  // the site has taken a new identity: dial again at once
  kTimeout = 7,      // no answer or no sign of life for too long
  kLimit = 8,        // the peer asks for more than it reads, or for more than is allowed
};
std::string_view CloseReasonName(CloseReason reason);

/// What the one who dialed the link should do after it ended: dial again after its usual backoff,
/// at once, or when no other link to the same peer is there.
enum class Redial : uint8_t { kBackoff, kAtOnce, kWhenAlone, kNever };
Redial RedialAfter(CloseReason reason);

class LinkSink {
 public:
  virtual ~LinkSink() = default;

  /// Queues one binary message. Messages of a link arrive whole, once and in order, or the link
  /// goes down.
  virtual void Send(SharedBytes message) = 0;

  /// Ends the connection after what is queued (at most a few seconds later). The Replicator has
  /// forgotten the link already and ignores what it still brings; OnLinkDown may follow. Also
  /// called when the peer said Bye, with the peer's reason.
  virtual void Close(CloseReason reason, std::string_view detail) = 0;

  /// Bytes that were queued and are not handed to the operating system yet.
  virtual size_t buffered_bytes() const = 0;
};

}  // namespace merrow::replication
