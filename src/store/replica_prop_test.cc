// SPDX-License-Identifier: Apache-2.0
//
// Replica log, property: sites write at random and exchange changesets at random: some versions,
// newest or oldest first, twice, split into parts, forged together from several transactions,
// through each other, rolled back now and then, reopened. After every step memory equals disk; in
// the end, when everybody has pulled from a neighbour often enough, rows, clocks and what is seen
// are equal everywhere.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "store/replica_test_util.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::VersionRange;
using changeset::VersionRanges;

constexpr int kSeeds = 60;
constexpr int kSteps = 120;

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    const size_t count = 2 + random_.Below(3);
    for (size_t i = 0; i < count; ++i) {
      sites_.push_back(std::make_unique<ReplicaSite>());
    }
  }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      ReplicaSite& site = Any();
      site.clock.ms += static_cast<int64_t>(random_.Below(10));
      switch (random_.Below(8)) {
        case 0:
        case 1:
        case 2:
          site.Write(RandomSql());
          break;
        case 3:
        case 4:
        case 5:
          Exchange(Any(), site);
          break;
        case 6:
          RollBack(site);
          break;
        case 7:
          if (random_.Below(4) == 0) {
            site.Reopen();
          } else {
            Prune(site);
          }
          break;
      }
      site.log().CheckInvariants();
    }
    // A ring, so that everything is relayed.
    for (size_t round = 0; round < 2 * sites_.size(); ++round) {
      for (size_t i = 0; i < sites_.size(); ++i) {
        sites_[i]->PullFrom(*sites_[(i + 1) % sites_.size()], 1 + random_.Below(500));
      }
    }
    for (const auto& site : sites_) {
      site->log().CheckInvariants();
      ASSERT_EQ(site->log().seen(), sites_[0]->log().seen());
      ASSERT_EQ(site->Dump(), sites_[0]->Dump());
      ASSERT_EQ(site->DumpClocks(), sites_[0]->DumpClocks());
    }
  }

 private:
  ReplicaSite& Any() { return *sites_[random_.Below(sites_.size())]; }

  std::string RandomSql() {
    const std::string id = std::to_string(random_.Below(6));
    const std::string value = std::to_string(random_.Below(4));
    const std::string pair = "'a" + std::to_string(random_.Below(2)) + "', 'b" + id + "'";
    switch (random_.Below(7)) {
      case 0:
        return "INSERT OR REPLACE INTO item VALUES (" + id + ", 'n" + value + "', " + value + ")";
      case 1:
        return "UPDATE item SET size = " + value + " WHERE id = " + id;
      case 2:
        return "UPDATE item SET name = 'm" + value + "'";
      case 3:
        return "DELETE FROM item WHERE id = " + id;
      case 4:
        return "UPDATE OR REPLACE item SET id = " + value + " WHERE id = " + id;
      case 5:
        return "INSERT OR IGNORE INTO edge VALUES (" + pair + ", " + value + ");" +
               "UPDATE edge SET weight = weight + 1 WHERE b = 'b" + id + "'";
      default:
        return "DELETE FROM edge WHERE a = 'a0' AND b = 'b" + id + "'";
    }
  }

  /// Some of what `from` has of some site, in some order.
  void Exchange(ReplicaSite& from, ReplicaSite& to) {
    if (from.log().seen().empty()) {
      return;
    }
    auto site = from.log().seen().begin();
    std::advance(site, static_cast<ptrdiff_t>(random_.Below(from.log().seen().size())));
    if (site->first == to.id()) {
      return;
    }
    const auto last = static_cast<uint64_t>(site->second.last());
    const auto after = static_cast<cells::DbVersion>(random_.Below(last));
    const auto until =
        after + 1 +
        static_cast<cells::DbVersion>(random_.Below(last - static_cast<uint64_t>(after)));
    const ReplicaPage page = from.Read(site->first, {after, until}, 1 + random_.Below(400));
    std::vector<SharedChangeset> changesets = page.changesets;
    if (random_.Below(3) == 0) {
      changesets.insert(changesets.end(), page.changesets.begin(), page.changesets.end());
    }
    if (random_.Below(3) == 0) {
      ApplyParts(changesets, to);
      return;
    }
    for (const ReplicaOutcome& outcome : to.Apply(changesets)) {
      EXPECT_TRUE(outcome.fate == ReplicaFate::kApplied || outcome.fate == ReplicaFate::kKnown);
    }
  }

  void ApplyParts(const std::vector<SharedChangeset>& changesets, ReplicaSite& to) {
    for (const SharedChangeset& changeset : changesets) {
      const size_t bytes = 1 + random_.Below(60);
      auto parts = changeset::SplitChangeset(*changeset, bytes);
      for (size_t i = parts.size(); i > 0; --i) {
        std::swap(parts[i - 1], parts[random_.Below(i)]);
        if (random_.Below(20) == 0) {
          continue;  // lost
        }
        EXPECT_NE(to.ApplyOne(parts[i - 1], bytes).fate, ReplicaFate::kRefused);
      }
    }
  }

  /// A transaction that writes and merges, and is not committed.
  void RollBack(ReplicaSite& site) {
    ReplicaSite& from = Any();
    std::vector<IncomingChangeset> incoming;
    for (const auto& [id, lacking] : changeset::Difference(from.log().seen(), site.log().seen())) {
      const auto page = from.log().Read(id, lacking, 1000);
      for (const SharedChangeset& changeset : page->changesets) {
        incoming.push_back({changeset, 0});
      }
    }
    const changeset::SiteVersions before = site.log().seen();
    ASSERT_TRUE(RunSql(site.db(), "BEGIN").ok());
    ASSERT_TRUE(RunSql(site.db(), RandomSql()).ok());
    ASSERT_TRUE(site.log().Apply(incoming).ok());
    ASSERT_TRUE(RunSql(site.db(), RandomSql()).ok());
    ASSERT_TRUE(site.log().NoteLocal().ok());
    ASSERT_TRUE(RunSql(site.db(), "ROLLBACK").ok());
    site.log().RolledBack();
    ASSERT_EQ(site.log().seen(), before);
  }

  void Prune(ReplicaSite& site) {
    site.Transact([&]() -> Status {
      MERROW_TRY(site.log().Prune());
      return {};
    });
  }

  SeededRandom random_;
  std::vector<std::unique_ptr<ReplicaSite>> sites_;
};

TEST(ReplicaProp, SitesConverge) {
  for (uint64_t seed = 0; seed < kSeeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Simulation(seed).Run();
  }
}

}  // namespace
}  // namespace merrow::store
