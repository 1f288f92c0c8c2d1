// SPDX-License-Identifier: Apache-2.0
//
// Edit rope: edits of a sequence, one after the other, each with positions as the ones before left
// them, composed into one delta from the sequence at the start to the sequence now. It knows
// positions only; what was inserted is read from the sequence at the end.
//
// Elements may be hidden (the items of a movable list that no element stands at). For a delta of
// what users see, the rope keeps for each deleted element whether it was shown at the start, and
// for each one whose look changed (touched) what it looked like.
//
// Cost: logarithmic in the number of edits that do not continue each other.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "loro/leaf_tree.h"
#include "merrow/delta.h"

namespace merrow::loro {

class EditRope {
 public:
  struct Segment {
    EditKind kind = EditKind::kRetain;
    uint32_t length = 0;  // elements; of kDelete, those that were shown at the start
    // One kept element whose look changed.
    bool is_touched = false;
    bool was_shown = false;
    bool has_new_value = false;
  };

  EditRope();

  void Insert(uint32_t position, uint32_t length);
  /// Elements that were shown at the start, unless touched or inserted.
  void Delete(uint32_t position, uint32_t length) { Erase(position, length, true); }
  /// The same of one element that was not shown.
  void DeleteHidden(uint32_t position) { Erase(position, 1, false); }
  /// One element's look changes. `was_shown`: before this edit.
  void Touch(uint32_t position, bool was_shown, bool has_new_value);

  /// Calls visit(segment) in order. The last one retains everything behind the edits.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
      for (const Segment& segment : leaf->segments) visit(segment);
    }
  }

 private:
  struct Sum {
    uint32_t now = 0;  // elements that are there now

    Sum& operator+=(const Sum& other) {
      now += other.now;
      return *this;
    }
    Sum& operator-=(const Sum& other) {
      now -= other.now;
      return *this;
    }
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  static uint32_t Now(const Segment& segment) {
    return segment.kind == EditKind::kDelete ? 0 : segment.length;
  }
  struct Leaf : LeafHook<Leaf, Sum> {
    std::vector<Segment> segments;

    Sum sum() const {
      Sum sum;
      for (const Segment& segment : segments) sum.now += Now(segment);
      return sum;
    }
  };
  struct Spot {
    Leaf* leaf = nullptr;
    size_t index = 0;
    uint32_t offset = 0;  // into the segment
  };

  Spot Find(uint32_t position) const;
  void Erase(uint32_t position, uint32_t length, bool was_shown);
  /// Puts `fresh` in the place of a segment and joins it with its neighbours.
  void Replace(const Spot& spot, const std::vector<Segment>& fresh);

  LeafTree<Leaf, Sum> tree_;
};

}  // namespace merrow::loro
