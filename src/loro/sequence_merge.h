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

#include "loro/op_log.h"
#include "loro/sequence_tracker.h"
#include "loro/state.h"

namespace merrow::loro {

/// Applies all ops from `first_new` on to `state`, which shows the version of the ops before it.
/// Corruption if an op does not fit its version; `state` is then unusable and has to be rebuilt.
Status MergeInto(const OpLog& log, Lv first_new, State* state);

/// The state at the version with these heads (ascending). Corruption if an op does not fit its
/// version. Cost: replays the whole history of the version.
Result<State> DeriveState(const OpLog& log, std::span<const Lv> heads);

/// Replays one text or list alone, up to the version with these heads. `base_length`: its elements
/// where a trimmed history starts. Corruption if an op does not fit. Cost: the whole history.
Result<SequenceTracker> ReplaySequence(const OpLog& log, std::span<const Lv> heads,
                                       const ContainerId& id, uint32_t base_length);

}  // namespace merrow::loro
