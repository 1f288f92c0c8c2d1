// SPDX-License-Identifier: Apache-2.0
#include "loro/movable_list_items.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "merrow/check.h"

namespace merrow::loro {
namespace {

using Slot = MovableListItems::Slot;
constexpr Slot kNoSlot = UINT32_MAX;
/// Up to this many items, elements are found by scanning.
constexpr size_t kScanMax = 32;

uint32_t Items(const MovableListItems::Sum& sum) { return sum.items; }
uint32_t Visible(const MovableListItems::Sum& sum) { return sum.visible; }

size_t Hash(IdLp id) {
  const uint64_t mixed =
      (id.peer ^ (uint64_t{id.lamport} << 32 | id.lamport)) * 0x9e3779b97f4a7c15U;
  return static_cast<size_t>(mixed ^ (mixed >> 32));
}

uint64_t LowBits(uint32_t count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }
uint64_t ShiftedUp(uint64_t bits, uint32_t by) { return by >= 64 ? 0 : bits << by; }
uint64_t ShiftedDown(uint64_t bits, uint32_t by) { return by >= 64 ? 0 : bits >> by; }

}  // namespace

// --- Leaves ---

MovableListItems::Sum MovableListItems::Leaf::sum() const {
  return {slots.size(), static_cast<uint32_t>(std::popcount(visible))};
}

void MovableListItems::Leaf::Insert(uint32_t at, Slot added, bool is_visible) {
  slots.Insert(at, added);
  visible = (visible & LowBits(at)) | ShiftedUp(is_visible ? 1 : 0, at) |
            ShiftedUp(ShiftedDown(visible, at), at + 1);
}

void MovableListItems::Leaf::Erase(uint32_t at, uint32_t count) {
  slots.Erase(at, count);
  visible = (visible & LowBits(at)) | ShiftedUp(ShiftedDown(visible, at + count), at);
}

// --- Places ---

MovableListItems::Spot MovableListItems::At(uint32_t op_index) const {
  Leaf* const leaf = tree_.Find(Items, &op_index);
  return {leaf, op_index};
}

MovableListItems::Spot MovableListItems::VisibleAt(uint32_t index) const {
  Leaf* const leaf = tree_.Find(Visible, &index);
  uint64_t rest = leaf->visible;
  const auto in_front = static_cast<uint32_t>(std::countr_one(rest));
  if (index < in_front) return {leaf, index};
  for (; index > 0; --index) rest &= rest - 1;
  return {leaf, static_cast<uint32_t>(std::countr_zero(rest))};
}

Slot MovableListItems::SlotAt(const Spot& spot) const { return spot.leaf->slots[spot.offset]; }

MovableListItems::Spot MovableListItems::SpotOf(Slot slot) const {
  Leaf* const leaf = slots_[slot].leaf;
  const std::span<const Slot> slots = std::as_const(leaf->slots).span();
  const auto found = std::find(slots.begin(), slots.end(), slot);
  return {leaf, static_cast<uint32_t>(found - slots.begin())};
}

uint32_t MovableListItems::OpIndexOf(const Spot& spot) const {
  return tree_.Before(spot.leaf).items + spot.offset;
}

uint32_t MovableListItems::UserIndexOf(const Spot& spot) const {
  const uint64_t in_front = spot.leaf->visible & LowBits(spot.offset);
  return tree_.Before(spot.leaf).visible + static_cast<uint32_t>(std::popcount(in_front));
}

// --- Elements by name ---

std::optional<Slot> MovableListItems::Find(IdLp element) const {
  if (!index_.empty()) {
    const Slot slot = index_[EntryOf(element)];
    return slot == kNoSlot ? std::nullopt : std::optional(slot);
  }
  for (Slot slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].item.visible && slots_[slot].item.element() == element) return slot;
  }
  return std::nullopt;
}

std::optional<Slot> MovableListItems::FindForOp(IdLp element) {
  if (index_.empty() && total().visible > kScanMax) MakeIndex(total().visible);
  return Find(element);
}

size_t MovableListItems::HomeOf(Slot slot) const {
  return Hash(slots_[slot].item.element()) & (index_.size() - 1);
}

// The entry of an element, or the free one where it would be.
size_t MovableListItems::EntryOf(IdLp element) const {
  const size_t mask = index_.size() - 1;
  size_t entry = Hash(element) & mask;
  while (index_[entry] != kNoSlot && slots_[index_[entry]].item.element() != element) {
    entry = (entry + 1) & mask;
  }
  return entry;
}

