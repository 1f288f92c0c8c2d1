// SPDX-License-Identifier: Apache-2.0
//
// Building of change blocks (layout: change_block.cc).
//
// Ops are merged into runs as they come; a change that was begun and has no op yet is kept aside.

#include <algorithm>
#include <limits>
#include <optional>

#include "loro/change_block.h"
#include "loro/change_block_encoder.h"
#include "loro/op_tag.h"
#include "loro/utf8.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

/// For EstimatedBytes: what an op, a change, a container and the block cost besides their payloads.
constexpr size_t kOpBytes = 6;
constexpr size_t kChangeBytes = 8;
constexpr size_t kContainerBytes = 5;
constexpr size_t kBlockBytes = 40;

bool IsBackward(const Op& op) { return op.signed_length < 0; }

/// Whether deleting `next` after `op` is one run, and if so, what op becomes. A delete of one atom
/// has no direction yet.
bool MergeDeletes(Op& op, const Op& next) {
  if (op.target.peer != next.target.peer) return false;
  const int64_t length = op.length;
  const int64_t next_length = next.length;
  if (length + next_length > INT32_MAX) return false;
  const bool forward_ok = (length == 1 || !IsBackward(op)) &&
                          (next_length == 1 || !IsBackward(next)) && next.prop == op.prop &&
                          int64_t{op.target.counter} + length == next.target.counter;
  const bool backward_ok = (length == 1 || IsBackward(op)) &&
                           (next_length == 1 || IsBackward(next)) &&
                           int64_t{op.prop} - length == next.prop &&
                           int64_t{next.target.counter} + next_length == op.target.counter;
  if (!forward_ok && !backward_ok) return false;
  const auto total = static_cast<int32_t>(length + next_length);
  op.signed_length = forward_ok ? total : -total;
  if (backward_ok && !forward_ok) op.target = next.target;
  return true;
}

/// Whether `next`, which comes right after `op` in one change, continues it; then op's length has
/// grown. The payload is left to the caller.
bool MergeOps(Op& op, const Op& next) {
  if (op.kind != next.kind || op.container != next.container || op.end() != next.counter) {
    return false;
  }
  switch (op.kind) {
    case OpKind::kTextInsert:
    case OpKind::kListInsert:
      if (int64_t{op.prop} + op.length != next.prop) return false;
      break;
    case OpKind::kDelete:
      if (!MergeDeletes(op, next)) return false;
      break;
    default:
      return false;
  }
  op.length += next.length;
  return true;
}

/// Those of a change's ops that have atoms in [from, to).
std::span<const Op> OpsOf(std::span<const Op> ops, Counter from, Counter to) {
  const auto begin = std::partition_point(ops.begin(), ops.end(),
                                          [from](const Op& op) { return op.end() <= from; });
  const auto end =
      std::partition_point(begin, ops.end(), [to](const Op& op) { return op.counter < to; });
  return {begin, end};
}

}  // namespace

struct ChangeBlockBuilder::Impl : ChangeBlockParts {
  using ChangeBlockParts::ChangeBlockParts;

  std::optional<BuiltChange> begun;  // a change without ops yet
  size_t other_bytes = kBlockBytes;  // for the estimate
  size_t position_bytes = 0;

  Counter End() const { return changes.back().change.end(); }
  uint64_t LamportEnd() const {
    const Change& last = changes.back().change;
    return uint64_t{last.lamport} + last.length;
  }

  void Begin(BuiltChange change) {
    if (!changes.empty()) {
      const Change& last = changes.back().change;
      MERROW_CHECK(change.change.counter == last.end());
      MERROW_CHECK(change.change.lamport >= LamportEnd());
    }
    begun = std::move(change);
  }

  /// An op of a local change, where it goes.
  Op NewOp(const ContainerId& container, OpKind kind, OpTag tag) {
    MERROW_CHECK(begun || !changes.empty());
    Op op;
    op.container = InternContainer(container);
    op.counter = begun ? begun->change.counter : End();
    op.kind = kind;
    op.raw_tag = static_cast<uint8_t>(tag);
    return op;
  }

  uint32_t InternContainer(const ContainerId& container) {
    const size_t count = containers.values().size();
    const uint32_t index = containers.Intern(container);
    if (containers.values().size() > count) {
      other_bytes += kContainerBytes + (container.is_root() ? container.name().size() : 0);
    }
    return index;
  }

