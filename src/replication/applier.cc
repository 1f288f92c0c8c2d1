// SPDX-License-Identifier: Apache-2.0
#include "replication/applier.h"

#include <algorithm>

#include "replication/parts.h"
#include "replication/puller.h"
#include "replication/spreader.h"

namespace merrow::replication {
namespace {

// What is waited for may also come from a client of this site, of which nobody tells.
constexpr int64_t kWaitingIdleMs = 5'000;
constexpr int kStallDoublingsMax = 6;
// Of a batch when the database is very slow.
constexpr size_t kSlowBatchBytes = 64 * 1024;
// So many entries are looked through after every batch.
constexpr size_t kPendingAtOnce = 2048;

VersionRange RangeOf(const Changeset& changeset) {
  return {changeset.cells.previous, changeset.cells.version};
}

bool IsTransient(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kBusy:
    case ErrorCode::kIo:
    case ErrorCode::kLimit:
    case ErrorCode::kCancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool Applier::HasRoom(const Changeset& changeset) const {
  return bytes_ + waiting_bytes_ + MemoryBytes(changeset) <= core_.options.apply_queue_bytes_max;
}

void Applier::Enqueue(Entry entry) {
  const Changeset& changeset = *entry.incoming.changeset;
  pending_[changeset.cells.site].Add(RangeOf(changeset));
  entry.memory_bytes = MemoryBytes(changeset);
  bytes_ += entry.memory_bytes;
  queue_.push_back(std::move(entry));
}

bool Applier::HasWaiting(const cells::SiteId& site) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&site](const Entry& entry) {
    return entry.incoming.changeset->cells.site == site;
  });
}

int64_t Applier::ApplyingMs() const {
  return applying_ == nullptr ? 0 : core_.now.steady_ms - started_ms_;
}

Applier::Batch Applier::TakeBatch() {
  Batch batch;
  size_t bytes = 0;
  const size_t most = batch_max_ == 0 ? core_.options.apply_changesets_max : batch_max_;
  const size_t bytes_max = std::min(batch_bytes_max_, core_.options.apply_bytes_max);
  while (!queue_.empty()) {
    Entry& next = queue_.front();
    // What has waited goes together, whatever it is; its size is bounded by what may wait.
    const bool is_free = batch_max_ == 0 && next.has_waited;
    if (!is_free && batch.size() >= most) break;
    const Changeset& changeset = *next.incoming.changeset;
    const bool is_seen = RangesOf(core_.seen, changeset.cells.site).Includes(RangeOf(changeset));
    if (is_seen) {
      bytes_ -= next.memory_bytes;
      ++core_.counters.known;
      queue_.pop_front();
      continue;
    }
    if (!is_free && !batch.empty() && bytes + next.bytes > bytes_max) break;
    bytes += next.bytes;
    batch.push_back(std::move(next));
    queue_.pop_front();
  }
  return batch;
}

void Applier::Pump() {
  if (applying_ != nullptr || queue_.empty() || retry_ms_ > core_.now.steady_ms) return;
  auto batch = std::make_shared<Batch>(TakeBatch());
  if (batch->empty()) {
    ComputePending();
    return;
  }
  applying_ = batch;
  started_ms_ = core_.now.steady_ms;
  const uint64_t number = ++number_;
  std::vector<Incoming> changesets;
  changesets.reserve(batch->size());
  for (const Entry& entry : *batch) changesets.push_back(entry.incoming);
  core_.replica.Apply(
      std::move(changesets),
      core_.Later([this, number, batch](const Result<std::vector<ApplyOutcome>>& outcomes) {
        OnDone(number, batch, outcomes);
      }));
}

void Applier::OnDone(uint64_t number, const std::shared_ptr<Batch>& batch,
                     const Result<std::vector<ApplyOutcome>>& outcomes) {
  const bool is_current = number == number_ && applying_ != nullptr;
  if (is_current) {
    NotePace(*batch);
    applying_.reset();
    stalls_ = 0;
  }
  if (outcomes.ok() && outcomes->size() != batch->size()) {
    OnFailed(is_current, batch, IoError("an outcome is missing"));
  } else if (!outcomes.ok()) {
    OnFailed(is_current, batch, outcomes.error());
  } else {
    if (is_current) {
      for (const Entry& entry : *batch) bytes_ -= entry.memory_bytes;
      failures_ = 0;
      if (batch_max_ != 0) batch_max_ *= 2;
      if (batch_max_ > core_.options.apply_changesets_max) batch_max_ = 0;
    }
    // A late one too: what is committed is committed.
    for (size_t i = 0; i < batch->size(); ++i) OnOutcome((*batch)[i], (*outcomes)[i]);
  }
  RefreshPending(RetryWaiting() ? queue_.size() : batch->size());
}

