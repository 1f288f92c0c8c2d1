// SPDX-License-Identifier: Apache-2.0
//
// Local edits: each is checked whole, then becomes ops of the open change and is applied to the
// state at once.

#include <algorithm>

#include "base/bytes.h"
#include "loro/document_impl.h"
#include "loro/mergeable.h"
#include "loro/utf8.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

// A value that a local edit may write: what is read back from a block is the same.
Status CheckPlain(const Value& value, int depth = 0) {
  if (value.If<ContainerId>() != nullptr) {
    return InvalidArgument("a value cannot refer to a container");
  }
  if (const auto* text = value.If<std::string>(); text != nullptr && !IsUtf8(*text)) {
    return InvalidArgument("a value's text is not UTF-8");
  }
  const auto* list = value.If<Value::List>();
  const auto* map = value.If<Value::Map>();
  if ((list != nullptr || map != nullptr) && depth >= kValueDepthMax) {
    return LimitReached("a value is nested deeper than " + std::to_string(kValueDepthMax));
  }
  if (list != nullptr) {
    for (const Value& item : *list) MERROW_TRY(CheckPlain(item, depth + 1));
  }
  if (map != nullptr) {
    for (const auto& [key, item] : *map) {
      if (!IsUtf8(key)) return InvalidArgument("a key in a value is not UTF-8");
      MERROW_TRY(CheckPlain(item, depth + 1));
    }
  }
  return {};
}

// DO NOT CHANGE: on the wire.
uint8_t StyleInfo(StyleExpand expand) {
  constexpr uint8_t kAlive = 0x80;
  const bool before = expand == StyleExpand::kBefore || expand == StyleExpand::kBoth;
  const bool after = expand == StyleExpand::kAfter || expand == StyleExpand::kBoth;
  return static_cast<uint8_t>(kAlive | (before ? kTextStyleExpandBefore : 0) |
                              (after ? kTextStyleExpandAfter : 0));
}

Error OutOfRange(const ContainerId& id, size_t position, size_t length) {
  return InvalidArgument("position " + std::to_string(position) + " is past the end " +
                         std::to_string(length) + " of " + Clip(id.ToString()));
}

// One edit. It opens the root that it is about before it is known whether it can be made; if it was
// not, the root is gone again when this goes.
class LocalEdit {
 public:
  explicit LocalEdit(DocumentCore& core)
      : log(core.log),
        state(core.state),
        core_(core),
        containers_(core.state.containers().size()),
        next_(core.log.NextId()) {}
  ~LocalEdit() {
    if (log.NextId() == next_) state.Truncate(containers_);
  }
  LocalEdit(const LocalEdit&) = delete;
  LocalEdit& operator=(const LocalEdit&) = delete;

  // The state of a container that is about to be edited.
  template <typename T>
  Result<T*> ForEdit(const ContainerId& id, ContainerKind kind) {
    if (id.kind() != kind) {
      return InvalidArgument(Clip(id.ToString()) + " is not a " + ContainerKindName(kind));
    }
    MERROW_TRY(core_.CheckMayChange());
    if (core_.view.has_value()) {
      return Conflict("an earlier version is shown; edits are made at the latest one");
    }
    if (id.is_root() && (id.name().size() > kRootNameBytesMax || !IsUtf8(id.name()))) {
      return InvalidArgument("a container's name is UTF-8 of at most " +
                             std::to_string(kRootNameBytesMax) + " bytes");
    }
    if (!id.is_root() && state.Find(id) == nullptr) {
      return NotFound("container " + Clip(id.ToString()) + " does not exist");
    }
    MERROW_TRY(CheckMergeable(id));
    T* const typed = state.OpenAs<T>(id);
    if (typed == nullptr) return Unsupported(Clip(id.ToString()) + " cannot be edited");
    return typed;
  }

  // A mergeable child can be edited while it is shown; its name is nobody else's.
  Status CheckMergeable(const ContainerId& id) const {
    if (!id.is_root() || !id.name().starts_with(kMergeableNamePrefix)) return {};
    const std::optional<MergeablePlace> place = PlaceOfMergeable(id);
    if (!place.has_value()) return InvalidArgument(Clip(id.ToString()) + " has a reserved name");
    const auto* map = state.Get<MapState>(place->map);
    const Value* slot = map == nullptr ? nullptr : map->Get(place->key);
    if (slot != nullptr && MergeableShownBy(place->map, place->key, *slot) == id) return {};
    return NotFound("container " + Clip(id.ToString()) + " is not at its place");
  }

