// SPDX-License-Identifier: Apache-2.0
#include "server/process_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace merrow::server {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(TrimPolicy, IsDueAfterGrowthAndNotAgainIfThatWasNeeded) {
  TrimPolicy policy;
  policy.Trimmed(20 * kMiB);
  EXPECT_FALSE(policy.IsDue(80 * kMiB));
  EXPECT_TRUE(policy.IsDue(190 * kMiB));
  policy.Trimmed(180 * kMiB);
  EXPECT_FALSE(policy.IsDue(200 * kMiB));
  EXPECT_TRUE(policy.IsDue(280 * kMiB));
  policy.Trimmed(40 * kMiB);
  EXPECT_FALSE(policy.IsDue(100 * kMiB));
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(ReturnFreeMemory, ManySmallPiecesGoBackToTheSystem) {
  const uint64_t before = ResidentBytes();
  {
    // The last one stays, so that the heap cannot shrink from its end.
    std::vector<std::unique_ptr<char[]>> pieces;
    for (int i = 0; i < 80'000; ++i) {
      pieces.push_back(std::make_unique<char[]>(1000));
      std::memset(pieces.back().get(), i, 1000);
    }
    EXPECT_GT(ResidentBytes(), before + 60 * kMiB);
    auto last = std::move(pieces.back());
    pieces.clear();
    ReturnFreeMemory();
    EXPECT_LT(ResidentBytes(), before + 20 * kMiB);
  }
}
#endif

}  // namespace
}  // namespace merrow::server
