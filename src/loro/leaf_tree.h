// SPDX-License-Identifier: Apache-2.0
//
// LeafTree: a B+tree over leaves that their owner fills, in document order, with sums of what the
// leaves hold. It finds the leaf at a position by descending the sums. The sequence tracker, the
// text and the list are each one such tree with leaves of their own kind.
//
// A Leaf derives from LeafHook<Leaf, Sum> and has `Sum sum() const`. A Sum is a struct of unsigned
// counts with +=, -= and ==; subtraction may wrap around, so a difference is a Sum as well.
//
// Invariants:
//   (1) All leaves are at one depth. With one leaf there is no inner node: a small sequence costs
//       no more than its leaf.
//   (2) An inner node has 1 to kFanout children, and `sums[i]` is the sum of all leaves under child
//       i as of the last Update, InsertAfter or Remove.
//   (3) Leaves are linked in document order.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "merrow/check.h"

namespace merrow::loro {

template <typename Leaf, typename Sum>
struct LeafTreeInner;

/// What a leaf holds for its tree.
template <typename Leaf, typename Sum>
struct LeafHook {
  LeafTreeInner<Leaf, Sum>* parent = nullptr;
  Leaf* next = nullptr;
  Leaf* previous = nullptr;
  uint32_t slot = 0;  // index in the parent
};

template <typename Leaf, typename Sum>
struct LeafTreeInner {
  static constexpr uint32_t kFanout = 16;

  LeafTreeInner* parent = nullptr;
  uint16_t slot = 0;
  uint16_t count = 0;
  uint32_t level = 1;  // 1: the children are leaves
  std::array<Sum, kFanout> sums{};
  std::array<void*, kFanout> children{};

  Leaf* leaf(uint32_t i) const { return static_cast<Leaf*>(children[i]); }
  LeafTreeInner* inner(uint32_t i) const { return static_cast<LeafTreeInner*>(children[i]); }
};

template <typename Leaf, typename Sum>
class LeafTree {
 public:
  using Inner = LeafTreeInner<Leaf, Sum>;

  LeafTree() = default;
  ~LeafTree() { Clear(); }
  LeafTree(LeafTree&& other) noexcept { Swap(other); }
  LeafTree& operator=(LeafTree&& other) noexcept {
    Clear();
    Swap(other);
    return *this;
  }

  bool empty() const { return first_ == nullptr; }
  Leaf* first() const { return first_; }
  Leaf* last() const { return last_; }
  const Sum& total() const { return total_; }
  size_t leaf_count() const { return leaf_count_; }
  size_t InnerBytes() const { return inner_count_ * sizeof(Inner); }

  /// The leaf that holds the `*offset`-th unit of the dimension `dim` (a function Sum -> uint32_t);
  /// `*offset` becomes the offset in it. Past the last unit: the last leaf, and what is left.
  /// If `before` is given, the sum of all leaves in front is stored there. REQUIRES: !empty()
  template <typename Dim>
  Leaf* Find(Dim dim, uint32_t* offset, Sum* before = nullptr) const {
    if (before != nullptr) {
      *before = Sum();
    }
    if (root_ == nullptr) {
      return first_;
    }
    uint32_t rest = *offset;
    const Inner* node = root_;
    while (true) {
      uint32_t i = 0;
      for (const uint32_t end = node->count - 1u; i < end; ++i) {
        const uint32_t size = dim(node->sums[i]);
        if (rest < size) {
          break;
        }
        rest -= size;
        if (before != nullptr) {
          *before += node->sums[i];
        }
      }
      if (node->level == 1) {
        *offset = rest;
        return node->leaf(i);
      }
      node = node->inner(i);
    }
  }

  /// The first leaf after `leaf` whose sum has some of the dimension `dim`; null if there is none.
  template <typename Dim>
  Leaf* FindAfter(const Leaf* leaf, Dim dim) const {
    uint32_t slot = leaf->slot;
    const Inner* node = leaf->parent;
    while (node != nullptr) {
      for (uint32_t i = slot + 1; i < node->count; ++i) {
        if (dim(node->sums[i]) == 0) {
          continue;
        }
        uint32_t offset = 0;
        return node->level == 1 ? node->leaf(i) : FindUnder(node->inner(i), dim, offset);
      }
      slot = node->slot;
      node = node->parent;
    }
    return nullptr;
  }

