// SPDX-License-Identifier: Apache-2.0
#include "loro/snapshot_cache.h"

#include <algorithm>
#include <deque>
#include <numeric>

#include "loro/container_id_codec.h"
#include "loro/envelope.h"
#include "loro/snapshot.h"
#include "loro/state_image.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

Bytes Finished(SstableWriter* writer, SstableCache* cache) {
  Result<Bytes> store = writer->Finish();
  MERROW_CHECK(store.ok());
  cache->Trim();
  return std::move(store).value();
}

}  // namespace

Bytes SnapshotCache::Export(const OpLog& log, State* state) {
  const Bytes changes = ExportChanges(log);
  const Bytes states = ExportStates(state);
  EnvelopeWriter writer(EncodeMode::kFastSnapshot, SnapshotBytes(changes, states));
  AppendSnapshot(changes, states, &writer);
  return writer.Finish();
}

Bytes SnapshotCache::ExportChanges(const OpLog& log) {
  struct Block {
    Bytes key;
    BytesView bytes;
    uint64_t token;
  };
  std::vector<Block> blocks;
  const Bytes version = log.version().Encode();
  const Bytes frontiers = EncodeFrontiers(log.graph().frontiers());
  blocks.push_back({Bytes(kSnapshotVersionKey), version, 0});
  blocks.push_back({Bytes(kSnapshotFrontiersKey), frontiers, 0});
  log.ForEachStoredBlock([&blocks](Id first, BytesView bytes, uint64_t token) {
    blocks.push_back({SnapshotBlockKey(first), bytes, token});
  });
  // Peers are in order but for where the two names go.
  std::sort(blocks.begin(), blocks.end(),
            [](const Block& a, const Block& b) { return a.key < b.key; });
  SstableWriter writer(/*compress=*/true, &changes_);
  for (const Block& block : blocks) {
    writer.Add({block.key, block.bytes, block.bytes.size(), block.token, 0});
  }
  return Finished(&writer, &changes_);
}

Bytes SnapshotCache::ExportStates(State* state) {
  const std::vector<Container>& containers = state->containers();
  const bool is_grown = containers.size() > entries_.size();
  if (containers.size() < entries_.size() || (is_grown && misses_parent_)) entries_.clear();
  size_t known = entries_.size();
  entries_.resize(containers.size());

  ImageEncoder encoder(*state);
  std::deque<Bytes> storage;
  std::vector<BytesView> fresh(containers.size());
  bool is_sorted = true;
  for (size_t i = 0; i < containers.size(); ++i) {
    const bool is_changed = state->TakeChange(i);
    if (!is_changed && i < known) continue;
    Entry& entry = entries_[i];
    ByteWriter key;
    WriteContainerKey(key, containers[i].id);
    is_sorted = is_sorted && (i >= known || entry.key == key.bytes());
    entry.key = key.Release();
    entry.token = next_token_++;
    entry.value_bytes = 0;
    if (!IsInImage(containers[i])) continue;
    fresh[i] = storage.emplace_back(encoder.Encode(containers[i]));
    entry.value_bytes = fresh[i].size();
  }
  misses_parent_ = (known > 0 && misses_parent_) || encoder.misses_parent();
  Sort(is_sorted ? known : 0);

  SstableWriter writer(/*compress=*/true, &states_, [&](size_t i) {
    return BytesView(storage.emplace_back(encoder.Encode(containers[i])));
  });
  for (const uint32_t i : order_) {
    const Entry& entry = entries_[i];
    if (entry.value_bytes == 0) continue;
    writer.Add({entry.key, fresh[i], entry.value_bytes, entry.token, i});
  }
  return Finished(&writer, &states_);
}

// Restores (1) of entries of which the first `sorted` are in order_.
void SnapshotCache::Sort(size_t sorted) {
  const auto by_key = [this](uint32_t a, uint32_t b) { return entries_[a].key < entries_[b].key; };
  order_.resize(entries_.size());
  const auto middle = order_.begin() + static_cast<std::ptrdiff_t>(sorted);
  std::iota(middle, order_.end(), static_cast<uint32_t>(sorted));
  std::sort(middle, order_.end(), by_key);
  std::inplace_merge(order_.begin(), middle, order_.end(), by_key);
}

size_t SnapshotCache::MemoryBytes() const {
  size_t bytes = sizeof(*this) + changes_.MemoryBytes() + states_.MemoryBytes() +
                 entries_.capacity() * sizeof(Entry) + order_.capacity() * sizeof(uint32_t);
  for (const Entry& entry : entries_) {
    if (entry.key.capacity() > 15) bytes += entry.key.capacity() + 1;
  }
  return bytes;
}

}  // namespace merrow::loro
