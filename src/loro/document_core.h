// SPDX-License-Identifier: Apache-2.0
//
// Document core: what a document is made of, and how changes from elsewhere get in and out. Local
// edits are LocalEditor's; the public face of both is Document.
//
// Invariants: those of Document.

#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "loro/event_hub.h"
#include "loro/op_log.h"
#include "loro/sequence_merge.h"
#include "loro/snapshot_cache.h"
#include "loro/state.h"
#include "merrow/document.h"

namespace merrow::loro {

struct SnapshotParts;

class DocumentCore {
 public:
  explicit DocumentCore(PeerId peer) : log(peer) {}

  OpLog log;
  /// What all of the log means, whatever version is looked at.
  State state;
  /// What the merge of concurrent ops may go on with.
  MergeWindow merge_window;
  /// What the last snapshot was made of; null if there was none, or a small one.
  std::unique_ptr<SnapshotCache> snapshot_cache;
  bool is_broken = false;
  /// An earlier version that is shown instead, and its heads.
  std::optional<State> view;
  Frontiers view_frontiers;
  /// What reading sees.
  const State& shown() const { return view.has_value() ? *view : state; }

  // As in Document.
  Result<ImportStatus> Import(BytesView blob);
  Result<ImportStatus> ImportBatch(std::span<const BytesView> blobs);
  using Blocks = std::vector<std::shared_ptr<const OpLog::Incoming>>;
  Result<ImportStatus> ImportBlocks(Blocks blocks);
  Result<ImportStatus> Load(BytesView snapshot);
  Bytes ExportUpdates(const VersionVector& from);
  Bytes ExportSnapshot();
  Bytes ExportUpdatesInRange(std::span<const IdSpan> spans);
  void Compact();
  Result<Bytes> ExportShallowSnapshot(const Frontiers& at);

  /// The state at a version. Not found if one of `version` is not in the history. REQUIRES: the
  /// document is not broken. Cost: replays the history of the version.
  Result<State> StateAt(const Frontiers& version) const;
  // As in Document.
  Status Checkout(const Frontiers& version);
  void CheckoutToLatest();
  /// A blob with the history up to a version. Not found as in StateAt.
  Result<Bytes> ExportUpTo(const Frontiers& version);

  /// Makes the open local change part of the log, and tells of it.
  void Commit() {
    log.Commit();
    TellEvents(DocumentEvent::Cause::kLocal);
  }

  /// Null unless somebody wants to know what changes.
  std::unique_ptr<EventHub> events;
  /// To be called after every change of the log's version, unless the change failed.
  void TellEvents(DocumentEvent::Cause cause);
  /// Busy in an event callback. To be asked before every change.
  Status CheckMayChange() const;

 private:
  bool IsEmpty() const;
  std::optional<Lv> CriticalStart(std::span<const Lv> heads) const;
  Result<ImportStatus> StartFrom(const SnapshotParts& parts, Blocks blocks, Blocks more);
  ImportStatus Replace(OpLog fresh_log, State fresh_state, OpLog::Admission admission);
  Result<ImportStatus> ImportWhole(const SnapshotParts& parts, Blocks blocks);
  Status ApplyAdmitted(const std::vector<OpLog::Admitted>& admitted, std::vector<Lv> heads);
  void Restore(Lv size);
};

/// "Not found" for a version that is not in the history.
Error NotInHistory(const Frontiers& frontiers);

}  // namespace merrow::loro
