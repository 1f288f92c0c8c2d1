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

Result<std::vector<int64_t>> ReadNumbers(BytesView rows) {
  std::vector<int64_t> numbers;
  MERROW_TRY(ForEachTxKey(rows, [&](const TxKey& key) -> Status {
    // Damage may announce more keys than anybody can list.
    if (numbers.size() > 1000000) {
      return LimitReached("too many keys");
    }
    numbers.push_back(key.number);
    return {};
  }));
  return numbers;
}

TEST(TxRows, GoldenBytes) {
  std::vector<int64_t> keys;
  for (int64_t key = 1; key <= 100000; ++key) {
    keys.push_back(key);
  }
  Bytes bytes;
  AppendTxIntKeys(1, keys, bytes);
  EXPECT_EQ(ToHex(bytes), "02a08d0602019e8d06");
  EXPECT_EQ(ReadNumbers(bytes).value(), keys);

  bytes.clear();
  AppendTxPackedKeys(2, {"ab", "c"}, bytes);
  EXPECT_EQ(ToHex(bytes),
            "0502"
            "026162"
            "0163");
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
    AppendTxPackedKeys(8, {"ab", "c"}, bytes);
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