  /// The last leaf for which `holds(leaf)`, which is true of leaves up to some point and false of
  /// those behind it; the first leaf if it is true of none. REQUIRES: !empty()
  template <typename Holds>
  Leaf* FindLast(Holds&& holds) const {
    if (root_ == nullptr) {
      return first_;
    }
    const Inner* node = root_;
    while (true) {
      uint32_t low = 0;
      for (uint32_t high = node->count; high - low > 1;) {
        const uint32_t middle = low + (high - low) / 2;
        (holds(FirstUnder(node, middle)) ? low : high) = middle;
      }
      if (node->level == 1) {
        return node->leaf(low);
      }
      node = node->inner(low);
    }
  }

  /// Sum of all leaves in front of `leaf`.
  Sum Before(const Leaf* leaf) const {
    Sum sum;
    uint32_t slot = leaf->slot;
    for (const Inner* node = leaf->parent; node != nullptr; node = node->parent) {
      for (uint32_t i = 0; i < slot; ++i) {
        sum += node->sums[i];
      }
      slot = node->slot;
    }
    return sum;
  }

  /// True if `a` stands in front of `b`.
  bool Precedes(const Leaf* a, const Leaf* b) const {
    if (a == b) {
      return false;
    }
    uint32_t slot_a = a->slot;
    uint32_t slot_b = b->slot;
    const Inner* node_a = a->parent;
    const Inner* node_b = b->parent;
    while (node_a != node_b) {
      slot_a = node_a->slot;
      slot_b = node_b->slot;
      node_a = node_a->parent;
      node_b = node_b->parent;
    }
    return slot_a < slot_b;
  }

  /// The content of `leaf` grew by `delta` (a wrapped difference if it shrank).
  void Add(Leaf* leaf, const Sum& delta) {
    total_ += delta;
    uint32_t slot = leaf->slot;
    for (Inner* node = leaf->parent; node != nullptr; node = node->parent) {
      node->sums[slot] += delta;
      slot = node->slot;
    }
  }

  /// Brings the sums up to date with leaf->sum(), which had been `before` when last counted.
  void Update(Leaf* leaf, const Sum& before) {
    Sum delta = leaf->sum();
    delta -= before;
    Add(leaf, delta);
  }

  /// Adds a leaf behind `at`, or as the first one if `at` is null, and counts its content.
  /// REQUIRES: at != null unless empty(); the sums of `at` are up to date.
  Leaf* InsertAfter(Leaf* at, std::unique_ptr<Leaf> fresh) {
    Leaf* leaf = fresh.release();
    ++leaf_count_;
    if (at == nullptr) {
      MERROW_CHECK(empty());
      first_ = last_ = leaf;
      total_ += leaf->sum();
      return leaf;
    }
    leaf->previous = at;
    leaf->next = at->next;
    (at->next != nullptr ? at->next->previous : last_) = leaf;
    at->next = leaf;
    if (root_ == nullptr) {
      root_ = NewInner(1);
      Place(root_, 0, at, at->sum());
    }
    InsertChild(at->parent, at->slot + 1, leaf);
    Add(leaf, leaf->sum());
    return leaf;
  }

  /// Unlinks and destroys `leaf`, which was counted with `counted`.
  void Remove(Leaf* leaf, const Sum& counted) {
    Sum delta;
    delta -= counted;
    Add(leaf, delta);
    (leaf->previous != nullptr ? leaf->previous->next : first_) = leaf->next;
    (leaf->next != nullptr ? leaf->next->previous : last_) = leaf->previous;
    if (leaf->parent != nullptr) {
      RemoveChild(leaf->parent, leaf->slot);
    }
    --leaf_count_;
    delete leaf;
  }

