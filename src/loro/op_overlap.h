// SPDX-License-Identifier: Apache-2.0
//
// Op overlap: whether two blocks mean the same where both have atoms of one peer. How ops and
// changes are cut says nothing: replicas differ in it. Neither do the ids that deletes name, which
// old writers got wrong.

#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "loro/change_block.h"
#include "loro/op_slice.h"

namespace merrow::loro {

/// Goes through the ops of a block. What an op holds is decoded once, however the other side cuts
/// it: a few bytes can stand for many atoms.
class OverlapCursor {
 public:
  explicit OverlapCursor(const ChangeBlock& block) : block_(block) {}

  /// The op with the atom at `counter`, which is not before that of the last call.
  const Op& OpAt(Counter counter);
  /// Of a text insert, that slice of the op. REQUIRES: OpAt gave the op; slices come in order.
  std::string_view TextOf(const OpSlice& slice);
  /// Of a list insert, all values of the op; null if they do not decode. REQUIRES: as TextOf.
  const std::vector<Value>* ValuesOf(const OpSlice& slice);
  const ChangeBlock& block() const { return block_; }

 private:
  const ChangeBlock& block_;
  const Op* op_ = nullptr;
  std::string_view text_left_;  // of the op's text, from text_skip_ on
  uint32_t text_skip_ = 0;
  std::optional<Result<std::vector<Value>>> values_;
};

/// The first atom of [from, to) at which `a` and `b` differ; nothing if they agree. REQUIRES: both
/// are of blocks of one peer that cover the range.
std::optional<Counter> FirstDifference(OverlapCursor* a, OverlapCursor* b, Counter from,
                                       Counter to);

}  // namespace merrow::loro