  Status CheckRoom(size_t atoms) const {
    if (core_.is_broken) return Corruption("the document is broken: its ops do not apply");
    const auto counter_left = static_cast<size_t>(INT32_MAX - log.NextId().counter);
    const Lamport next = log.NextLamport();
    const auto lamport_left = static_cast<size_t>(next < kLamportMax ? kLamportMax - next : 0);
    if (atoms > std::min(counter_left, lamport_left)) {
      return LimitReached("peer " + std::to_string(log.local_peer()) + " has no op ids left");
    }
    return {};
  }

  Status MapWrite(const ContainerId& id, std::string_view key, std::optional<Value> value) {
    MERROW_ASSIGN(const MapState* map, ForEdit<MapState>(id, ContainerKind::kMap));
    if (!IsUtf8(key)) return InvalidArgument("a map key is not UTF-8");
    const Value* current = map->Get(key);
    const bool same =
        value.has_value() ? current != nullptr && *current == *value : current == nullptr;
    if (same) return {};
    MERROW_TRY(CheckRoom(1));
    const IdLp writer{log.NextLamport(), log.local_peer()};
    ChangeBlockBuilder& builder = log.Builder();
    if (value.has_value()) {
      builder.AddMapSet(id, key, *value);
      state.AdoptChildren(*value, id);
    } else {
      builder.AddMapDelete(id, key);
    }
    log.CountUncommitted(1);
    state.WriteMap(id, state.OpenAs<MapState>(id), key, std::move(value), writer);
    return {};
  }

  Result<ContainerId> EnsureMergeable(const ContainerId& id, std::string_view key,
                                      ContainerKind kind) {
    MERROW_ASSIGN(const MapState* map, ForEdit<MapState>(id, ContainerKind::kMap));
    if (!IsUtf8(key)) return InvalidArgument("a map key is not UTF-8");
    if (!IsKnown(kind)) return InvalidArgument("no container of " + ContainerKindName(kind));
    const std::optional<ContainerId> child = MergeableChild(id, key, kind);
    if (!child.has_value() || child->name().size() > kRootNameBytesMax) {
      return InvalidArgument("a mergeable child of " + Clip(id.ToString()) + " cannot be named");
    }
    const Value* slot = map->Get(key);
    if (slot != nullptr && !slot->is_null() && !MergeableShownBy(id, key, *slot).has_value()) {
      return InvalidArgument("key \"" + Clip(key) + "\" of " + Clip(id.ToString()) +
                             " holds something else");
    }
    MERROW_TRY(MapWrite(id, key, Value(Value::Binary{MergeableMarker(id, key, kind)})));
    return *child;
  }

  // Where a value goes that is inserted at a user's `index` of a list of either kind.
  Result<uint32_t> ListOpIndex(const ContainerId& id, size_t index) {
    if (id.kind() == ContainerKind::kMovableList) {
      MERROW_ASSIGN(const auto* list, ForEdit<MovableListState>(id, ContainerKind::kMovableList));
      if (index > list->length()) return OutOfRange(id, index, list->length());
      return list->OpIndexOf(static_cast<uint32_t>(index));
    }
    MERROW_ASSIGN(const auto* list, ForEdit<ListState>(id, ContainerKind::kList));
    if (index > list->length()) return OutOfRange(id, index, list->length());
    return static_cast<uint32_t>(index);
  }

  Status ListInsert(const ContainerId& id, size_t index, Value value) {
    MERROW_ASSIGN(const uint32_t at, ListOpIndex(id, index));
    MERROW_TRY(CheckRoom(1));
    const Id op = log.NextId();
    const Lamport lamport = log.NextLamport();
    log.Builder().AddListInsert(id, at, {&value, 1});
    log.CountUncommitted(1);
    state.AdoptChildren(value, id);
    std::vector<Value> values;
    values.push_back(std::move(value));
    return state.InsertValues(id, at, op, lamport, std::move(values));
  }

  template <typename T>
  Status ListDelete(const ContainerId& id, ContainerKind kind, size_t index, size_t count) {
    MERROW_ASSIGN(T * list, ForEdit<T>(id, kind));
    if (index > list->length() || count > list->length() - index) {
      const size_t end = count > SIZE_MAX - index ? SIZE_MAX : index + count;
      return OutOfRange(id, end, list->length());
    }
    if (count == 0) return {};
    MERROW_TRY(CheckRoom(count));
    MERROW_ASSIGN(const std::vector<DeleteRun> runs,
                  list->RunsForDelete(static_cast<uint32_t>(index), static_cast<uint32_t>(count)));
    DeleteRuns(id, runs);
    return {};
  }