  /// Ends the process if an invariant does not hold.
  void CheckInvariants() const {
    Sum sum;
    size_t leaves = 0;
    const Leaf* previous = nullptr;
    for (const Leaf* leaf = first_; leaf != nullptr; previous = leaf, leaf = leaf->next) {
      MERROW_CHECK(leaf->previous == previous);
      sum += leaf->sum();
      ++leaves;
    }
    MERROW_CHECK(previous == last_);
    MERROW_CHECK(sum == total_);
    MERROW_CHECK(leaves == leaf_count_);
    MERROW_CHECK((root_ == nullptr) == (leaf_count_ <= 1));
    if (root_ != nullptr) {
      MERROW_CHECK(root_->parent == nullptr);
      MERROW_CHECK(root_->count > 1 || root_->level == 1);
      const Leaf* next = first_;
      MERROW_CHECK(CheckNode(root_, &next) == total_);
      MERROW_CHECK(next == nullptr);
    }
  }

 private:
  static constexpr uint32_t kFanout = Inner::kFanout;

  template <typename Dim>
  Leaf* FindUnder(const Inner* node, Dim dim, uint32_t offset) const {
    while (true) {
      uint32_t i = 0;
      while (offset >= dim(node->sums[i])) {
        offset -= dim(node->sums[i]);
        ++i;
      }
      if (node->level == 1) {
        return node->leaf(i);
      }
      node = node->inner(i);
    }
  }

  static Leaf* FirstUnder(const Inner* node, uint32_t i) {
    while (node->level > 1) {
      node = node->inner(i);
      i = 0;
    }
    return node->leaf(i);
  }

  void Swap(LeafTree& other) {
    std::swap(root_, other.root_);
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
    std::swap(total_, other.total_);
    std::swap(leaf_count_, other.leaf_count_);
    std::swap(inner_count_, other.inner_count_);
  }

  void Clear() {
    FreeInner(root_);
    for (Leaf* leaf = first_; leaf != nullptr;) {
      Leaf* next = leaf->next;
      delete leaf;
      leaf = next;
    }
    root_ = nullptr;
    first_ = last_ = nullptr;
    total_ = Sum();
    leaf_count_ = 0;
    inner_count_ = 0;
  }

  void FreeInner(Inner* node) {
    if (node == nullptr) {
      return;
    }
    for (uint32_t i = 0; node->level > 1 && i < node->count; ++i) {
      FreeInner(node->inner(i));
    }
    delete node;
  }

  Inner* NewInner(uint32_t level) {
    ++inner_count_;
    Inner* node = new Inner();
    node->level = level;
    return node;
  }

  void DeleteInner(Inner* node) {
    --inner_count_;
    delete node;
  }

  /// Makes `child` (a Leaf* or Inner*, as the level says) the i-th child.
  static void Place(Inner* node, uint32_t i, void* child, const Sum& sum) {
    node->children[i] = child;
    node->sums[i] = sum;
    if (node->level == 1) {
      node->leaf(i)->parent = node;
      node->leaf(i)->slot = i;
    } else {
      node->inner(i)->parent = node;
      node->inner(i)->slot = static_cast<uint16_t>(i);
    }
    if (i >= node->count) {
      node->count = static_cast<uint16_t>(i + 1);
    }
  }

  static void MoveChildren(Inner* from, uint32_t begin, Inner* to) {
    for (uint32_t i = begin; i < from->count; ++i) {
      Place(to, to->count, from->children[i], from->sums[i]);
    }
    from->count = static_cast<uint16_t>(begin);
  }

  static Sum Total(const Inner* node) {
    Sum sum;
    for (uint32_t i = 0; i < node->count; ++i) {
      sum += node->sums[i];
    }
    return sum;
  }

  /// Makes room at slot `at` and puts `child` there with a sum of zero.
  void InsertChild(Inner* node, uint32_t at, void* child) {
    if (node->count == kFanout) {
      Inner* right = SplitInner(node, at);
      if (at > node->count) {
        at -= node->count;
        node = right;
      }
    }
    for (uint32_t i = node->count; i > at; --i) {
      Place(node, i, node->children[i - 1], node->sums[i - 1]);
    }
    Place(node, at, child, Sum());
  }

