// SPDX-License-Identifier: Apache-2.0
#include "testing/sim_driver.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace merrow::testing {
namespace {

bool RunSeed(const SimPlan& plan, SimTotals* totals) {
  SimWorld world(plan);
  const std::optional<std::string> wrong = world.Run();
  world.AddTo(totals);
  if (!wrong.has_value()) return true;
  ADD_FAILURE() << "MERROW_SIM_SEED=" << plan.seed << ": " << *wrong;
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
        {"late restores", totals.late_restores},
        {"lost overwriters", totals.lost_overwriters},
        {"quiet", totals.quiet_worlds},
        {"identity changes", totals.identity_changes},
        {"partitions", totals.partitions},
        {"broken links", totals.broken_links},
        {"silent", totals.silent_links},
        {"duplicate", totals.duplicate_links},
        {"clock jumps", totals.clock_jumps},
        {"schema changes", totals.schema_changes},
        {"lost rows", totals.lost_rows},
        {"poisoned", totals.poisoned},
        {"lost unseen", totals.lost_unseen},
        {"deletes", totals.deletes},
        {"tombstones", totals.tombstones},
        {"slowest collect ms", static_cast<uint64_t>(totals.collect_ms_max)}});
  line({{"published", c.published},
        {"applied", c.applied},
        {"known", c.known},
        {"parts", c.buffered_parts},
        {"parts skipped", c.parts_skipped},
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
        {"unsendable", c.unsendable},
        {"statements", c.statements},
        {"dropped", c.statements_dropped}});
}

}  // namespace

bool SeedsAreChosen() {
  return std::getenv("MERROW_SIM_SEED") != nullptr || std::getenv("MERROW_SIM_SEEDS") != nullptr;
}

SimTotals RunSeeds(uint64_t first, uint64_t last, size_t sites_max,
                   const DatabaseFactory& factory) {
  SimTotals totals;
  SimPlan plan;
  plan.sites_max = sites_max;
  plan.make_database = factory;
  if (const char* const only = std::getenv("MERROW_SIM_SEED"); only != nullptr) {
    plan.seed = std::strtoull(only, nullptr, 10);
    plan.traces = true;
    RunSeed(plan, &totals);
    Print(totals, 1);
    return totals;
  }
  if (const char* const range = std::getenv("MERROW_SIM_SEEDS"); range != nullptr) {
    char* end = nullptr;
    first = std::strtoull(range, &end, 10);
    last = *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first;
  }
  plan.traces = std::getenv("MERROW_SIM_TRACE") != nullptr;
  for (plan.seed = first; plan.seed <= last; ++plan.seed) {
    if (!RunSeed(plan, &totals)) break;
  }
  Print(totals, last - first + 1);
  return totals;
}

}  // namespace merrow::testing