// `count`: how many slots have a visible item.
void MovableListItems::MakeIndex(size_t count) {
  size_t capacity = 64;
  while (capacity * 3 < count * 4) capacity *= 2;
  index_.assign(capacity, kNoSlot);
  indexed_ = count;
  for (Slot slot = 0; slot < slots_.size(); ++slot) {
    const MovableListItem& item = slots_[slot].item;
    if (item.visible) index_[EntryOf(item.element())] = slot;
  }
}

void MovableListItems::Enter(Slot slot) {
  if (index_.empty()) return;
  if ((indexed_ + 1) * 4 > index_.size() * 3) return MakeIndex(indexed_ + 1);
  index_[EntryOf(slots_[slot].item.element())] = slot;
  ++indexed_;
}

// The entries behind move up to where they would be without it.
void MovableListItems::Forget(Slot slot) {
  if (index_.empty()) return;
  const size_t mask = index_.size() - 1;
  size_t gap = EntryOf(slots_[slot].item.element());
  for (size_t next = (gap + 1) & mask; index_[next] != kNoSlot; next = (next + 1) & mask) {
    const size_t home = HomeOf(index_[next]);
    if (((next - home) & mask) < ((next - gap) & mask)) continue;
    index_[gap] = index_[next];
    gap = next;
  }
  index_[gap] = kNoSlot;
  --indexed_;
}

// --- Changes ---

Slot MovableListItems::Add(MovableListItem item) {
  Slot slot = static_cast<Slot>(slots_.size());
  if (free_.empty()) {
    // Grows by less than double: items are large.
    if (slots_.size() == slots_.capacity()) slots_.reserve(slots_.size() * 5 / 4 + 4);
    slots_.push_back({std::move(item), nullptr});
  } else {
    slot = free_.back();
    free_.pop_back();
    slots_[slot].item = std::move(item);
  }
  if (slots_[slot].item.visible) Enter(slot);
  return slot;
}

void MovableListItems::Free(Slot slot) {
  if (slots_[slot].item.visible) Forget(slot);
  slots_[slot] = {};
  free_.push_back(slot);
}

// The leaf becomes one of these items. Its sums are the caller's matter.
void MovableListItems::Fill(Leaf* leaf, std::span<const Slot> slots) {
  leaf->slots.Erase(0, leaf->slots.size());
  leaf->slots.Reserve(static_cast<uint32_t>(slots.size()));
  leaf->slots.Insert(0, slots.data(), static_cast<uint32_t>(slots.size()));
  leaf->visible = 0;
  for (uint32_t i = 0; i < slots.size(); ++i) {
    slots_[slots[i]].leaf = leaf;
    if (item(slots[i]).visible) leaf->visible |= uint64_t{1} << i;
  }
}

void MovableListItems::InsertAt(uint32_t op_index, std::span<const Slot> fresh) {
  if (tree_.empty()) tree_.InsertAfter(nullptr, std::make_unique<Leaf>());
  uint32_t offset = op_index;
  Leaf* const leaf = tree_.Find(Items, &offset);
  if (fresh.size() == 1 && leaf->slots.size() < kLeafMax) {
    Stored& stored = slots_[fresh[0]];
    stored.leaf = leaf;
    leaf->Insert(offset, fresh[0], stored.item.visible);
    tree_.Add(leaf, {1, stored.item.visible ? 1U : 0U});
    return;
  }
  // Into as few leaves as hold them: full ones at the end, where the next insert will be, too.
  const Sum before = leaf->sum();
  const bool at_end = op_index == total().items;
  const std::span<const Slot> old = std::as_const(leaf->slots).span();
  std::vector<Slot> all(old.begin(), old.end());
  all.insert(all.begin() + offset, fresh.begin(), fresh.end());
  const size_t leaves = (all.size() + kLeafMax - 1) / kLeafMax;
  const size_t each = at_end ? kLeafMax : (all.size() + leaves - 1) / leaves;
  const std::span<const Slot> slots = all;
  Fill(leaf, slots.subspan(0, std::min(each, all.size())));
  tree_.Update(leaf, before);
  Leaf* last = leaf;
  for (size_t start = each; start < all.size(); start += each) {
    auto next = std::make_unique<Leaf>();
    Fill(next.get(), slots.subspan(start, std::min(each, all.size() - start)));
    last = tree_.InsertAfter(last, std::move(next));
  }
}

