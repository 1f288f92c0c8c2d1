// SPDX-License-Identifier: Apache-2.0
//
// Op overlap: whether two blocks mean the same where both have atoms of one peer. How ops and
// changes are cut says nothing: replicas differ in it. Neither do the ids that deletes name, which
// old writers got wrong.

#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "loro/change_block.h"
#include "loro/op_slice.h"

namespace merrow::loro {

/// Goes through the ops of a block, forwards or back. What an op holds is decoded once, however the
/// other side cuts it: a few bytes can stand for many atoms. In a text, a step costs its length.
class OverlapCursor {
 public:
  explicit OverlapCursor(const ChangeBlock& block) : block_(block) {}

  /// The op with the atom at `counter`.
  const Op& OpAt(Counter counter);
  /// Of a text insert, that slice of the op. REQUIRES: OpAt gave the op.
  std::string_view TextOf(const OpSlice& slice);
  /// Of a list insert, all values of the op; null if they do not decode. REQUIRES: as TextOf.
  const std::vector<Value>* ValuesOf(const OpSlice& slice);
  const ChangeBlock& block() const { return block_; }

 private:
  struct Content {
    // A place in the op's text, in scalars and in bytes.
    uint32_t scalars = 0;
    size_t bytes = 0;
    std::optional<Result<std::vector<Value>>> values;
  };
  Content& ContentOf(const Op& op);

  const ChangeBlock& block_;
  const Op* op_ = nullptr;
  std::unordered_map<const Op*, Content> contents_;  // of ops that were asked for
  Content* last_content_ = nullptr;                  // of op_, or null
};

/// The first atom of [from, to) at which `a` and `b` differ; nothing if they agree. REQUIRES: both
/// are of blocks of one peer that cover the range.
std::optional<Counter> FirstDifference(OverlapCursor* a, OverlapCursor* b, Counter from,
                                       Counter to);

}  // namespace merrow::loro
