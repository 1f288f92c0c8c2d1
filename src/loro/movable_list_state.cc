// SPDX-License-Identifier: Apache-2.0
#include "loro/movable_list_state.h"

#include <algorithm>
#include <string>
#include <utility>

#include "loro/state_codec.h"
#include "loro/tie_break.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

using Slot = MovableListItems::Slot;
using Spot = MovableListItems::Spot;

/// Most items of one list; op positions are int32.
constexpr uint32_t kItemsMax = 0x7fffffff;

Error OutOfRange(uint64_t position, uint32_t length) {
  return InvalidArgument("movable list: position " + std::to_string(position) +
                         " is past the end, which is " + std::to_string(length));
}

}  // namespace

struct MovableListState::Impl {
  const MovableListItem& ItemAt(const Spot& spot) const { return items.item(items.SlotAt(spot)); }

  MovableListItems items;
};

MovableListState::MovableListState() : impl_(std::make_unique<Impl>()) {}
MovableListState::~MovableListState() = default;
MovableListState::MovableListState(MovableListState&&) noexcept = default;
MovableListState& MovableListState::operator=(MovableListState&&) noexcept = default;

uint32_t MovableListState::length() const { return impl_->items.total().visible; }
uint32_t MovableListState::item_count() const { return impl_->items.total().items; }

Status MovableListState::InsertAt(uint32_t op_index, Id id, Lamport lamport,
                                  std::vector<Value> values) {
  if (op_index > item_count()) return OutOfRange(op_index, item_count());
  if (values.size() > kItemsMax - item_count()) {
    return LimitReached("movable list: more than " + std::to_string(kItemsMax) + " items");
  }
  if (values.empty()) return {};
  MovableListItems& items = impl_->items;
  std::vector<Slot> slots;
  slots.reserve(values.size());
  for (Value& value : values) {
    const auto i = static_cast<uint32_t>(slots.size());
    const Id its_id = id.Plus(static_cast<Counter>(i));
    MovableListItem item = MovableListItem::Invisible(its_id, lamport + i);
    item.Show(item.idlp(), item.idlp(), std::move(value));
    slots.push_back(items.Add(std::move(item)));
  }
  items.InsertAt(op_index, slots);
  return {};
}

Status MovableListState::DeleteAt(uint32_t op_index, uint32_t count) {
  if (op_index > item_count() || count > item_count() - op_index) {
    return OutOfRange(uint64_t{op_index} + count, item_count());
  }
  impl_->items.Erase(op_index, count);
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

  MovableListItems& items = impl_->items;
  MovableListItem item = MovableListItem::Invisible(move.id, move.lamport);
  if (move.from.has_value()) {
    // Nearly always the element is still there, and this move is its latest.
    const Spot spot = items.At(*move.from);
    const Slot slot = items.SlotAt(spot);
    const MovableListItem& source = items.item(slot);
    if (source.visible && source.element() == move.element && source.idlp() <= item.idlp()) {
      items.TakeOut(spot);
      items.SetId(slot, move.id, move.lamport);
      items.InsertAt(move.to, {&slot, 1});
      return {};
    }
  }
  if (const std::optional<Slot> holder = items.FindForOp(move.element)) {
    if (items.item(*holder).idlp() <= item.idlp()) {
      MovableListItem held = items.Hide(*holder);
      item.Show(move.element, held.last_set(), std::move(held.value));
    }
  } else {
    if (resolve == nullptr) {
      return Corruption("movable list: a move of an element that is not here");
    }
    MERROW_ASSIGN(ElementHistory history, resolve(move.element));
    // Equal if the history has this op already.
    if (history.position <= item.idlp()) {
      item.Show(move.element, history.last_set, std::move(history.value));
    }
  }
  if (move.from.has_value()) items.Erase(*move.from, 1);
  const Slot slot = items.Add(std::move(item));
  items.InsertAt(move.to, {&slot, 1});
  return {};
}

void MovableListState::Set(IdLp element, Value value, IdLp writer) {
  const std::optional<Slot> slot = impl_->items.FindForOp(element);
  if (!slot.has_value()) return;
  if (!ElementSetWins(writer, impl_->items.item(*slot).last_set())) return;
  impl_->items.SetValue(*slot, std::move(value), writer);
}

const MovableListItem* MovableListState::Item(uint32_t index) const {
  return index < length() ? &impl_->ItemAt(impl_->items.VisibleAt(index)) : nullptr;
}

const Value* MovableListState::Get(uint32_t index) const {
  const MovableListItem* const item = Item(index);
  return item == nullptr ? nullptr : &item->value;
}

const MovableListItem* MovableListState::Find(IdLp element) const {
  const std::optional<Slot> slot = impl_->items.Find(element);
  return slot.has_value() ? &impl_->items.item(*slot) : nullptr;
}

