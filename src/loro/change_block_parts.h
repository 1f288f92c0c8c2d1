// SPDX-License-Identifier: Apache-2.0
//
// Change block parts: what ChangeBlockBuilder (change_block.h) collects and change_block_encoder.h
// writes.
//
// While ops are added, keys and peers are interned in the order in which Loro's writer registers
// them, and payloads that hold values are written with their final key indexes.
//
// Invariants:
//   (1) Payloads stand end to end in the arena, in the order of their ops; so the last op's
//       payload, if it has one, can grow in place.
//   (2) Every change has at least one op.

#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/value_codec.h"

namespace merrow::loro {

/// Distinct values in the order in which they came. Few values are searched one by one, more
/// through an open-addressing index.
template <typename T, typename View>
class Interned {
 public:
  const std::vector<T>& values() const { return values_; }

  std::optional<uint32_t> Find(const View& value) const {
    if (slots_.empty()) {
      for (size_t i = values_.size(); i-- > 0;) {
        if (values_[i] == value) return static_cast<uint32_t>(i);
      }
      return std::nullopt;
    }
    const uint32_t entry = slots_[SlotOf(value)];
    if (entry == 0) return std::nullopt;
    return entry - 1;
  }

  uint32_t Intern(const View& value) {
    if (const std::optional<uint32_t> found = Find(value)) return *found;
    values_.emplace_back(value);
    if (values_.size() > kSearchedMax && values_.size() * 2 > slots_.size()) {
      Rehash();
    } else if (!slots_.empty()) {
      slots_[SlotOf(value)] = static_cast<uint32_t>(values_.size());
    }
    return static_cast<uint32_t>(values_.size() - 1);
  }

 private:
  static size_t HashOf(PeerId peer) {
    return static_cast<size_t>(peer * 0x9E3779B97F4A7C15U >> 20);
  }
  static size_t HashOf(std::string_view text) { return std::hash<std::string_view>()(text); }
  static size_t HashOf(const ContainerId& id) { return ContainerIdHash()(id); }

  static constexpr size_t kSearchedMax = 8;

  /// The slot that holds `value`, or the empty one where it would go.
  size_t SlotOf(const View& value) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = HashOf(value) & mask;
    while (slots_[slot] != 0 && !(values_[slots_[slot] - 1] == value)) slot = (slot + 1) & mask;
    return slot;
  }
  void Rehash() {
    slots_.assign(std::max(slots_.size() * 2, kSearchedMax * 4), 0);
    for (size_t i = 0; i < values_.size(); ++i) {
      slots_[SlotOf(values_[i])] = static_cast<uint32_t>(i + 1);
    }
  }

  std::vector<T> values_;
  std::vector<uint32_t> slots_;  // index + 1, or 0; a power of two of them
};

using InternedPeers = Interned<PeerId, PeerId>;
using InternedContainers = Interned<ContainerId, ContainerId>;
using InternedPositions = Interned<Bytes, BytesView>;

class InternedKeys final : public KeyInterner {
 public:
  uint32_t Intern(std::string_view key) override {
    const size_t count = table_.values().size();
    const uint32_t index = table_.Intern(key);
    if (table_.values().size() > count) bytes_ += key.size() + 1;
    return index;
  }
  const std::vector<std::string>& values() const { return table_.values(); }
  size_t bytes() const { return bytes_; }

 private:
  Interned<std::string, std::string_view> table_;
  size_t bytes_ = 0;
};

struct ChangeBlockParts {
  struct BuiltOp {
    Op op;  // payload unset
    size_t payload_at = 0;
    size_t payload_bytes = 0;
  };
  struct BuiltChange {
    Change change;  // message unset
    std::string message;
  };

  explicit ChangeBlockParts(PeerId block_peer) : peer(block_peer) { peers.Intern(block_peer); }

  BytesView Payload(const BuiltOp& built) const {
    return BytesView(arena.bytes()).substr(built.payload_at, built.payload_bytes);
  }

  PeerId peer;
  InternedPeers peers;
  InternedKeys keys;
  InternedContainers containers;
  InternedPositions positions;
  std::vector<BuiltChange> changes;
  std::vector<BuiltOp> ops;
  ByteWriter arena;
};

}  // namespace merrow::loro
