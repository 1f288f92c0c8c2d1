// SPDX-License-Identifier: Apache-2.0
#include "loro/movable_list_state.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>
#include <utility>

#include "loro/leaf_tree.h"
#include "loro/state_codec.h"
#include "loro/tie_break.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

/// Most items of one list; op positions are int32.
constexpr uint32_t kItemsMax = 0x7fffffff;
constexpr size_t kLeafMax = 32;
/// Up to this many leaves, elements are found by scanning.
constexpr size_t kScanLeavesMax = 4;

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

struct Leaf : LeafHook<Leaf, Sum> {
  std::vector<MovableListItem> items;

  Sum sum() const {
    Sum sum;
    sum.items = static_cast<uint32_t>(items.size());
    for (const MovableListItem& item : items) sum.visible += item.visible ? 1 : 0;
    return sum;
  }
};

uint32_t Items(const Sum& sum) { return sum.items; }
uint32_t Visible(const Sum& sum) { return sum.visible; }

struct IdLpHash {
  size_t operator()(const IdLp& id) const {
    uint64_t mixed = (id.peer ^ (uint64_t{id.lamport} << 32 | id.lamport)) * 0x9e3779b97f4a7c15U;
    return static_cast<size_t>(mixed ^ (mixed >> 32));
  }
};

/// One item: a leaf and an offset in it.
struct Spot {
  Leaf* leaf = nullptr;
  size_t offset = 0;

  MovableListItem& item() const { return leaf->items[offset]; }
};

MovableListItem InvisibleItem(Id id, Lamport lamport) {
  MovableListItem item;
  item.id = id;
  item.lamport = lamport;
  return item;
}

Error OutOfRange(uint64_t position, uint32_t length) {
  return InvalidArgument("movable list: position " + std::to_string(position) +
                         " is past the end, which is " + std::to_string(length));
}

}  // namespace

struct MovableListState::Impl {
  const Sum& total() const { return tree.total(); }

  /// REQUIRES: op_index < total().items
  Spot At(uint32_t op_index) const {
    Leaf* const leaf = tree.Find(Items, &op_index);
    return {leaf, op_index};
  }

  /// REQUIRES: index < total().visible
  Spot VisibleAt(uint32_t index) const {
    Leaf* const leaf = tree.Find(Visible, &index);
    size_t offset = 0;
    while (!leaf->items[offset].visible || index-- > 0) ++offset;
    return {leaf, offset};
  }

  uint32_t OpIndexOf(const Spot& spot) const {
    return tree.Before(spot.leaf).items + static_cast<uint32_t>(spot.offset);
  }

  // --- Elements by name ---

  std::optional<Spot> FindForOp(IdLp element) {
    if (by_element.empty() && tree.leaf_count() > kScanLeavesMax) {
      by_element.reserve(total().visible);
      for (Leaf* leaf = tree.first(); leaf != nullptr; leaf = leaf->next) Reindex(leaf);
    }
    return Find(element);
  }

  std::optional<Spot> Find(IdLp element) const {
    if (!by_element.empty()) {
      const auto found = by_element.find(element);
      if (found == by_element.end()) return std::nullopt;
      return FindIn(found->second, element);
    }
    for (Leaf* leaf = tree.first(); leaf != nullptr; leaf = leaf->next) {
      if (const auto spot = FindIn(leaf, element)) return spot;
    }
    return std::nullopt;
  }

  static std::optional<Spot> FindIn(Leaf* leaf, IdLp element) {
    for (size_t i = 0; i < leaf->items.size(); ++i) {
      if (leaf->items[i].visible && leaf->items[i].element == element) return Spot{leaf, i};
    }
    return std::nullopt;
  }

  /// Enters the elements of a leaf that got items from elsewhere.
  void Reindex(Leaf* leaf) {
    for (const MovableListItem& item : leaf->items) {
      if (item.visible) by_element[item.element] = leaf;
    }
  }

  void Forget(const MovableListItem& item) {
    if (item.visible && !by_element.empty()) by_element.erase(item.element);
  }

  // --- Items ---

