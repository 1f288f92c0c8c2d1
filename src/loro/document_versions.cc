// SPDX-License-Identifier: Apache-2.0
//
// Versions of a document: how they relate, looking at earlier ones, and documents that end at them.

#include <deque>
#include <utility>

#include "base/bytes.h"
#include "loro/document_core.h"
#include "loro/document_impl.h"
#include "loro/envelope.h"
#include "loro/history_base.h"
#include "loro/sequence_merge.h"
#include "loro/snapshot.h"
#include "merrow/check.h"

namespace merrow::loro {

Error NotInHistory(const Frontiers& frontiers) {
  std::string text;
  for (const Id& id : frontiers) text += (text.empty() ? "" : ", ") + ToString(id);
  return NotFound("version {" + Clip(text) + "} is not in the history");
}

Result<State> DocumentCore::StateAt(const Frontiers& version) const {
  const std::optional<std::vector<Lv>> heads = log.graph().HeadsOf(version);
  if (!heads.has_value()) return NotInHistory(version);
  return DeriveState(log, *heads);
}

Status DocumentCore::Checkout(const Frontiers& version) {
  if (is_broken) return Corruption("the document is broken: its ops do not apply");
  MERROW_TRY(CheckMayChange());
  Commit();
  // As in loro-crdt, to go to the latest version when that is shown is to look at none: what comes
  // later will be shown.
  const bool is_latest = log.graph().VersionOf(version) == log.version();
  if (is_latest && (!view.has_value() || view_frontiers == log.graph().frontiers())) {
    CheckoutToLatest();
    return {};
  }
  MERROW_ASSIGN(State at, StateAt(version));
  const std::optional<State> before = std::exchange(view, std::move(at));
  view_frontiers = log.graph().FrontiersOf(*log.graph().VersionOf(version));
  if (events != nullptr) {
    events->TellCheckout(before.has_value() ? *before : state, *view, view_frontiers);
  }
  return {};
}

void DocumentCore::CheckoutToLatest() {
  if (!view.has_value() || !CheckMayChange().ok()) return;
  const std::optional<State> before = std::exchange(view, std::nullopt);
  if (events != nullptr) events->TellCheckout(*before, state, log.graph().frontiers());
}

Result<Bytes> DocumentCore::ExportUpTo(const Frontiers& version) {
  Commit();
  const std::optional<VersionVector> end = log.graph().VersionOf(version);
  if (!end.has_value()) return NotInHistory(version);
  const std::vector<IdSpan> spans = end->SpansNotIn(VersionVector());
  if (log.base() == nullptr) return ExportUpdatesInRange(spans);
  SnapshotParts parts;
  parts.version = *end;
  parts.frontiers = log.graph().FrontiersOf(*end);
  parts.shallow = ShallowPart(*log.base());
  std::deque<Bytes> storage;  // slices are temporary
  log.ForEachBlockIn(spans, [&](Id id, BytesView bytes) {
    parts.blocks.push_back({id, storage.emplace_back(bytes)});
  });
  parts.state_omitted = true;
  MERROW_ASSIGN(const Bytes body, EncodeSnapshot(parts));
  return EncodeEnvelope(EncodeMode::kFastSnapshot, body);
}

// --- Document ---

bool Document::is_shallow() const {
  return impl_->resting() == nullptr && impl_->log().base() != nullptr;
}

VersionVector Document::shallow_start() const {
  const CausalGraph::Start* start = impl_->log().graph().start();
  return start == nullptr ? VersionVector() : start->trimmed;
}

Frontiers Document::shallow_frontiers() const {
  const CausalGraph::Start* start = impl_->log().graph().start();
  return start == nullptr ? Frontiers() : start->frontiers;
}

std::optional<VersionVector> Document::VersionOf(const Frontiers& frontiers) const {
  return impl_->log().graph().VersionOf(frontiers);
}

Frontiers Document::FrontiersOf(const VersionVector& version) const {
  return impl_->log().graph().FrontiersOf(version);
}

std::optional<VersionOrder> Document::Compare(const Frontiers& a, const Frontiers& b) const {
  const CausalGraph& graph = impl_->log().graph();
  const std::optional<std::vector<Lv>> heads_a = graph.HeadsOf(a);
  const std::optional<std::vector<Lv>> heads_b = graph.HeadsOf(b);
  if (!heads_a.has_value() || !heads_b.has_value()) return std::nullopt;
  const CausalGraph::Difference difference = graph.Diff(*heads_a, *heads_b);
  if (difference.only_a.empty()) {
    return difference.only_b.empty() ? VersionOrder::kEqual : VersionOrder::kBefore;
  }
  return difference.only_b.empty() ? VersionOrder::kAfter : VersionOrder::kConcurrent;
}

Status Document::Checkout(const Frontiers& frontiers) { return impl_->core().Checkout(frontiers); }

void Document::CheckoutToLatest() { impl_->core().CheckoutToLatest(); }

bool Document::is_checked_out() const { return impl_->is_checked_out(); }

Frontiers Document::shown_frontiers() const {
  return is_checked_out() ? impl_->core().view_frontiers : frontiers();
}

Result<Document> Document::ForkAt(const Frontiers& frontiers, PeerId peer) {
  if (peer == kNoPeer) return InvalidArgument("peer " + std::to_string(peer) + " is reserved");
  MERROW_ASSIGN(const Bytes blob, impl_->core().ExportUpTo(frontiers));
  Document fork(peer);
  MERROW_TRY(fork.Import(blob));
  return fork;
}

Result<Document> Document::Fork(PeerId peer) {
  if (peer == kNoPeer) return InvalidArgument("peer " + std::to_string(peer) + " is reserved");
  if (is_broken()) return Corruption("the document is broken: its ops do not apply");
  Document fork(peer);
  MERROW_TRY(fork.Load(ExportSnapshot()));
  return fork;
}

void Document::ForEachChange(const std::function<void(const ChangeInfo&)>& visit) const {
  impl_->log().ForEachChange(
      [&visit](const ChangeBlock& block, const Change& change, uint32_t length, Lamport lamport) {
        visit({.id = {block.peer, change.counter},
               .length = length,
               .lamport = lamport,
               .timestamp = change.timestamp,
               .message = change.message,
               .deps = change.deps});
      });
}

Result<ImportStatus> Document::ImportBatch(std::span<const BytesView> blobs) {
  return impl_->core().ImportBatch(blobs);
}

Bytes Document::ExportUpdatesInRange(std::span<const IdSpan> spans) {
  return impl_->core().ExportUpdatesInRange(spans);
}

Result<Bytes> Document::ExportShallowSnapshot(const Frontiers& at) {
  return impl_->core().ExportShallowSnapshot(at);
}

}  // namespace merrow::loro