void MovableListItems::Erase(uint32_t op_index, uint32_t count) {
  while (count > 0) {
    const Spot spot = At(op_index);
    const uint32_t taken = std::min(count, spot.leaf->slots.size() - spot.offset);
    for (uint32_t i = 0; i < taken; ++i) Free(spot.leaf->slots[spot.offset + i]);
    const Sum before = spot.leaf->sum();
    spot.leaf->Erase(spot.offset, taken);
    Settle(spot.leaf, before);
    count -= taken;
  }
  if (free_.size() < slots_.size()) return;
  slots_ = {};
  free_ = {};
  index_ = {};
  indexed_ = 0;
}

void MovableListItems::TakeOut(const Spot& spot) {
  slots_[SlotAt(spot)].leaf = nullptr;
  const Sum before = spot.leaf->sum();
  spot.leaf->Erase(spot.offset, 1);
  Settle(spot.leaf, before);
}

// Counts a leaf that lost items and joins it with the next one if both are small.
void MovableListItems::Settle(Leaf* leaf, const Sum& before) {
  if (leaf->slots.empty()) {
    tree_.Remove(leaf, before);
    return;
  }
  tree_.Update(leaf, before);
  Leaf* const next = leaf->next;
  if (next == nullptr || leaf->slots.size() + next->slots.size() > kLeafMax / 2) return;
  const Sum alone = leaf->sum();
  const Sum counted = next->sum();
  leaf->visible |= ShiftedUp(next->visible, leaf->slots.size());
  leaf->slots.Insert(leaf->slots.size(), next->slots.data(), next->slots.size());
  for (const Slot slot : next->slots.span()) slots_[slot].leaf = leaf;
  tree_.Update(leaf, alone);
  tree_.Remove(next, counted);
}

void MovableListItems::SetValue(Slot slot, Value value, IdLp writer) {
  slots_[slot].item.value = std::move(value);
  slots_[slot].item.SetLastSet(writer);
}

MovableListItem MovableListItems::Hide(Slot slot) {
  Forget(slot);
  MovableListItem& item = slots_[slot].item;
  MovableListItem held = std::exchange(item, MovableListItem::Invisible(item.id(), item.lamport));
  const Spot spot = SpotOf(slot);
  const Sum before = spot.leaf->sum();
  spot.leaf->visible &= ~(uint64_t{1} << spot.offset);
  tree_.Update(spot.leaf, before);
  return held;
}

size_t MovableListItems::MemoryBytes() const {
  size_t bytes = tree_.InnerBytes() + slots_.capacity() * sizeof(Stored) +
                 (free_.capacity() + index_.capacity()) * sizeof(Slot);
  for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
    bytes += sizeof(Leaf) + leaf->slots.capacity() * sizeof(Slot);
  }
  for (const Stored& stored : slots_) bytes += stored.item.value.HeapBytes();
  return bytes;
}

void MovableListItems::CheckInvariants() const {
  tree_.CheckInvariants();
  size_t standing = 0;
  std::vector<IdLp> elements;
  for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
    MERROW_CHECK(!leaf->slots.empty() && leaf->slots.size() <= kLeafMax);
    MERROW_CHECK((leaf->visible & ~LowBits(leaf->slots.size())) == 0);
    for (uint32_t i = 0; i < leaf->slots.size(); ++i) {
      const Slot slot = leaf->slots[i];
      const MovableListItem& item = slots_[slot].item;
      ++standing;
      MERROW_CHECK(slots_[slot].leaf == leaf);
      MERROW_CHECK(item.visible == ((leaf->visible >> i & 1) != 0));
      if (item.visible) {
        elements.push_back(item.element());
        if (!index_.empty()) MERROW_CHECK(Find(item.element()) == slot);
      } else {
        MERROW_CHECK(item.value.is_null() && item.element() == IdLp() && item.last_set() == IdLp());
      }
    }
  }
  MERROW_CHECK(standing + free_.size() == slots_.size());
  for (const Slot slot : free_) {
    MERROW_CHECK(slots_[slot].leaf == nullptr && !slots_[slot].item.visible);
  }
  const auto unused = std::count(index_.begin(), index_.end(), kNoSlot);
  MERROW_CHECK(index_.size() - static_cast<size_t>(unused) == indexed_);
  MERROW_CHECK(index_.empty() || indexed_ == elements.size());
  std::sort(elements.begin(), elements.end());
  MERROW_CHECK(std::adjacent_find(elements.begin(), elements.end()) == elements.end());
}

}  // namespace merrow::loro
