// SPDX-License-Identifier: Apache-2.0
#include "loro/state.h"

#include "loro/event_recorder.h"
#include "loro/history.h"
#include "loro/utf8.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

Container::AnyState EmptyState(ContainerKind kind) {
  switch (kind) {
    case ContainerKind::kMap:
      return MapState();
    case ContainerKind::kList:
      return ListState();
    case ContainerKind::kText:
      return TextState();
    case ContainerKind::kMovableList:
      return MovableListState();
    case ContainerKind::kTree:
      return TreeState();
    case ContainerKind::kCounter:
      return CounterState();
    default:
      return OpaqueState();
  }
}

Result<uint32_t> CheckedPosition(int64_t position) {
  if (position < 0 || position > INT32_MAX) {
    return Corruption("op position " + std::to_string(position) + " is out of range");
  }
  return static_cast<uint32_t>(position);
}

// Loro's deletes go around style anchors, and a style end without its start cannot be stored.
Status CheckNoAnchors(const TextState& text, uint32_t position, uint32_t length) {
  if (!text.has_styles() || uint64_t{position} + length > text.entity_length()) return {};
  MERROW_ASSIGN(const uint32_t from, text.EntityToUnicode(position));
  MERROW_ASSIGN(const uint32_t to, text.EntityToUnicode(position + length));
  if (to - from == length) return {};
  return Corruption("a delete at entity " + std::to_string(position) + " covers a style anchor");
}

// The values of a slice of a list insert.
Result<std::vector<Value>> SliceValues(const OpSlice& slice) {
  MERROW_ASSIGN(std::vector<Value> values, OpValues(*slice.block, *slice.op));
  const auto first = values.begin() + slice.skip;
  return std::vector<Value>(std::make_move_iterator(first),
                            std::make_move_iterator(first + slice.length));
}

}  // namespace

const Container* State::Find(const ContainerId& id) const {
  const std::optional<uint32_t> found =
      index_.Find(containers_.size(), ContainerIdHash()(id),
                  [&](uint32_t i) { return containers_[i].id == id; });
  return found.has_value() ? &containers_[*found] : nullptr;
}

Container* State::Find(const ContainerId& id) {
  // Ops and edits that follow each other are mostly about the same container.
  if (last_found_ >= containers_.size() || !(containers_[last_found_].id == id)) {
    const Container* const found = static_cast<const State*>(this)->Find(id);
    if (found == nullptr) return nullptr;
    last_found_ = static_cast<size_t>(found - containers_.data());
  }
  containers_[last_found_].is_changed = true;
  return &containers_[last_found_];
}

Container& State::Add(const ContainerId& id, std::optional<ContainerId> parent) {
  containers_.push_back({id, std::move(parent), EmptyState(id.kind())});
  index_.Added(containers_.size(),
               [this](uint32_t i) { return ContainerIdHash()(containers_[i].id); });
  return containers_.back();
}

Container& State::Open(const ContainerId& id) {
  Container* container = Find(id);
  if (container != nullptr) return *container;
  Container& added = Add(id, std::nullopt);
  if (!id.is_root()) added.state = OpaqueState();
  return added;
}

void State::Truncate(size_t count) {
  if (containers_.size() <= count) return;
  while (containers_.size() > count) containers_.pop_back();
  index_ = HashIndex();
  index_.Added(containers_.size(),
               [this](uint32_t i) { return ContainerIdHash()(containers_[i].id); });
}

void State::AdoptChildren(const Value& value, const ContainerId& parent) {
  if (const auto* child = value.If<ContainerId>()) {
    // A container that an op on it claims to create is none.
    if (*child != parent && Find(*child) == nullptr) {
      Add(*child, parent);
      if (recorder_ != nullptr) recorder_->Adopted(*child);
    }
  } else if (const auto* list = value.If<Value::List>()) {
    for (const Value& item : *list) AdoptChildren(item, parent);
  } else if (const auto* map = value.If<Value::Map>()) {
    for (const auto& [key, item] : *map) AdoptChildren(item, parent);
  }
}

void State::AdoptNode(Id node, const ContainerId& tree) {
  const ContainerId data = ContainerId::Normal(node, ContainerKind::kMap);
  if (Find(data) != nullptr) return;
  Add(data, tree);
  if (recorder_ != nullptr) recorder_->Adopted(data);
}

