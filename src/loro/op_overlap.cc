// SPDX-License-Identifier: Apache-2.0
#include "loro/op_overlap.h"

#include <algorithm>

#include "loro/op_slice.h"
#include "loro/utf8.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

const Op& OpAt(const ChangeBlock& block, Counter counter) {
  const auto op = std::upper_bound(block.ops.begin(), block.ops.end(), counter,
                                   [](Counter at, const Op& other) { return at < other.end(); });
  MERROW_CHECK(op != block.ops.end() && op->counter <= counter);
  return *op;
}

bool SameValues(const OpSlice& a, const OpSlice& b) {
  const bool whole = a.length == a.op->length && b.length == b.op->length;
  if (whole && a.op->payload == b.op->payload) return true;
  const Result<std::vector<Value>> values_a = OpValues(*a.block, *a.op);
  const Result<std::vector<Value>> values_b = OpValues(*b.block, *b.op);
  if (!values_a.ok() || !values_b.ok()) return false;
  return std::equal(values_a->begin() + a.skip, values_a->begin() + a.skip + a.length,
                    values_b->begin() + b.skip);
}

bool SameValue(const OpSlice& a, const OpSlice& b) {
  if (a.op->payload == b.op->payload) return true;
  const Result<Value> value_a = OpValue(*a.block, *a.op);
  const Result<Value> value_b = OpValue(*b.block, *b.op);
  return value_a.ok() && value_b.ok() && *value_a == *value_b;
}

bool SameTreeMove(const OpSlice& a, const OpSlice& b) {
  const Op& x = *a.op;
  const Op& y = *b.op;
  if (x.target != y.target || x.parent_kind != y.parent_kind) return false;
  if (x.parent_kind == TreeParent::kDeleted) return true;
  if (x.parent_kind == TreeParent::kNode && x.parent != y.parent) return false;
  return a.block->positions[x.position] == b.block->positions[y.position];
}

// REQUIRES: equal ids and lengths.
bool Same(const OpSlice& a, const OpSlice& b) {
  const Op& x = *a.op;
  const Op& y = *b.op;
  if (x.kind != y.kind || a.container() != b.container()) return false;
  const auto key = [](const OpSlice& slice) {
    return slice.block->keys[static_cast<size_t>(slice.op->prop)];
  };
  switch (x.kind) {
    case OpKind::kTextInsert:
      return a.position() == b.position() &&
             SliceScalars(x.payload, a.skip, a.length) == SliceScalars(y.payload, b.skip, b.length);
    case OpKind::kListInsert:
      return a.position() == b.position() && SameValues(a, b);
    case OpKind::kTextMarkStart:
      return x.prop == y.prop && x.mark_length == y.mark_length && x.mark_info == y.mark_info &&
             a.block->keys[x.mark_key] == b.block->keys[y.mark_key] && SameValue(a, b);
    case OpKind::kDelete:
      // Of one atom the direction says nothing.
      return a.position() == b.position() &&
             (a.length == 1 || (x.signed_length < 0) == (y.signed_length < 0));
    case OpKind::kMapSet:
      return key(a) == key(b) && SameValue(a, b);
    case OpKind::kMapDelete:
      return key(a) == key(b);
    case OpKind::kMove:
      return x.prop == y.prop && x.from == y.from && x.element == y.element;
    case OpKind::kSet:
      return x.element == y.element && SameValue(a, b);
    case OpKind::kTreeMove:
      return SameTreeMove(a, b);
    case OpKind::kCounterAdd:
      return x.payload == y.payload || x.delta == y.delta;
    case OpKind::kTextMarkEnd:
      return true;
    case OpKind::kUnknown:
      return x.prop == y.prop && x.raw_tag == y.raw_tag && x.payload == y.payload;
  }
  MERROW_CHECK(false);
}

}  // namespace

std::optional<Counter> FirstDifference(const ChangeBlock& a, const ChangeBlock& b, Counter from,
                                       Counter to) {
  for (Counter at = from; at < to;) {
    const Op& x = OpAt(a, at);
    const Op& y = OpAt(b, at);
    const Counter end = std::min({x.end(), y.end(), to});
    const auto length = static_cast<uint32_t>(end - at);
    const OpSlice slice_a{&a, &x, static_cast<uint32_t>(at - x.counter), length, 0};
    const OpSlice slice_b{&b, &y, static_cast<uint32_t>(at - y.counter), length, 0};
    if (!Same(slice_a, slice_b)) return at;
    at = end;
  }
  return std::nullopt;
}

}  // namespace merrow::loro
