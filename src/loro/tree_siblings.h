// SPDX-License-Identifier: Apache-2.0
//
// Tree siblings: the children of one tree node, in an order that their owner knows. Most nodes have
// none or one, so a list of them is 8 bytes and grows in three steps: one node is inside, few are
// one array, many are the leaves of a LeafTree.
//
// `precedes(a, b)` is the owner's strict total order of nodes. That of the nodes inside must not
// change.

#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "loro/leaf_tree.h"
#include "merrow/check.h"

namespace merrow::loro {

class TreeSiblings {
 public:
  /// A node, as the owner numbers them.
  using Index = uint32_t;

  TreeSiblings() = default;
  TreeSiblings(TreeSiblings&& other) noexcept { std::swap(word_, other.word_); }
  TreeSiblings& operator=(TreeSiblings&& other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~TreeSiblings() { Free(); }

  bool empty() const { return word_ == 0; }

  uint32_t count() const {
    switch (form()) {
      case Form::kNone:
        return 0;
      case Form::kOne:
        return 1;
      case Form::kFew:
        return few()[kSize];
      case Form::kMany:
        return many()->total().count;
    }
    MERROW_CHECK(false);
  }

  /// REQUIRES: i < count()
  Index At(uint32_t i) const {
    switch (form()) {
      case Form::kNone:
        break;
      case Form::kOne:
        return one();
      case Form::kFew:
        return few()[kNodes + i];
      case Form::kMany: {
        const Leaf* const leaf = many()->Find(Count, &i);
        return leaf->nodes[i];
      }
    }
    MERROW_CHECK(false);
  }

  /// How many stand in front of `node`, which need not be one of them.
  template <typename Precedes>
  uint32_t RankOf(Index node, Precedes&& precedes) const {
    switch (form()) {
      case Form::kNone:
        return 0;
      case Form::kOne:
        return precedes(one(), node) ? 1 : 0;
      case Form::kFew:
        return Rank(few() + kNodes, few()[kSize], node, precedes);
      case Form::kMany: {
        const Leaf* const leaf = LeafOf(node, precedes);
        return many()->Before(leaf).count + Rank(leaf->nodes, leaf->size, node, precedes);
      }
    }
    MERROW_CHECK(false);
  }

  /// REQUIRES: it is not there
  template <typename Precedes>
  void Insert(Index node, Precedes&& precedes) {
    switch (form()) {
      case Form::kNone:
        word_ = uint64_t{node} << 32 | kOneTag;
        return;
      case Form::kOne:
        MakeFew(one());
        [[fallthrough]];
      case Form::kFew: {
        if (few()[kSize] < kFewMax) return InsertIntoFew(node, precedes);
        MakeMany();
        [[fallthrough]];
      }
      case Form::kMany:
        InsertIntoMany(node, precedes);
    }
  }

  /// REQUIRES: it is there
  template <typename Precedes>
  void Remove(Index node, Precedes&& precedes) {
    switch (form()) {
      case Form::kNone:
        MERROW_CHECK(false);
      case Form::kOne:
        MERROW_CHECK(one() == node);
        word_ = 0;
        return;
      case Form::kFew: {
        uint32_t* const nodes = few() + kNodes;
        const uint32_t size = few()[kSize];
        const uint32_t at = Rank(nodes, size, node, precedes);
        MERROW_CHECK(at < size && nodes[at] == node);
        std::copy(nodes + at + 1, nodes + size, nodes + at);
        few()[kSize] = size - 1;
        if (size == 2) ShrinkToOne(nodes[0]);
        return;
      }
      case Form::kMany:
        RemoveFromMany(node, precedes);
    }
  }

  /// On the heap, about.
  size_t MemoryBytes() const {
    if (form() == Form::kFew) return (kNodes + few()[kCapacity]) * sizeof(uint32_t);
    if (form() != Form::kMany) return 0;
    return sizeof(Many) + many()->InnerBytes() + many()->leaf_count() * sizeof(Leaf);
  }

  void CheckInvariants() const {
    if (form() == Form::kFew) {
      MERROW_CHECK(few()[kSize] >= 2 && few()[kSize] <= few()[kCapacity]);
    } else if (form() == Form::kMany) {
      MERROW_CHECK(count() > 0);
      many()->CheckInvariants();
    }
  }

 private:
  struct Sum {
    uint32_t count = 0;

    Sum& operator+=(const Sum& other) {
      count += other.count;
      return *this;
    }
    Sum& operator-=(const Sum& other) {
      count -= other.count;
      return *this;
    }
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  static uint32_t Count(const Sum& sum) { return sum.count; }

  static constexpr uint32_t kLeafMax = 64;
  struct Leaf : LeafHook<Leaf, Sum> {
    uint32_t size = 0;
    Index nodes[kLeafMax];

    Sum sum() const { return {size}; }
  };
  using Many = LeafTree<Leaf, Sum>;

  // word_ is 0; or kOneTag with the node in its upper half; or a pointer, with kFewTag to an array
  // (size, capacity, nodes), else to a Many.
  static constexpr uint64_t kOneTag = 1;
  static constexpr uint64_t kFewTag = 2;
  static constexpr uint32_t kFewMax = 64;
  static constexpr size_t kSize = 0;
  static constexpr size_t kCapacity = 1;
  static constexpr size_t kNodes = 2;

  enum class Form { kNone, kOne, kFew, kMany };
  Form form() const {
    if (word_ == 0) return Form::kNone;
    if ((word_ & kOneTag) != 0) return Form::kOne;
    return (word_ & kFewTag) != 0 ? Form::kFew : Form::kMany;
  }
  Index one() const { return static_cast<Index>(word_ >> 32); }
  uint32_t* few() const { return reinterpret_cast<uint32_t*>(word_ & ~kFewTag); }
  Many* many() const { return reinterpret_cast<Many*>(word_); }

  void Free() {
    if (form() == Form::kFew) {
      delete[] few();
    } else if (form() == Form::kMany) {
      delete many();
    }
    word_ = 0;
  }

  template <typename Precedes>
  static uint32_t Rank(const Index* nodes, uint32_t size, Index node, Precedes&& precedes) {
    return static_cast<uint32_t>(std::lower_bound(nodes, nodes + size, node, precedes) - nodes);
  }

  /// A capacity for at least `size` nodes that fills what the allocator gives.
  static uint32_t CapacityFor(uint32_t size) {
    return std::max<uint32_t>(4, (size + size / 4 + 3) / 4 * 4);
  }

  void MakeFew(Index node) {
    const uint32_t capacity = CapacityFor(2);
    auto* const array = new uint32_t[kNodes + capacity];
    array[kSize] = 1;
    array[kCapacity] = capacity;
    array[kNodes] = node;
    word_ = reinterpret_cast<uint64_t>(array) | kFewTag;
  }

  template <typename Precedes>
  void InsertIntoFew(Index node, Precedes&& precedes) {
    const uint32_t size = few()[kSize];
    if (size == few()[kCapacity]) {
      const uint32_t capacity = CapacityFor(size + 1);
      auto* const larger = new uint32_t[kNodes + capacity];
      std::copy(few(), few() + kNodes + size, larger);
      larger[kCapacity] = capacity;
      Free();
      word_ = reinterpret_cast<uint64_t>(larger) | kFewTag;
    }
    uint32_t* const nodes = few() + kNodes;
    const uint32_t at = precedes(nodes[size - 1], node) ? size : Rank(nodes, size, node, precedes);
    std::copy_backward(nodes + at, nodes + size, nodes + size + 1);
    nodes[at] = node;
    few()[kSize] = size + 1;
  }

  void ShrinkToOne(Index node) {
    Free();
    word_ = uint64_t{node} << 32 | kOneTag;
  }

  void MakeMany() {
    auto leaf = std::make_unique<Leaf>();
    leaf->size = few()[kSize];
    std::copy(few() + kNodes, few() + kNodes + leaf->size, leaf->nodes);
    auto* const tree = new Many();
    tree->InsertAfter(nullptr, std::move(leaf));
    Free();
    word_ = reinterpret_cast<uint64_t>(tree);
  }

  /// The last leaf whose first node does not stand behind `node`, or the first leaf.
  template <typename Precedes>
  Leaf* LeafOf(Index node, Precedes&& precedes) const {
    return many()->FindLast([&](const Leaf* leaf) { return !precedes(node, leaf->nodes[0]); });
  }

  template <typename Precedes>
  void InsertIntoMany(Index node, Precedes&& precedes) {
    Leaf* leaf = many()->last();
    const bool at_end = precedes(leaf->nodes[leaf->size - 1], node);
    if (!at_end) leaf = LeafOf(node, precedes);
    uint32_t at = at_end ? leaf->size : Rank(leaf->nodes, leaf->size, node, precedes);
    if (leaf->size == kLeafMax) {
      // The last leaf stays full, because what is added there is mostly added in order.
      const uint32_t kept = at_end ? kLeafMax : kLeafMax / 2;
      auto fresh = std::make_unique<Leaf>();
      const Sum before = leaf->sum();
      std::copy(leaf->nodes + kept, leaf->nodes + kLeafMax, fresh->nodes);
      fresh->size = kLeafMax - kept;
      leaf->size = kept;
      many()->Update(leaf, before);
      Leaf* const right = many()->InsertAfter(leaf, std::move(fresh));
      if (at > kept || at_end) {
        at -= kept;
        leaf = right;
      }
    }
    std::copy_backward(leaf->nodes + at, leaf->nodes + leaf->size, leaf->nodes + leaf->size + 1);
    leaf->nodes[at] = node;
    ++leaf->size;
    many()->Add(leaf, {1});
  }

  template <typename Precedes>
  void RemoveFromMany(Index node, Precedes&& precedes) {
    Leaf* const leaf = LeafOf(node, precedes);
    const uint32_t at = Rank(leaf->nodes, leaf->size, node, precedes);
    MERROW_CHECK(at < leaf->size && leaf->nodes[at] == node);
    const Sum before = leaf->sum();
    std::copy(leaf->nodes + at + 1, leaf->nodes + leaf->size, leaf->nodes + at);
    --leaf->size;
    if (leaf->size == 0) {
      many()->Remove(leaf, before);
      if (many()->empty()) Free();
      return;
    }
    many()->Update(leaf, before);
    Leaf* const next = leaf->next;
    if (next == nullptr || leaf->size + next->size > kLeafMax / 2) return;
    const Sum alone = leaf->sum();
    const Sum counted = next->sum();
    std::copy(next->nodes, next->nodes + next->size, leaf->nodes + leaf->size);
    leaf->size += next->size;
    many()->Update(leaf, alone);
    many()->Remove(next, counted);
  }

  uint64_t word_ = 0;
};

}  // namespace merrow::loro