  /// Moves the upper children of a full node to a new right sibling. Appending at the end leaves
  /// the left one nearly full, so that loading front to back makes a compact tree.
  Inner* SplitInner(Inner* node, uint32_t at) {
    const uint32_t keep = at == kFanout ? kFanout - 1 : kFanout / 2;
    const Sum both = Total(node);
    Inner* right = NewInner(node->level);
    MoveChildren(node, keep, right);
    const Sum moved = Total(right);
    if (node == root_) {
      root_ = NewInner(node->level + 1);
      Place(root_, 0, node, both);
    }
    // The parent may split as well, so that the two end up under different ones.
    InsertChild(node->parent, node->slot + 1u, right);
    Sum delta;
    delta -= moved;
    AddAbove(node, delta);
    AddAbove(right, moved);
    return right;
  }

  static void AddAbove(const Inner* node, const Sum& delta) {
    uint32_t slot = node->slot;
    for (Inner* above = node->parent; above != nullptr; above = above->parent) {
      above->sums[slot] += delta;
      slot = above->slot;
    }
  }

  void RemoveChild(Inner* node, uint32_t at) {
    for (uint32_t i = at + 1; i < node->count; ++i) {
      Place(node, i - 1, node->children[i], node->sums[i]);
    }
    --node->count;
    if (node == root_) {
      ShrinkRoot();
    } else if (node->count == 0) {
      Inner* parent = node->parent;
      const uint32_t slot = node->slot;
      DeleteInner(node);
      RemoveChild(parent, slot);
    } else if (node->count <= kFanout / 4) {
      MergeWithNeighbour(node);
    }
  }

  /// Joins a node with few children with the one next to it if both fit into one.
  void MergeWithNeighbour(Inner* node) {
    Inner* parent = node->parent;
    if (parent->count < 2) {
      return;
    }
    const uint32_t left_slot = node->slot > 0 ? node->slot - 1u : 0;
    Inner* left = parent->inner(left_slot);
    Inner* right = parent->inner(left_slot + 1);
    if (left->count + right->count > kFanout) {
      return;
    }
    parent->sums[left_slot] += parent->sums[left_slot + 1];
    MoveChildren(right, 0, left);
    DeleteInner(right);
    RemoveChild(parent, left_slot + 1);
  }

  void ShrinkRoot() {
    while (root_->count == 1 && root_->level > 1) {
      Inner* child = root_->inner(0);
      DeleteInner(root_);
      root_ = child;
      root_->parent = nullptr;
      root_->slot = 0;
    }
    if (root_->level == 1 && root_->count == 1) {
      root_->leaf(0)->parent = nullptr;
      root_->leaf(0)->slot = 0;
      DeleteInner(root_);
      root_ = nullptr;
    }
  }

  Sum CheckNode(const Inner* node, const Leaf** next) const {
    MERROW_CHECK(node->count >= 1 && node->count <= kFanout);
    Sum sum;
    for (uint32_t i = 0; i < node->count; ++i) {
      Sum child;
      if (node->level == 1) {
        const Leaf* leaf = node->leaf(i);
        MERROW_CHECK(leaf == *next && leaf->parent == node && leaf->slot == i);
        child = leaf->sum();
        *next = leaf->next;
      } else {
        const Inner* inner = node->inner(i);
        MERROW_CHECK(inner->parent == node && inner->slot == i);
        MERROW_CHECK(inner->level + 1 == node->level);
        child = CheckNode(inner, next);
      }
      MERROW_CHECK(child == node->sums[i]);
      sum += child;
    }
    return sum;
  }

  Inner* root_ = nullptr;
  Leaf* first_ = nullptr;
  Leaf* last_ = nullptr;
  Sum total_{};
  size_t leaf_count_ = 0;
  size_t inner_count_ = 0;
};

}  // namespace merrow::loro
