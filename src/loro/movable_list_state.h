// SPDX-License-Identifier: Apache-2.0
//
// Movable list state: what one MovableList container looks like now.
//
// Two things make up a movable list. An item is a position, made by an insert or a move, and orders
// like an element of a List. An element is a value with a name of its own, made by an insert. An
// element stands at the item that its insert or one of its moves made: of all of these, the one
// whose op has the largest (lamport, peer), whether or not that item still exists. Its value is
// that of its insert or latest set, by the same order. So an item is visible if an element stands
// at it, and an element whose item was deleted is not seen, until a concurrent move that is later
// brings it back.
//
// Ops count items, visible or not: the op index. Users count visible items: the user index.
//
// Invariants:
//   (1) What is stored is the existing items in order, and of elements only those that are visible.
//       Everything about the others is in the history, where an ElementResolver finds it.
//   (2) An element stands at one item at most.
//
// How that is stored is in movable_list_items.h.
//
// Thread-compatible.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "loro/movable_list_items.h"
#include "loro/sequence_run.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"

namespace merrow::loro {

struct MovableListImage;

/// What history says about an element that is not visible.
struct ElementHistory {
  Value value;
  IdLp last_set;
  IdLp position;  // of the latest insert or move of it, by (lamport, peer)
};
/// Looks an element up in the ops of this container that are in the log. The op that is being
/// applied and later ones may be among them. Corruption if there is no such element.
/// MovableListHistory is one.
using ElementResolver = std::function<Result<ElementHistory>(IdLp element)>;

class MovableListState {
 public:
  MovableListState();
  ~MovableListState();
  MovableListState(MovableListState&&) noexcept;
  MovableListState& operator=(MovableListState&&) noexcept;

  /// Visible items.
  uint32_t length() const;
  /// All items.
  uint32_t item_count() const;

  // --- Applying ops ---
  //
  // Positions are op indexes, those of the op itself if it was made at this version, otherwise
  // those that a SequenceTracker reports. Out of range is an invalid argument and changes nothing.

  /// Inserts values with ids and lamports counting up from the given ones; each is a new element
  /// named after its item. Limit if the list would be too long.
  Status InsertAt(uint32_t op_index, Id id, Lamport lamport, std::vector<Value> values);

  Status DeleteAt(uint32_t op_index, uint32_t count);

  struct Move {
    std::optional<uint32_t> from;  // nothing: the source is gone already
    uint32_t to = 0;               // counted after the source was removed
    Id id;                         // of the op
    Lamport lamport = 0;
    IdLp element;
  };
  /// Removes the item at `from`, makes a new one, and puts the element there unless another move of
  /// it is later. `resolve` is called only if the element is not visible, which takes an op that is
  /// concurrent with a delete or was made after one; what it fails with is returned and nothing
  /// changes. Null for local edits.
  Status MoveAt(const Move& move, const ElementResolver& resolve);

  /// Writes the value of an element unless it was written later. Of an element that is not visible
  /// nothing is kept, so this has no effect then; its history holds the op.
  void Set(IdLp element, Value value, IdLp writer);

  // --- Reading, by user index ---

  /// Null if out of range. Valid until the list changes.
  const MovableListItem* Item(uint32_t index) const;
  const Value* Get(uint32_t index) const;

  /// The visible item that an element stands at, null if it is not visible.
  const MovableListItem* Find(IdLp element) const;
  /// Op index of that item. Cost: as an op on the element.
  std::optional<uint32_t> OpIndexOfElement(IdLp element);
  /// Null if out of range. Valid until the list changes.
  const MovableListItem* ItemAtOpIndex(uint32_t op_index) const;

  /// Op index of the visible item; of the length, that of the end. Invalid argument if larger.
  Result<uint32_t> OpIndexOf(uint32_t index) const;
  /// How many visible items stand in front of an item; invalid argument if past the end.
  Result<uint32_t> UserIndexOf(uint32_t op_index) const;

  /// Visible items in order.
  void ForEach(const std::function<void(const MovableListItem&)>& visit) const;
  /// All items in order.
  void ForEachItem(const std::function<void(const MovableListItem&)>& visit) const;

  // --- What local edits write, by user index ---
  // An insert is at OpIndexOf, a set is of Item()->element.

  /// The delete ops that remove these items, by op index, last run first, so that each index is
  /// right when the runs before it have been deleted.
  Result<std::vector<DeleteRun>> RunsForDelete(uint32_t index, uint32_t count) const;

  struct MoveOp {
    uint32_t from = 0;  // op index
    uint32_t to = 0;    // op index after the removal
    IdLp element;

    friend bool operator==(const MoveOp&, const MoveOp&) = default;
  };
  /// The op after which the item at `from` stands at `to`; nothing if it does so already.
  Result<std::optional<MoveOp>> OpForMove(uint32_t from, uint32_t to) const;

  // --- Images ---

  /// Corruption if an element stands at two items or an item is there twice.
  static Result<MovableListState> FromImage(MovableListImage image);
  MovableListImage ToImage() const;

  /// Bytes on the heap, about.
  size_t MemoryBytes() const;
  /// Ends the process if an invariant does not hold.
  void CheckInvariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::loro
