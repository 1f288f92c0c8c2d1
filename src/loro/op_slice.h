// SPDX-License-Identifier: Apache-2.0
//
// Op slice: some consecutive atoms of one op, with their lamports. Ops are cut where a version
// falls inside them: an update that overlaps what is known, or a replay that starts in mid-run.

#pragma once

#include <algorithm>
#include <string>

#include "loro/change_block.h"
#include "loro/utf8.h"

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

/// Makes one insert of text inserts that continue each other: a document that was merged from
/// updates has one for each key that was typed, and whoever applies them would do so one by one.
class TextJoiner {
 public:
  /// If the ops after `op`, with which `slice` ends, go on inserting where it does, `slice` becomes
  /// one of an op that stands for all of them, up to the counter `to`; it is valid until the next
  /// call. Returns the last op that is in the slice. REQUIRES: [op, end) are of one change.
  const Op* Extend(OpSlice* slice, const Op* op, const Op* end, Counter to) {
    return IsContinued(op, end, to) ? Gather(slice, op, end, to) : op;
  }

 private:
  static bool IsContinued(const Op* op, const Op* end, Counter to) {
    const Op* const next = op + 1;
    return op->kind == OpKind::kTextInsert && next != end && next->counter < to &&
           next->kind == OpKind::kTextInsert && next->container == op->container &&
           next->prop == int64_t{op->prop} + op->length;
  }

  const Op* Gather(OpSlice* slice, const Op* op, const Op* end, Counter to) {
    joined_ = *op;
    joined_.counter = slice->id().counter;
    joined_.prop = static_cast<int32_t>(slice->position());
    text_.assign(slice->skip == 0 ? op->payload
                                  : SliceScalars(op->payload, slice->skip, slice->length));
    do {
      ++op;
      text_.append(op->end() <= to
                       ? op->payload
                       : SliceScalars(op->payload, 0, static_cast<uint32_t>(to - op->counter)));
    } while (IsContinued(op, end, to));
    joined_.length = static_cast<uint32_t>(std::min(to, op->end()) - joined_.counter);
    joined_.payload = text_;
    slice->op = &joined_;
    slice->skip = 0;
    slice->length = joined_.length;
    return op;
  }

  Op joined_;
  std::string text_;
};

/// Calls visit(OpSlice) -> Status for the atoms [from, to) of a change, in order.
/// `lamport` is that of the atom `from`. REQUIRES: the change covers them.
template <typename Visit>
Status ForEachOpSlice(const ChangeBlock& block, const Change& change, Counter from, Counter to,
                      Lamport lamport, Visit&& visit, TextJoiner* joiner = nullptr) {
  const Op* const end = block.ops.data() + change.first_op + change.op_count;
  const Op* op = std::upper_bound(block.ops.data() + change.first_op, end, from,
                                  [](Counter at, const Op& other) { return at < other.end(); });
  for (; op != end && op->counter < to; ++op) {
    const Counter start = std::max(from, op->counter);
    const Counter stop = std::min(to, op->end());
    OpSlice slice{.block = &block,
                  .op = op,
                  .skip = static_cast<uint32_t>(start - op->counter),
                  .length = static_cast<uint32_t>(stop - start),
                  .lamport = lamport + static_cast<Lamport>(start - from)};
    if (joiner != nullptr) op = joiner->Extend(&slice, op, end, to);
    MERROW_TRY(visit(slice));
  }
  return {};
}

/// The same over all changes of a block, for atoms [from, to) that lie in one run of the causal
/// graph, so that lamports are consecutive.
template <typename Visit>
Status ForEachOpSlice(const ChangeBlock& block, Counter from, Counter to, Lamport lamport,
                      Visit&& visit, TextJoiner* joiner = nullptr) {
  auto change = std::upper_bound(block.changes.begin(), block.changes.end(), from,
                                 [](Counter at, const Change& other) { return at < other.end(); });
  for (; change != block.changes.end() && change->counter < to; ++change) {
    const Counter start = std::max(from, change->counter);
    const Counter stop = std::min(to, change->end());
    MERROW_TRY(ForEachOpSlice(block, *change, start, stop,
                              lamport + static_cast<Lamport>(start - from), visit, joiner));
  }
  return {};
}

}  // namespace merrow::loro
