// SPDX-License-Identifier: Apache-2.0
//
// The rows of a transaction in the log. No more ranges come out than bytes go in, numbers are in
// order, an error of the caller stops the reading, and what was read, written again, is the same.

#include <algorithm>

#include "base/fuzz/heap_meter.h"
#include "merrow/check.h"
#include "store/cell_tx_rows.h"
#include "store/fuzz/fuzz_store.h"

namespace merrow::store {
namespace {

constexpr size_t kHeapBase = size_t{4} << 10;
// Ranges of more numbers are not written again.
constexpr uint64_t kNumbersMax = 2'000;

// A range that owns its keys.
struct Range {
  explicit Range(const TxRange& range)
      : table_id(range.table_id),
        stored_keys(range.stored_keys),
        first_number(range.first.number),
        last_number(range.last.number),
        first(range.first.stored),
        last(range.last.stored) {}

  // Meaningful for numbers that are in order.
  uint64_t count() const {
    return static_cast<uint64_t>(last_number) - static_cast<uint64_t>(first_number) + 1;
  }
  friend bool operator==(const Range&, const Range&) = default;

  int64_t table_id;
  bool stored_keys;
  int64_t first_number;
  int64_t last_number;
  Bytes first;
  Bytes last;
};

Result<std::vector<Range>> ReadRanges(BytesView rows) {
  std::vector<Range> ranges;
  MERROW_TRY(ForEachTxRange(rows, [&](const TxRange& range) -> Status {
    ranges.emplace_back(range);
    return {};
  }));
  return ranges;
}

void CheckHeapOf(BytesView rows) {
  const fuzz::HeapMeter meter;
  size_t count = 0;
  const Status status = ForEachTxRange(rows, [&](const TxRange&) -> Status {
    ++count;
    return {};
  });
  const size_t error_bytes = status.ok() ? 0 : 2 * status.error().message().size();
  fuzz::CheckHeap(meter, kHeapBase + 4 * rows.size() + error_bytes);
  MERROW_CHECK(count <= rows.size());
}

void CheckStops(BytesView rows, size_t ranges) {
  size_t calls = 0;
  const Status status = ForEachTxRange(rows, [&](const TxRange&) -> Status {
    return ++calls == (ranges + 1) / 2 ? Status(Busy("stop")) : Status();
  });
  MERROW_CHECK(!status.ok() && status.error().code() == ErrorCode::kBusy);
  MERROW_CHECK(calls == (ranges + 1) / 2);
}

void Append(const Range& range, Bytes& out) {
  if (!range.stored_keys) {
    std::vector<int64_t> keys;
    for (uint64_t i = 0; i < range.count(); ++i) {
      keys.push_back(static_cast<int64_t>(static_cast<uint64_t>(range.first_number) + i));
    }
    AppendTxIntKeys(range.table_id, keys, out);
  } else if (range.first == range.last) {
    AppendTxStoredKeys(range.table_id, {range.first}, out);
  } else {
    AppendTxRange(range.table_id, range.first, range.last, out);
  }
}

}  // namespace

void FuzzTxRows(BytesView input) {
  CheckHeapOf(input);
  const Result<std::vector<Range>> ranges = ReadRanges(input);
  if (!ranges.ok()) return;
  Bytes written;
  std::vector<Range> kept;
  for (const Range& range : *ranges) {
    MERROW_CHECK(range.stored_keys || range.first_number <= range.last_number);
    if (!range.stored_keys && range.count() - 1 >= kNumbersMax) continue;
    kept.push_back(range);
    Append(range, written);
  }
  const Result<std::vector<Range>> again = ReadRanges(written);
  MERROW_CHECK(again.ok() && *again == kept);
  if (!ranges->empty()) CheckStops(input, ranges->size());
}

std::vector<Bytes> TxRowsSeeds() {
  std::vector<Bytes> seeds(1);
  std::vector<int64_t> loaded;
  for (int64_t key = 1; key <= 1'000; ++key) loaded.push_back(key);
  const auto add = [&seeds](const auto& append) {
    seeds.emplace_back();
    append(seeds.back());
    append(seeds[0]);
  };
  add([&](Bytes& out) { AppendTxIntKeys(1, loaded, out); });
  add([](Bytes& out) { AppendTxIntKeys(2, {INT64_MIN, -7, 0, 1, 2, 9, 500, INT64_MAX}, out); });
  add([](Bytes& out) { AppendTxStoredKeys(3, {"ab", "abc", "abd", "b"}, out); });
  add([](Bytes& out) { AppendTxRange(3, "e", "xy", out); });
  add([](Bytes& out) { AppendTxRange(4, "e", "e", out); });
  return seeds;
}

}  // namespace merrow::store
