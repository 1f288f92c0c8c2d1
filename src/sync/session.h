// SPDX-License-Identifier: Apache-2.0
//
// Session: one client connection. This base holds what both dialects need: sending, submitting
// updates, and the bounds on what waits; LoroSession and RowSession speak.

#pragma once

#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sync/core.h"
#include "sync/fanout.h"
#include "sync/row_source.h"

namespace merrow::sync {

/// What a subscription's first read found.
struct Opening {
  const SharedVersion& version;              // the row's
  const SharedVersion& claimed;              // what the client is sure to have had before
  const std::vector<SharedBytes>& messages;  // carry what it lacks; may be none
};

class Session {
 public:
  Session(Core& core, SessionId id, Dialect dialect, SessionSink& sink)
      : core_(core), id_(id), dialect_(dialect), sink_(sink) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SessionId id() const { return id_; }
  Dialect dialect() const { return dialect_; }
  SessionSink& sink() { return sink_; }
  /// It has been told to close and only waits for CloseSession.
  bool is_closed() const { return is_closed_; }
  void set_closed() { is_closed_ = true; }

  // --- What a dialect does ---

  virtual void OnMessage(BytesView message, bool is_text) = 0;
  virtual void OnTick() = 0;
  /// True if OnTick has something to wait for.
  virtual bool has_timers() const = 0;
  /// The subscription's first read is done.
  virtual void OnOpened(Subscription& subscription, const Opening& opening) = 0;
  /// A read failed; the subscription is to be answered and closed.
  virtual void OnReadFailed(Subscription& subscription, const Error& error) = 0;
  /// The sink has drained: what was held back besides deltas may be sent.
  virtual void OnDrained() {}
  /// The session ends: drops what does not belong to subscriptions.
  virtual void OnClosed() {}
  virtual size_t MemoryBytes() const = 0;

  // --- What it is given ---

  void Send(SharedBytes message, bool is_text);
  void SendBinary(Bytes message) { Send(std::make_shared<const Bytes>(std::move(message)), false); }
  void SendText(std::string text) { Send(std::make_shared<const Bytes>(std::move(text)), true); }
  void SendUpdate(const std::vector<SharedBytes>& messages);
  /// Closes the connection at the end of the current call.
  void Fail(uint16_t close_code, std::string_view code, std::string_view detail);
  void Report(LogLevel level, std::string_view code, std::string_view detail) {
    core_.Report(level, id_, code, detail);
  }

  /// Above the high-water mark: deltas wait.
  bool is_congested() const {
    return sink_.buffered_bytes() > core_.limits.buffer_high_water_bytes;
  }

  using SubmitDone = std::function<void(const SubmitOutcome&)>;
  /// Hands an update to the store. `done` is called later unless the session is closed by then.
  /// An error at once if the update is malformed or too large.
  Status Submit(const RowKey& row, SharedBytes update, SubmitDone done);

  /// Reads the row's version. `done` is called later unless the session is closed by then or the
  /// row cannot be read.
  void ReadVersion(const RowKey& row, std::function<void(const loro::VersionVector&)> done);

  /// Counts a message; false (and the session fails) if too many came although input is paused.
  bool MayRead();

  /// Requests that wait for the store; above the limits the input is paused.
  void AddInFlight(size_t bytes);
  void RemoveInFlight(size_t bytes);

  // --- Kept by Fanout ---

  std::unordered_map<const WatchedRow*, std::unique_ptr<Subscription>> subscriptions;
  std::list<Subscription*> heal_queue;  // a deque would cost 600 bytes while it is empty
  size_t heals_in_flight = 0;

  /// Completions of submits find the session through this.
  using Finder = std::function<Session*(SessionId)>;
  struct Handle {
    Core* core;
    Finder find;
    std::function<void()> after;
  };
  void SetHandle(std::shared_ptr<Handle> handle) { handle_ = std::move(handle); }

 protected:
  Core& core() const { return core_; }
  const Limits& limits() const { return core_.limits; }
  Fanout& fanout() const { return *core_.fanout; }

 private:
  void UpdateReading();

  Core& core_;
  const SessionId id_;
  const Dialect dialect_;
  SessionSink& sink_;
  bool is_closed_ = false;
  bool is_paused_ = false;
  size_t messages_while_paused_ = 0;
  size_t in_flight_requests_ = 0;
  size_t in_flight_bytes_ = 0;
  std::shared_ptr<Handle> handle_;
};

}  // namespace merrow::sync
