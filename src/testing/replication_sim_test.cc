// SPDX-License-Identifier: Apache-2.0
//
// Simulation of sites that replicate, on model databases (sim_world.h, sim_driver.h).

#include <gtest/gtest.h>

#include "testing/model_database.h"
#include "testing/sim_driver.h"

namespace merrow::testing {
namespace {

constexpr size_t kSitesMax = 30;

TEST(ReplicationSim, AllSitesBecomeEqualAndNothingIsLost) {
  const SimTotals totals = RunSeeds(1, 2000, kSitesMax, [](const SimDatabaseSetup& setup) {
    return std::make_unique<ModelDatabase>(setup);
  });
  if (SeedsAreChosen() || HasFailure()) return;
  // The simulation is worth something only if all of this happened.
  const replication::Counters& counters = totals.counters;
  EXPECT_GT(totals.crashes, 0U);
  EXPECT_GT(totals.restores, 0U);
  EXPECT_GT(totals.copies, 0U);
  EXPECT_GT(totals.late_restores, 0U);
  EXPECT_GT(totals.lost_overwriters, 0U);
  EXPECT_GT(totals.quiet_worlds, 0U);
  EXPECT_GT(totals.identity_changes, 0U);
  EXPECT_GT(totals.partitions, 0U);
  EXPECT_GT(totals.broken_links, 0U);
  EXPECT_GT(totals.silent_links, 0U);
  EXPECT_GT(totals.duplicate_links, 0U);
  EXPECT_GT(totals.clock_jumps, 0U);
  EXPECT_GT(totals.schema_changes, 0U);
  EXPECT_GT(totals.lost_rows, 0U);
  EXPECT_GT(counters.buffered_parts, 0U);
  EXPECT_GT(counters.parts_skipped, 0U);
  EXPECT_GT(counters.statements, 0U);
  EXPECT_GT(totals.tombstones, 0U);
  EXPECT_GT(counters.waited, 0U);
  EXPECT_GT(counters.waiting_dropped, 0U);
  EXPECT_GT(counters.refused, 0U);
  EXPECT_GT(counters.duplicates, 0U);
  EXPECT_GT(counters.prunes, 0U);
  EXPECT_GT(counters.grafts, 0U);
  EXPECT_GT(counters.push_skipped, 0U);
  EXPECT_GT(counters.fresh_dropped, 0U);
  EXPECT_GT(counters.request_timeouts, 0U);
  EXPECT_GT(counters.reads_failed, 0U);
  EXPECT_GT(counters.applies_failed, 0U);
  EXPECT_GT(counters.applies_stalled, 0U);
  EXPECT_GT(counters.skewed, 0U);
  EXPECT_GT(counters.digests_differed, 0U);
  EXPECT_GT(counters.buckets_repaired, 0U);
}

}  // namespace
}  // namespace merrow::testing