Status State::Apply(const OpSlice& slice, History& history) {
  const Op& op = *slice.op;
  switch (op.kind) {
    case OpKind::kTextInsert:
    case OpKind::kListInsert:
    case OpKind::kTextMarkStart: {
      MERROW_ASSIGN(const uint32_t position, CheckedPosition(slice.position()));
      return ApplyInsertAt(slice, position);
    }
    case OpKind::kDelete: {
      const bool backwards = op.signed_length < 0;
      const int64_t first = slice.position() - (backwards ? int64_t{slice.length} - 1 : 0);
      MERROW_ASSIGN(const uint32_t position, CheckedPosition(first));
      return DeleteAt(slice.container(), position, slice.length);
    }
    case OpKind::kMapSet:
    case OpKind::kMapDelete:
      return ApplyMap(slice);
    case OpKind::kCounterAdd: {
      if (auto* counter = OpenAs<CounterState>(slice.container())) {
        AddToCounter(slice.container(), counter, op.delta);
      }
      return {};
    }
    case OpKind::kMove: {
      MERROW_ASSIGN(const uint32_t to, CheckedPosition(slice.position()));
      return MoveAt(slice, op.from, to, history);
    }
    case OpKind::kSet: {
      MERROW_ASSIGN(Value value, OpValue(*slice.block, op));
      AdoptChildren(value, slice.container());
      if (auto* list = OpenAs<MovableListState>(slice.container())) {
        // What is shown is known.
        if (list->Find(op.element) == nullptr) MERROW_TRY(history.CheckElement(slice));
        SetElement(slice.container(), list, op.element, std::move(value),
                   {slice.lamport, slice.block->peer});
      }
      return {};
    }
    case OpKind::kTreeMove: {
      auto* tree = OpenAs<TreeState>(slice.container());
      if (tree == nullptr) return {};
      TreeMove move = TreeMoveOf(slice);
      const Id node = move.node;
      MoveNode(slice.container(), tree, std::move(move));
      if (node == slice.id()) AdoptNode(node, slice.container());
      return {};
    }
    case OpKind::kTextMarkEnd: {
      Open(slice.container());
      MERROW_ASSIGN(const std::optional<int64_t> wire_position, history.EndOfMark(slice));
      if (!wire_position.has_value()) return {};
      MERROW_ASSIGN(const uint32_t position, CheckedPosition(*wire_position));
      return ApplyMarkEndAt(slice, position);
    }
    case OpKind::kUnknown:
      Open(slice.container());
      return {};
  }
  MERROW_CHECK(false);
}

void State::Prefetch(const ChangeBlock& block, const Op& op) const {
  // So many ops ahead that memory has answered by then.
  constexpr size_t kSlotAhead = 16;
  constexpr size_t kEntryAhead = 8;
  // Smaller maps stay in the cache.
  constexpr size_t kEntriesMin = 4096;
  const auto left = static_cast<size_t>(block.ops.data() + block.ops.size() - &op);
  if (left <= kSlotAhead || last_found_ >= containers_.size()) return;
  const auto* map = std::get_if<MapState>(&containers_[last_found_].state);
  if (map == nullptr || map->entries().size() < kEntriesMin) return;
  const auto is_here = [&](const Op& later) {
    return (later.kind == OpKind::kMapSet || later.kind == OpKind::kMapDelete) &&
           later.container == op.container;
  };
  const auto key_of = [&](const Op& later) { return block.keys[static_cast<size_t>(later.prop)]; };
  const Op& far = *(&op + kSlotAhead);
  const Op& near = *(&op + kEntryAhead);
  if (is_here(far)) map->PrefetchSlot(key_of(far));
  if (is_here(near)) map->PrefetchEntry(key_of(near));
}

Status State::ApplyMap(const OpSlice& slice) {
  std::optional<Value> value;
  if (slice.op->kind == OpKind::kMapSet) {
    MERROW_ASSIGN(value, OpValue(*slice.block, *slice.op));
    AdoptChildren(*value, slice.container());
  }
  if (auto* map = OpenAs<MapState>(slice.container())) {
    const std::string_view key = slice.block->keys[static_cast<size_t>(slice.op->prop)];
    Prefetch(*slice.block, *slice.op);
    WriteMap(slice.container(), map, key, std::move(value), {slice.lamport, slice.block->peer});
  }
  return {};
}