  Status MovableListSet(const ContainerId& id, size_t index, Value value) {
    MERROW_ASSIGN(auto* list, ForEdit<MovableListState>(id, ContainerKind::kMovableList));
    if (index >= list->length()) return OutOfRange(id, index, list->length());
    MERROW_TRY(CheckRoom(1));
    const MovableListItem* item = list->Item(static_cast<uint32_t>(index));
    const IdLp element = item->element();
    const IdLp writer{log.NextLamport(), log.local_peer()};
    log.Builder().AddSet(id, element, value);
    log.CountUncommitted(1);
    state.AdoptChildren(value, id);
    state.SetElement(id, state.OpenAs<MovableListState>(id), element, std::move(value), writer);
    return {};
  }

  // Gives tree edits their ids, in order, and applies them.
  Status ApplyTreeEdits(const ContainerId& id, Result<std::vector<TreeState::Edit>> edits) {
    if (!edits.ok()) return edits.error();
    MERROW_TRY(CheckRoom(edits->size()));
    for (TreeState::Edit& edit : *edits) {
      TreeMove move{.id = log.NextId(),
                    .lamport = log.NextLamport(),
                    .node = edit.node,
                    .parent = edit.parent,
                    .position = std::move(edit.position),
                    .is_checked = true};
      log.Builder().AddTreeMove(id, move.node, move.parent.kind, move.parent.node, move.position);
      log.CountUncommitted(1);
      const bool is_create = move.node == move.id;
      const Id node = move.node;
      state.MoveNode(id, state.OpenAs<TreeState>(id), std::move(move));
      if (is_create) state.AdoptNode(node, id);
    }
    return {};
  }

  Status Mark(const ContainerId& id, size_t start, size_t end, std::string_view key,
              const Value& value, uint8_t info, TextUnit unit) {
    MERROW_ASSIGN(TextState * text, ForEdit<TextState>(id, ContainerKind::kText));
    if (!IsUtf8(key)) return InvalidArgument("a mark's key is not UTF-8");
    if (start >= end) {
      return InvalidArgument("a mark from " + std::to_string(start) + " to " + std::to_string(end) +
                             " is empty");
    }
    MERROW_ASSIGN(const uint32_t first, ToUnicode(id, *text, start, unit));
    MERROW_ASSIGN(const uint32_t last, ToUnicode(id, *text, end, unit));
    MERROW_ASSIGN(const uint32_t from, text->EntityIndexForInsert(first));
    MERROW_ASSIGN(const uint32_t to, text->EntityIndexForInsert(last));
    const TextState::StyleCover cover = text->CoverOf(from, to, key);
    const bool has_it = cover.is_uniform && cover.value != nullptr && *cover.value == value;
    if (has_it || (value.is_null() && !cover.has_key)) return {};
    MERROW_TRY(CheckRoom(2));
    const Id op = log.NextId();
    const Lamport lamport = log.NextLamport();
    MERROW_TRY(state.InsertStyleStart(id, text, from, op, lamport, key, value, info));
    MERROW_CHECK(state.InsertStyleEnd(id, text, to + 1, op.Plus(1), lamport + 1).ok());
    log.Builder().AddMark(id, from, to - from, key, value, info);
    log.CountUncommitted(2);
    return {};
  }

  Status Increment(const ContainerId& id, double delta) {
    MERROW_ASSIGN(CounterState * counter, ForEdit<CounterState>(id, ContainerKind::kCounter));
    MERROW_TRY(CheckRoom(1));
    log.Builder().AddCounter(id, delta);
    log.CountUncommitted(1);
    state.AddToCounter(id, counter, delta);
    return {};
  }

  // A new child counter starts with an op that adds 0, as loro-crdt writes it, so that equal edits
  // make equal ops in both.
  Status StartChild(const ContainerId& child) {
    return child.kind() == ContainerKind::kCounter ? Increment(child, 0) : Status();
  }

  void DeleteRuns(const ContainerId& id, const std::vector<DeleteRun>& runs) {
    for (const DeleteRun& run : runs) {
      log.Builder().AddDelete(id, run.index, run.first, run.count);
      log.CountUncommitted(run.count);
      MERROW_CHECK(state.DeleteAt(id, run.index, run.count).ok());
    }
  }

