// SPDX-License-Identifier: Apache-2.0
#include "loro/document.h"

#include <algorithm>
#include <deque>
#include <unordered_set>

#include "base/check.h"
#include "loro/envelope.h"
#include "loro/history.h"
#include "loro/json_writer.h"
#include "loro/op_log.h"
#include "loro/sequence_merge.h"
#include "loro/snapshot.h"
#include "loro/state.h"
#include "loro/state_image.h"
#include "loro/utf8.h"

namespace merrow::loro {
namespace {

using Incoming = OpLog::Incoming;

Result<std::shared_ptr<const Incoming>> DecodeIncoming(BytesView bytes) {
  auto incoming = std::make_shared<Incoming>();
  incoming->bytes = bytes;
  MERROW_ASSIGN(incoming->block, DecodeChangeBlock(bytes));
  return std::shared_ptr<const Incoming>(std::move(incoming));
}

// Decodes the blocks of one blob. Equal ops and tree positions take next to no bytes, so what they
// expand to is limited by more than the blob's size.
class BlockDecoder {
 public:
  /// Without limits.
  BlockDecoder() = default;
  explicit BlockDecoder(size_t blob_bytes)
      : ops_left_(kImportOpsFree + blob_bytes),
        bytes_left_(kImportBytesFree + kImportBytesFactor * blob_bytes) {}

  Status Add(BytesView bytes) {
    MERROW_ASSIGN(auto incoming, DecodeIncoming(bytes));
    const size_t ops = incoming->block.ops.size();
    if (ops > ops_left_) return LimitReached("a blob holds too many ops for its size");
    ops_left_ -= ops;
    const size_t table_bytes = TableBytes(incoming->block);
    if (table_bytes > bytes_left_) return LimitReached("a blob expands to too much for its size");
    bytes_left_ -= table_bytes;
    blocks_.push_back(std::move(incoming));
    return {};
  }

  std::vector<std::shared_ptr<const Incoming>> Take() { return std::move(blocks_); }

 private:
  size_t ops_left_ = SIZE_MAX;
  size_t bytes_left_ = SIZE_MAX;
  std::vector<std::shared_ptr<const Incoming>> blocks_;
};

Result<std::vector<std::shared_ptr<const Incoming>>> DecodeUpdates(BytesView body) {
  BlockDecoder decoder(body.size());
  MERROW_TRY(ForEachBlock(body, [&decoder](BytesView bytes) { return decoder.Add(bytes); }));
  return decoder.Take();
}

// The blocks of a snapshot. Several blobs within the limits can make one that is not, so they do
// not hold for what this library wrote.
enum class Origin { kAnywhere, kOwn };
Result<std::vector<std::shared_ptr<const Incoming>>> DecodeBlocks(const SnapshotParts& parts,
                                                                  Origin origin) {
  size_t bytes = 0;
  for (const SnapshotParts::Block& block : parts.blocks) bytes += block.bytes.size();
  BlockDecoder decoder = origin == Origin::kOwn ? BlockDecoder() : BlockDecoder(bytes);
  for (const SnapshotParts::Block& block : parts.blocks) MERROW_TRY(decoder.Add(block.bytes));
  return decoder.Take();
}

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
                         std::to_string(length) + " of " + id.ToString());
}

}  // namespace

struct Document::Impl {
  explicit Impl(PeerId peer) : log(peer) {}

  // --- Import ---