Status State::ApplyInsertAt(const OpSlice& slice, uint32_t position) {
  const Op& op = *slice.op;
  if (op.kind == OpKind::kListInsert) {
    MERROW_ASSIGN(std::vector<Value> values, SliceValues(slice));
    for (const Value& value : values) AdoptChildren(value, slice.container());
    return InsertValues(slice.container(), position, slice.id(), slice.lamport, std::move(values));
  }
  auto* text = OpenAs<TextState>(slice.container());
  if (text == nullptr) return {};
  if (op.kind == OpKind::kTextInsert) {
    const bool whole = slice.length == op.length;
    const std::string_view utf8 =
        whole ? op.payload : SliceScalars(op.payload, slice.skip, slice.length);
    return InsertText(slice.container(), text, position, slice.id(), slice.lamport, utf8,
                      slice.length);
  }
  MERROW_CHECK(op.kind == OpKind::kTextMarkStart);
  MERROW_ASSIGN(Value value, OpValue(*slice.block, op));
  return InsertStyleStart(slice.container(), text, position, slice.id(), slice.lamport,
                          slice.block->keys[op.mark_key], std::move(value), op.mark_info);
}

Status State::ApplyMarkEndAt(const OpSlice& slice, uint32_t position) {
  auto* text = OpenAs<TextState>(slice.container());
  if (text == nullptr) return {};
  return InsertStyleEnd(slice.container(), text, position, slice.id(), slice.lamport);
}

Status State::DeleteAt(const ContainerId& id, uint32_t position, uint32_t length) {
  Container& container = Open(id);
  Container::AnyState& state = container.state;
  auto* const text = std::get_if<TextState>(&state);
  auto* const list = std::get_if<ListState>(&state);
  auto* const movable = std::get_if<MovableListState>(&state);
  if (text != nullptr) MERROW_TRY(CheckNoAnchors(*text, position, length));
  if (recorder_ != nullptr) {
    const uint64_t count = text != nullptr      ? text->entity_length()
                           : list != nullptr    ? list->length()
                           : movable != nullptr ? movable->item_count()
                                                : 0;
    if (uint64_t{position} + length <= count) recorder_->Deleting(container, position, length);
  }
  if (text != nullptr) return text->Delete(position, length);
  if (list != nullptr) return list->Delete(position, length);
  if (movable != nullptr) return movable->DeleteAt(position, length);
  return {};
}

Status State::MoveAt(const OpSlice& slice, std::optional<uint32_t> from, uint32_t to,
                     History& history) {
  const ContainerId& id = slice.container();
  auto* list = OpenAs<MovableListState>(id);
  if (list == nullptr) return {};
  const MovableListState::Move move{.from = from,
                                    .to = to,
                                    .id = slice.id(),
                                    .lamport = slice.lamport,
                                    .element = slice.op->element};
  return MoveElement(id, list, move, [&](IdLp element) -> Result<ElementHistory> {
    MERROW_TRY(history.CheckElement(slice));
    return history.Element(id, element);
  });
}

bool State::WriteMap(const ContainerId& id, MapState* map, std::string_view key,
                     std::optional<Value> value, IdLp writer) {
  if (recorder_ == nullptr) return map->Write(key, std::move(value), writer);
  const Value* const old_value = map->Get(key);
  const std::optional<Value> before =
      old_value == nullptr ? std::nullopt : std::optional(*old_value);
  const std::optional<Value> fresh = value;
  const bool is_written = map->Write(key, std::move(value), writer);
  if (is_written) recorder_->MapWritten(id, key, before);
  const std::optional<Value>& unseen = is_written ? before : fresh;
  if (unseen.has_value()) recorder_->Hide(*unseen);
  return is_written;
}

Status State::InsertText(const ContainerId& id, TextState* text, uint32_t entity_index, Id first,
                         Lamport lamport, std::string_view utf8, uint32_t unicode_length) {
  MERROW_TRY(text->InsertText(entity_index, first, lamport, utf8, unicode_length));
  if (recorder_ != nullptr) recorder_->TextInserted(id, entity_index, unicode_length);
  return {};
}

Status State::InsertStyleStart(const ContainerId& id, TextState* text, uint32_t entity_index,
                               Id anchor, Lamport lamport, std::string_view key, Value value,
                               uint8_t info) {
  MERROW_TRY(text->InsertStyleStart(entity_index, anchor, lamport, key, std::move(value), info));
  if (recorder_ != nullptr) recorder_->StyleInserted(id, entity_index, anchor);
  return {};
}