  /// REQUIRES: op_index <= total().items; there is room
  void Insert(uint32_t op_index, std::vector<MovableListItem> fresh) {
    if (tree.empty()) tree.InsertAfter(nullptr, std::make_unique<Leaf>());
    uint32_t offset = op_index;
    Leaf* const leaf = tree.Find(Items, &offset);
    const bool at_end = op_index == total().items;
    const Sum before = leaf->sum();
    std::vector<MovableListItem>& items = leaf->items;
    items.insert(items.begin() + offset, std::make_move_iterator(fresh.begin()),
                 std::make_move_iterator(fresh.end()));
    if (items.size() <= kLeafMax) {
      tree.Update(leaf, before);
      if (!by_element.empty()) Reindex(leaf);
      return;
    }
    // Into as few leaves as hold them: full ones at the end, where the next insert will be, too.
    const size_t leaves = (items.size() + kLeafMax - 1) / kLeafMax;
    const size_t each = at_end ? kLeafMax : (items.size() + leaves - 1) / leaves;
    std::vector<MovableListItem> rest(std::make_move_iterator(items.begin() + Signed(each)),
                                      std::make_move_iterator(items.end()));
    items.resize(each);
    items.shrink_to_fit();
    tree.Update(leaf, before);
    if (!by_element.empty()) Reindex(leaf);
    Leaf* last = leaf;
    for (size_t start = 0; start < rest.size(); start += each) {
      const size_t end = std::min(rest.size(), start + each);
      auto next = std::make_unique<Leaf>();
      next->items.assign(std::make_move_iterator(rest.begin() + Signed(start)),
                         std::make_move_iterator(rest.begin() + Signed(end)));
      last = tree.InsertAfter(last, std::move(next));
      if (!by_element.empty()) Reindex(last);
    }
  }

  /// REQUIRES: op_index + count <= total().items
  void Erase(uint32_t op_index, uint32_t count) {
    while (count > 0) {
      const Spot spot = At(op_index);
      std::vector<MovableListItem>& items = spot.leaf->items;
      const size_t taken = std::min(size_t{count}, items.size() - spot.offset);
      const auto first = items.begin() + Signed(spot.offset);
      const auto last = first + Signed(taken);
      for (auto item = first; item != last; ++item) Forget(*item);
      const Sum before = spot.leaf->sum();
      items.erase(first, last);
      Settle(spot.leaf, before);
      count -= static_cast<uint32_t>(taken);
    }
  }

  /// Counts a leaf that lost items and joins it with the next one if both are small.
  void Settle(Leaf* leaf, const Sum& before) {
    if (leaf->items.empty()) {
      tree.Remove(leaf, before);
      if (tree.empty()) by_element.clear();
      return;
    }
    tree.Update(leaf, before);
    Leaf* const next = leaf->next;
    if (next == nullptr || leaf->items.size() + next->items.size() > kLeafMax / 2) return;
    const Sum alone = leaf->sum();
    const Sum counted = next->sum();
    leaf->items.insert(leaf->items.end(), std::make_move_iterator(next->items.begin()),
                       std::make_move_iterator(next->items.end()));
    tree.Update(leaf, alone);
    tree.Remove(next, counted);
    if (!by_element.empty()) Reindex(leaf);
  }

  /// The element leaves its item, which stays. Returns what the item held.
  MovableListItem Hide(const Spot& spot) {
    const Sum before = spot.leaf->sum();
    Forget(spot.item());
    MovableListItem held =
        std::exchange(spot.item(), InvisibleItem(spot.item().id, spot.item().lamport));
    tree.Update(spot.leaf, before);
    return held;
  }

  static std::ptrdiff_t Signed(size_t n) { return static_cast<std::ptrdiff_t>(n); }

  LeafTree<Leaf, Sum> tree;
  /// Leaf of each visible element; empty until an op needs it, then complete.
  std::unordered_map<IdLp, Leaf*, IdLpHash> by_element;
};

MovableListState::MovableListState() : impl_(std::make_unique<Impl>()) {}
MovableListState::~MovableListState() = default;
MovableListState::MovableListState(MovableListState&&) noexcept = default;
MovableListState& MovableListState::operator=(MovableListState&&) noexcept = default;

uint32_t MovableListState::length() const { return impl_->total().visible; }
uint32_t MovableListState::item_count() const { return impl_->total().items; }

Status MovableListState::InsertAt(uint32_t op_index, Id id, Lamport lamport,
                                  std::vector<Value> values) {
  if (op_index > item_count()) return OutOfRange(op_index, item_count());
  if (values.size() > kItemsMax - item_count()) {
    return LimitReached("movable list: more than " + std::to_string(kItemsMax) + " items");
  }
  if (values.empty()) return {};
  std::vector<MovableListItem> items;
  items.reserve(values.size());
  for (Value& value : values) {
    const auto i = static_cast<uint32_t>(items.size());
    const IdLp element{lamport + i, id.peer};
    items.push_back({.id = id.Plus(static_cast<Counter>(i)),
                     .lamport = lamport + i,
                     .visible = true,
                     .element = element,
                     .last_set = element,
                     .value = std::move(value)});
  }
  impl_->Insert(op_index, std::move(items));
  return {};
}

