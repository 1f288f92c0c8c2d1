// SPDX-License-Identifier: Apache-2.0
#include "store/cell_tx_rows.h"

#include <algorithm>

#include "base/bytes.h"

namespace merrow::store {
namespace {

constexpr int kKindBits = 3;
constexpr uint64_t kNumbers = 0;
constexpr uint64_t kKeys = 1;
constexpr uint64_t kRange = 2;
constexpr uint64_t kNumberClocks = 4;
constexpr uint64_t kKeyClocks = 5;
constexpr uint64_t kClocksBit = 4;

/// Only small transactions bring clocks; rows of a run take no bytes, so they could be any number.
constexpr uint64_t kRowsMax = 1 << 16;

/// A gap this wide starts a new group, so that a token fits 64 bits.
constexpr uint64_t kSkippedMax = (uint64_t{1} << 62) - 1;

uint64_t Gap(int64_t from, int64_t to) {
  return static_cast<uint64_t>(to) - static_cast<uint64_t>(from) - 1;
}

void AppendHead(int64_t table_id, uint64_t kind, ByteWriter& writer) {
  writer.Uleb(static_cast<uint64_t>(table_id) << kKindBits | kind);
}

/// Keys [begin, end) of one group.
void AppendIntGroup(int64_t table_id, const std::vector<int64_t>& keys, size_t begin, size_t end,
                    ByteWriter& writer) {
  AppendHead(table_id, kNumbers, writer);
  writer.Uleb(end - begin);
  writer.Zigzag(keys[begin]);
  for (size_t i = begin + 1; i < end;) {
    const uint64_t skipped = Gap(keys[i - 1], keys[i]);
    size_t last = i;
    while (last + 1 < end && Gap(keys[last], keys[last + 1]) == 0) {
      ++last;
    }
    writer.Uleb(skipped << 1 | (last > i ? 1 : 0));
    if (last > i) {
      writer.Uleb(last - i);
    }
    i = last + 1;
  }
}

using EachRange = std::function<Status(const TxRange&)>;

Status ReadNumbers(ByteReader& reader, TxRange& range, const EachRange& each) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count == 0) {
    return reader.Fail("transaction rows: an empty group");
  }
  int64_t& first = range.first.number;
  int64_t& last = range.last.number;
  MERROW_ASSIGN(first, reader.Zigzag64());
  last = first;
  for (uint64_t left = count - 1; left > 0;) {
    MERROW_ASSIGN(const uint64_t token, reader.Uleb64());
    const uint64_t skipped = token >> 1;
    uint64_t run = 0;
    if ((token & 1) != 0) {
      MERROW_ASSIGN(run, reader.Uleb64());
    }
    if (run >= left || last == INT64_MAX || Gap(last, INT64_MAX) < skipped ||
        Gap(last, INT64_MAX) - skipped < run) {
      return reader.Fail("transaction rows: a run beyond its group");
    }
    if (skipped > 0) {
      MERROW_TRY(each(range));
      first = static_cast<int64_t>(static_cast<uint64_t>(last) + skipped + 1);
      last = first;
    } else {
      ++last;
    }
    last += static_cast<int64_t>(run);
    left -= run + 1;
  }
  return each(range);
}

Status ReadKeys(ByteReader& reader, TxRange& range, const EachRange& each) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  Bytes key;
  for (uint64_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(const uint64_t shared, reader.Uleb64());
    MERROW_ASSIGN(const BytesView suffix, reader.LengthPrefixed());
    if (shared > key.size()) {
      return reader.Fail("transaction rows: a key shares more than there is");
    }
    key.resize(static_cast<size_t>(shared));
    key.append(suffix);
    range.first.stored = key;
    range.last.stored = key;
    MERROW_TRY(each(range));
  }
  return {};
}

/// The clocks of one group, whose head was read; takes its rows from `rows_left`.
Status ReadClocks(ByteReader& reader, TxClock& one, uint64_t& rows_left,
                  const std::function<Status(const TxClock&)>& each) {
  cells::ClockKey first;
  if (one.stored_keys) {
    MERROW_ASSIGN(first.stored, reader.LengthPrefixed());
  } else {
    MERROW_ASSIGN(first.number, reader.Zigzag64());
  }
  MERROW_ASSIGN(const BytesView bytes, reader.LengthPrefixed());
  cells::ClockBlockReader block;
  MERROW_TRY(block.Reset(first, one.stored_keys, bytes));
  while (!block.done()) {
    one.run = block.run();
    if (one.run.count > rows_left) {
      return reader.Fail("transaction rows: too many clocks");
    }
    rows_left -= one.run.count;
    MERROW_TRY(each(one));
    MERROW_TRY(block.Next());
  }
  return {};
}

}  // namespace

void AppendTxIntKeys(int64_t table_id, const std::vector<int64_t>& keys, Bytes& out) {
  ByteWriter writer;
  for (size_t begin = 0; begin < keys.size();) {
    size_t end = begin + 1;
    while (end < keys.size() && Gap(keys[end - 1], keys[end]) <= kSkippedMax) {
      ++end;
    }
    AppendIntGroup(table_id, keys, begin, end, writer);
    begin = end;
  }
  out += writer.bytes();
}

