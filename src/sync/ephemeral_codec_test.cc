// SPDX-License-Identifier: Apache-2.0
#include "sync/ephemeral_codec.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"
#include "sync/vectors.h"

namespace merrow::sync {
namespace {

using Json = nlohmann::json;

TEST(EphemeralCodecTest, ReadsWhatEphemeralStoreEncodes) {
  const Json vectors = ReadVectors("ephemeral.json");
  ASSERT_GE(vectors.size(), 15U);
  for (const Json& vector : vectors) {
    const Bytes bytes = UnHex(vector["bytes"]);
    const auto entries = DecodeEphemeral(bytes);
    ASSERT_TRUE(entries.ok()) << vector;
    std::vector<std::string> keys;
    std::vector<std::string> deleted;
    std::vector<BytesView> parts;
    for (const EphemeralEntry& entry : *entries) {
      keys.emplace_back(entry.key);
      if (entry.is_deleted) deleted.emplace_back(entry.key);
      parts.push_back(entry.bytes);
      EXPECT_GT(entry.timestamp_ms, 1'700'000'000'000);
    }
    std::sort(keys.begin(), keys.end());  // the store's own order is that of a hash map
    EXPECT_EQ(keys, vector["keys"].get<std::vector<std::string>>());
    EXPECT_EQ(deleted, vector["deleted"].get<std::vector<std::string>>());
    EXPECT_EQ(EncodeEphemeral(parts), bytes);
  }
}

TEST(EphemeralCodecTest, TruncatedOrLongerOnesAreRefused) {
  for (const Json& vector : ReadVectors("ephemeral.json")) {
    const Bytes bytes = UnHex(vector["bytes"]);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeEphemeral(BytesView(bytes).substr(0, size)).ok());
    }
    EXPECT_FALSE(DecodeEphemeral(bytes + '\0').ok());
  }
}

TEST(EphemeralCodecTest, DeepNestingAndContainersAreRefused) {
  // [[[...]]]: each level is tag 5 and a count of one.
  Bytes deep = FromHex("01016b01").value();
  for (int i = 0; i < 10'000; ++i) deep += FromHex("0501").value();
  EXPECT_FALSE(DecodeEphemeral(deep).ok());
  EXPECT_FALSE(DecodeEphemeral(FromHex("01016b0107000161000002").value()).ok());
}

TEST(EphemeralCodecTest, RandomBytesNeverDoHarm) {
  SeededRandom random(3);
  const Json vectors = ReadVectors("ephemeral.json");
  for (int i = 0; i < 50'000; ++i) {
    Bytes bytes = UnHex(vectors[random.Below(vectors.size())]["bytes"]);
    for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
      bytes[random.Below(bytes.size())] ^= static_cast<char>(1 << random.Below(8));
    }
    const auto entries = DecodeEphemeral(bytes);
    if (!entries.ok()) continue;
    size_t size = 0;
    for (const EphemeralEntry& entry : *entries) size += entry.bytes.size();
    EXPECT_LE(size, bytes.size());
  }
}

}  // namespace
}  // namespace merrow::sync
