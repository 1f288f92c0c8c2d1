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

}  // namespace

CachedDocument* DocumentCache::Find(const DocumentName& name) {
  const auto found = index_.find(name);
  if (found == index_.end()) {
    ++misses_;
    return nullptr;
  }
  ++hits_;
  order_.splice(order_.begin(), order_, found->second);
  return &*found->second;
}

CachedDocument& DocumentCache::Insert(CachedDocument entry) {
  order_.push_front(std::move(entry));
  CachedDocument& inserted = order_.front();
  MERROW_CHECK(index_.emplace(inserted.name, order_.begin()).second);
  inserted.charge = 0;
  Measure(inserted);
  return inserted;
}

void DocumentCache::Measure(CachedDocument& entry) {
  bytes_ -= entry.charge;
  entry.charge = entry.document.MemoryBytes() + 2 * entry.name.key.size() + kEntryBytes;
  entry.update_bytes_since_measured = 0;
  bytes_ += entry.charge;
}

void DocumentCache::Grew(CachedDocument& entry, size_t update_bytes) {
  entry.update_bytes_since_measured += update_bytes;
  if (entry.update_bytes_since_measured >=
      std::max(kMeasureAfterBytesMin, entry.charge / kMeasureAfterFraction)) {
    Measure(entry);
    return;
  }
  entry.charge += update_bytes * kMemoryPerUpdateByte;
  bytes_ += update_bytes * kMemoryPerUpdateByte;
}

void DocumentCache::Drop(Order::iterator entry) {
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

void DocumentCache::EvictToBudget() {
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
  for (auto entry = order_.begin(); entry != order_.end(); ++entry) {
    sum += entry->charge;
    const auto found = index_.find(entry->name);
    MERROW_CHECK(found != index_.end() && &*found->second == &*entry);
    entry->document.CheckInvariants();
  }
  MERROW_CHECK(sum == bytes_);
  MERROW_CHECK(order_.size() == index_.size());
}

}  // namespace merrow::store
