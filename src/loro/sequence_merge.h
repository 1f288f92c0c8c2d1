// SPDX-License-Identifier: Apache-2.0
//
// Sequence merge: applies ops that are concurrent with what the state shows. Maps and counters
// merge by comparing; sequences (text, lists) by replaying their ops from the latest critical
// version on (sequence_tracker.h), which turns each new op into an edit of the state.
//
// A history is a chain of critical ops, which follow everything before them and so are applied as
// they are, and between them stretches of concurrent ops, each of which is replayed by itself from
// the critical op before it.

#pragma once

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

/// Applies all ops from `first_new` on to `state`, which shows the version of the ops before it,
/// but for `aside`. Corruption if an op does not fit its version; `state` is then unusable and has
/// to be rebuilt.
Status MergeInto(const OpLog& log, Lv first_new, State* state, TreeMoves aside = {});

/// The state at the version with these heads (ascending). Corruption if an op does not fit its
/// version. Cost: replays the whole history of the version.
Result<State> DeriveState(const OpLog& log, std::span<const Lv> heads);

/// Replays one text or list alone, up to the version with these heads. `base_length`: its elements
/// where a trimmed history starts. Corruption if an op does not fit. Cost: the whole history.
Result<SequenceTracker> ReplaySequence(const OpLog& log, std::span<const Lv> heads,
                                       const ContainerId& id, uint32_t base_length);

}  // namespace merrow::loro
