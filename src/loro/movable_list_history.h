// SPDX-License-Identifier: Apache-2.0
//
// Movable list history: where and what the elements of one MovableList are according to all of its
// ops, for elements that its state does not hold because they are not visible
// (movable_list_state.h).
//
// It is made from the whole history of the container, so make it only when it is asked for, and
// once per import. Cost: 64 bytes or so per element; values are decoded only when an element is
// looked up.

#pragma once

#include <unordered_map>

#include "loro/movable_list_state.h"
#include "loro/op_slice.h"

namespace merrow::loro {

class MovableListHistory {
 public:
  /// Takes the elements of a state into account that the ops follow. `base` must outlive this and
  /// not change.
  void AddBase(const MovableListState& base);
  /// Takes an op into account; ops in any order, also those of other kinds. The op's block must
  /// outlive this. REQUIRES: the op is one of the container's
  void Add(const OpSlice& slice);

  /// Corruption if no insert among the ops made it.
  Result<ElementHistory> Find(IdLp element) const;

 private:
  struct Write {
    bool exists() const { return block != nullptr || base != nullptr; }

    const ChangeBlock* block = nullptr;
    const Op* op = nullptr;
    const Value* base = nullptr;  // the value, if it is one of AddBase's
    uint32_t atom = 0;            // of the op: which of an insert's values
    IdLp writer;
  };
  struct Element {
    Write write;  // the latest; block and base are null if there is none
    IdLp position;
    bool inserted = false;
  };
  struct IdLpHash {
    size_t operator()(const IdLp& id) const;
  };

  std::unordered_map<IdLp, Element, IdLpHash> elements_;
};

}  // namespace merrow::loro
