// SPDX-License-Identifier: Apache-2.0
//
// One change block. What decodes has the values that it says, and can be cut anywhere, put together
// again and decoded.

#include <algorithm>

#include "loro/change_block.h"
#include "loro/fuzz/fuzz_target.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

void CheckHeader(const ChangeBlock& block, BytesView bytes) {
  const Result<ChangeBlockHeader> header = DecodeChangeBlockHeader(bytes);
  MERROW_CHECK(header.ok());
  MERROW_CHECK(header->peer == block.peer);
  MERROW_CHECK(header->counter == block.counter());
  MERROW_CHECK(header->end == block.end());
  MERROW_CHECK(header->changes.size() == block.changes.size());
}

void CheckValues(const ChangeBlock& block) {
  for (const Op& op : block.ops) {
    if (op.kind == OpKind::kListInsert) {
      const Result<std::vector<Value>> values = OpValues(block, op);
      MERROW_CHECK(values.ok() && values->size() == op.length);
    }
    if (op.kind == OpKind::kMapSet || op.kind == OpKind::kSet ||
        op.kind == OpKind::kTextMarkStart) {
      MERROW_CHECK(OpValue(block, op).ok());
    }
  }
}

// Appends every change in two parts, and what that encodes to must decode.
void CheckCuts(const ChangeBlock& block, ChangeMerge merge) {
  ChangeBlockBuilder builder(block.peer);
  for (size_t i = 0; i < block.changes.size(); ++i) {
    const Change& change = block.changes[i];
    const Counter middle = change.counter + static_cast<Counter>(change.length / 2);
    if (middle > change.counter &&
        !builder.AppendSlice(block, i, change.counter, middle, merge).ok()) {
      break;  // lamports beyond 32 bits
    }
    if (!builder.AppendSlice(block, i, middle, change.end(), merge).ok()) break;
  }
  if (builder.empty()) return;
  const Bytes bytes = builder.Encode();
  const Result<ChangeBlock> again = DecodeChangeBlock(bytes);
  MERROW_CHECK(again.ok());
  MERROW_CHECK(again->peer == block.peer);
  MERROW_CHECK(again->counter() == block.counter());
  MERROW_CHECK(again->end() == builder.end());
}

// The second half of the block's atoms alone.
void CheckTail(const ChangeBlock& block) {
  const Counter from = block.counter() + (block.end() - block.counter()) / 2;
  ChangeBlockBuilder builder(block.peer);
  for (size_t i = 0; i < block.changes.size(); ++i) {
    const Change& change = block.changes[i];
    if (change.end() <= from) continue;
    const Counter start = std::max(from, change.counter);
    if (!builder.AppendSlice(block, i, start, change.end()).ok()) break;
  }
  if (!builder.empty()) MERROW_CHECK(DecodeChangeBlock(builder.Encode()).ok());
}

}  // namespace

void FuzzChangeBlock(BytesView input) {
  const Result<ChangeBlock> block = DecodeChangeBlock(input);
  if (!block.ok()) {
    static_cast<void>(DecodeChangeBlockHeader(input));
    return;
  }
  CheckHeader(*block, input);
  CheckValues(*block);
  CheckCuts(*block, ChangeMerge::kKeep);
  CheckCuts(*block, ChangeMerge::kMerge);
  CheckTail(*block);
}

}  // namespace merrow::loro
