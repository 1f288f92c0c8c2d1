// SPDX-License-Identifier: Apache-2.0
//
// SimNetwork: connections between simulated sites. Messages of one direction of a connection arrive
// in order, after the time that they take (bandwidth, delay, jitter). A connection can break, by
// which everything under way is lost and each end hears of it a while later; or go silent, by which
// nobody hears anything.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "replication/link_sink.h"
#include "testing/sim_loop.h"

namespace merrow::testing {

using replication::CloseReason;
using replication::SharedBytes;

struct SimWire {
  int64_t delay_ms = 5;
  int64_t jitter_ms = 0;
  int64_t bytes_per_ms = 1000;
};

/// What one end of a connection tells its site.
class SimEndEvents {
 public:
  virtual ~SimEndEvents() = default;
  virtual void OnMessage(BytesView message) = 0;
  virtual void OnDrained() = 0;
  /// The connection is gone.
  virtual void OnDown() = 0;
};

struct SimTraffic {
  uint64_t messages = 0;
  uint64_t bytes = 0;
};

class SimConnection : public std::enable_shared_from_this<SimConnection> {
 public:
  SimConnection(SimLoop& loop, SeededRandom& random, const SimWire& wire, SimTraffic& traffic)
      : loop_(loop), random_(random), wire_(wire), traffic_(traffic) {}

  class End final : public replication::LinkSink {
   public:
    void Send(SharedBytes message) override;
    void Close(CloseReason reason, std::string_view detail) override;
    size_t buffered_bytes() const override { return buffered_; }

    bool is_closed() const { return is_closed_; }
    const std::optional<CloseReason>& reason() const { return reason_; }

   private:
    friend class SimConnection;
    SimConnection* connection_ = nullptr;
    End* other_ = nullptr;
    std::unique_ptr<SimEndEvents> events_;  // null: the site is gone
    size_t buffered_ = 0;
    int64_t free_ms_ = 0;     // when the wire has taken all that was sent
    int64_t arrives_ms_ = 0;  // the message before
    bool is_closed_ = false;  // by its site, or its site knows that it is down
    std::optional<CloseReason> reason_;
  };

  /// 0 dialed, 1 accepted.
  End& end(int side) { return ends_[side]; }
  void Attach(int side, std::unique_ptr<SimEndEvents> events);
  bool is_broken() const { return is_broken_; }

  void Break();
  void GoSilent() { is_silent_ = true; }
  /// The process at this end died: the other end hears of it after a while.
  void Detach(int side);

 private:
  void TellDown(End& end, int64_t delay_ms);

  SimLoop& loop_;
  SeededRandom& random_;
  const SimWire wire_;
  SimTraffic& traffic_;
  End ends_[2];
  bool is_broken_ = false;
  bool is_silent_ = false;
};

}  // namespace merrow::testing