  // A position in `unit` as one in scalars.
  static Result<uint32_t> ToUnicode(const ContainerId& id, const TextState& text, size_t position,
                                    TextUnit unit) {
    const size_t length = unit == TextUnit::kUtf16 ? text.utf16_length() : text.unicode_length();
    if (position > length) return OutOfRange(id, position, length);
    const auto at = static_cast<uint32_t>(position);
    if (unit == TextUnit::kUnicode) return at;
    return text.Utf16ToUnicode(at);
  }

  OpLog& log;
  State& state;

 private:
  DocumentCore& core_;
  const size_t containers_;
  const Id next_;
};

}  // namespace

Status Document::MapSet(const ContainerId& map, std::string_view key, const Value& value) {
  LocalEdit edit(impl_->core());
  MERROW_TRY(CheckPlain(value));
  return edit.MapWrite(map, key, value);
}

Status Document::MapDelete(const ContainerId& map, std::string_view key) {
  LocalEdit edit(impl_->core());
  return edit.MapWrite(map, key, std::nullopt);
}

Result<ContainerId> Document::MapSetContainer(const ContainerId& map, std::string_view key,
                                              ContainerKind kind) {
  LocalEdit edit(impl_->core());
  const ContainerId child = ContainerId::Normal(edit.log.NextId(), kind);
  MERROW_TRY(edit.MapWrite(map, key, Value(child)));
  MERROW_TRY(edit.StartChild(child));
  return child;
}

Result<ContainerId> Document::MapEnsureMergeable(const ContainerId& map, std::string_view key,
                                                 ContainerKind kind) {
  LocalEdit edit(impl_->core());
  return edit.EnsureMergeable(map, key, kind);
}

Status Document::ListInsert(const ContainerId& list, size_t index, const Value& value) {
  LocalEdit edit(impl_->core());
  MERROW_TRY(CheckPlain(value));
  return edit.ListInsert(list, index, value);
}

Result<ContainerId> Document::ListInsertContainer(const ContainerId& list, size_t index,
                                                  ContainerKind kind) {
  LocalEdit edit(impl_->core());
  const ContainerId child = ContainerId::Normal(edit.log.NextId(), kind);
  MERROW_TRY(edit.ListInsert(list, index, Value(child)));
  MERROW_TRY(edit.StartChild(child));
  return child;
}

Status Document::ListDelete(const ContainerId& list, size_t index, size_t count) {
  LocalEdit edit(impl_->core());
  return list.kind() == ContainerKind::kMovableList
             ? edit.ListDelete<MovableListState>(list, ContainerKind::kMovableList, index, count)
             : edit.ListDelete<ListState>(list, ContainerKind::kList, index, count);
}

Status Document::MovableListSet(const ContainerId& list, size_t index, const Value& value) {
  LocalEdit edit(impl_->core());
  MERROW_TRY(CheckPlain(value));
  return edit.MovableListSet(list, index, value);
}

Status Document::MovableListMove(const ContainerId& list, size_t from, size_t to) {
  LocalEdit edit(impl_->core());
  MERROW_ASSIGN(auto* state, edit.ForEdit<MovableListState>(list, ContainerKind::kMovableList));
  const size_t length = state->length();
  if (from >= length || to >= length) return OutOfRange(list, std::max(from, to), length);
  MERROW_TRY(edit.CheckRoom(1));
  MERROW_ASSIGN(const auto op,
                state->OpForMove(static_cast<uint32_t>(from), static_cast<uint32_t>(to)));
  if (!op.has_value()) return {};
  const MovableListState::Move move{.from = op->from,
                                    .to = op->to,
                                    .id = edit.log.NextId(),
                                    .lamport = edit.log.NextLamport(),
                                    .element = op->element};
  edit.log.Builder().AddMove(list, op->from, op->to, op->element);
  edit.log.CountUncommitted(1);
  return edit.state.MoveElement(list, state, move, nullptr);
}

Result<Id> Document::TreeCreate(const ContainerId& tree, std::optional<Id> parent,
                                std::optional<uint32_t> index) {
  LocalEdit edit(impl_->core());
  MERROW_ASSIGN(auto* state, edit.ForEdit<TreeState>(tree, ContainerKind::kTree));
  const Id node = edit.log.NextId();
  const TreePlace place = parent.has_value() ? TreePlace::Below(*parent) : TreePlace::Root();
  MERROW_TRY(edit.ApplyTreeEdits(tree, state->EditsForCreate(node, place, index)));
  return node;
}

