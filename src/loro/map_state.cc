// SPDX-License-Identifier: Apache-2.0
#include "loro/map_state.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/prefetch.h"
#include "loro/tie_break.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

size_t HashKey(std::string_view key) { return std::hash<std::string_view>()(key); }

}  // namespace

std::optional<uint32_t> MapState::Find(std::string_view key) const {
  return index_.Find(entries_.size(), HashKey(key),
                     [&](uint32_t i) { return entries_[i].key == key; });
}

void MapState::PrefetchSlot(std::string_view key) const { index_.Prefetch(HashKey(key)); }

void MapState::PrefetchEntry(std::string_view key) const {
  const std::optional<uint32_t> guess = index_.Guess(HashKey(key));
  if (!guess.has_value()) return;
  // An entry lies in two lines.
  const char* const entry = reinterpret_cast<const char*>(&entries_[*guess]);
  Prefetch(entry);
  Prefetch(entry + sizeof(Entry) - 1);
}

MapState MapState::FromEntries(std::vector<Entry> entries) {
  MapState map;
  map.entries_ = std::move(entries);
  map.index_.Added(map.entries_.size(),
                   [&map](uint32_t i) { return HashKey(map.entries_[i].key); });
  for (const Entry& entry : map.entries_) map.live_count_ += entry.value.has_value() ? 1 : 0;
  return map;
}

bool MapState::Write(std::string_view key, std::optional<Value> value, IdLp writer) {
  const std::optional<uint32_t> found = Find(key);
  if (!found.has_value()) {
    live_count_ += value.has_value() ? 1 : 0;
    // Most maps are small, and there are many of them.
    if (entries_.size() == entries_.capacity()) {
      entries_.reserve(entries_.size() + std::max<size_t>(2, entries_.size() / 2));
    }
    entries_.push_back({std::string(key), std::move(value), writer});
    index_.Added(entries_.size(), [this](uint32_t i) { return HashKey(entries_[i].key); });
    return true;
  }
  Entry& entry = entries_[*found];
  if (!SlotWriteWins(writer, entry.writer)) return false;
  live_count_ += value.has_value() ? 1 : 0;
  live_count_ -= entry.value.has_value() ? 1 : 0;
  entry.value = std::move(value);
  entry.writer = writer;
  return true;
}

const Value* MapState::Get(std::string_view key) const {
  const std::optional<uint32_t> found = Find(key);
  if (!found.has_value() || !entries_[*found].value.has_value()) return nullptr;
  return &*entries_[*found].value;
}

size_t MapState::MemoryBytes() const {
  size_t bytes = entries_.capacity() * sizeof(Entry) + index_.MemoryBytes();
  for (const Entry& entry : entries_) {
    if (entry.key.capacity() > 15) bytes += entry.key.capacity() + 1;
    if (entry.value.has_value()) bytes += entry.value->HeapBytes();
  }
  return bytes;
}

void MapState::CheckInvariants() const {
  uint32_t live = 0;
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    MERROW_CHECK(Find(entries_[i].key) == i);
    live += entries_[i].value.has_value() ? 1 : 0;
  }
  MERROW_CHECK(live == live_count_);
}

}  // namespace merrow::loro
