// SPDX-License-Identifier: Apache-2.0
//
// Applier: the queue of changesets on their way into the database, and what becomes of them.
//
// One batch at a time is handed over, of what the database lately did in apply_ms_target: clients
// of this site have their edits committed between two batches. If the database is busy or fails,
// the same changesets are handed in again after a while, in smaller batches each time; nothing
// leaves the queue without an outcome. What follows ops that are not here waits in memory, as far
// as there is room, and is handed in again, all of it together, when other changesets were applied:
// combined changesets of several sites may follow each other. What is dropped because there is no
// room is still lacking, and so asked for again.
//
// Inside of this layer only.

#pragma once

#include <list>

#include "replication/core.h"

namespace merrow::replication {

class Applier {
 public:
  explicit Applier(Core* core) : core_(*core) {}

  struct Entry {
    Incoming incoming;
    cells::SiteId peer;      // who sent it
    bool is_fresh = false;   // pushed
    bool is_single = false;  // surely one transaction, not several
    bool has_waited = false;
    size_t bytes = 0;         // on the wire, about
    size_t memory_bytes = 0;  // set by Enqueue
  };
  void Enqueue(Entry entry);
  /// Is there room for a fresh one?
  bool HasRoom(const Changeset& changeset) const;

  /// What is in the queue, with the database, or waits.
  const SiteVersions& pending() const { return pending_; }
  bool HasWaiting(const cells::SiteId& site) const;
  /// In memory.
  size_t bytes() const { return bytes_; }
  size_t waiting_bytes() const { return waiting_bytes_; }
  int64_t ApplyingMs() const;

  /// Hands the next batch over if there is one and it is time.
  void Pump();
  void OnTick();
  int64_t NextDue() const;

  struct Origin {
    cells::DbVersion version = 0;  // the newest that was applied
    changeset::Timestamp timestamp;
    int64_t delay_ms = 0;
  };
  const std::map<cells::SiteId, Origin>& origins() const { return origins_; }
  /// Of changesets that are wanted and come in parts, what is on disk.
  std::vector<PartsThere> PartsOf(const SiteVersions& wanted) const;
  /// Is it another one than what was applied under the same name?
  bool Contradicts(const Changeset& changeset) const;
  const std::deque<RefusedReport>& refused() const { return refused_; }

 private:
  using Batch = std::vector<Entry>;
  Batch TakeBatch();
  void OnDone(uint64_t number, const std::shared_ptr<Batch>& batch,
              const Result<std::vector<ApplyOutcome>>& outcomes);
  void OnFailed(bool is_current, const std::shared_ptr<Batch>& batch, const Error& error);
  void OnOutcome(const Entry& entry, const ApplyOutcome& outcome);
  void OnRefused(const Entry& entry, const Error& error);
  void Wait(Entry entry);
  /// Puts what waits back into the queue if it is time. True if it did.
  bool RetryWaiting();
  void ComputePending();
  void RefreshPending(size_t done);
  void NoteOrigin(const Entry& entry);
  void OnBuffered(const Entry& entry);
  void NotePace(const Batch& batch);

  Core& core_;
  std::deque<Entry> queue_;
  std::list<Entry> waiting_;
  std::shared_ptr<Batch> applying_;
  size_t bytes_ = 0;  // of the queue and the batch
  size_t waiting_bytes_ = 0;
  SiteVersions pending_;
  size_t done_ = 0;      // entries that pending_ still counts, about
  uint64_t number_ = 0;  // of the current batch
  int64_t started_ms_ = 0;
  int stalls_ = 0;  // in a row
  size_t batch_max_ = 0;
  size_t batch_bytes_max_ = 256 * 1024;  // follows the pace, which is not known at first
  int failures_ = 0;                     // in a row
  int64_t retry_ms_ = 0;
  bool has_applied_ = false;  // since the waiting ones were tried
  int64_t waiting_tried_ms_ = 0;
  std::map<cells::SiteId, Origin> origins_;
  /// The latest last. Of this process: after a restart they come from the first part again.
  std::deque<PartsThere> there_;
  std::deque<RefusedReport> refused_;
};

}  // namespace merrow::replication
