// SPDX-License-Identifier: Apache-2.0
#include "loro/op_overlap.h"

#include <algorithm>

#include "loro/utf8.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

bool SameValues(const OpSlice& a, const OpSlice& b, OverlapCursor* at_a, OverlapCursor* at_b) {
  const bool whole = a.length == a.op->length && b.length == b.op->length;
  if (whole && a.op->payload == b.op->payload) return true;
  const std::vector<Value>* values_a = at_a->ValuesOf(a);
  const std::vector<Value>* values_b = at_b->ValuesOf(b);
  if (values_a == nullptr || values_b == nullptr) return false;
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
bool Same(const OpSlice& a, const OpSlice& b, OverlapCursor* at_a, OverlapCursor* at_b) {
  const Op& x = *a.op;
  const Op& y = *b.op;
  if (x.kind != y.kind || a.container() != b.container()) return false;
  const auto key = [](const OpSlice& slice) {
    return slice.block->keys[static_cast<size_t>(slice.op->prop)];
  };
  switch (x.kind) {
    case OpKind::kTextInsert:
      return a.position() == b.position() && at_a->TextOf(a) == at_b->TextOf(b);
    case OpKind::kListInsert:
      return a.position() == b.position() && SameValues(a, b, at_a, at_b);
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

const Op& OverlapCursor::OpAt(Counter counter) {
  if (op_ != nullptr && op_->counter <= counter && counter < op_->end()) return *op_;
  const auto op = std::upper_bound(block_.ops.begin(), block_.ops.end(), counter,
                                   [](Counter at, const Op& other) { return at < other.end(); });
  MERROW_CHECK(op != block_.ops.end() && op->counter <= counter);
  op_ = &*op;
  last_content_ = nullptr;
  return *op_;
}

OverlapCursor::Content& OverlapCursor::ContentOf(const Op& op) {
  MERROW_CHECK(&op == op_);
  if (last_content_ == nullptr) last_content_ = &contents_[op_];
  return *last_content_;
}

std::string_view OverlapCursor::TextOf(const OpSlice& slice) {
  const std::string_view text = slice.op->payload;
  Content& at = ContentOf(*slice.op);
  if (slice.skip >= at.scalars) {
    at.bytes += BytesOfScalars(text.substr(at.bytes), slice.skip - at.scalars);
  } else {
    for (uint32_t back = at.scalars - slice.skip; back > 0; --back) {
      do {
        --at.bytes;
      } while ((static_cast<uint8_t>(text[at.bytes]) & 0xC0) == 0x80);
    }
  }
  at.scalars = slice.skip;
  return text.substr(at.bytes, BytesOfScalars(text.substr(at.bytes), slice.length));
}

const std::vector<Value>* OverlapCursor::ValuesOf(const OpSlice& slice) {
  std::optional<Result<std::vector<Value>>>& values = ContentOf(*slice.op).values;
  if (!values.has_value()) values = OpValues(block_, *slice.op);
  return values->ok() ? &**values : nullptr;
}

std::optional<Counter> FirstDifference(OverlapCursor* a, OverlapCursor* b, Counter from,
                                       Counter to) {
  for (Counter at = from; at < to;) {
    const Op& x = a->OpAt(at);
    const Op& y = b->OpAt(at);
    const Counter end = std::min({x.end(), y.end(), to});
    const auto length = static_cast<uint32_t>(end - at);
    const OpSlice slice_a{&a->block(), &x, static_cast<uint32_t>(at - x.counter), length, 0};
    const OpSlice slice_b{&b->block(), &y, static_cast<uint32_t>(at - y.counter), length, 0};
    if (!Same(slice_a, slice_b, a, b)) return at;
    at = end;
  }
  return std::nullopt;
}

}  // namespace merrow::loro