void AppendTxStoredKeys(int64_t table_id, const std::vector<BytesView>& keys, Bytes& out) {
  ByteWriter writer;
  AppendHead(table_id, kKeys, writer);
  writer.Uleb(keys.size());
  BytesView before;
  for (const BytesView key : keys) {
    const auto common = static_cast<std::ptrdiff_t>(std::min(before.size(), key.size()));
    const auto shared = static_cast<size_t>(
        std::mismatch(before.begin(), before.begin() + common, key.begin()).first - before.begin());
    writer.Uleb(shared);
    writer.LengthPrefixed(key.substr(shared));
    before = key;
  }
  out += writer.bytes();
}

void AppendTxRange(int64_t table_id, BytesView first, BytesView last, Bytes& out) {
  ByteWriter writer;
  AppendHead(table_id, kRange, writer);
  writer.LengthPrefixed(first);
  writer.LengthPrefixed(last);
  out += writer.bytes();
}

void AppendTxClocks(int64_t table_id, bool stored_keys, const std::vector<cells::ClockRun>& rows,
                    Bytes& out) {
  cells::ClockBlockWriter block;
  for (size_t i = 0; i < rows.size();) {
    const cells::ClockKey& first = rows[i].key;
    block.Begin(first, stored_keys);
    for (; i < rows.size() && block.CanAdd(rows[i]); ++i) {
      block.Add(rows[i]);
    }
    ByteWriter writer;
    AppendHead(table_id, stored_keys ? kKeyClocks : kNumberClocks, writer);
    if (stored_keys) {
      writer.LengthPrefixed(first.stored);
    } else {
      writer.Zigzag(first.number);
    }
    writer.LengthPrefixed(block.bytes());
    out += writer.bytes();
  }
}

bool HasTxClocks(BytesView rows) {
  return !rows.empty() && (static_cast<unsigned char>(rows[0]) & kClocksBit) != 0;
}

Status ForEachTxClock(BytesView rows, const std::function<Status(const TxClock&)>& each) {
  ByteReader reader(rows);
  uint64_t rows_left = kRowsMax;
  while (!reader.empty()) {
    TxClock one;
    MERROW_ASSIGN(const uint64_t head, reader.Uleb64());
    one.table_id = static_cast<int64_t>(head >> kKindBits);
    const uint64_t kind = head & ((1 << kKindBits) - 1);
    if (kind != kNumberClocks && kind != kKeyClocks) {
      return reader.Fail("transaction rows: a group without clocks among those with");
    }
    one.stored_keys = kind == kKeyClocks;
    MERROW_TRY(ReadClocks(reader, one, rows_left, each));
  }
  return {};
}

Result<Bytes> WithoutTxClocks(BytesView rows) {
  Bytes out;
  TxClock last;
  std::vector<int64_t> numbers;
  std::vector<Bytes> stored;
  const auto append = [&] {
    if (!numbers.empty()) {
      AppendTxIntKeys(last.table_id, numbers, out);
    }
    if (!stored.empty()) {
      AppendTxStoredKeys(last.table_id, {stored.begin(), stored.end()}, out);
    }
    numbers.clear();
    stored.clear();
  };
  MERROW_TRY(ForEachTxClock(rows, [&](const TxClock& one) -> Status {
    if (one.table_id != last.table_id) {
      append();
      last.table_id = one.table_id;
    }
    if (one.stored_keys) {
      stored.push_back(Bytes(one.run.key.stored));
    }
    for (uint64_t i = 0; i < one.run.count && !one.stored_keys; ++i) {
      numbers.push_back(one.run.key.number + static_cast<int64_t>(i));
    }
    return {};
  }));
  append();
  return out;
}

Status ForEachTxRange(BytesView rows, const std::function<Status(const TxRange&)>& each) {
  ByteReader reader(rows);
  uint64_t rows_left = kRowsMax;
  while (!reader.empty()) {
    TxRange range;
    MERROW_ASSIGN(const uint64_t head, reader.Uleb64());
    range.table_id = static_cast<int64_t>(head >> kKindBits);
    const uint64_t kind = head & ((1 << kKindBits) - 1);
    range.stored_keys = kind != kNumbers && kind != kNumberClocks;
    if ((kind & kClocksBit) != 0 && kind <= kKeyClocks) {
      TxClock one{range.table_id, range.stored_keys, {}};
      MERROW_TRY(ReadClocks(reader, one, rows_left, [&](const TxClock& clock) {
        range.first = clock.run.key;
        range.last = {range.stored_keys ? 0 : clock.run.last_number(), clock.run.key.stored};
        return each(range);
      }));
    } else if (kind == kNumbers) {
      MERROW_TRY(ReadNumbers(reader, range, each));
    } else if (kind == kKeys) {
      MERROW_TRY(ReadKeys(reader, range, each));
    } else if (kind == kRange) {
      MERROW_ASSIGN(range.first.stored, reader.LengthPrefixed());
      MERROW_ASSIGN(range.last.stored, reader.LengthPrefixed());
      MERROW_TRY(each(range));
    } else {
      return reader.Fail("transaction rows: unknown group");
    }
  }
  return {};
}

}  // namespace merrow::store
