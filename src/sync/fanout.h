// SPDX-License-Identifier: Apache-2.0
//
// Fanout: who watches which row, what each watcher has, and what it is sent next. It knows nothing
// of dialects but how to encode an update for each.
//
// A subscription is in one of these states:
//   opening  its first read is under way (or waits for the sink to drain)
//   live     it has everything up to the row's version
//   behind   it lacks something; it waits in its session's heal queue
//   healing  a read from its version is under way
// and moves opening -> live <-> behind -> healing -> live. Reads from the same version are shared.
//
// Invariants:
//   (1) `known` is included in what the client has once it has processed what was sent to it.
//   (2) A delta with `before` is sent only if `known` includes `before`.
//   (3) live: `known` includes the row's version. Not live: it is in a read's waiters or in its
//       session's heal queue, exactly once.
//   (4) A row exists while it has subscriptions or reads.

#pragma once

#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "sync/core.h"

namespace merrow::sync {

class Session;
struct Subscription;

/// One question to the row source, and who waits for the answer.
struct Read {
  uint64_t id = 0;
  SharedVersion from;  // null: a snapshot
  std::vector<Subscription*> waiters;
  /// For whom it was asked in vain: it counts as a request of theirs until it is done.
  std::vector<SessionId> abandoned_by;
};

struct WatchedRow {
  explicit WatchedRow(const RowKey& row_key) : key(row_key) {}
  const RowKey& key;      // in the map that owns the row
  SharedVersion version;  // of the latest notice, or of the first read; null until then
  std::vector<Subscription*> subscriptions;
  std::vector<std::unique_ptr<Read>> reads;
  bool is_pinned = false;  // in use, must not be dropped
};

struct Subscription {
  enum class State : uint8_t { kOpening, kLive, kBehind, kHealing };

  Session* session = nullptr;
  WatchedRow* row = nullptr;
  SharedVersion known;      // never null
  Read* read = nullptr;     // whose waiter it is
  uint64_t opening_id = 0;  // unique per opening: a rejoin makes another
  uint32_t row_index = 0;   // in row->subscriptions
  State state = State::kLive;
  bool wants_snapshot = false;  // opening: nothing is known of what the client has
  bool is_queued = false;       // in its session's heal queue
  uint8_t retries = 0;          // reads in a row whose answer had ops that the client sent itself
};

/// An update encoded for each dialect on first use, then shared by all that get it.
class EncodedUpdate {
 public:
  EncodedUpdate(Core& core, const RowKey& row, BytesView bytes, bool is_snapshot)
      : core_(core), row_(row), bytes_(bytes), is_snapshot_(is_snapshot) {}
  /// The messages that carry it.
  const std::vector<SharedBytes>& For(Dialect dialect);

 private:
  Core& core_;
  const RowKey& row_;
  BytesView bytes_;
  bool is_snapshot_;
  std::vector<SharedBytes> messages_[2];
};

class Fanout {
 public:
  Fanout(Core& core, Defer defer) : core_(core), defer_(std::move(defer)) {}
  Fanout(const Fanout&) = delete;
  Fanout& operator=(const Fanout&) = delete;

  /// The session's subscription to the row, or null.
  Subscription* Find(const Session& session, const RowKey& row);

  /// Subscribes, or starts the existing subscription afresh. `claimed` is what the client says it
  /// has; null if nothing. Ends in Session::OnOpened or OnReadFailed, later.
  Subscription& Open(Session& session, const RowKey& row, SharedVersion claimed);
  void Close(Subscription& subscription);
  /// Closes all of a session's.
  void CloseAll(Session& session);

  /// The client has sent ops up to `end`, so it has them and need not be sent them.
  void NoteSent(Subscription& subscription, const loro::VersionVector& end);

  /// A commit: sends the delta, now or joined with those of the commits that follow meanwhile, to
  /// all for whom it continues what they have.
  void Publish(const RowKey& row, const SharedVersion& before, const SharedVersion& after,
               const SharedBytes& delta);

  /// Starts reads for subscriptions in the heal queue, as far as the session's limits allow.
  void Pump(Session& session);

  size_t row_count() const { return rows_.size(); }
  size_t MemoryBytes() const;
  void CheckInvariants() const;

  /// Completions of reads find the fan-out through this, or nothing when it is gone.
  struct Handle {
    Fanout* fanout;
    std::function<Session*(SessionId)> find;  // null if it is gone
    std::function<void()> after;              // run after each completion
  };
  void SetHandle(std::shared_ptr<Handle> handle) { handle_ = std::move(handle); }

 private:
  WatchedRow& RowFor(const RowKey& key);
  void DropRowIfUnused(WatchedRow& row);
  void Detach(Subscription& subscription);
  void Abandon(Subscription& subscription);
  void SetState(Subscription& subscription, Subscription::State state);
  void Enqueue(Subscription& subscription);
  void FallBehind(Subscription& subscription);
  void StartRead(Subscription& subscription);
  void OnReadDone(const RowKey& key, uint64_t read_id, Result<RowData> result);
  void FinishRead(Subscription& subscription, const Read& read, const RowData& data,
                  EncodedUpdate& update);
  void SettleAt(Subscription& subscription, const SharedVersion& version);
  struct Commit {
    SharedVersion before;
    SharedVersion after;
    SharedBytes delta;
  };
  void PublishChain(const RowKey& row, std::span<const Commit> chain);
  void PublishTo(Subscription& subscription, const SharedVersion& before,
                 const SharedVersion& after, EncodedUpdate* update);

  Core& core_;
  const Defer defer_;
  const SharedVersion empty_version_ = std::make_shared<const loro::VersionVector>();
  const std::vector<SharedBytes> no_messages_;
  std::unordered_map<RowKey, std::unique_ptr<WatchedRow>, RowKeyHash> rows_;
  // Commits whose notice waits for its turn, by row, each continuing the one before. Not empty: a
  // turn was asked for.
  std::map<RowKey, std::vector<Commit>> waiting_;
  uint64_t next_read_id_ = 1;
  uint64_t next_opening_id_ = 1;
  std::shared_ptr<Handle> handle_;
};

}  // namespace merrow::sync
