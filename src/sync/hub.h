// SPDX-License-Identifier: Apache-2.0
//
// Hub: client sync, the facade of this layer. It holds every session and knows who watches which
// row. Two dialects, the Loro protocol and row frames, speak over the same subscriptions
// (docs/protocol.md has both, byte by byte).
//
// Sans-I/O: messages come in by OnMessage and go out by each session's SessionSink; rows are read
// and written through a RowSource; time is an argument. Everything runs on one thread.
//
// Invariants, for every subscription (a session's interest in one row), kept by Fanout:
//   (1) It knows a version that the client is sure to have: what it said it has, what it was sent,
//       what it sent itself.
//   (2) A delta is sent only if that version includes everything before the delta, so a client
//   never
//       has a gap; if it does not, the subscription is behind and healed by one merged delta.
//   (3) It is registered before the row is read, so no commit falls between.
//   (4) A slow client costs a version, not a queue.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "sync/limits.h"
#include "sync/metrics.h"
#include "sync/row_source.h"
#include "sync/session_sink.h"

namespace merrow::sync {

enum class Dialect : uint8_t {
  kLoroProtocol,  // WebSocket /sync
  kRowFrames,     // WebSocket /rows
};

using SessionId = uint64_t;

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning };
/// Receives one line per refused message and similar events.
using Logger = std::function<void(LogLevel, std::string_view)>;

/// Calls a function on the hub's thread, later: behind everything that waits for that thread
/// already.
using Defer = std::function<void(std::function<void()>)>;

class Hub {
 public:
  /// `source` must outlive the hub. Completions that arrive after the hub is gone are ignored.
  /// With `defer`, commits of one row that come in while the thread is busy are sent on as one
  /// delta, so that a busy hub sends fewer and larger messages instead of falling behind; without,
  /// each is sent at once.
  Hub(RowSource& source, const Limits& limits, Logger logger, Defer defer = {});
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  /// `sink` must stay valid until CloseSession.
  SessionId OpenSession(Dialect dialect, SessionSink& sink);
  /// The connection is gone: its rooms, subscriptions and pending work are dropped. Updates that
  /// were submitted are still committed.
  void CloseSession(SessionId session);

  /// One whole WebSocket message. `now_ms` is a monotonic time in milliseconds.
  void OnMessage(SessionId session, BytesView message, bool is_text, int64_t now_ms);

  /// The sink's buffer has become empty, or fell well below Limits::buffer_high_water_bytes.
  void OnDrained(SessionId session);

  /// A row was committed. Must be called for every commit that did not come from this hub's own
  /// Submit, in commit order; harmless for those that did, after their completion.
  void OnCommitted(const RowKey& row, SharedVersion before, SharedVersion after, SharedBytes delta);

  /// Checks timeouts; call it about once a second.
  void OnTick(int64_t now_ms);

  /// Closes every session (code 1001), as on shutdown. No more sessions may be opened.
  void CloseAll(std::string_view reason);

  const Limits& limits() const;
  /// A copy of the counters, with the gauges filled in.
  Metrics metrics() const;
  /// Bytes of memory held for sessions and subscriptions, about; without what sinks hold.
  size_t MemoryBytes() const;
  /// Stops the process if an invariant is broken. Cost: everything.
  void CheckInvariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::sync
