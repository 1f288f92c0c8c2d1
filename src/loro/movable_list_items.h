// SPDX-License-Identifier: Apache-2.0
//
// Movable list items: how a movable list's state is stored (movable_list_state.h).
//
// Items stand in slots, one table for all of the list, and do not change their slot while they
// live. Their order is that of slot numbers in the leaves of a LeafTree that sums both indexes; a
// leaf has a bit per item that tells if it is visible, and a slot knows its leaf. So a move shifts
// a few small numbers. From a certain size on and only when it is asked for elements by name, an
// index from element to slot is kept, an open-addressing table of slot numbers.
//
// Thread-compatible.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "loro/compact_array.h"
#include "loro/leaf_tree.h"
#include "merrow/ids.h"
#include "merrow/value.h"

namespace merrow::loro {

/// An item, with its element if one stands at it.
struct MovableListItem {
  Value value;  // null unless visible
  PeerId peer = 0;
  Lamport lamport = 0;
  uint32_t counter : 31 = 0;
  bool visible : 1 = false;
  // Both IdLps are flat here, which saves their padding. Zero unless visible.
  Lamport element_lamport = 0;
  Lamport last_set_lamport = 0;
  PeerId element_peer = 0;
  PeerId last_set_peer = 0;

  /// An item without an element.
  static MovableListItem Invisible(Id id, Lamport lamport) {
    MovableListItem item;
    item.SetId(id, lamport);
    return item;
  }

  /// Of the insert or move that made it.
  Id id() const { return {peer, static_cast<Counter>(counter)}; }
  IdLp idlp() const { return {lamport, peer}; }
  void SetId(Id id, Lamport its_lamport) {
    peer = id.peer;
    counter = static_cast<uint32_t>(id.counter) & 0x7fffffff;
    lamport = its_lamport;
  }
  IdLp element() const { return {element_lamport, element_peer}; }
  /// Of the op that wrote the value: the insert or a set.
  IdLp last_set() const { return {last_set_lamport, last_set_peer}; }
  void SetLastSet(IdLp writer) {
    last_set_lamport = writer.lamport;
    last_set_peer = writer.peer;
  }
  /// Makes the element stand here.
  void Show(IdLp element, IdLp last_set, Value its_value) {
    visible = true;
    element_lamport = element.lamport;
    element_peer = element.peer;
    SetLastSet(last_set);
    value = std::move(its_value);
  }

  friend bool operator==(const MovableListItem&, const MovableListItem&) = default;
};

class MovableListItems {
 public:
  using Slot = uint32_t;

  struct Sum {
    uint32_t items = 0;
    uint32_t visible = 0;

    Sum& operator+=(const Sum& other) {
      items += other.items;
      visible += other.visible;
      return *this;
    }
    Sum& operator-=(const Sum& other) {
      items -= other.items;
      visible -= other.visible;
      return *this;
    }
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  struct Leaf;
  /// One place in the order.
  struct Spot {
    Leaf* leaf = nullptr;
    uint32_t offset = 0;
  };

  const Sum& total() const { return tree_.total(); }
  const MovableListItem& item(Slot slot) const { return slots_[slot].item; }

  // --- Places ---

  /// REQUIRES: op_index < total().items
  Spot At(uint32_t op_index) const;
  /// REQUIRES: index < total().visible
  Spot VisibleAt(uint32_t index) const;
  Slot SlotAt(const Spot& spot) const;
  /// REQUIRES: the item stands in the order
  Spot SpotOf(Slot slot) const;
  uint32_t OpIndexOf(const Spot& spot) const;
  /// How many visible items stand in front of it.
  uint32_t UserIndexOf(const Spot& spot) const;
  /// Calls visit(item) for all items in order.
  template <typename Visit>
  void ForEach(Visit&& visit) const;

  // --- Elements by name ---

  /// The visible item with this element. Cost: that of scanning the list if there is no index yet.
  std::optional<Slot> Find(IdLp element) const;
  /// The same; makes the index if it is worth it.
  std::optional<Slot> FindForOp(IdLp element);

  // --- Changes ---

  /// Room for so many more items, to be added at once.
  void Reserve(size_t count) { slots_.reserve(slots_.size() + count); }
  /// A slot with this item, which stands nowhere yet.
  Slot Add(MovableListItem item);
  /// REQUIRES: op_index <= total().items; the items stand nowhere
  void InsertAt(uint32_t op_index, std::span<const Slot> fresh);
  /// REQUIRES: op_index + count <= total().items
  void Erase(uint32_t op_index, uint32_t count);
  /// Takes an item out of the order. It keeps its slot, to be inserted again.
  void TakeOut(const Spot& spot);
  /// Of an item that stands nowhere.
  void SetId(Slot slot, Id id, Lamport lamport) { slots_[slot].item.SetId(id, lamport); }
  void SetValue(Slot slot, Value value, IdLp writer);
  /// The element leaves its item, which stays. Returns what the item held.
  MovableListItem Hide(Slot slot);

  /// On the heap, about.
  size_t MemoryBytes() const;
  void CheckInvariants() const;

  static constexpr uint32_t kLeafMax = 64;
  struct Leaf : LeafHook<Leaf, Sum> {
    CompactArray<Slot> slots;
    uint64_t visible = 0;  // bit i: the i-th item is

    Sum sum() const;
    void Insert(uint32_t at, Slot added, bool is_visible);
    void Erase(uint32_t at, uint32_t count);
  };

 private:
  struct Stored {
    MovableListItem item;
    Leaf* leaf = nullptr;  // null while it stands nowhere
  };

  void Fill(Leaf* leaf, std::span<const Slot> slots);
  void Free(Slot slot);
  void Settle(Leaf* leaf, const Sum& before);

  size_t HomeOf(Slot slot) const;
  size_t EntryOf(IdLp element) const;
  void Enter(Slot slot);
  void Forget(Slot slot);
  void MakeIndex(size_t count);

  LeafTree<Leaf, Sum> tree_;
  std::vector<Stored> slots_;
  std::vector<Slot> free_;
  // Slots of the visible items, hashed by element; a power of two of entries, at most 3/4 used.
  // Empty until an op needs it, then complete.
  std::vector<Slot> index_;
  size_t indexed_ = 0;
};

template <typename Visit>
void MovableListItems::ForEach(Visit&& visit) const {
  for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
    for (const Slot slot : leaf->slots.span()) visit(item(slot));
  }
}

}  // namespace merrow::loro
