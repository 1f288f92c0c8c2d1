// SPDX-License-Identifier: Apache-2.0
#include "store/cell_tx_rows.h"

#include "base/bytes.h"

namespace merrow::store {
namespace {

/// A gap this wide starts a new group, so that a token fits 64 bits.
constexpr uint64_t kSkippedMax = (uint64_t{1} << 62) - 1;

uint64_t Gap(int64_t from, int64_t to) {
  return static_cast<uint64_t>(to) - static_cast<uint64_t>(from) - 1;
}

void AppendHead(int64_t table_id, bool packed, size_t count, ByteWriter& writer) {
  writer.Uleb(static_cast<uint64_t>(table_id) << 1 | (packed ? 1 : 0));
  writer.Uleb(count);
}

/// Keys [begin, end) of one group.
void AppendIntGroup(int64_t table_id, const std::vector<int64_t>& keys, size_t begin, size_t end,
                    ByteWriter& writer) {
  AppendHead(table_id, false, end - begin, writer);
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

Status ReadIntKeys(ByteReader& reader, TxKey& key, uint64_t count,
                   const std::function<Status(const TxKey&)>& each) {
  MERROW_ASSIGN(key.number, reader.Zigzag64());
  MERROW_TRY(each(key));
  for (uint64_t left = count - 1; left > 0;) {
    MERROW_ASSIGN(const uint64_t token, reader.Uleb64());
    uint64_t run = 0;
    if ((token & 1) != 0) {
      MERROW_ASSIGN(run, reader.Uleb64());
    }
    if (run >= left || Gap(key.number, INT64_MAX) < (token >> 1) + run) {
      return reader.Fail("transaction rows: a run beyond its group");
    }
    key.number += static_cast<int64_t>(token >> 1);
    for (uint64_t i = 0; i <= run; ++i) {
      ++key.number;
      MERROW_TRY(each(key));
    }
    left -= run + 1;
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

void AppendTxPackedKeys(int64_t table_id, const std::vector<BytesView>& keys, Bytes& out) {
  ByteWriter writer;
  AppendHead(table_id, true, keys.size(), writer);
  for (const BytesView key : keys) {
    writer.LengthPrefixed(key);
  }
  out += writer.bytes();
}

Status ForEachTxKey(BytesView rows, const std::function<Status(const TxKey&)>& each) {
  ByteReader reader(rows);
  while (!reader.empty()) {
    TxKey key;
    MERROW_ASSIGN(const uint64_t head, reader.Uleb64());
    MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
    key.table_id = static_cast<int64_t>(head >> 1);
    key.is_packed = (head & 1) != 0;
    if (count == 0) {
      return reader.Fail("transaction rows: an empty group");
    }
    if (!key.is_packed) {
      MERROW_TRY(ReadIntKeys(reader, key, count, each));
      continue;
    }
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(key.packed, reader.LengthPrefixed());
      MERROW_TRY(each(key));
    }
  }
  return {};
}

}  // namespace merrow::store