std::optional<uint32_t> MovableListState::OpIndexOfElement(IdLp element) {
  const std::optional<Slot> slot = impl_->items.FindForOp(element);
  if (!slot.has_value()) return std::nullopt;
  return impl_->items.OpIndexOf(impl_->items.SpotOf(*slot));
}

const MovableListItem* MovableListState::ItemAtOpIndex(uint32_t op_index) const {
  return op_index < item_count() ? &impl_->ItemAt(impl_->items.At(op_index)) : nullptr;
}

Result<uint32_t> MovableListState::OpIndexOf(uint32_t index) const {
  if (index > length()) return OutOfRange(index, length());
  if (index == length()) return item_count();
  return impl_->items.OpIndexOf(impl_->items.VisibleAt(index));
}

Result<uint32_t> MovableListState::UserIndexOf(uint32_t op_index) const {
  if (op_index > item_count()) return OutOfRange(op_index, item_count());
  if (op_index == item_count()) return length();
  return impl_->items.UserIndexOf(impl_->items.At(op_index));
}

void MovableListState::ForEach(const std::function<void(const MovableListItem&)>& visit) const {
  impl_->items.ForEach([&visit](const MovableListItem& item) {
    if (item.visible) visit(item);
  });
}

void MovableListState::ForEachItem(const std::function<void(const MovableListItem&)>& visit) const {
  impl_->items.ForEach(visit);
}

Result<std::vector<DeleteRun>> MovableListState::RunsForDelete(uint32_t index,
                                                               uint32_t count) const {
  if (index > length() || count > length() - index) {
    return OutOfRange(uint64_t{index} + count, length());
  }
  std::vector<DeleteRun> runs;
  if (count == 0) return runs;
  Spot spot = impl_->items.VisibleAt(index);
  uint32_t op_index = impl_->items.OpIndexOf(spot);
  for (uint32_t left = count; left > 0; ++op_index, ++spot.offset) {
    if (spot.offset == spot.leaf->slots.size()) spot = {spot.leaf->next, 0};
    const MovableListItem& item = impl_->ItemAt(spot);
    if (!item.visible) continue;
    --left;
    if (!runs.empty()) {
      DeleteRun& run = runs.back();
      if (run.index + run.count == op_index &&
          run.first.Plus(static_cast<Counter>(run.count)) == item.id()) {
        ++run.count;
        continue;
      }
    }
    runs.push_back({.index = op_index, .first = item.id(), .count = 1});
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
  const MovableListItems& items = impl_->items;
  const Spot source = items.VisibleAt(from);
  // In front of the item at `to` when moving down, behind it when moving up.
  return std::optional(MoveOp{.from = items.OpIndexOf(source),
                              .to = items.OpIndexOf(items.VisibleAt(to)),
                              .element = impl_->ItemAt(source).element()});
}

Result<MovableListState> MovableListState::FromImage(MovableListImage image) {
  MovableListState list;
  if (image.items.size() > kItemsMax) {
    return LimitReached("movable list: more than " + std::to_string(kItemsMax) + " items");
  }
  std::vector<IdLp> elements;
  elements.reserve(image.items.size());
  std::vector<Id> ids;
  ids.reserve(image.items.size());
  for (const MovableListImage::Item& item : image.items) {
    ids.push_back(item.id);
    if (item.visible) elements.push_back(item.element);
  }
  std::sort(elements.begin(), elements.end());
  if (std::adjacent_find(elements.begin(), elements.end()) != elements.end()) {
    return Corruption("movable list: one element twice");
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return Corruption("movable list: one item twice");
  }
  MovableListItems& items = list.impl_->items;
  items.Reserve(image.items.size());
  std::vector<Slot> slots;
  slots.reserve(image.items.size());
  for (MovableListImage::Item& loaded : image.items) {
    MovableListItem item = MovableListItem::Invisible(loaded.id, loaded.lamport);
    if (loaded.visible) item.Show(loaded.element, loaded.last_set, std::move(loaded.value));
    slots.push_back(items.Add(std::move(item)));
  }
  if (!slots.empty()) items.InsertAt(0, slots);
  return list;
}

MovableListImage MovableListState::ToImage() const {
  MovableListImage image;
  image.items.reserve(item_count());
  ForEachItem([&image](const MovableListItem& item) {
    image.items.push_back({.id = item.id(),
                           .lamport = item.lamport,
                           .visible = item.visible,
                           .element = item.element(),
                           .last_set = item.last_set(),
                           .value = item.value});
  });
  return image;
}

size_t MovableListState::MemoryBytes() const { return sizeof(Impl) + impl_->items.MemoryBytes(); }

void MovableListState::CheckInvariants() const { impl_->items.CheckInvariants(); }

}  // namespace merrow::loro