void Applier::NotePace(const Batch& batch) {
  const int64_t took_ms = ApplyingMs();
  const size_t now = batch_bytes_max_;
  size_t bytes = 0;
  for (const Entry& entry : batch) bytes += entry.bytes;
  if (took_ms > core_.options.apply_ms_target) {
    // One that was slow for another reason does not take all of the pace away.
    batch_bytes_max_ = std::max(now / 2, kSlowBatchBytes);
  } else if (bytes > now / 2 && took_ms <= core_.options.apply_ms_target / 2) {
    batch_bytes_max_ = std::min(now * 2, std::max(core_.options.apply_bytes_max, kSlowBatchBytes));
  }
}

void Applier::OnFailed(bool is_current, const std::shared_ptr<Batch>& batch, const Error& error) {
  ++core_.counters.applies_failed;
  core_.Log(LogLevel::kWarning,
            "apply of " + std::to_string(batch->size()) + " changesets: " + error.ToString());
  if (!is_current) return;
  if (batch->size() == 1 && !IsTransient(error)) {
    bytes_ -= batch->front().memory_bytes;
    OnRefused(batch->front(), error);
    return;
  }
  batch_max_ = std::max<size_t>(1, batch->size() / 2);
  if (IsTransient(error)) retry_ms_ = core_.now.steady_ms + core_.RetryDelay(failures_++);
  // If it is one changeset for which there is no room, others may have some.
  const bool is_last = batch->size() == 1 && error.code() == ErrorCode::kLimit;
  queue_.insert(is_last ? queue_.end() : queue_.begin(), batch->begin(), batch->end());
}

void Applier::NoteOrigin(const Entry& entry) {
  const Changeset& changeset = *entry.incoming.changeset;
  Origin& origin = origins_[changeset.cells.site];
  if (changeset.cells.version < origin.version) return;
  origin.version = changeset.cells.version;
  origin.timestamp = changeset.timestamp;
  origin.delay_ms = std::max<int64_t>(0, core_.now.wall_ms - changeset.timestamp.ms);
}

bool Applier::Contradicts(const Changeset& changeset) const {
  const auto at = origins_.find(changeset.cells.site);
  return at != origins_.end() && at->second.version == changeset.cells.version &&
         at->second.timestamp != changeset.timestamp;
}

void Applier::OnOutcome(const Entry& entry, const ApplyOutcome& outcome) {
  const Changeset& changeset = *entry.incoming.changeset;
  const cells::SiteId& site = changeset.cells.site;
  const VersionRange range = RangeOf(changeset);
  switch (outcome.fate) {
    case Fate::kApplied:
    case Fate::kKnown: {
      const bool is_applied = outcome.fate == Fate::kApplied;
      // A range that the database does not state is that of what was handed in.
      const bool is_stated = is_applied && outcome.range.after < outcome.range.until;
      const VersionRange now_seen = is_stated ? outcome.range : range;
      core_.seen[site].Add(now_seen);
      std::erase_if(there_, [&](const PartsThere& there) {
        return there.site == site && core_.seen[site].Includes(there.range);
      });
      core_.puller->OnSeen(site, now_seen);
      core_.puller->OnProgress(site);
      if (!is_applied) {
        ++core_.counters.known;
        break;
      }
      ++core_.counters.applied;
      has_applied_ = true;
      NoteOrigin(entry);
      core_.spreader->OnCommitted(
          {site, now_seen, outcome.whole != nullptr ? outcome.whole : entry.incoming.changeset,
           entry.is_fresh});
      break;
    }
    case Fate::kBuffered:
      OnBuffered(entry);
      break;
    case Fate::kWaiting:
      ++core_.counters.waited;
      core_.Log(LogLevel::kDebug, "versions " + std::to_string(range.after + 1) + " to " +
                                      std::to_string(range.until) + " of " + ShortName(site) +
                                      " wait for what they follow");
      Wait(entry);
      break;
    case Fate::kRefused:
      OnRefused(entry, outcome.error.value_or(Corruption("refused")));
      break;
  }
}

void Applier::OnBuffered(const Entry& entry) {
  const Changeset& changeset = *entry.incoming.changeset;
  const cells::SiteId& site = changeset.cells.site;
  const VersionRange range = RangeOf(changeset);
  ++core_.counters.buffered_parts;
  auto there = std::find_if(there_.begin(), there_.end(), [&](const PartsThere& other) {
    return other.site == site && other.range == range && other.whole == entry.incoming.whole;
  });
  if (there == there_.end() && changeset.part == 0) {
    if (there_.size() == kPartsThereMax) there_.pop_front();
    there = there_.insert(there_.end(), {site, range, entry.incoming.whole, 0});
  }
  if (there != there_.end() && there->parts == changeset.part) ++there->parts;
  if (changeset.part + 1 < changeset.parts) return;
  // Some earlier one is missing. If it was there, the database has dropped it.
  if (there != there_.end() && there->parts == changeset.parts) there_.erase(there);
  core_.puller->Cool(site, range);
}

