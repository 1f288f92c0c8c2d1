// SPDX-License-Identifier: Apache-2.0
//
// Packed columns. What unpacks, packs to a form that unpacks to the same values and takes no more
// bytes; the stored form of a key stands for that key and no other.

#include <algorithm>
#include <cmath>

#include "base/fuzz/heap_meter.h"
#include "cells/fuzz/fuzz_cells.h"
#include "cells/packed_key.h"
#include "cells/stored_key.h"
#include "merrow/check.h"

namespace merrow::cells {
namespace {

constexpr size_t kHeapBase = size_t{64} << 10;

void CheckStoredForm(BytesView packed) {
  Bytes stored;
  AppendStoredKey(packed, stored);
  MERROW_CHECK(stored.size() <= packed.size());
  Bytes back;
  MERROW_CHECK(AppendPackedKey(stored, back).ok());
  MERROW_CHECK(back == packed);
}

}  // namespace

void FuzzPackedKey(BytesView input) {
  const fuzz::HeapMeter meter;
  const Result<std::vector<ValueView>> values = UnpackColumns(input);
  Bytes as_packed;
  const Status is_stored = AppendPackedKey(input, as_packed);
  fuzz::CheckHeap(meter, kHeapBase + 4 * input.size());
  if (is_stored.ok() && !input.empty() && input[0] == '\0') {
    Bytes stored;
    AppendStoredKey(as_packed, stored);
    MERROW_CHECK(stored == input);
    MERROW_CHECK(UnpackColumns(as_packed).ok());
  }
  if (!values.ok()) return;
  const Bytes packed = PackColumns(*values);
  MERROW_CHECK(packed.size() <= input.size());
  const Result<std::vector<ValueView>> again = UnpackColumns(packed);
  MERROW_CHECK(again.ok() && again->size() == values->size());
  MERROW_CHECK(std::equal(again->begin(), again->end(), values->begin(), IdenticalValue));
  MERROW_CHECK(PackColumns(*again) == packed);
  if (!values->empty()) CheckStoredForm(packed);
}

std::vector<Bytes> PackedKeySeeds() {
  const ValueView uuid = ValueView::Text("0190a5b4-7f2e-7c3d-8a1b-0123456789ab");
  const Bytes long_text(300, 't');
  const std::vector<std::vector<ValueView>> keys = {
      {ValueView::Integer(0)},
      {ValueView::Integer(-1), ValueView::Integer(INT64_MIN), ValueView::Integer(300)},
      {ValueView::Real(-0.0), ValueView::Real(1e300), ValueView::Real(INFINITY)},
      {ValueView::Text(""), ValueView::Blob("\xFF"), ValueView::Null()},
      {ValueView::Text(long_text)},
      {uuid},
      {uuid, uuid},
      std::vector<ValueView>(kPackedColumnsMax, ValueView::Integer(5)),
  };
  std::vector<Bytes> seeds;
  for (const std::vector<ValueView>& key : keys) {
    seeds.push_back(PackColumns(key));
    seeds.emplace_back();
    AppendStoredKey(seeds[seeds.size() - 2], seeds.back());
  }
  return seeds;
}

}  // namespace merrow::cells
