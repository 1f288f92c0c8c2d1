// SPDX-License-Identifier: Apache-2.0
#include "store/document_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "merrow/check.h"

namespace merrow::store {
namespace {

/// What the entry itself costs, with its list and map nodes and two copies of the key.
constexpr size_t kEntryBytes = sizeof(CachedDocument) + 128;
/// Memory that one byte of a small update may take. Update blobs are packed; a document is not.
constexpr size_t kMemoryPerUpdateByte = 8;
/// A document is measured again after updates of a fraction of its size, or of this.
constexpr size_t kMeasureAfterBytesMin = 512;
constexpr size_t kMeasureAfterFraction = 16;
/// The part of the budget that live documents may take.
constexpr size_t kLiveFraction = 4;

}  // namespace

CachedDocument* DocumentCache::Find(const DocumentName& name) {
  const auto found = index_.find(name);
  if (found == index_.end()) {
    ++misses_;
    return nullptr;
  }
  ++hits_;
  order_.splice(order_.begin(), order_, found->second);
  CachedDocument& entry = *found->second;
  if (!entry.is_live) used_.push_back(&entry);
  SetLive(entry, true);
  return &entry;
}

CachedDocument& DocumentCache::Insert(CachedDocument entry) {
  order_.push_front(std::move(entry));
  CachedDocument& inserted = order_.front();
  MERROW_CHECK(index_.emplace(inserted.name, order_.begin()).second);
  inserted.charge = 0;
  inserted.is_live = false;
  SetLive(inserted, true);
  Measure(inserted);
  return inserted;
}

void DocumentCache::Charge(CachedDocument& entry, size_t charge) {
  bytes_ += charge - entry.charge;
  if (entry.is_live) live_bytes_ += charge - entry.charge;
  entry.charge = charge;
}

void DocumentCache::Measure(CachedDocument& entry) {
  entry.update_bytes_since_measured = 0;
  Charge(entry, entry.document.MemoryBytes() + 2 * entry.name.key.size() + kEntryBytes);
}

void DocumentCache::SetLive(CachedDocument& entry, bool is_live) {
  if (entry.is_live && is_live) {
    live_.splice(live_.begin(), live_, entry.live);
  } else if (is_live) {
    live_.push_front(&entry);
    entry.live = live_.begin();
    live_bytes_ += entry.charge;
  } else if (entry.is_live) {
    live_.erase(entry.live);
    live_bytes_ -= entry.charge;
  }
  entry.is_live = is_live;
}

void DocumentCache::Grew(CachedDocument& entry, size_t update_bytes) {
  entry.update_bytes_since_measured += update_bytes;
  if (entry.update_bytes_since_measured >=
      std::max(kMeasureAfterBytesMin, entry.charge / kMeasureAfterFraction)) {
    Measure(entry);
    return;
  }
  Charge(entry, entry.charge + update_bytes * kMemoryPerUpdateByte);
}

void DocumentCache::Drop(Order::iterator entry) {
  std::erase(used_, &*entry);
  SetLive(*entry, false);
  bytes_ -= entry->charge;
  index_.erase(entry->name);
  order_.erase(entry);
}

void DocumentCache::Erase(const DocumentName& name) {
  const auto found = index_.find(name);
  if (found != index_.end()) {
    Drop(found->second);
  }
}

void DocumentCache::RestIdle() {
  // What was used since rests again if it was not woken, and is as large as it is now if it was.
  for (CachedDocument* const entry : std::exchange(used_, {})) {
    if (entry->document.is_resting()) {
      SetLive(*entry, false);
    } else {
      Measure(*entry);
    }
  }
  for (auto at = live_.end(); live_bytes_ > budget_ / kLiveFraction && at != live_.begin();) {
    CachedDocument& entry = **std::prev(at);
    if (!entry.unsaved) entry.document.Rest();
    if (!entry.document.is_resting()) {
      --at;
      continue;
    }
    Measure(entry);
    SetLive(entry, false);
  }
}

void DocumentCache::EvictToBudget() {
  RestIdle();
  auto at = order_.end();
  while (bytes_ > budget_ && at != order_.begin()) {
    const auto candidate = std::prev(at);
    if (candidate->unsaved) {
      at = candidate;
      continue;
    }
    Drop(candidate);
    ++evictions_;
  }
}

void DocumentCache::CheckInvariants() const {
  size_t sum = 0;
  size_t live_sum = 0;
  size_t live_count = 0;
  for (auto entry = order_.begin(); entry != order_.end(); ++entry) {
    sum += entry->charge;
    const auto found = index_.find(entry->name);
    MERROW_CHECK(found != index_.end() && &*found->second == &*entry);
    entry->document.CheckInvariants();
    MERROW_CHECK(entry->is_live || entry->document.is_resting());
    if (!entry->is_live) continue;
    MERROW_CHECK(*entry->live == &*entry);
    live_sum += entry->charge;
    ++live_count;
  }
  MERROW_CHECK(sum == bytes_);
  MERROW_CHECK(live_sum == live_bytes_ && live_count == live_.size());
  MERROW_CHECK(order_.size() == index_.size());
}

}  // namespace merrow::store