  Result<ImportStatus> Import(BytesView blob) {
    if (is_broken) return Corruption("the document is broken: its ops do not apply");
    log.Commit();
    MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(blob));
    if (envelope.mode == EncodeMode::kFastUpdates) {
      MERROW_ASSIGN(auto blocks, DecodeUpdates(envelope.body));
      return ImportBlocks(std::move(blocks));
    }
    // All of the snapshot has to be intact. But who made it may lie about the state, which follows
    // from the ops, so that is not taken from there.
    MERROW_ASSIGN(const SnapshotParts parts, DecodeSnapshot(envelope.body));
    if (parts.shallow.has_value()) {
      return Unsupported("a shallow snapshot: its history is trimmed");
    }
    MERROW_ASSIGN(auto blocks, DecodeBlocks(parts, Origin::kAnywhere));
    return ImportBlocks(std::move(blocks));
  }

  Result<ImportStatus> ImportBlocks(std::vector<std::shared_ptr<const Incoming>> blocks) {
    const OpLog::Checkpoint before = log.TakeCheckpoint();
    MERROW_ASSIGN(OpLog::Admission admission, log.Admit(std::move(blocks)));
    const Status applied = ApplyAdmitted(admission.admitted, before.graph.heads);
    if (!applied.ok()) {
      Restore(before);
      return applied.error();
    }
    return StatusOf(std::move(admission), before.graph.version);
  }

  Result<ImportStatus> Load(BytesView snapshot) {
    if (log.graph().size() > 0 || log.HasUncommitted() || log.has_pending() || is_broken) {
      return InvalidArgument("a snapshot can be loaded only into an empty document");
    }
    MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(snapshot));
    if (envelope.mode != EncodeMode::kFastSnapshot) {
      return InvalidArgument("what is loaded is not a snapshot");
    }
    MERROW_ASSIGN(const SnapshotParts parts, DecodeSnapshot(envelope.body));
    if (parts.shallow.has_value() || parts.state_omitted) return Import(snapshot);
    MERROW_ASSIGN(auto blocks, DecodeBlocks(parts, Origin::kOwn));
    return ImportWhole(parts, std::move(blocks));
  }

  // Takes over a snapshot's state as it is. REQUIRES: the document is empty.
  Result<ImportStatus> ImportWhole(const SnapshotParts& parts,
                                   std::vector<std::shared_ptr<const Incoming>> blocks) {
    OpLog fresh(log.local_peer());
    MERROW_ASSIGN(OpLog::Admission admission, fresh.Admit(std::move(blocks)));
    if (fresh.has_pending() || !(fresh.version() == parts.version)) {
      return Corruption("a snapshot's changes do not add up to its version " +
                        parts.version.ToString());
    }
    const Lamport lamport_after = fresh.graph().LamportAfter(fresh.graph().frontiers());
    MERROW_ASSIGN(State image,
                  StateFromImage(parts.states, lamport_after == 0 ? 0 : lamport_after - 1));
    log = std::move(fresh);
    state = std::move(image);
    return StatusOf(std::move(admission), VersionVector());
  }

  // `heads` is the version that the state shows.
  Status ApplyAdmitted(const std::vector<OpLog::Admitted>& admitted, std::vector<Lv> heads) {
    History history(log);
    for (const OpLog::Admitted& item : admitted) {
      const CausalGraph::Run& run = log.graph().RunOf(item.lv);
      const bool follows = item.lv > run.start ? heads.size() == 1 && heads[0] == item.lv - 1
                                               : std::equal(heads.begin(), heads.end(),
                                                            run.parents.begin(), run.parents.end());
      if (!follows) return MergeInto(log, item.lv, &state);
      const ChangeBlock& block = item.source->block;
      MERROW_TRY(ForEachOpSlice(block, block.changes[item.change], item.from, item.to,
                                run.LamportAt(item.lv),
                                [&](const OpSlice& slice) { return state.Apply(slice, history); }));
      heads.assign(1, item.lv + static_cast<Lv>(item.to - item.from) - 1);
    }
    return {};
  }

  // Goes back to an earlier version after an import failed half-way: the state is derived anew from
  // the log. That can fail, too, if a loaded state was not that of its ops, so that some fitted it
  // which do not fit each other.
  void Restore(const OpLog::Checkpoint& before) {
    log.RollBack(before);
    state = State();
    is_broken = !MergeInto(log, 0, &state).ok();
  }

  ImportStatus StatusOf(OpLog::Admission admission, const VersionVector& before) {
    ImportStatus status;
    status.success = log.version().SpansNotIn(before);
    status.pending = std::move(admission.pending);
    std::unordered_set<ContainerId, ContainerIdHash> seen;
    for (const OpLog::Admitted& item : admission.admitted) {
      const ChangeBlock& block = item.source->block;
      const Change& change = block.changes[item.change];
      for (uint32_t i = 0; i < change.op_count; ++i) {
        const ContainerId& id = block.containers[block.ops[change.first_op + i].container];
        if (seen.insert(id).second) status.changed.push_back(id);
      }
    }
    return status;
  }

  // --- Local edits ---

  // An edit opens the root that it is about before it is known whether it can be made. If it was
  // not, the root is gone again.
  class EditGuard {
   public:
    explicit EditGuard(Impl& impl)
        : impl_(impl), containers_(impl.state.containers().size()), next_(impl.log.NextId()) {}
    ~EditGuard() {
      if (impl_.log.NextId() == next_) impl_.state.Truncate(containers_);
    }
    EditGuard(const EditGuard&) = delete;
    EditGuard& operator=(const EditGuard&) = delete;

   private:
    Impl& impl_;
    const size_t containers_;
    const Id next_;
  };

  // The state of a container that is about to be edited.
  template <typename T>
  Result<T*> ForEdit(const ContainerId& id, ContainerKind kind) {
    if (id.kind() != kind) {
      return InvalidArgument(id.ToString() + " is not a " + ContainerKindName(kind));
    }
    if (id.is_root() && (id.name().size() > kRootNameBytesMax || !IsUtf8(id.name()))) {
      return InvalidArgument("a container's name is UTF-8 of at most " +
                             std::to_string(kRootNameBytesMax) + " bytes");
    }
    if (!id.is_root() && state.Find(id) == nullptr) {
      return NotFound("container " + id.ToString() + " does not exist");
    }
    T* const typed = state.OpenAs<T>(id);
    if (typed == nullptr) return Unsupported(id.ToString() + " cannot be edited");
    return typed;
  }

  Status CheckRoom(size_t atoms) const {
    if (is_broken) return Corruption("the document is broken: its ops do not apply");
    if (log.LocalMarkIsOpen()) {
      return Conflict("the last mark of peer " + std::to_string(log.local_peer()) +
                      " has no end yet");
    }
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
    state.OpenAs<MapState>(id)->Write(key, std::move(value), writer);
    return {};
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
    if (auto* list = state.OpenAs<ListState>(id)) {
      return list->Insert(at, op, lamport, std::move(values));
    }
    return state.OpenAs<MovableListState>(id)->InsertAt(at, op, lamport, std::move(values));
  }

  template <typename T>
  Status ListDelete(const ContainerId& id, size_t index, size_t count) {
    MERROW_ASSIGN(T * list, ForEdit<T>(id, id.kind()));
    if (index > list->length() || count > list->length() - index) {
      return OutOfRange(id, index + count, list->length());
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
    const IdLp element = item->element;
    const IdLp writer{log.NextLamport(), log.local_peer()};
    log.Builder().AddSet(id, element, value);
    log.CountUncommitted(1);
    state.AdoptChildren(value, id);
    state.OpenAs<MovableListState>(id)->Set(element, std::move(value), writer);
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
                    .position = std::move(edit.position)};
      log.Builder().AddTreeMove(id, move.node, move.parent.kind, move.parent.node, move.position);
      log.CountUncommitted(1);
      const bool is_create = move.node == move.id;
      const Id node = move.node;
      state.OpenAs<TreeState>(id)->ApplyLatest(std::move(move));
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
    MERROW_TRY(text->InsertStyleStart(from, op, lamport, key, value, info));
    MERROW_CHECK(text->InsertStyleEnd(to + 1, op.Plus(1), lamport + 1).ok());
    log.Builder().AddMark(id, from, to - from, key, value, info);
    log.CountUncommitted(2);
    return {};
  }

  Status Increment(const ContainerId& id, double delta) {
    MERROW_ASSIGN(CounterState * counter, ForEdit<CounterState>(id, ContainerKind::kCounter));
    MERROW_TRY(CheckRoom(1));
    log.Builder().AddCounter(id, delta);
    log.CountUncommitted(1);
    counter->sum += delta;
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

  OpLog log;
  State state;
  bool is_broken = false;
};