Status State::InsertStyleEnd(const ContainerId& id, TextState* text, uint32_t entity_index,
                             Id anchor, Lamport lamport) {
  MERROW_TRY(text->InsertStyleEnd(entity_index, anchor, lamport));
  if (recorder_ != nullptr) recorder_->StyleInserted(id, entity_index, anchor.Plus(-1));
  return {};
}

Status State::InsertValues(const ContainerId& id, uint32_t position, Id first, Lamport lamport,
                           std::vector<Value> values) {
  Container::AnyState& state = Open(id).state;
  const auto count = static_cast<uint32_t>(values.size());
  if (auto* list = std::get_if<ListState>(&state)) {
    MERROW_TRY(list->Insert(position, first, lamport, std::move(values)));
  } else if (auto* movable = std::get_if<MovableListState>(&state)) {
    MERROW_TRY(movable->InsertAt(position, first, lamport, std::move(values)));
  } else {
    return {};
  }
  if (recorder_ != nullptr) recorder_->ValuesInserted(id, position, count);
  return {};
}

void State::SetElement(const ContainerId& id, MovableListState* list, IdLp element, Value value,
                       IdLp writer) {
  if (recorder_ == nullptr) return list->Set(element, std::move(value), writer);
  const std::optional<uint32_t> op_index = list->OpIndexOfElement(element);
  const MovableListItem* const item =
      op_index.has_value() ? list->ItemAtOpIndex(*op_index) : nullptr;
  if (item == nullptr || writer < item->last_set()) {
    recorder_->Hide(value);
    return;
  }
  // The old value may hold the same container, if history knew of this write already.
  recorder_->Hide(item->value);
  recorder_->Unhide(value);
  recorder_->ElementWritten(id, *op_index);
  list->Set(element, std::move(value), writer);
}

Status State::MoveElement(const ContainerId& id, MovableListState* list,
                          const MovableListState::Move& move, const ElementResolver& resolve) {
  if (recorder_ == nullptr) return list->MoveAt(move, resolve);
  const std::optional<uint32_t> old_index = list->OpIndexOfElement(move.element);
  const bool is_in_range = !move.from.has_value() || *move.from < list->item_count();
  if (is_in_range) recorder_->Moving(id, *list, move, old_index);
  MERROW_TRY(list->MoveAt(move, resolve));
  const MovableListItem* const item = list->Find(move.element);
  if (item != nullptr) recorder_->ElementShown(*item);
  return {};
}

void State::MoveNode(const ContainerId& id, TreeState* tree, TreeMove move) {
  if (recorder_ != nullptr) recorder_->TouchingNode(id, *tree, move.node);
  tree->ApplyLatest(std::move(move));
}

void State::AddToCounter(const ContainerId& id, CounterState* counter, double delta) {
  counter->sum += delta;
  if (recorder_ != nullptr) recorder_->CounterAdded(id, delta);
}

void State::MergeTree(const ContainerId& id, std::vector<TreeMove> moves, History& history) {
  auto* tree = OpenAs<TreeState>(id);
  if (tree == nullptr || moves.empty()) return;
  IdLp oldest = moves.front().key();
  for (const TreeMove& move : moves) oldest = std::min(oldest, move.key());
  if (recorder_ != nullptr) {
    for (const TreeMove& move : moves) recorder_->TouchingNode(id, *tree, move.node);
    const std::vector<Id> nodes =
        tree->HasLogSince(oldest) ? tree->NodesMovedSince(oldest) : tree->Nodes();
    for (const Id node : nodes) recorder_->TouchingNode(id, *tree, node);
  }
  if (tree->HasLogSince(oldest)) {
    tree->Merge(std::move(moves));
  } else {
    *tree = history.ReplayTree(id, oldest, tree->log_max());
  }
}

size_t State::MemoryBytes() const {
  size_t bytes = containers_.capacity() * sizeof(Container) + index_.MemoryBytes();
  for (const Container& container : containers_) {
    bytes += std::visit(
        [](const auto& state) -> size_t {
          if constexpr (requires { state.MemoryBytes(); }) return state.MemoryBytes();
          return 0;
        },
        container.state);
  }
  return bytes;
}

void State::CheckInvariants() const {
  for (const Container& container : containers_) {
    MERROW_CHECK(Find(container.id) == &container);
    MERROW_CHECK(container.id.is_root() || container.parent.has_value() ||
                 std::holds_alternative<OpaqueState>(container.state));
    std::visit(
        [](const auto& state) {
          if constexpr (requires { state.CheckInvariants(); }) state.CheckInvariants();
        },
        container.state);
  }
}

}  // namespace merrow::loro
