// SPDX-License-Identifier: Apache-2.0
//
// The ops of documents that a transaction brought. What was read, written again, is the same, and
// adding it to itself adds nothing.

#include "base/fuzz/heap_meter.h"
#include "merrow/check.h"
#include "store/document_ops.h"
#include "store/fuzz/fuzz_store.h"

namespace merrow::store {
namespace {

constexpr size_t kHeapBase = size_t{4} << 10;
// A document of two bytes is a node of a map.
constexpr size_t kHeapFactor = 128;

void CheckSpans(const DocumentOps& ops) {
  MERROW_CHECK(ops.all == ops.spans.empty());
  for (size_t i = 0; i < ops.spans.size(); ++i) {
    const loro::IdSpan& span = ops.spans[i];
    MERROW_CHECK(span.start >= 0 && span.start < span.end);
    if (i == 0) continue;
    const loro::IdSpan& before = ops.spans[i - 1];
    MERROW_CHECK(before.peer < span.peer || (before.peer == span.peer && before.end < span.start));
  }
}

}  // namespace

void FuzzDocumentOps(BytesView input) {
  DocumentOpsById all;
  const fuzz::HeapMeter meter;
  const Status status = DecodeDocumentOps(input, &all);
  fuzz::CheckHeap(meter, kHeapBase + kHeapFactor * input.size());
  for (const auto& [id, ops] : all) {
    MERROW_CHECK(ops.document_id == id);
    CheckSpans(ops);
  }
  if (!status.ok()) return;
  const Bytes written = EncodeDocumentOps(all);
  DocumentOpsById again;
  MERROW_CHECK(DecodeDocumentOps(written, &again).ok());
  MERROW_CHECK(again == all);
  MERROW_CHECK(DecodeDocumentOps(input, &again).ok());
  MERROW_CHECK(again == all);
}

std::vector<Bytes> DocumentOpsSeeds() {
  constexpr loro::Counter kLast = INT32_MAX;
  DocumentOpsById all;
  AddOps({1, true, {}}, &all);
  AddOps({2, false, {{7, 0, 5}, {7, 9, 12}, {UINT64_MAX, kLast - 1, kLast}}}, &all);
  AddOps({INT64_MAX, false, {{1, 100, 2'000}}}, &all);
  DocumentOpsById one;
  AddOps({5, false, {{3, 0, 1}}}, &one);
  return {EncodeDocumentOps(all), EncodeDocumentOps(one)};
}

}  // namespace merrow::store