Document::Document(PeerId peer) : impl_(std::make_unique<Impl>(peer)) {
  MERROW_CHECK(peer != kNoPeer);
}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

PeerId Document::peer() const { return impl_->log.local_peer(); }

Status Document::SetPeer(PeerId peer) {
  if (peer == kNoPeer) return InvalidArgument("peer " + std::to_string(peer) + " is reserved");
  Commit();
  if (peer != impl_->log.local_peer()) impl_->log.SetLocalPeer(peer);
  return {};
}

Result<ImportStatus> Document::Import(BytesView blob) { return impl_->Import(blob); }

Result<ImportStatus> Document::Load(BytesView snapshot) { return impl_->Load(snapshot); }
bool Document::is_broken() const { return impl_->is_broken; }

Bytes Document::ExportUpdates(const VersionVector& from) {
  Commit();
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  impl_->log.ForEachBlockSince(from, [&writer](Id, BytesView bytes) { writer.AppendBlock(bytes); });
  return writer.Finish();
}

Bytes Document::ExportSnapshot() {
  Commit();
  impl_->log.Compact();
  SnapshotParts parts;
  parts.version = impl_->log.version();
  parts.frontiers = impl_->log.graph().frontiers();
  impl_->log.ForEachBlockSince(VersionVector(), [&parts](Id id, BytesView bytes) {
    parts.blocks.push_back({id, bytes});
  });
  std::deque<Bytes> storage;
  parts.states = ImageOfState(impl_->state, &storage);
  const Result<Bytes> body = EncodeSnapshot(parts);
  MERROW_CHECK(body.ok());
  return EncodeEnvelope(EncodeMode::kFastSnapshot, *body);
}

