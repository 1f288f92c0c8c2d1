// SPDX-License-Identifier: Apache-2.0
//
// Simulation of sites that replicate (sim_world.h), one seed after the other.
//
// To replay a seed: MERROW_SIM_SEED=n replication_sim_test (prints a trace).
// More seeds: MERROW_SIM_SEEDS=FIRST-LAST.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "testing/model_database.h"
#include "testing/sim_world.h"

namespace merrow::testing {
namespace {

std::unique_ptr<SimDatabase> MakeModel(std::function<int64_t()> wall_ms, SeededRandom& random,
                                       bool has_second_schema) {
  return std::make_unique<ModelDatabase>(std::move(wall_ms), random, has_second_schema);
}

bool RunSeed(uint64_t seed, bool traces, SimTotals* totals) {
  SimPlan plan;
  plan.seed = seed;
  plan.traces = traces;
  plan.make_database = MakeModel;
  SimWorld world(plan);
  const std::optional<std::string> wrong = world.Run();
  world.AddTo(totals);
  if (!wrong.has_value()) return true;
  ADD_FAILURE() << "MERROW_SIM_SEED=" << seed << ": " << *wrong;
  return false;
}

void Print(const SimTotals& totals, uint64_t seeds) {
  const replication::Counters& c = totals.counters;
  const auto line = [](std::initializer_list<std::pair<const char*, uint64_t>> list) {
    for (const auto& [name, number] : list) {
      printf("%s %llu  ", name, static_cast<unsigned long long>(number));
    }
    printf("\n");
  };
  line({{"seeds", seeds},
        {"writes", totals.writes},
        {"messages", totals.traffic.messages},
        {"bytes", totals.traffic.bytes},
        {"slowest heal ms", static_cast<uint64_t>(totals.heal_ms_max)}});
  line({{"crashes", totals.crashes},
        {"restores", totals.restores},
        {"copies", totals.copies},
        {"identity changes", totals.identity_changes},
        {"partitions", totals.partitions},
        {"broken links", totals.broken_links},
        {"silent", totals.silent_links},
        {"duplicate", totals.duplicate_links},
        {"clock jumps", totals.clock_jumps},
        {"schema changes", totals.schema_changes},
        {"lost rows", totals.lost_rows},
        {"poisoned", totals.poisoned},
        {"lost unseen", totals.lost_unseen}});
  line({{"published", c.published},
        {"applied", c.applied},
        {"known", c.known},
        {"parts", c.buffered_parts},
        {"waited", c.waited},
        {"waiting dropped", c.waiting_dropped},
        {"refused", c.refused},
        {"applies failed", c.applies_failed},
        {"stalled", c.applies_stalled},
        {"skewed", c.skewed}});
  line({{"pushed", c.pushed},
        {"push skipped", c.push_skipped},
        {"fresh dropped", c.fresh_dropped},
        {"duplicates", c.duplicates},
        {"prunes", c.prunes},
        {"grafts", c.grafts},
        {"requests", c.requests},
        {"timeouts", c.request_timeouts},
        {"empty", c.requests_empty},
        {"reads failed", c.reads_failed},
        {"links", c.links_opened},
        {"refused links", c.links_refused},
        {"digests", c.digests_compared},
        {"differed", c.digests_differed},
        {"buckets repaired", c.buckets_repaired},
        {"unsendable", c.unsendable}});
}

void RunSeeds(uint64_t first, uint64_t last) {
  SimTotals totals;
  if (const char* const only = std::getenv("MERROW_SIM_SEED"); only != nullptr) {
    RunSeed(std::strtoull(only, nullptr, 10), true, &totals);
    Print(totals, 1);
    return;
  }
  if (const char* const range = std::getenv("MERROW_SIM_SEEDS"); range != nullptr) {
    char* end = nullptr;
    first = std::strtoull(range, &end, 10);
    last = *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first;
  }
  for (uint64_t seed = first; seed <= last; ++seed) {
    if (!RunSeed(seed, false, &totals)) break;
  }
  Print(totals, last - first + 1);
}

TEST(ReplicationSim, AllSitesBecomeEqualAndNothingIsLost) { RunSeeds(1, 2000); }

}  // namespace
}  // namespace merrow::testing