  /// Adds an op whose payload, if any, stands in the arena from `payload_at` on.
  void Push(const Op& op, size_t payload_at, bool merge_ops) {
    MERROW_CHECK(op.length > 0 && ops.size() < kBlockOpsMax);
    const size_t payload_bytes = arena.size() - payload_at;
    bool may_merge = merge_ops;
    if (begun) {
      begun->change.first_op = static_cast<uint32_t>(ops.size());
      other_bytes += kChangeBytes + begun->message.size();
      changes.push_back(std::move(*begun));
      begun.reset();
      may_merge = false;
    }
    Change& change = changes.back().change;
    MERROW_CHECK(op.counter == change.end());
    change.length += op.length;
    if (may_merge && MergeOps(ops.back().op, op)) {
      ops.back().payload_bytes += payload_bytes;
      return;
    }
    ops.push_back({op, payload_at, payload_bytes});
    ++change.op_count;
  }

  // --- Slices ---

  /// Whether the change can become part of the last one (ChangeMerge::kMerge).
  bool Continues(const Change& change, std::string_view message) const {
    if (changes.empty()) return false;
    const BuiltChange& last = changes.back();
    return change.deps.size() == 1 && change.deps[0] == Id{peer, change.counter - 1} &&
           change.lamport == last.change.lamport + last.change.length &&
           change.timestamp == last.change.timestamp && message == last.message;
  }

  /// Writes the items [from, to) of a list insert.
  void CopyItems(const ChangeBlock& block, const Op& op, uint32_t from, uint32_t to) {
    Cursor cursor(op.payload);
    for (uint32_t i = 0; i < to; ++i) {
      const bool copied = i < from ? SkipOpValue(cursor, block.keys.size())
                                   : CopyOpValue(cursor, block.keys, arena, keys);
      MERROW_CHECK(copied);
    }
  }
  void CopyValue(const ChangeBlock& block, BytesView value) {
    Cursor cursor(value);
    MERROW_CHECK(CopyOpValue(cursor, block.keys, arena, keys) && cursor.empty());
  }

  /// Writes the payload of an op of an unknown container. Of its references, keys are translated,
  /// as Loro does; others are numbers to it, too.
  void CopyUnknown(const ChangeBlock& block, const Op& op) {
    Cursor cursor(op.payload);
    size_t plain_numbers = 0;
    bool has_key = false;
    switch (static_cast<OpTag>(op.raw_tag & ~kOpTagFutureFlag)) {
      case OpTag::kValue:
        break;
      case OpTag::kListSet:
        plain_numbers = 2;
        break;
      case OpTag::kMarkStart: {
        uint8_t info = 0;
        MERROW_CHECK(cursor.Byte(&info));
        arena.U8(info);
        plain_numbers = 1;
        has_key = true;
        break;
      }
      default:
        arena.Append(op.payload);
        return;
    }
    uint64_t number = 0;
    for (; plain_numbers > 0; --plain_numbers) {
      MERROW_CHECK(cursor.Uleb(&number));
      arena.Uleb(number);
    }
    if (has_key) {
      MERROW_CHECK(cursor.Uleb(&number) && number < block.keys.size());
      arena.Uleb(keys.Intern(block.keys[static_cast<size_t>(number)]));
    }
    CopyValue(block, cursor.rest());
  }