Status Document::TreeMoveNode(const ContainerId& tree, Id node, std::optional<Id> parent,
                              std::optional<uint32_t> index) {
  LocalEdit edit(impl_->core());
  MERROW_ASSIGN(auto* state, edit.ForEdit<TreeState>(tree, ContainerKind::kTree));
  const TreePlace place = parent.has_value() ? TreePlace::Below(*parent) : TreePlace::Root();
  return edit.ApplyTreeEdits(tree, state->EditsForMove(node, place, index));
}

Status Document::TreeDelete(const ContainerId& tree, Id node) {
  LocalEdit edit(impl_->core());
  MERROW_ASSIGN(auto* state, edit.ForEdit<TreeState>(tree, ContainerKind::kTree));
  return edit.ApplyTreeEdits(tree, state->EditsForDelete(node));
}

Status Document::TextInsert(const ContainerId& text, size_t position, std::string_view utf8,
                            TextUnit unit) {
  LocalEdit edit(impl_->core());
  MERROW_ASSIGN(TextState * state, edit.ForEdit<TextState>(text, ContainerKind::kText));
  if (!IsUtf8(utf8)) return InvalidArgument("text to insert is not UTF-8");
  MERROW_ASSIGN(const uint32_t at, LocalEdit::ToUnicode(text, *state, position, unit));
  if (utf8.empty()) return {};
  MERROW_TRY(edit.CheckRoom(utf8.size()));
  MERROW_ASSIGN(const uint32_t entity, state->EntityIndexForInsert(at));
  const uint32_t length = CountScalars(utf8);
  MERROW_TRY(edit.state.InsertText(text, state, entity, edit.log.NextId(), edit.log.NextLamport(),
                                   utf8, length));
  edit.log.Builder().AddTextInsert(text, entity, utf8, length);
  edit.log.CountUncommitted(length);
  return {};
}

Status Document::TextDelete(const ContainerId& text, size_t position, size_t count, TextUnit unit) {
  LocalEdit edit(impl_->core());
  MERROW_ASSIGN(TextState * state, edit.ForEdit<TextState>(text, ContainerKind::kText));
  MERROW_ASSIGN(const uint32_t start, LocalEdit::ToUnicode(text, *state, position, unit));
  if (count > SIZE_MAX - position) return OutOfRange(text, SIZE_MAX, state->unicode_length());
  MERROW_ASSIGN(const uint32_t end, LocalEdit::ToUnicode(text, *state, position + count, unit));
  if (start == end) return {};
  MERROW_TRY(edit.CheckRoom(end - start));
  MERROW_ASSIGN(const std::vector<DeleteRun> runs, state->RunsForDelete(start, end - start));
  edit.DeleteRuns(text, runs);
  return {};
}

Status Document::TextMark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                          const Value& value, StyleExpand expand, TextUnit unit) {
  if (value.is_null()) return TextUnmark(text, start, end, key, expand, unit);
  LocalEdit edit(impl_->core());
  MERROW_TRY(CheckPlain(value));
  return edit.Mark(text, start, end, key, value, StyleInfo(expand), unit);
}

Status Document::TextUnmark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                            StyleExpand expand, TextUnit unit) {
  LocalEdit edit(impl_->core());
  // What is inserted at the edge of a mark that expands there belongs to it, so not to what is
  // taken out of it.
  const StyleExpand reversed = expand == StyleExpand::kNone   ? StyleExpand::kBoth
                               : expand == StyleExpand::kBoth ? StyleExpand::kNone
                                                              : expand;
  return edit.Mark(text, start, end, key, Value(), StyleInfo(reversed), unit);
}

Status Document::CounterIncrement(const ContainerId& counter, double delta) {
  LocalEdit edit(impl_->core());
  return edit.Increment(counter, delta);
}

Status Document::Commit(const CommitOptions& options) {
  if (!IsUtf8(options.message)) return InvalidArgument("a commit message is not UTF-8");
  if (options.timestamp > kTimestampMax || options.timestamp < -kTimestampMax) {
    return InvalidArgument("timestamp " + std::to_string(options.timestamp) +
                           " is further than 2^60 seconds from 1970");
  }
  impl_->core().log.Commit(options.timestamp, options.message);
  impl_->core().TellEvents(DocumentEvent::Cause::kLocal);
  return {};
}

}  // namespace merrow::loro
