// SPDX-License-Identifier: Apache-2.0
#include "merrow/document.h"

#include <algorithm>

#include "loro/document_impl.h"
#include "loro/envelope.h"
#include "loro/json_writer.h"
#include "loro/mergeable.h"
#include "loro/snapshot.h"
#include "merrow/check.h"

namespace merrow::loro {

Document::Document(PeerId peer) : impl_(std::make_unique<Impl>(peer)) {
  MERROW_CHECK(peer != kNoPeer);
}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

PeerId Document::peer() const { return impl_->peer(); }

Status Document::SetPeer(PeerId peer) {
  if (peer == kNoPeer) return InvalidArgument("peer " + std::to_string(peer) + " is reserved");
  MERROW_TRY(impl_->CheckMayChange());
  Commit();
  impl_->SetPeer(peer);
  return {};
}

Result<ImportStatus> Document::Import(BytesView blob) { return impl_->core().Import(blob); }

Result<ImportStatus> Document::Load(BytesView snapshot) {
  ImportStatus status;
  if (!impl_->is_used()) {
    MERROW_ASSIGN(auto kept, RestingDocument::Keep(snapshot));
    if (kept != nullptr) {
      status.success = kept->version().SpansNotIn(VersionVector());
      impl_->Keep(std::move(kept));
      return status;
    }
  }
  MERROW_ASSIGN(status, impl_->core().Load(snapshot));
  status.changed.clear();
  return status;
}

bool Document::is_broken() const { return impl_->is_broken(); }

Bytes Document::ExportUpdates(const VersionVector& from) {
  return impl_->core_for_log().ExportUpdates(from);
}

Bytes Document::ExportSnapshot() {
  const BytesView loaded = impl_->loaded_snapshot();
  return loaded.empty() ? impl_->core().ExportSnapshot() : Bytes(loaded);
}

void Document::Compact() {
  // A snapshot at rest is compact.
  if (impl_->loaded_snapshot().empty()) impl_->core().Compact();
}

bool Document::has_pending() const {
  return impl_->resting() == nullptr && impl_->log().has_pending();
}
void Document::DropPending() {
  if (impl_->resting() == nullptr) impl_->log().DropPending();
}
VersionVector Document::version() const {
  const RestingDocument* resting = impl_->resting();
  return resting != nullptr ? resting->version() : impl_->log().version();
}
Frontiers Document::frontiers() const {
  const RestingDocument* resting = impl_->resting();
  return resting != nullptr ? resting->frontiers() : impl_->log().graph().frontiers();
}
uint64_t Document::op_count() const {
  const RestingDocument* resting = impl_->resting();
  return resting != nullptr ? resting->op_count() : impl_->log().graph().size();
}

void Document::AppendJson(std::string* out) const { AppendDocumentJson(impl_->shown(), out); }

void Document::AppendJson(const ContainerId& container, std::string* out) const {
  AppendContainerJson(impl_->shown(), container, out);
}

std::string Document::ToJson() const {
  std::string json;
  AppendJson(&json);
  return json;
}

void Document::AppendDelta(const ContainerId& text, std::string* out) const {
  AppendTextDelta(impl_->shown(), text, out);
}

bool Document::HasContainer(const ContainerId& container) const {
  const State& state = impl_->shown();
  const std::optional<MergeablePlace> place = PlaceOfMergeable(container);
  if (!place.has_value()) {
    // Of what nothing refers to any more, only ops may be left.
    const Container* found = state.Find(container);
    return found != nullptr &&
           (!std::holds_alternative<OpaqueState>(found->state) || !IsKnown(container.kind()));
  }
  const auto* map = state.Get<MapState>(place->map);
  const Value* slot = map == nullptr ? nullptr : map->Get(place->key);
  return slot != nullptr && MergeableShownBy(place->map, place->key, *slot) == container;
}

std::vector<ContainerId> Document::Roots() const {
  std::vector<ContainerId> roots;
  for (const Container& container : impl_->shown().containers()) {
    if (container.id.is_root() && !IsMergeable(container.id)) roots.push_back(container.id);
  }
  std::sort(roots.begin(), roots.end());
  return roots;
}

std::optional<Value> Document::MapGet(const ContainerId& map, std::string_view key) const {
  const auto* state = impl_->shown().Get<MapState>(map);
  const Value* value = state == nullptr ? nullptr : state->Get(key);
  if (value == nullptr) return std::nullopt;
  if (auto child = MergeableShownBy(map, key, *value)) return Value(*std::move(child));
  return *value;
}

std::vector<std::string> Document::MapKeys(const ContainerId& map) const {
  std::vector<std::string> keys;
  if (const auto* state = impl_->shown().Get<MapState>(map)) {
    for (const MapState::Entry& entry : state->entries()) {
      if (entry.value.has_value()) keys.push_back(entry.key);
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::optional<Value> Document::ListGet(const ContainerId& list, size_t index) const {
  const State& state = impl_->shown();
  const Value* value = nullptr;
  if (index < kListLengthMax) {
    const auto at = static_cast<uint32_t>(index);
    if (const auto* plain = state.Get<ListState>(list)) value = plain->Get(at);
    if (const auto* movable = state.Get<MovableListState>(list)) value = movable->Get(at);
  }
  return value == nullptr ? std::nullopt : std::optional<Value>(*value);
}

std::string Document::Text(const ContainerId& text) const {
  std::string plain;
  if (const auto* state = impl_->shown().Get<TextState>(text)) state->AppendText(&plain);
  return plain;
}

double Document::CounterValue(const ContainerId& counter) const {
  const auto* state = impl_->shown().Get<CounterState>(counter);
  return state == nullptr ? 0 : state->sum;
}

size_t Document::Length(const ContainerId& container, TextUnit unit) const {
  if (const auto* text = impl_->shown().Get<TextState>(container)) {
    return unit == TextUnit::kUtf16 ? text->utf16_length() : text->unicode_length();
  }
  if (const auto* list = impl_->shown().Get<ListState>(container)) return list->length();
  if (const auto* list = impl_->shown().Get<MovableListState>(container)) return list->length();
  if (const auto* map = impl_->shown().Get<MapState>(container)) return map->size();
  return 0;
}

void Document::Commit() {
  if (impl_->resting() == nullptr) impl_->core_for_log().Commit();
}

size_t Document::MemoryBytes() const { return sizeof(*this) + impl_->MemoryBytes(); }

void Document::CheckInvariants() const { impl_->CheckInvariants(); }

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
  meta.is_shallow = parts.shallow.has_value() && !parts.shallow->start.empty();
  for (const SnapshotParts::Block& block : parts.blocks) MERROW_TRY(add(block.bytes));
  return meta;
}

}  // namespace merrow::loro