  /// Adds the atoms [from, to) of an op, counted from its start.
  void CopyOp(const ChangeBlock& block, const Op& source, uint32_t from, uint32_t to,
              bool merge_ops) {
    Op op = source;
    op.container = InternContainer(block.containers[source.container]);
    op.counter = source.counter + static_cast<Counter>(from);
    op.length = to - from;
    if (op.kind != OpKind::kTreeMove) op.payload = {};
    const size_t payload_at = arena.size();
    switch (source.kind) {
      case OpKind::kTextInsert:
        op.prop += static_cast<int32_t>(from);
        arena.Append(op.length == source.length ? source.payload
                                                : SliceScalars(source.payload, from, op.length));
        break;
      case OpKind::kListInsert:
        op.prop += static_cast<int32_t>(from);
        CopyItems(block, source, from, to);
        break;
      case OpKind::kDelete:
        peers.Intern(op.target.peer);
        if (IsBackward(source)) {
          op.prop -= static_cast<int32_t>(from);
          op.target.counter += static_cast<Counter>(source.length - to);
          op.signed_length = -static_cast<int32_t>(op.length);
        } else {
          op.target.counter += static_cast<Counter>(from);
          op.signed_length = static_cast<int32_t>(op.length);
        }
        break;
      case OpKind::kTextMarkStart:
        op.mark_key = keys.Intern(block.keys[source.mark_key]);
        CopyValue(block, source.payload);
        break;
      case OpKind::kMapSet:
      case OpKind::kMapDelete:
        op.prop = static_cast<int32_t>(keys.Intern(block.keys[static_cast<size_t>(source.prop)]));
        if (source.kind == OpKind::kMapSet) CopyValue(block, source.payload);
        break;
      case OpKind::kMove:
      case OpKind::kSet:
        peers.Intern(op.element.peer);
        if (source.kind == OpKind::kSet) CopyValue(block, source.payload);
        break;
      case OpKind::kTreeMove:
        InternTreePeers(op);
        if (op.parent_kind != TreeParent::kDeleted) {
          op.position = InternPosition(block.positions[source.position]);
        }
        break;
      case OpKind::kCounterAdd:
        arena.Append(source.payload);
        break;
      case OpKind::kUnknown:
        CopyUnknown(block, source);
        break;
      case OpKind::kTextMarkEnd:
        break;
    }
    Push(op, payload_at, merge_ops);
  }

  void InternTreePeers(const Op& op) {
    peers.Intern(op.target.peer);
    if (op.parent_kind != TreeParent::kRoot) peers.Intern(op.parent.peer);
  }
  /// Bytes of the positions of `source_ops` that are not interned yet.
  size_t NewPositionBytes(const ChangeBlock& block, std::span<const Op> source_ops) const {
    size_t bytes = 0;
    std::vector<bool> counted;
    for (const Op& op : source_ops) {
      if (op.kind != OpKind::kTreeMove || op.parent_kind == TreeParent::kDeleted) continue;
      counted.resize(block.positions.size());
      if (counted[op.position] || positions.Find(block.positions[op.position])) continue;
      counted[op.position] = true;
      bytes += block.positions[op.position].size();
    }
    return bytes;
  }
  uint32_t InternPosition(BytesView position) {
    const size_t count = positions.values().size();
    const uint32_t index = positions.Intern(position);
    if (positions.values().size() > count) {
      other_bytes += position.size() + 2;
      position_bytes += position.size();
    }
    return index;
  }
};

ChangeBlockBuilder::ChangeBlockBuilder(PeerId peer) : impl_(std::make_unique<Impl>(peer)) {}
ChangeBlockBuilder::~ChangeBlockBuilder() = default;
ChangeBlockBuilder::ChangeBlockBuilder(ChangeBlockBuilder&&) noexcept = default;
ChangeBlockBuilder& ChangeBlockBuilder::operator=(ChangeBlockBuilder&&) noexcept = default;

bool ChangeBlockBuilder::empty() const { return impl_->changes.empty(); }

Counter ChangeBlockBuilder::end() const {
  MERROW_CHECK(!empty());
  return impl_->End();
}

bool ChangeBlockBuilder::full() const {
  // A mark takes two ops.
  return impl_->ops.size() + 2 > kBlockOpsMax ||
         impl_->position_bytes >= kBlockPositionBytesMax / 2;
}

size_t ChangeBlockBuilder::EstimatedBytes() const {
  return impl_->other_bytes + impl_->arena.size() + impl_->keys.bytes() +
         impl_->ops.size() * kOpBytes + impl_->peers.values().size() * sizeof(PeerId);
}

void ChangeBlockBuilder::BeginChange(Counter counter, Lamport lamport, std::vector<Id> deps,
                                     int64_t timestamp, std::string_view message) {
  std::sort(deps.begin(), deps.end());
  Impl::BuiltChange built;
  built.change.counter = counter;
  built.change.lamport = lamport;
  built.change.timestamp = timestamp;
  built.change.deps = std::move(deps);
  built.message = message;
  impl_->Begin(std::move(built));
}

void ChangeBlockBuilder::AddTextInsert(const ContainerId& container, uint32_t entity_index,
                                       std::string_view text, uint32_t unicode_length) {
  Op op = impl_->NewOp(container, OpKind::kTextInsert, OpTag::kString);
  op.prop = static_cast<int32_t>(entity_index);
  op.length = unicode_length;
  const size_t payload_at = impl_->arena.size();
  impl_->arena.Append(text);
  impl_->Push(op, payload_at, true);
}

