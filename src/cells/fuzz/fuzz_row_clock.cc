// SPDX-License-Identifier: Apache-2.0
//
// A packed row clock. What is refused leaves the clock empty that it was read into; what is read is
// the same after it was packed again, also as a fresh row.

#include "base/fuzz/heap_meter.h"
#include "cells/fuzz/fuzz_cells.h"
#include "cells/row_clock.h"
#include "merrow/check.h"

namespace merrow::cells {
namespace {

// A group of as many columns as there can be, while its vector grows.
constexpr size_t kHeapBase = size_t{4} << 20;
constexpr size_t kHeapFactor = 64;

void CheckFresh(BytesView packed, const RowClock& clock) {
  const FreshClock parsed = RowClock::ParseFresh(packed);
  if (parsed.columns > 0) MERROW_CHECK(parsed == clock.AsFresh());
  const FreshClock fresh = clock.AsFresh();
  if (fresh.columns == 0) return;
  RowClock same;
  same.SetFresh(fresh);
  MERROW_CHECK(same == clock);
  Bytes short_form;
  RowClock::AppendFresh(fresh, short_form);
  MERROW_CHECK(short_form == clock.Encode());
}

}  // namespace

void FuzzRowClock(BytesView input) {
  RowClock clock;
  clock.SetCell({7, 1, {}});
  const fuzz::HeapMeter meter;
  const Status status = clock.DecodeFrom(input);
  fuzz::CheckHeap(meter, kHeapBase + kHeapFactor * input.size());
  clock.CheckInvariants();
  if (!status.ok()) {
    MERROW_CHECK(clock.empty());
    MERROW_CHECK(RowClock::ParseFresh(input).columns == 0);
    return;
  }
  const Bytes packed = clock.Encode();
  const Result<RowClock> again = RowClock::Decode(packed);
  MERROW_CHECK(again.ok());
  MERROW_CHECK(*again == clock);
  MERROW_CHECK(again->Encode() == packed);
  CheckFresh(input, clock);
  CheckFresh(packed, clock);
}

std::vector<Bytes> RowClockSeeds() {
  std::vector<Bytes> seeds;
  RowClock clock;
  clock.SetFresh({5, 0, 1000, 3});
  seeds.push_back(clock.Encode());
  clock.SetCell({2, 7, {1200, 0, 4}});
  seeds.push_back(clock.Encode());
  clock.SetSentinel({3, {900, 1, 2}});
  seeds.push_back(clock.Encode());
  clock.ZeroVersions(1300);
  seeds.push_back(clock.Encode());
  clock.SetFresh({3, 6, kDbVersionMax, kCounterMax - 2});
  seeds.push_back(clock.Encode());
  clock.SetFresh({1, 0, 9, 0});
  seeds.push_back(clock.Encode());
  clock.Clear();
  clock.SetCell({kColumnIdMax, kCounterMax, {5, kCounterMax, UINT32_MAX}});
  seeds.push_back(clock.Encode());
  clock.Clear();
  clock.SetSentinel({2, {17, 0, 0}});
  seeds.push_back(clock.Encode());
  return seeds;
}

}  // namespace merrow::cells
