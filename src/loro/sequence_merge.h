// SPDX-License-Identifier: Apache-2.0
//
// Sequence merge: applies ops that are concurrent with what the state shows. Maps and counters
// merge by comparing; sequences (text, lists) by replaying their ops from the latest critical
// version on (sequence_tracker.h), which turns each new op into an edit of the state.
//
// A history falls apart into stretches of ops that follow everything before them, which are applied
// as they are, and stretches of concurrent ops, each of which is replayed by itself from the
// critical version in front of it (critical_stretches.h).
//
// While people write at the same time, a stretch of concurrent ops grows with every import. So that
// it is not replayed from its start each time, a document keeps the replay: the merge window.

#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "loro/op_log.h"
#include "loro/sequence_tracker.h"
#include "loro/state.h"

namespace merrow::loro {

/// Ops of trees that are still to be merged. Their order does not matter, so it is best to have all
/// of them first.
using TreeMoves = std::unordered_map<ContainerId, std::vector<TreeMove>, ContainerIdHash>;

/// Applies an op as State::Apply does, or puts it aside if it is a tree's.
Status ApplyUnlessTree(const OpSlice& slice, State* state, History& history, TreeMoves* aside);

/// A merge window may hold this much memory; a larger one is forgotten.
inline constexpr size_t kMergeWindowBytesMax = size_t{16} << 20;

/// The replay of the concurrent ops that arrived last. It belongs to one log and its state and may
/// be forgotten at any time.
class MergeWindow {
 public:
  MergeWindow();
  ~MergeWindow();
  MergeWindow(MergeWindow&&) noexcept;
  MergeWindow& operator=(MergeWindow&&) noexcept;

  /// To be called when the log loses ops, or the state is replaced.
  void Clear();
  size_t MemoryBytes() const;

  struct Impl;

 private:
  friend Status MergeInto(const OpLog&, Lv, State*, struct MergeHelp);

  std::unique_ptr<Impl> impl_;
};

/// What makes a merge cheaper, if it is there.
struct MergeHelp {
  TreeMoves aside;                            // ops that come before, put aside by ApplyUnlessTree
  MergeWindow* window = nullptr;              // of the log and the state
  std::span<const OpLog::Admitted> admitted;  // of the ops; these need not be decoded again
};

/// Applies all ops from `first_new` on to `state`, which shows the version of the ops before it,
/// but for `help.aside`. Corruption if an op does not fit its version; `state` is then unusable and
/// has to be rebuilt.
Status MergeInto(const OpLog& log, Lv first_new, State* state, MergeHelp help = {});

/// The state at the version with these heads (ascending). Corruption if an op does not fit its
/// version. Cost: replays the whole history of the version.
Result<State> DeriveState(const OpLog& log, std::span<const Lv> heads);

/// Replays one text or list alone, up to the version with these heads. `base_length`: its elements
/// where a trimmed history starts. Corruption if an op does not fit. Cost: the whole history.
Result<SequenceTracker> ReplaySequence(const OpLog& log, std::span<const Lv> heads,
                                       const ContainerId& id, uint32_t base_length);

}  // namespace merrow::loro