void ChangeBlockBuilder::AddListInsert(const ContainerId& container, uint32_t index,
                                       std::span<const Value> values) {
  Op op = impl_->NewOp(container, OpKind::kListInsert, OpTag::kValue);
  op.prop = static_cast<int32_t>(index);
  op.length = static_cast<uint32_t>(values.size());
  const size_t payload_at = impl_->arena.size();
  for (const Value& value : values) WriteOpValue(impl_->arena, value, impl_->keys);
  impl_->Push(op, payload_at, true);
}

void ChangeBlockBuilder::AddDelete(const ContainerId& container, uint32_t index, Id target,
                                   uint32_t count) {
  Op op = impl_->NewOp(container, OpKind::kDelete, OpTag::kDeleteSpan);
  op.prop = static_cast<int32_t>(index);
  op.length = count;
  op.target = target;
  op.signed_length = static_cast<int32_t>(count);
  impl_->peers.Intern(target.peer);
  impl_->Push(op, impl_->arena.size(), true);
}

void ChangeBlockBuilder::AddMapSet(const ContainerId& container, std::string_view key,
                                   const Value& value) {
  Op op = impl_->NewOp(container, OpKind::kMapSet, OpTag::kValue);
  op.prop = static_cast<int32_t>(impl_->keys.Intern(key));
  const size_t payload_at = impl_->arena.size();
  WriteOpValue(impl_->arena, value, impl_->keys);
  impl_->Push(op, payload_at, false);
}

void ChangeBlockBuilder::AddMapDelete(const ContainerId& container, std::string_view key) {
  Op op = impl_->NewOp(container, OpKind::kMapDelete, OpTag::kDeleteOnce);
  op.prop = static_cast<int32_t>(impl_->keys.Intern(key));
  impl_->Push(op, impl_->arena.size(), false);
}

void ChangeBlockBuilder::AddCounter(const ContainerId& container, double delta) {
  const bool is_integer = IsIntegerDelta(delta);
  Op op = impl_->NewOp(container, OpKind::kCounterAdd, is_integer ? OpTag::kI64 : OpTag::kF64);
  op.delta = delta;
  const size_t payload_at = impl_->arena.size();
  if (is_integer) {
    impl_->arena.Sleb(static_cast<int64_t>(delta));
  } else {
    impl_->arena.F64Be(delta);
  }
  impl_->Push(op, payload_at, false);
}

void ChangeBlockBuilder::AddMark(const ContainerId& container, uint32_t entity_start,
                                 uint32_t entity_length, std::string_view key, const Value& value,
                                 uint8_t info) {
  Op start = impl_->NewOp(container, OpKind::kTextMarkStart, OpTag::kMarkStart);
  start.prop = static_cast<int32_t>(entity_start);
  start.mark_info = info;
  start.mark_length = entity_length;
  start.mark_key = impl_->keys.Intern(key);
  const size_t payload_at = impl_->arena.size();
  WriteOpValue(impl_->arena, value, impl_->keys);
  impl_->Push(start, payload_at, false);
  impl_->Push(impl_->NewOp(container, OpKind::kTextMarkEnd, OpTag::kNull), impl_->arena.size(),
              false);
}

void ChangeBlockBuilder::AddMove(const ContainerId& container, uint32_t from, uint32_t to,
                                 IdLp element) {
  Op op = impl_->NewOp(container, OpKind::kMove, OpTag::kListMove);
  op.prop = static_cast<int32_t>(to);
  op.from = from;
  op.element = element;
  impl_->peers.Intern(element.peer);
  impl_->Push(op, impl_->arena.size(), false);
}

void ChangeBlockBuilder::AddSet(const ContainerId& container, IdLp element, const Value& value) {
  Op op = impl_->NewOp(container, OpKind::kSet, OpTag::kListSet);
  op.element = element;
  impl_->peers.Intern(element.peer);
  const size_t payload_at = impl_->arena.size();
  WriteOpValue(impl_->arena, value, impl_->keys);
  impl_->Push(op, payload_at, false);
}

