// SPDX-License-Identifier: Apache-2.0
//
// Golden bytes, round trips of random keys, and damage.
#include "store/cell_tx_rows.h"

#include <gtest/gtest.h>

#include <set>

#include "base/bytes.h"
#include "base/clock.h"

namespace merrow::store {
namespace {

constexpr uint64_t kKeysInTestMax = 1000000;

Result<std::vector<int64_t>> ReadNumbers(BytesView rows) {
  std::vector<int64_t> numbers;
  MERROW_TRY(ForEachTxRange(rows, [&](const TxRange& range) -> Status {
    // Damage may announce more keys than anybody can list.
    const uint64_t more =
        static_cast<uint64_t>(range.last.number) - static_cast<uint64_t>(range.first.number);
    EXPECT_LE(range.first.number, range.last.number);
    if (more > kKeysInTestMax || numbers.size() > kKeysInTestMax) {
      return LimitReached("too many keys");
    }
    for (uint64_t i = 0; i <= more; ++i) {
      numbers.push_back(range.first.number + static_cast<int64_t>(i));
    }
    return {};
  }));
  return numbers;
}

std::string ReadStored(BytesView rows) {
  std::string text;
  const Status status = ForEachTxRange(rows, [&](const TxRange& range) -> Status {
    text += std::string(range.first.stored) +
            (range.is_one_key() ? ";" : "-" + std::string(range.last.stored) + ";");
    return {};
  });
  return status.ok() ? text : status.error().message();
}

TEST(TxRows, GoldenBytes) {
  std::vector<int64_t> keys;
  for (int64_t key = 1; key <= 100000; ++key) {
    keys.push_back(key);
  }
  Bytes bytes;
  AppendTxIntKeys(1, keys, bytes);
  EXPECT_EQ(ToHex(bytes), "08a08d0602019e8d06");
  EXPECT_EQ(ReadNumbers(bytes).value(), keys);

  bytes.clear();
  AppendTxStoredKeys(2, {"ab", "ac", "d"}, bytes);
  EXPECT_EQ(ToHex(bytes),
            "1103"
            "00026162"
            "010163"
            "000164");
  EXPECT_EQ(ReadStored(bytes), "ab;ac;d;");
  AppendTxRange(2, "e", "xy", bytes);
  EXPECT_EQ(ToHex(bytes).substr(24),
            "12"
            "0165"
            "027879");
  EXPECT_EQ(ReadStored(bytes), "ab;ac;d;e-xy;");
}

TEST(TxRows, ClocksComeWithTheirKeys) {
  cells::ClockRun fresh;
  fresh.key.number = 300;
  fresh.fresh = {4, 0, 7, 0};
  cells::ClockRun updated;
  updated.key.number = 302;
  updated.clock = "\x01\x02";
  Bytes bytes;
  AppendTxClocks(1, false, {fresh, updated}, bytes);
  EXPECT_EQ(ToHex(bytes),
            "0c"
            "d804"
            "0a"
            "010004000700"
            "02020102");
  EXPECT_TRUE(HasTxClocks(bytes));
  EXPECT_EQ(ReadNumbers(bytes).value(), (std::vector<int64_t>{300, 302}));
  std::vector<cells::FreshClock> read;
  ASSERT_TRUE(ForEachTxClock(bytes, [&](const TxClock& one) -> Status {
                read.push_back(one.run.fresh);
                return {};
              }).ok());
  EXPECT_EQ(read, (std::vector<cells::FreshClock>{fresh.fresh, {}}));

  Bytes keys;
  AppendTxIntKeys(1, {300, 302}, keys);
  EXPECT_EQ(WithoutTxClocks(bytes).value(), keys);
  EXPECT_FALSE(HasTxClocks(keys));
  EXPECT_FALSE(HasTxClocks(""));
  bytes += keys;
  EXPECT_FALSE(WithoutTxClocks(bytes).ok());

  updated.key = {0, "key"};
  bytes.clear();
  AppendTxClocks(2, true, {updated}, bytes);
  EXPECT_EQ(ReadStored(bytes), "key;");
  keys.clear();
  AppendTxStoredKeys(2, {"key"}, keys);
  EXPECT_EQ(WithoutTxClocks(bytes).value(), keys);
  // Far apart: two blocks.
  fresh.key.number = INT64_MIN;
  updated.key = {INT64_MAX, {}};
  bytes.clear();
  AppendTxClocks(1, false, {fresh, updated}, bytes);
  EXPECT_EQ(ReadNumbers(bytes).value(), (std::vector<int64_t>{INT64_MIN, INT64_MAX}));
}

TEST(TxRows, RoundTrips) {
  SeededRandom random(3);
  for (int i = 0; i < 2000; ++i) {
    std::set<int64_t> keys;
    const uint64_t count = 1 + random.Below(30);
    while (keys.size() < count) {
      const uint64_t kind = random.Below(4);
      keys.insert(kind == 0   ? static_cast<int64_t>(random.Next())
                  : kind == 1 ? INT64_MAX - static_cast<int64_t>(random.Below(40))
                  : kind == 2 ? INT64_MIN + static_cast<int64_t>(random.Below(40))
                              : static_cast<int64_t>(random.Below(60)));
    }
    const std::vector<int64_t> sorted(keys.begin(), keys.end());
    Bytes bytes;
    AppendTxIntKeys(7, sorted, bytes);
    ASSERT_EQ(ReadNumbers(bytes).value(), sorted) << "iteration " << i;
  }
}

TEST(TxRows, DamageIsRefusedOrRead) {
  SeededRandom random(4);
  for (int i = 0; i < 5000; ++i) {
    Bytes bytes;
    AppendTxIntKeys(7, {1, 2, 3, 500, 501}, bytes);
    AppendTxStoredKeys(8, {"ab", "c"}, bytes);
    AppendTxRange(8, "d", "e", bytes);
    bytes.resize(1 + random.Below(bytes.size()));
    bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    const auto numbers = ReadNumbers(bytes);
    if (!numbers.ok()) {
      EXPECT_NE(numbers.error().code(), ErrorCode::kIo);
    }
  }
}

}  // namespace
}  // namespace merrow::store