Status MovableListState::DeleteAt(uint32_t op_index, uint32_t count) {
  if (op_index > item_count() || count > item_count() - op_index) {
    return OutOfRange(uint64_t{op_index} + count, item_count());
  }
  impl_->Erase(op_index, count);
  return {};
}

Status MovableListState::MoveAt(const Move& move, const ElementResolver& resolve) {
  const uint32_t length_after = item_count() - (move.from.has_value() && item_count() > 0 ? 1 : 0);
  if (move.from.has_value() && *move.from >= item_count()) {
    return OutOfRange(*move.from, item_count());
  }
  if (move.to > length_after) return OutOfRange(move.to, length_after);
  if (length_after == kItemsMax) {
    return LimitReached("movable list: more than " + std::to_string(kItemsMax) + " items");
  }

  MovableListItem item = InvisibleItem(move.id, move.lamport);
  std::optional<Spot> spot;
  if (move.from.has_value()) {
    spot = impl_->At(*move.from);  // where it nearly always is
    if (!spot->item().visible || spot->item().element != move.element) spot.reset();
  }
  if (!spot.has_value()) spot = impl_->FindForOp(move.element);
  if (spot.has_value()) {
    item.visible = spot->item().idlp() <= item.idlp();
    if (item.visible) {
      MovableListItem held = impl_->Hide(*spot);
      item.last_set = held.last_set;
      item.value = std::move(held.value);
    }
  } else {
    if (resolve == nullptr)
      return Corruption("movable list: a move of an element that is not here");
    MERROW_ASSIGN(ElementHistory history, resolve(move.element));
    // Equal if the history has this op already.
    item.visible = history.position <= item.idlp();
    if (item.visible) {
      item.last_set = history.last_set;
      item.value = std::move(history.value);
    }
  }
  if (item.visible) item.element = move.element;
  if (move.from.has_value()) impl_->Erase(*move.from, 1);
  std::vector<MovableListItem> items;
  items.push_back(std::move(item));
  impl_->Insert(move.to, std::move(items));
  return {};
}

void MovableListState::Set(IdLp element, Value value, IdLp writer) {
  const std::optional<Spot> spot = impl_->FindForOp(element);
  if (!spot.has_value() || !ElementSetWins(writer, spot->item().last_set)) return;
  spot->item().last_set = writer;
  spot->item().value = std::move(value);
}

const MovableListItem* MovableListState::Item(uint32_t index) const {
  return index < length() ? &impl_->VisibleAt(index).item() : nullptr;
}

const Value* MovableListState::Get(uint32_t index) const {
  const MovableListItem* const item = Item(index);
  return item == nullptr ? nullptr : &item->value;
}

const MovableListItem* MovableListState::Find(IdLp element) const {
  const std::optional<Spot> spot = impl_->Find(element);
  return spot.has_value() ? &spot->item() : nullptr;
}

std::optional<uint32_t> MovableListState::OpIndexOfElement(IdLp element) {
  const std::optional<Spot> spot = impl_->FindForOp(element);
  if (!spot.has_value()) return std::nullopt;
  return impl_->OpIndexOf(*spot);
}

const MovableListItem* MovableListState::ItemAtOpIndex(uint32_t op_index) const {
  return op_index < item_count() ? &impl_->At(op_index).item() : nullptr;
}

Result<uint32_t> MovableListState::OpIndexOf(uint32_t index) const {
  if (index > length()) return OutOfRange(index, length());
  if (index == length()) return item_count();
  return impl_->OpIndexOf(impl_->VisibleAt(index));
}

Result<uint32_t> MovableListState::UserIndexOf(uint32_t op_index) const {
  if (op_index > item_count()) return OutOfRange(op_index, item_count());
  if (op_index == item_count()) return length();
  const Spot spot = impl_->At(op_index);
  uint32_t index = impl_->tree.Before(spot.leaf).visible;
  for (size_t i = 0; i < spot.offset; ++i) index += spot.leaf->items[i].visible ? 1 : 0;
  return index;
}

void MovableListState::ForEach(const std::function<void(const MovableListItem&)>& visit) const {
  ForEachItem([&visit](const MovableListItem& item) {
    if (item.visible) visit(item);
  });
}

void MovableListState::ForEachItem(const std::function<void(const MovableListItem&)>& visit) const {
  for (const Leaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    for (const MovableListItem& item : leaf->items) visit(item);
  }
}