std::vector<PartsThere> Applier::PartsOf(const SiteVersions& wanted) const {
  std::vector<PartsThere> parts;
  for (const PartsThere& there : there_) {
    if (RangesOf(wanted, there.site).Intersects(there.range)) parts.push_back(there);
  }
  return parts;
}

void Applier::OnRefused(const Entry& entry, const Error& error) {
  const Changeset& changeset = *entry.incoming.changeset;
  const cells::SiteId& site = changeset.cells.site;
  const VersionRange range = RangeOf(changeset);
  std::erase_if(
      there_, [&](const PartsThere& there) { return there.site == site && there.range == range; });
  if (!entry.is_single && range.until - range.after > 1) {
    core_.puller->Suspect(site, range);
    return;
  }
  ++core_.counters.refused;
  refused_.push_back({site, range, entry.peer, error.ToString()});
  if (refused_.size() > core_.options.refused_listed_max) refused_.pop_front();
  core_.Log(LogLevel::kWarning, "refused versions " + std::to_string(range.after + 1) + " to " +
                                    std::to_string(range.until) + " of " + ShortName(site) +
                                    " from " + ShortName(entry.peer) + ": " + error.ToString());
  core_.puller->Refuse(entry.peer, site, range);
}

void Applier::Wait(Entry entry) {
  entry.has_waited = true;
  waiting_bytes_ += entry.memory_bytes;
  waiting_.push_back(std::move(entry));
  while (waiting_bytes_ > core_.options.waiting_bytes_max && !waiting_.empty()) {
    const Entry& dropped = waiting_.front();
    const Changeset& changeset = *dropped.incoming.changeset;
    ++core_.counters.waiting_dropped;
    waiting_bytes_ -= dropped.memory_bytes;
    core_.puller->Cool(changeset.cells.site, RangeOf(changeset));
    waiting_.pop_front();
  }
}

bool Applier::RetryWaiting() {
  if (waiting_.empty()) return false;
  const int64_t since_ms = core_.now.steady_ms - waiting_tried_ms_;
  const int64_t wait_ms = has_applied_ ? core_.options.waiting_retry_ms : kWaitingIdleMs;
  if (since_ms < wait_ms) return false;
  // What no peer has any more (the publisher was restored, and it goes by another name now) would
  // wait for ever. If it comes back it is asked for again.
  if (!has_applied_) {
    std::erase_if(waiting_, [this](const Entry& entry) {
      const Changeset& changeset = *entry.incoming.changeset;
      const auto& needs = RangesOf(core_.puller->needs(), changeset.cells.site);
      if (needs.Intersects(RangeOf(changeset))) return false;
      waiting_bytes_ -= entry.memory_bytes;
      return true;
    });
  }
  has_applied_ = false;
  waiting_tried_ms_ = core_.now.steady_ms;
  bytes_ += std::exchange(waiting_bytes_, 0);
  for (Entry& entry : waiting_) queue_.push_back(std::move(entry));
  waiting_.clear();
  return true;
}

void Applier::RefreshPending(size_t done) {
  // It reads the whole queue, so not for every batch of a long one. Until then what became of some
  // is not looked at, which does no harm while others are applied.
  done_ += done;
  const size_t queued = queue_.size() + waiting_.size();
  if (queued <= kPendingAtOnce || 4 * done_ >= queued) ComputePending();
}

void Applier::ComputePending() {
  done_ = 0;
  pending_.clear();
  const auto add = [this](const Entry& entry) {
    const Changeset& changeset = *entry.incoming.changeset;
    pending_[changeset.cells.site].Add(RangeOf(changeset));
  };
  std::for_each(queue_.begin(), queue_.end(), add);
  std::for_each(waiting_.begin(), waiting_.end(), add);
  if (applying_ != nullptr) std::for_each(applying_->begin(), applying_->end(), add);
}

void Applier::OnTick() {
  const int64_t timeout_ms = core_.options.apply_timeout_ms
                             << std::min(stalls_, kStallDoublingsMax);
  if (applying_ != nullptr && core_.now.steady_ms - started_ms_ >= timeout_ms) {
    ++core_.counters.applies_stalled;
    ++stalls_;
    core_.Log(LogLevel::kWarning, "an apply takes longer than " + std::to_string(timeout_ms) +
                                      " ms; it is issued once more");
    queue_.insert(queue_.begin(), applying_->begin(), applying_->end());
    applying_.reset();
  }
  if (RetryWaiting()) ComputePending();
}

int64_t Applier::NextDue() const {
  int64_t due = kNever;
  if (applying_ != nullptr) {
    due = started_ms_ + (core_.options.apply_timeout_ms << std::min(stalls_, kStallDoublingsMax));
  } else if (!queue_.empty()) {
    due = retry_ms_;
  }
  if (!waiting_.empty()) {
    due = std::min(
        due, waiting_tried_ms_ + (has_applied_ ? core_.options.waiting_retry_ms : kWaitingIdleMs));
  }
  return due;
}

}  // namespace merrow::replication