void ChangeBlockBuilder::AddTreeMove(const ContainerId& container, Id node, TreeParent parent_kind,
                                     Id parent, BytesView position) {
  Op op = impl_->NewOp(container, OpKind::kTreeMove, OpTag::kTreeMove);
  op.target = node;
  op.parent_kind = parent_kind;
  if (parent_kind == TreeParent::kNode) op.parent = parent;
  if (parent_kind == TreeParent::kDeleted) op.parent = kDeletedTreeRoot;
  impl_->InternTreePeers(op);
  if (parent_kind != TreeParent::kDeleted) op.position = impl_->InternPosition(position);
  impl_->Push(op, impl_->arena.size(), false);
}

Status ChangeBlockBuilder::AppendSlice(const ChangeBlock& block, size_t index, Counter from,
                                       Counter to, ChangeMerge merge) {
  const Change& source = block.changes.at(index);
  MERROW_CHECK(block.peer == impl_->peer);
  MERROW_CHECK(source.counter <= from && from < to && to <= source.end());
  MERROW_CHECK(empty() || from == end());
  const std::span<const Op> source_ops =
      OpsOf(std::span(block.ops).subspan(source.first_op, source.op_count), from, to);
  if (impl_->ops.size() + source_ops.size() > kBlockOpsMax ||
      impl_->position_bytes + impl_->NewPositionBytes(block, source_ops) > kBlockPositionBytesMax) {
    return LimitReached("change block would have too many ops or tree positions");
  }
  uint64_t lamport = uint64_t{source.lamport} + static_cast<uint32_t>(from - source.counter);
  if (!empty()) lamport = std::max(lamport, impl_->LamportEnd());
  if (lamport + static_cast<uint32_t>(to - from) > UINT32_MAX) {
    return LimitReached("lamports of a change exceed 32 bits");
  }

  Impl::BuiltChange built;
  built.change.counter = from;
  built.change.lamport = static_cast<Lamport>(lamport);
  built.change.timestamp = source.timestamp;
  built.change.deps =
      from == source.counter ? source.deps : std::vector<Id>{{block.peer, from - 1}};
  const bool merge_ops = merge == ChangeMerge::kMerge;
  impl_->begun.reset();
  if (!merge_ops || !impl_->Continues(built.change, source.message)) {
    built.message = source.message;
    impl_->Begin(std::move(built));
  }
  for (const Op& op : source_ops) {
    impl_->CopyOp(block, op, static_cast<uint32_t>(std::max(from, op.counter) - op.counter),
                  static_cast<uint32_t>(std::min(to, op.end()) - op.counter), merge_ops);
  }
  return {};
}

std::string_view ChangeBlockBuilder::LastMessage() const { return impl_->changes.back().message; }

int64_t ChangeBlockBuilder::LastTimestamp() const { return impl_->changes.back().change.timestamp; }

void ChangeBlockBuilder::SetLastMeta(int64_t timestamp, std::string_view message) {
  Impl::BuiltChange& last = impl_->changes.back();
  last.change.timestamp = timestamp;
  impl_->other_bytes += message.size() - last.message.size();
  last.message = message;
}

void ChangeBlockBuilder::SplitLastChange(Counter at) {
  if (at == impl_->changes.back().change.counter) return;
  const ChangeBlock view = View();
  const size_t last = view.changes.size() - 1;
  ChangeBlockBuilder split(impl_->peer);
  for (size_t i = 0; i <= last; ++i) {
    const Change& change = view.changes[i];
    MERROW_CHECK(split.AppendSlice(view, i, change.counter, i == last ? at : change.end()).ok());
  }
  MERROW_CHECK(split.AppendSlice(view, last, at, view.changes[last].end()).ok());
  *this = std::move(split);
}

Bytes ChangeBlockBuilder::Encode() const {
  MERROW_CHECK(!empty());
  return EncodeChangeBlock(*impl_);
}

ChangeBlock ChangeBlockBuilder::View() const {
  ChangeBlock block;
  block.peer = impl_->peer;
  block.peers = impl_->peers.values();
  block.keys.assign(impl_->keys.values().begin(), impl_->keys.values().end());
  block.containers = impl_->containers.values();
  block.positions = impl_->positions.values();
  block.changes.reserve(impl_->changes.size());
  for (const Impl::BuiltChange& built : impl_->changes) {
    block.changes.push_back(built.change);
    block.changes.back().message = built.message;
  }
  block.ops.reserve(impl_->ops.size());
  for (const Impl::BuiltOp& built : impl_->ops) {
    block.ops.push_back(built.op);
    if (built.op.kind != OpKind::kTreeMove) block.ops.back().payload = impl_->Payload(built);
  }
  return block;
}

}  // namespace merrow::loro