Result<std::vector<DeleteRun>> MovableListState::RunsForDelete(uint32_t index,
                                                               uint32_t count) const {
  if (index > length() || count > length() - index) {
    return OutOfRange(uint64_t{index} + count, length());
  }
  std::vector<DeleteRun> runs;
  if (count == 0) return runs;
  Spot spot = impl_->VisibleAt(index);
  uint32_t op_index = impl_->OpIndexOf(spot);
  for (uint32_t left = count; left > 0; ++op_index, ++spot.offset) {
    if (spot.offset == spot.leaf->items.size()) spot = {spot.leaf->next, 0};
    const MovableListItem& item = spot.item();
    if (!item.visible) continue;
    --left;
    if (!runs.empty()) {
      DeleteRun& run = runs.back();
      if (run.index + run.count == op_index &&
          run.first.Plus(static_cast<Counter>(run.count)) == item.id) {
        ++run.count;
        continue;
      }
    }
    runs.push_back({.index = op_index, .first = item.id, .count = 1});
  }
  std::reverse(runs.begin(), runs.end());
  return runs;
}

Result<std::optional<MovableListState::MoveOp>> MovableListState::OpForMove(uint32_t from,
                                                                            uint32_t to) const {
  for (const uint32_t index : {from, to}) {
    if (index >= length()) return OutOfRange(index, length());
  }
  if (from == to) return std::optional<MoveOp>();
  const Spot source = impl_->VisibleAt(from);
  // In front of the item at `to` when moving down, behind it when moving up.
  return std::optional(MoveOp{.from = impl_->OpIndexOf(source),
                              .to = impl_->OpIndexOf(impl_->VisibleAt(to)),
                              .element = source.item().element});
}

Result<MovableListState> MovableListState::FromImage(MovableListImage image) {
  MovableListState list;
  if (image.items.size() > kItemsMax) {
    return LimitReached("movable list: more than " + std::to_string(kItemsMax) + " items");
  }
  std::vector<IdLp> elements;
  std::vector<Id> ids;
  ids.reserve(image.items.size());
  std::vector<MovableListItem> items;
  items.reserve(image.items.size());
  for (MovableListImage::Item& item : image.items) {
    ids.push_back(item.id);
    items.push_back(InvisibleItem(item.id, item.lamport));
    if (!item.visible) continue;
    items.back().visible = true;
    elements.push_back(item.element);
    items.back().element = item.element;
    items.back().last_set = item.last_set;
    items.back().value = std::move(item.value);
  }
  std::sort(elements.begin(), elements.end());
  if (std::adjacent_find(elements.begin(), elements.end()) != elements.end()) {
    return Corruption("movable list: one element twice");
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return Corruption("movable list: one item twice");
  }
  if (!items.empty()) list.impl_->Insert(0, std::move(items));
  return list;
}

MovableListImage MovableListState::ToImage() const {
  MovableListImage image;
  image.items.reserve(item_count());
  ForEachItem([&image](const MovableListItem& item) {
    image.items.push_back({.id = item.id,
                           .lamport = item.lamport,
                           .visible = item.visible,
                           .element = item.element,
                           .last_set = item.last_set,
                           .value = item.value});
  });
  return image;
}

size_t MovableListState::MemoryBytes() const {
  constexpr size_t kIndexEntryBytes = sizeof(std::pair<IdLp, Leaf*>) + 2 * sizeof(void*);
  size_t bytes = sizeof(Impl) + impl_->tree.InnerBytes() +
                 impl_->by_element.size() * kIndexEntryBytes +
                 impl_->by_element.bucket_count() * sizeof(void*);
  for (const Leaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    bytes += sizeof(Leaf) + leaf->items.capacity() * sizeof(MovableListItem);
    for (const MovableListItem& item : leaf->items) bytes += item.value.HeapBytes();
  }
  return bytes;
}

void MovableListState::CheckInvariants() const {
  impl_->tree.CheckInvariants();
  std::vector<IdLp> elements;
  for (Leaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    MERROW_CHECK(!leaf->items.empty() && leaf->items.size() <= kLeafMax);
    for (const MovableListItem& item : leaf->items) {
      if (item.visible) {
        elements.push_back(item.element);
        if (!impl_->by_element.empty()) MERROW_CHECK(impl_->by_element.at(item.element) == leaf);
      } else {
        MERROW_CHECK(item.value.is_null() && item.element == IdLp() && item.last_set == IdLp());
      }
    }
  }
  MERROW_CHECK(impl_->by_element.empty() || impl_->by_element.size() == elements.size());
  std::sort(elements.begin(), elements.end());
  MERROW_CHECK(std::adjacent_find(elements.begin(), elements.end()) == elements.end());
}

}  // namespace merrow::loro
