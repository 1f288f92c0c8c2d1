// SPDX-License-Identifier: Apache-2.0
//
// Cursors: places in texts and lists that stay with an element. Where an element is follows from
// the state; where a deleted one was, from replaying the ops of its container with tombstones.
//
// Bytes of a cursor (DO NOT CHANGE: those of loro-crdt): 00, or 01, uleb peer, zigzag counter of
// the element; the container's id as in postcard (container_id_codec.h); u8 side, 0 left, 1 middle,
// 2 right; uleb position.

#include <functional>

#include "base/bytes.h"
#include "loro/container_id_codec.h"
#include "loro/document_impl.h"
#include "loro/history_base.h"
#include "loro/sequence_merge.h"

namespace merrow::loro {
namespace {

// The sequence of a container at one version, in positions of ops: entities or items. Null: empty.
class Sequence {
 public:
  explicit Sequence(const Container::AnyState* state) {
    if (state == nullptr) return;
    text_ = std::get_if<TextState>(state);
    list_ = std::get_if<ListState>(state);
    movable_ = std::get_if<MovableListState>(state);
  }

  uint32_t length() const {
    if (text_ != nullptr) return text_->entity_length();
    if (list_ != nullptr) return list_->length();
    return movable_ == nullptr ? 0 : movable_->item_count();
  }
  /// As users count.
  size_t user_length(TextUnit unit) const {
    if (text_ == nullptr) return movable_ == nullptr ? length() : movable_->length();
    return unit == TextUnit::kUtf16 ? text_->utf16_length() : text_->unicode_length();
  }

  Result<uint32_t> ToOpPosition(size_t position, TextUnit unit) const {
    auto at = static_cast<uint32_t>(position);
    if (movable_ != nullptr) return movable_->OpIndexOf(at);
    if (text_ == nullptr) return at;
    if (unit == TextUnit::kUtf16) {
      MERROW_ASSIGN(at, text_->Utf16ToUnicode(at));
    }
    return text_->UnicodeToEntity(at);
  }
  Result<size_t> ToUserPosition(uint32_t position, TextUnit unit) const {
    uint32_t at = position;
    if (movable_ != nullptr) {
      MERROW_ASSIGN(at, movable_->UserIndexOf(position));
    }
    if (text_ != nullptr) {
      MERROW_ASSIGN(at, text_->EntityToUnicode(position));
      if (unit == TextUnit::kUtf16) {
        MERROW_ASSIGN(at, text_->UnicodeToUtf16(at));
      }
    }
    return size_t{at};
  }

  std::optional<Id> IdAt(uint32_t position) const {
    std::optional<Id> id;
    ForEachRun([&](const IdRun& run, uint32_t at) {
      if (position >= at && position - at < run.length) {
        id = run.id.Plus(static_cast<Counter>(position - at));
      }
    });
    return id;
  }
  std::optional<uint32_t> PositionOf(Id id) const {
    std::optional<uint32_t> position;
    ForEachRun([&](const IdRun& run, uint32_t at) {
      const int64_t offset = int64_t{id.counter} - run.id.counter;
      if (run.id.peer == id.peer && offset >= 0 && offset < int64_t{run.length}) {
        position = at + static_cast<uint32_t>(offset);
      }
    });
    return position;
  }
  /// Of a movable list: where an element stands.
  std::optional<uint32_t> PositionOfElement(IdLp element) const {
    std::optional<uint32_t> position;
    uint32_t at = 0;
    if (movable_ == nullptr) return position;
    movable_->ForEachItem([&](const MovableListItem& item) {
      if (item.visible && item.element() == element) position = at;
      ++at;
    });
    return position;
  }
  bool IsVisible(uint32_t position) const {
    if (movable_ == nullptr) return true;
    const MovableListItem* const item = movable_->ItemAtOpIndex(position);
    return item != nullptr && item->visible;
  }

 private:
  void ForEachRun(const std::function<void(const IdRun&, uint32_t position)>& visit) const {
    uint32_t at = 0;
    const auto add = [&](const IdRun& run) {
      visit(run, at);
      at += run.length;
    };
    if (text_ != nullptr) text_->ForEachChunk([&](const TextChunk& chunk) { add(chunk.run); });
    if (list_ != nullptr) list_->ForEach([&](const IdRun& run, const Value&) { add(run); });
    if (movable_ != nullptr) {
      movable_->ForEachItem([&](const MovableListItem& item) {
        add({item.id(), item.lamport, 1});
      });
    }
  }