bool Document::has_pending() const { return impl_->log.has_pending(); }
void Document::DropPending() { impl_->log.DropPending(); }
const VersionVector& Document::version() const { return impl_->log.version(); }
Frontiers Document::frontiers() const { return impl_->log.graph().frontiers(); }
uint64_t Document::op_count() const { return impl_->log.graph().size(); }

void Document::AppendJson(std::string* out) const { AppendDocumentJson(impl_->state, out); }

void Document::AppendJson(const ContainerId& container, std::string* out) const {
  AppendContainerJson(impl_->state, container, out);
}

std::string Document::ToJson() const {
  std::string json;
  AppendJson(&json);
  return json;
}

void Document::AppendDelta(const ContainerId& text, std::string* out) const {
  AppendTextDelta(impl_->state, text, out);
}

bool Document::HasContainer(const ContainerId& container) const {
  return impl_->state.Find(container) != nullptr;
}

std::vector<ContainerId> Document::Roots() const {
  std::vector<ContainerId> roots;
  for (const Container& container : impl_->state.containers()) {
    if (container.id.is_root()) roots.push_back(container.id);
  }
  std::sort(roots.begin(), roots.end());
  return roots;
}

std::optional<Value> Document::MapGet(const ContainerId& map, std::string_view key) const {
  const auto* state = impl_->state.Get<MapState>(map);
  const Value* value = state == nullptr ? nullptr : state->Get(key);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::string Document::Text(const ContainerId& text) const {
  std::string plain;
  if (const auto* state = impl_->state.Get<TextState>(text)) state->AppendText(&plain);
  return plain;
}

double Document::CounterValue(const ContainerId& counter) const {
  const auto* state = impl_->state.Get<CounterState>(counter);
  return state == nullptr ? 0 : state->sum;
}

size_t Document::Length(const ContainerId& container, TextUnit unit) const {
  if (const auto* text = impl_->state.Get<TextState>(container)) {
    return unit == TextUnit::kUtf16 ? text->utf16_length() : text->unicode_length();
  }
  if (const auto* list = impl_->state.Get<ListState>(container)) return list->length();
  if (const auto* list = impl_->state.Get<MovableListState>(container)) return list->length();
  if (const auto* map = impl_->state.Get<MapState>(container)) return map->size();
  return 0;
}

Status Document::MapSet(const ContainerId& map, std::string_view key, const Value& value) {
  const Impl::EditGuard guard(*impl_);
  MERROW_TRY(CheckPlain(value));
  return impl_->MapWrite(map, key, value);
}

Status Document::MapDelete(const ContainerId& map, std::string_view key) {
  const Impl::EditGuard guard(*impl_);
  return impl_->MapWrite(map, key, std::nullopt);
}

Result<ContainerId> Document::MapSetContainer(const ContainerId& map, std::string_view key,
                                              ContainerKind kind) {
  const Impl::EditGuard guard(*impl_);
  const ContainerId child = ContainerId::Normal(impl_->log.NextId(), kind);
  MERROW_TRY(impl_->MapWrite(map, key, Value(child)));
  MERROW_TRY(impl_->StartChild(child));
  return child;
}

Status Document::ListInsert(const ContainerId& list, size_t index, const Value& value) {
  const Impl::EditGuard guard(*impl_);
  MERROW_TRY(CheckPlain(value));
  return impl_->ListInsert(list, index, value);
}

Result<ContainerId> Document::ListInsertContainer(const ContainerId& list, size_t index,
                                                  ContainerKind kind) {
  const Impl::EditGuard guard(*impl_);
  const ContainerId child = ContainerId::Normal(impl_->log.NextId(), kind);
  MERROW_TRY(impl_->ListInsert(list, index, Value(child)));
  MERROW_TRY(impl_->StartChild(child));
  return child;
}

Status Document::ListDelete(const ContainerId& list, size_t index, size_t count) {
  const Impl::EditGuard guard(*impl_);
  return list.kind() == ContainerKind::kMovableList
             ? impl_->ListDelete<MovableListState>(list, index, count)
             : impl_->ListDelete<ListState>(list, index, count);
}

Status Document::MovableListSet(const ContainerId& list, size_t index, const Value& value) {
  const Impl::EditGuard guard(*impl_);
  MERROW_TRY(CheckPlain(value));
  return impl_->MovableListSet(list, index, value);
}

Status Document::MovableListMove(const ContainerId& list, size_t from, size_t to) {
  const Impl::EditGuard guard(*impl_);
  MERROW_ASSIGN(auto* state, impl_->ForEdit<MovableListState>(list, ContainerKind::kMovableList));
  const size_t length = state->length();
  if (from >= length || to >= length) return OutOfRange(list, std::max(from, to), length);
  MERROW_TRY(impl_->CheckRoom(1));
  MERROW_ASSIGN(const auto op,
                state->OpForMove(static_cast<uint32_t>(from), static_cast<uint32_t>(to)));
  if (!op.has_value()) return {};
  const MovableListState::Move move{.from = op->from,
                                    .to = op->to,
                                    .id = impl_->log.NextId(),
                                    .lamport = impl_->log.NextLamport(),
                                    .element = op->element};
  impl_->log.Builder().AddMove(list, op->from, op->to, op->element);
  impl_->log.CountUncommitted(1);
  return state->MoveAt(move, nullptr);
}

Result<Id> Document::TreeCreate(const ContainerId& tree, std::optional<Id> parent,
                                std::optional<uint32_t> index) {
  const Impl::EditGuard guard(*impl_);
  MERROW_ASSIGN(auto* state, impl_->ForEdit<TreeState>(tree, ContainerKind::kTree));
  const Id node = impl_->log.NextId();
  const TreePlace place = parent.has_value() ? TreePlace::Below(*parent) : TreePlace::Root();
  MERROW_TRY(impl_->ApplyTreeEdits(tree, state->EditsForCreate(node, place, index)));
  return node;
}

Status Document::TreeMoveNode(const ContainerId& tree, Id node, std::optional<Id> parent,
                              std::optional<uint32_t> index) {
  const Impl::EditGuard guard(*impl_);
  MERROW_ASSIGN(auto* state, impl_->ForEdit<TreeState>(tree, ContainerKind::kTree));
  const TreePlace place = parent.has_value() ? TreePlace::Below(*parent) : TreePlace::Root();
  return impl_->ApplyTreeEdits(tree, state->EditsForMove(node, place, index));
}

Status Document::TreeDelete(const ContainerId& tree, Id node) {
  const Impl::EditGuard guard(*impl_);
  MERROW_ASSIGN(auto* state, impl_->ForEdit<TreeState>(tree, ContainerKind::kTree));
  return impl_->ApplyTreeEdits(tree, state->EditsForDelete(node));
}

Status Document::TextInsert(const ContainerId& text, size_t position, std::string_view utf8,
                            TextUnit unit) {
  const Impl::EditGuard guard(*impl_);
  MERROW_ASSIGN(TextState * state, impl_->ForEdit<TextState>(text, ContainerKind::kText));
  if (!IsUtf8(utf8)) return InvalidArgument("text to insert is not UTF-8");
  MERROW_ASSIGN(const uint32_t at, Impl::ToUnicode(text, *state, position, unit));
  if (utf8.empty()) return {};
  MERROW_TRY(impl_->CheckRoom(utf8.size()));
  MERROW_ASSIGN(const uint32_t entity, state->EntityIndexForInsert(at));
  const uint32_t length = CountScalars(utf8);
  MERROW_TRY(
      state->InsertText(entity, impl_->log.NextId(), impl_->log.NextLamport(), utf8, length));
  impl_->log.Builder().AddTextInsert(text, entity, utf8, length);
  impl_->log.CountUncommitted(length);
  return {};
}

Status Document::TextDelete(const ContainerId& text, size_t position, size_t count, TextUnit unit) {
  const Impl::EditGuard guard(*impl_);
  MERROW_ASSIGN(TextState * state, impl_->ForEdit<TextState>(text, ContainerKind::kText));
  MERROW_ASSIGN(const uint32_t start, Impl::ToUnicode(text, *state, position, unit));
  if (count > SIZE_MAX - position) return OutOfRange(text, SIZE_MAX, state->unicode_length());
  MERROW_ASSIGN(const uint32_t end, Impl::ToUnicode(text, *state, position + count, unit));
  if (start == end) return {};
  MERROW_TRY(impl_->CheckRoom(end - start));
  MERROW_ASSIGN(const std::vector<DeleteRun> runs, state->RunsForDelete(start, end - start));
  impl_->DeleteRuns(text, runs);
  return {};
}

Status Document::TextMark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                          const Value& value, StyleExpand expand, TextUnit unit) {
  const Impl::EditGuard guard(*impl_);
  MERROW_TRY(CheckPlain(value));
  return impl_->Mark(text, start, end, key, value, StyleInfo(expand), unit);
}

