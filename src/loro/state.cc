// SPDX-License-Identifier: Apache-2.0
#include "loro/state.h"

#include "base/check.h"
#include "loro/utf8.h"

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
  return const_cast<Container*>(static_cast<const State*>(this)->Find(id));
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

void State::AdoptChildren(const Value& value, const ContainerId& parent) {
  if (const auto* child = value.If<ContainerId>()) {
    if (Find(*child) == nullptr) Add(*child, parent);
  } else if (const auto* list = value.If<Value::List>()) {
    for (const Value& item : *list) AdoptChildren(item, parent);
  } else if (const auto* map = value.If<Value::Map>()) {
    for (const auto& [key, item] : *map) AdoptChildren(item, parent);
  }
}

Status State::Apply(const OpSlice& slice) {
  const Op& op = *slice.op;
  switch (op.kind) {
    case OpKind::kTextInsert:
    case OpKind::kListInsert:
    case OpKind::kTextMarkStart: {
      MERROW_ASSIGN(const uint32_t position, CheckedPosition(slice.position()));
      MERROW_TRY(ApplyInsertAt(slice, position));
      if (op.kind != OpKind::kTextMarkStart) return {};
      return ApplyMarkEndAt(slice, position + op.mark_length + 1);
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
      if (auto* counter = OpenAs<CounterState>(slice.container())) counter->sum += op.delta;
      return {};
    }
    case OpKind::kTextMarkEnd:  // applied with its start
    case OpKind::kMove:
    case OpKind::kSet:
    case OpKind::kTreeMove:
    case OpKind::kUnknown:
      Open(slice.container());
      return {};
  }
  MERROW_CHECK(false);
}

Status State::ApplyMap(const OpSlice& slice) {
  std::optional<Value> value;
  if (slice.op->kind == OpKind::kMapSet) {
    MERROW_ASSIGN(value, OpValue(*slice.block, *slice.op));
    AdoptChildren(*value, slice.container());
  }
  if (auto* map = OpenAs<MapState>(slice.container())) {
    const std::string_view key = slice.block->keys[static_cast<size_t>(slice.op->prop)];
    map->Write(key, std::move(value), {slice.lamport, slice.block->peer});
  }
  return {};
}

Status State::ApplyInsertAt(const OpSlice& slice, uint32_t position) {
  const Op& op = *slice.op;
  if (op.kind == OpKind::kListInsert) {
    MERROW_ASSIGN(std::vector<Value> values, SliceValues(slice));
    for (const Value& value : values) AdoptChildren(value, slice.container());
    auto* list = OpenAs<ListState>(slice.container());
    if (list == nullptr) return {};
    return list->Insert(position, slice.id(), slice.lamport, std::move(values));
  }
  auto* text = OpenAs<TextState>(slice.container());
  if (text == nullptr) return {};
  if (op.kind == OpKind::kTextInsert) {
    const bool whole = slice.length == op.length;
    const std::string_view utf8 =
        whole ? op.payload : SliceScalars(op.payload, slice.skip, slice.length);
    return text->InsertText(position, slice.id(), slice.lamport, utf8, slice.length);
  }
  MERROW_CHECK(op.kind == OpKind::kTextMarkStart);
  MERROW_ASSIGN(Value value, OpValue(*slice.block, op));
  return text->InsertStyleStart(position, slice.id(), slice.lamport, slice.block->keys[op.mark_key],
                                std::move(value), op.mark_info);
}

Status State::ApplyMarkEndAt(const OpSlice& slice, uint32_t position) {
  auto* text = OpenAs<TextState>(slice.container());
  if (text == nullptr) return {};
  return text->InsertStyleEnd(position, slice.id().Plus(1), slice.lamport + 1);
}

Status State::DeleteAt(const ContainerId& id, uint32_t position, uint32_t length) {
  if (auto* text = OpenAs<TextState>(id)) return text->Delete(position, length);
  if (auto* list = OpenAs<ListState>(id)) return list->Delete(position, length);
  return {};
}

size_t State::MemoryBytes() const {
  size_t bytes = containers_.capacity() * sizeof(Container) + index_.MemoryBytes();
  for (const Container& container : containers_) {
    if (const auto* map = std::get_if<MapState>(&container.state)) bytes += map->MemoryBytes();
    if (const auto* list = std::get_if<ListState>(&container.state)) bytes += list->MemoryBytes();
    if (const auto* text = std::get_if<TextState>(&container.state)) bytes += text->MemoryBytes();
  }
  return bytes;
}

void State::CheckInvariants() const {
  for (const Container& container : containers_) {
    MERROW_CHECK(Find(container.id) == &container);
    MERROW_CHECK(container.id.is_root() || container.parent.has_value() ||
                 std::holds_alternative<OpaqueState>(container.state));
    if (const auto* map = std::get_if<MapState>(&container.state)) map->CheckInvariants();
    if (const auto* list = std::get_if<ListState>(&container.state)) list->CheckInvariants();
    if (const auto* text = std::get_if<TextState>(&container.state)) text->CheckInvariants();
  }
}

}  // namespace merrow::loro
