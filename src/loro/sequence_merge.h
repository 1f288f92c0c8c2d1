// SPDX-License-Identifier: Apache-2.0
//
// Sequence merge: applies ops that are concurrent with what the state shows. Maps and counters
// merge by comparing; sequences (text, lists) by replaying their ops from the latest critical
// version on (sequence_tracker.h), which turns each new op into an edit of the state.

#pragma once

#include "loro/op_log.h"
#include "loro/state.h"

namespace merrow::loro {

/// Applies all ops from `first_new` on to `state`, which shows the version of the ops before it.
/// Corruption if an op does not fit its version; `state` is then unusable and has to be rebuilt.
Status MergeInto(const OpLog& log, Lv first_new, State* state);

}  // namespace merrow::loro
