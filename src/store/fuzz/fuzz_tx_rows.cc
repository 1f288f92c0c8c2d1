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
// The numbers of as many rows as may bring clocks, in a vector that grows.
constexpr size_t kClockHeapBase = size_t{2} << 20;
constexpr size_t kClockHeapFactor = 512;
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

// --- Clocks.

// The same clock gives the same text, however it is held.
std::string Describe(const TxClock& one) {
  const cells::ClockRun& run = one.run;
  std::string text = std::to_string(one.table_id) + (one.stored_keys ? " stored " : " number ") +
                     (one.stored_keys ? ToHex(run.key.stored) : std::to_string(run.key.number)) +
                     " " + std::to_string(run.count) + " rows, " + ToHex(run.clock);
  for (const int64_t number :
       {int64_t{run.fresh.columns}, int64_t{run.fresh.site}, run.fresh.version, run.fresh.seq}) {
    text += " " + std::to_string(number);
  }
  if (run.count > 1) {
    text += " steps " + std::to_string(run.version_step) + " " + std::to_string(run.seq_step);
  }
  return text;
}

struct Clocks {
  std::vector<std::string> texts;
  Bytes written;
  std::vector<Range> keys;
  bool rise = true;  // as all that is written
};

Result<Clocks> ReadClocks(BytesView rows) {
  Clocks clocks;
  MERROW_TRY(ForEachTxClock(rows, [&](const TxClock& one) -> Status {
    clocks.texts.push_back(Describe(one));
    AppendTxClocks(one.table_id, one.stored_keys, {one.run}, clocks.written);
    const Range key(TxRange{one.table_id,
                            one.stored_keys,
                            one.run.key,
                            {one.stored_keys ? 0 : one.run.last_number(), one.run.key.stored}});
    if (!clocks.keys.empty() && clocks.keys.back().table_id >= key.table_id) {
      const Range& before = clocks.keys.back();
      clocks.rise =
          clocks.rise && before.table_id == key.table_id && before.stored_keys == key.stored_keys &&
          (key.stored_keys ? before.last < key.first : before.last_number < key.first_number);
    }
    clocks.keys.push_back(key);
    return {};
  }));
  return clocks;
}

// Numbers that follow each other as one range.
std::vector<Range> Joined(const std::vector<Range>& ranges) {
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    if (!joined.empty() && !range.stored_keys && !joined.back().stored_keys &&
        joined.back().table_id == range.table_id && joined.back().last_number != INT64_MAX &&
        joined.back().last_number + 1 == range.first_number) {
      joined.back().last_number = range.last_number;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

void CheckClocks(BytesView input) {
  const Result<Clocks> clocks = ReadClocks(input);
  const fuzz::HeapMeter meter;
  const Result<Bytes> keys_only = WithoutTxClocks(input);
  fuzz::CheckHeap(meter, kClockHeapBase + kClockHeapFactor * input.size());
  MERROW_CHECK(keys_only.ok() == clocks.ok());
  if (!clocks.ok()) return;
  MERROW_CHECK(clocks->texts.size() <= input.size());
  MERROW_CHECK(input.empty() || HasTxClocks(input));
  const Result<Clocks> again = ReadClocks(clocks->written);
  MERROW_CHECK(again.ok() && again->texts == clocks->texts);
  const Result<std::vector<Range>> ranges = ReadRanges(input);
  MERROW_CHECK(ranges.ok() && *ranges == clocks->keys);
  if (!clocks->rise) return;
  MERROW_CHECK(!HasTxClocks(*keys_only));
  const Result<std::vector<Range>> keys = ReadRanges(*keys_only);
  MERROW_CHECK(keys.ok() && Joined(*keys) == Joined(*ranges));
}

}  // namespace

void FuzzTxRows(BytesView input) {
  CheckClocks(input);
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
  cells::ClockRun loaded_rows;
  loaded_rows.key.number = 300;
  loaded_rows.count = 20;
  loaded_rows.fresh = {4, 0, 7, 0};
  loaded_rows.seq_step = 4;
  cells::ClockRun updated;
  updated.key.number = 320;
  updated.clock = "\x01\x02";
  cells::ClockRun stored;
  stored.key.stored = "key 1";
  stored.clock = "x";
  cells::ClockRun next = stored;
  next.key.stored = "key 23";
  seeds.emplace_back();
  AppendTxClocks(1, false, {loaded_rows, updated}, seeds.back());
  AppendTxClocks(2, true, {stored, next}, seeds.back());
  return seeds;
}

}  // namespace merrow::store
