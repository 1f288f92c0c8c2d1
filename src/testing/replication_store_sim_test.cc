// SPDX-License-Identifier: Apache-2.0
//
// The same simulation on real stores: SQLite files in memory, changesets made from clocks,
// documents, parts and what waits on disk, digests over a connection of their own.

#include <gtest/gtest.h>

#include "testing/sim_driver.h"
#include "testing/store_database.h"

namespace merrow::testing {
namespace {

// A store costs more than a model.
constexpr size_t kSitesMax = 8;

TEST(ReplicationStoreSim, AllSitesBecomeEqualAndNothingIsLost) {
  const SimTotals totals = RunSeeds(1, 250, kSitesMax, [](const SimDatabaseSetup& setup) {
    return std::make_unique<StoreDatabase>(setup);
  });
  if (SeedsAreChosen() || HasFailure()) return;
  EXPECT_GT(totals.crashes, 0U);
  EXPECT_GT(totals.restores, 0U);
  EXPECT_GT(totals.late_restores, 0U);
  EXPECT_GT(totals.identity_changes, 0U);
  EXPECT_GT(totals.schema_changes, 0U);
  EXPECT_GT(totals.counters.buffered_parts, 0U);
  EXPECT_GT(totals.tombstones, 0U);
  EXPECT_GT(totals.counters.refused, 0U);
  EXPECT_GT(totals.counters.applies_failed, 0U);
  EXPECT_GT(totals.counters.digests_compared, 0U);
}

}  // namespace
}  // namespace merrow::testing
