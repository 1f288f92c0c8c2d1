// SPDX-License-Identifier: Apache-2.0
#include "sync/fragment_assembler.h"

namespace merrow::sync {
namespace {

// What one held fragment costs besides its bytes, so that many tiny ones are bounded too.
constexpr size_t kFragmentOverheadBytes = 128;

size_t HeldBytes(size_t fragments, size_t bytes) {
  return bytes + fragments * kFragmentOverheadBytes;
}

}  // namespace

UpdateStatus FragmentAssembler::Begin(const Key& key, const FragmentHeader& header,
                                      size_t total_bytes_max, int64_t now_ms) {
  if (const auto old = batches_.find(key); old != batches_.end()) Drop(old);
  if (batches_.size() >= limits_.fragment_batches_max) return UpdateStatus::kRateLimited;
  Batch& batch = batches_[key];
  batch.fragment_count = header.fragment_count;
  batch.total_bytes = header.total_bytes;
  batch.last_ms = now_ms;
  UpdateStatus status = UpdateStatus::kOk;
  if (header.total_bytes > total_bytes_max) {
    status = UpdateStatus::kPayloadTooLarge;
  } else if (header.fragment_count == 0 || header.fragment_count > header.total_bytes ||
             header.fragment_count > limits_.fragments_per_batch_max) {
    status = UpdateStatus::kInvalidUpdate;
  }
  batch.is_refused = status != UpdateStatus::kOk;
  if (header.fragment_count == 0) batches_.erase(key);  // no fragment will come
  return status;
}

FragmentAssembler::Added FragmentAssembler::Add(const Key& key, const Fragment& fragment,
                                                int64_t now_ms) {
  const auto found = batches_.find(key);
  if (found == batches_.end()) return UnknownBatch();
  Batch& batch = found->second;
  batch.last_ms = now_ms;
  ++batch.received;
  if (batch.is_refused) {
    if (batch.received >= batch.fragment_count) Drop(found);
    return Incomplete();
  }
  const bool fits = fragment.index < batch.fragment_count && !fragment.bytes.empty() &&
                    batch.bytes + fragment.bytes.size() <= batch.total_bytes;
  if (!fits || !batch.fragments.emplace(fragment.index, fragment.bytes).second) {
    Drop(found);
    return UpdateStatus::kInvalidUpdate;
  }
  batch.bytes += fragment.bytes.size();
  held_bytes_ += HeldBytes(1, fragment.bytes.size());
  if (held_bytes_ > limits_.fragment_bytes_max) {
    Drop(found);
    return UpdateStatus::kRateLimited;
  }
  if (batch.received < batch.fragment_count) return Incomplete();
  if (batch.bytes != batch.total_bytes) {
    Drop(found);
    return UpdateStatus::kInvalidUpdate;
  }
  Bytes update = Join(batch);
  Drop(found);
  return update;
}

std::vector<FragmentAssembler::Key> FragmentAssembler::Expire(int64_t now_ms) {
  std::vector<Key> expired;
  for (auto at = batches_.begin(); at != batches_.end();) {
    if (now_ms - at->second.last_ms < limits_.fragment_timeout_ms) {
      ++at;
      continue;
    }
    if (!at->second.is_refused) expired.push_back(at->first);
    at = Drop(at);
  }
  return expired;
}

void FragmentAssembler::DropRoom(RoomKind kind, std::string_view room) {
  for (auto at = batches_.begin(); at != batches_.end();) {
    at = at->first.kind == kind && at->first.room == room ? Drop(at) : std::next(at);
  }
}

FragmentAssembler::Batches::iterator FragmentAssembler::Drop(Batches::iterator batch) {
  held_bytes_ -= HeldBytes(batch->second.fragments.size(), batch->second.bytes);
  return batches_.erase(batch);
}

Bytes FragmentAssembler::Join(const Batch& batch) const {
  Bytes update;
  update.reserve(batch.total_bytes);
  for (const auto& [index, bytes] : batch.fragments) update += bytes;
  return update;
}

}  // namespace merrow::sync
