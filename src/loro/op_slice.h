// SPDX-License-Identifier: Apache-2.0
//
// Op slice: some consecutive atoms of one op, with their lamports. Ops are cut where a version
// falls inside them: an update that overlaps what is known, or a replay that starts in mid-run.

#pragma once

#include <algorithm>

#include "loro/change_block.h"

namespace merrow::loro {

struct OpSlice {
  const ChangeBlock* block;
  const Op* op;
  uint32_t skip;    // atoms of the op in front of the slice
  uint32_t length;  // atoms, at least 1
  Lamport lamport;  // of the slice's first atom

  Id id() const { return {block->peer, op->counter + static_cast<Counter>(skip)}; }
  const ContainerId& container() const { return block->containers[op->container]; }

  /// Position of the first atom, as the op's writer saw it. REQUIRES: the op has one.
  int64_t position() const {
    if (op->kind == OpKind::kDelete) {
      // Forwards the rest moves up to the same place; backwards the place moves down.
      return op->signed_length < 0 ? int64_t{op->prop} - skip : int64_t{op->prop};
    }
    return int64_t{op->prop} + skip;
  }
};

/// Calls visit(OpSlice) -> Status for the atoms [from, to) of a change, in order.
/// `lamport` is that of the atom `from`. REQUIRES: the change covers them.
template <typename Visit>
Status ForEachOpSlice(const ChangeBlock& block, const Change& change, Counter from, Counter to,
                      Lamport lamport, Visit&& visit) {
  const Op* const end = block.ops.data() + change.first_op + change.op_count;
  const Op* op = std::upper_bound(block.ops.data() + change.first_op, end, from,
                                  [](Counter at, const Op& other) { return at < other.end(); });
  for (; op != end && op->counter < to; ++op) {
    const Counter start = std::max(from, op->counter);
    const Counter stop = std::min(to, op->end());
    MERROW_TRY(visit(OpSlice{.block = &block,
                             .op = op,
                             .skip = static_cast<uint32_t>(start - op->counter),
                             .length = static_cast<uint32_t>(stop - start),
                             .lamport = lamport + static_cast<Lamport>(start - from)}));
  }
  return {};
}

/// The same over all changes of a block, for atoms [from, to) that lie in one run of the causal
/// graph, so that lamports are consecutive.
template <typename Visit>
Status ForEachOpSlice(const ChangeBlock& block, Counter from, Counter to, Lamport lamport,
                      Visit&& visit) {
  auto change = std::upper_bound(block.changes.begin(), block.changes.end(), from,
                                 [](Counter at, const Change& other) { return at < other.end(); });
  for (; change != block.changes.end() && change->counter < to; ++change) {
    const Counter start = std::max(from, change->counter);
    const Counter stop = std::min(to, change->end());
    MERROW_TRY(ForEachOpSlice(block, *change, start, stop,
                              lamport + static_cast<Lamport>(start - from), visit));
  }
  return {};
}

}  // namespace merrow::loro