Status Document::TextUnmark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                            StyleExpand expand, TextUnit unit) {
  const Impl::EditGuard guard(*impl_);
  // What is inserted at the edge of a mark that expands there belongs to it, so not to what is
  // taken out of it.
  const StyleExpand reversed = expand == StyleExpand::kNone   ? StyleExpand::kBoth
                               : expand == StyleExpand::kBoth ? StyleExpand::kNone
                                                              : expand;
  return impl_->Mark(text, start, end, key, Value(), StyleInfo(reversed), unit);
}

Status Document::CounterIncrement(const ContainerId& counter, double delta) {
  const Impl::EditGuard guard(*impl_);
  return impl_->Increment(counter, delta);
}

void Document::Commit() { impl_->log.Commit(); }

size_t Document::MemoryBytes() const {
  return sizeof(Impl) + impl_->log.MemoryBytes() + impl_->state.MemoryBytes();
}

void Document::CheckInvariants() const {
  impl_->log.CheckInvariants();
  impl_->state.CheckInvariants();
}

Result<BlobMeta> ReadBlobMeta(BytesView blob) {
  MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(blob));
  BlobMeta meta;
  const auto add = [&meta](BytesView bytes) -> Status {
    MERROW_ASSIGN(const ChangeBlockHeader header, DecodeChangeBlockHeader(bytes));
    const bool is_first = meta.end.End(header.peer) == 0;
    if (is_first || header.counter < meta.start.End(header.peer)) {
      meta.start.Set(header.peer, header.counter);
    }
    meta.end.Extend(header.peer, header.end);
    meta.change_count += static_cast<uint32_t>(header.changes.size());
    return {};
  };
  if (envelope.mode == EncodeMode::kFastUpdates) {
    MERROW_TRY(ForEachBlock(envelope.body, add));
    return meta;
  }
  MERROW_ASSIGN(const SnapshotParts parts, DecodeSnapshot(envelope.body));
  meta.is_snapshot = true;
  meta.is_shallow = parts.shallow.has_value();
  for (const SnapshotParts::Block& block : parts.blocks) MERROW_TRY(add(block.bytes));
  return meta;
}

}  // namespace merrow::loro