  const TextState* text_ = nullptr;
  const ListState* list_ = nullptr;
  const MovableListState* movable_ = nullptr;
};

Result<Sequence> SequenceOf(const State& state, const ContainerId& id) {
  if (!IsSequence(id.kind())) {
    return InvalidArgument("there are no cursors in " + Clip(id.ToString()));
  }
  const Container* const container = state.Find(id);
  if (container == nullptr && !id.is_root()) {
    return NotFound("container " + Clip(id.ToString()) + " does not exist");
  }
  return Sequence(container == nullptr ? nullptr : &container->state);
}

// The element of a movable list that the op `id` inserted or moved; nothing if it did neither.
std::optional<IdLp> ElementOf(const OpLog& log, Id id) {
  const std::optional<Lv> lv = log.graph().LvOf(id);
  if (!lv.has_value()) return std::nullopt;
  OpLog::Reader reader(log);
  for (const Op& op : reader.BlockAt(id).ops) {
    if (id.counter < op.counter || id.counter >= op.end()) continue;
    if (op.kind == OpKind::kMove) return op.element;
    if (op.kind == OpKind::kListInsert) return IdLp{log.graph().LamportOf(*lv), id.peer};
  }
  return std::nullopt;
}

// Where a deleted element was, as ops count.
Result<uint32_t> PlaceOfDeleted(const DocumentCore& core, const ContainerId& id, Id element) {
  const CausalGraph& graph = core.log.graph();
  std::optional<std::vector<Lv>> heads = graph.heads();
  if (core.view.has_value()) heads = graph.HeadsOf(core.view_frontiers);
  Container::AnyState base_state;
  if (core.log.base() != nullptr) base_state = core.log.base()->DecodeContainer(id);
  const Sequence base(&base_state);
  MERROW_ASSIGN(const SequenceTracker tracker, ReplaySequence(core.log, *heads, id, base.length()));
  std::optional<uint32_t> place;
  if (const auto offset = base.PositionOf(element)) place = tracker.EffectPositionOfBase(*offset);
  if (!place.has_value()) place = tracker.EffectPositionOf(element);
  if (place.has_value()) return *place;
  return NotFound("no history tells where " + merrow::loro::ToString(element) + " was in " +
                  Clip(id.ToString()));
}

}  // namespace

Bytes Cursor::Encode() const {
  ByteWriter writer;
  writer.U8(element.has_value() ? 1 : 0);
  if (element.has_value()) {
    writer.Uleb(element->peer);
    writer.Zigzag(element->counter);
  }
  WritePostcardContainerId(writer, container);
  writer.U8(static_cast<uint8_t>(static_cast<int8_t>(side) + 1));
  writer.Uleb(position);
  return writer.Release();
}

Result<Cursor> Cursor::Decode(BytesView bytes) {
  ByteReader reader(bytes);
  Cursor cursor;
  MERROW_ASSIGN(const uint8_t has_element, reader.U8());
  if (has_element > 1) return Corruption("a cursor starts with " + std::to_string(has_element));
  if (has_element == 1) {
    Id id;
    MERROW_ASSIGN(id.peer, reader.Uleb64());
    MERROW_ASSIGN(id.counter, reader.Zigzag32());
    if (id.counter < 0) return Corruption("a cursor is at a negative counter");
    cursor.element = id;
  }
  MERROW_ASSIGN(cursor.container, ReadPostcardContainerId(reader));
  MERROW_ASSIGN(const uint8_t side, reader.U8());
  if (side > 2) return Corruption("a cursor has side " + std::to_string(side));
  cursor.side = static_cast<CursorSide>(static_cast<int>(side) - 1);
  MERROW_ASSIGN(cursor.position, reader.Uleb32());
  MERROW_TRY(reader.ExpectEnd());
  return cursor;
}

Result<Cursor> Document::CursorAt(const ContainerId& container, size_t position, CursorSide side,
                                  TextUnit unit) const {
  MERROW_ASSIGN(const Sequence sequence, SequenceOf(impl_->shown(), container));
  const size_t length = sequence.user_length(unit);
  if (position > length) {
    return InvalidArgument("position " + std::to_string(position) + " is past the end " +
                           std::to_string(length) + " of " + Clip(container.ToString()));
  }
  Cursor cursor{.container = container, .element = std::nullopt, .side = side, .position = 0};
  if (length == 0) {
    if (side == CursorSide::kMiddle) cursor.side = CursorSide::kLeft;
    return cursor;
  }
  if (position == length) {
    cursor.side = CursorSide::kRight;
    cursor.position = static_cast<uint32_t>(sequence.user_length(TextUnit::kUnicode));
    return cursor;
  }
  MERROW_ASSIGN(const uint32_t at, sequence.ToOpPosition(position, unit));
  cursor.element = sequence.IdAt(at);
  MERROW_ASSIGN(const size_t scalars, sequence.ToUserPosition(at, TextUnit::kUnicode));
  cursor.position = static_cast<uint32_t>(scalars);
  return cursor;
}

Result<size_t> Document::PositionOf(const Cursor& cursor, TextUnit unit) const {
  MERROW_ASSIGN(const Sequence sequence, SequenceOf(impl_->shown(), cursor.container));
  if (!cursor.element.has_value()) {
    return cursor.side == CursorSide::kRight ? sequence.user_length(unit) : size_t{0};
  }
  const std::optional<uint32_t> at = sequence.PositionOf(*cursor.element);
  if (at.has_value() && sequence.IsVisible(*at)) return sequence.ToUserPosition(*at, unit);
  // Deleted or moved; what happened to it is in the log once it is committed.
  DocumentCore& core = impl_->core();
  core.Commit();
  if (cursor.container.kind() == ContainerKind::kMovableList) {
    const std::optional<IdLp> element = ElementOf(core.log, *cursor.element);
    const std::optional<uint32_t> moved =
        element.has_value() ? sequence.PositionOfElement(*element) : std::nullopt;
    if (moved.has_value()) return sequence.ToUserPosition(*moved, unit);
  }
  MERROW_ASSIGN(const uint32_t place, PlaceOfDeleted(core, cursor.container, *cursor.element));
  return sequence.ToUserPosition(place, unit);
}

}  // namespace merrow::loro
