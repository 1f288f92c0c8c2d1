// SPDX-License-Identifier: Apache-2.0
//
// SimWorld: sites that replicate, everything drawn from one seed: how many, how they are linked,
// what they write, and what goes wrong. First things go wrong for a while; then everything is
// healed, and all sites have to become equal.
//
// What is checked:
//   - while it runs: a site counts as seen only what its database has committed
//   - a changeset that is refused keeps out no other
//   - tombstones are collected meanwhile, and no row comes back that was deleted, also out of a
//     backup, if that is younger than tombstones are kept
//   - in the end: equal data and digests everywhere, no need left, every link open, nothing
//     acknowledged lost, invariants of every Replicator; a while later every site knows what each
//     other has, and no tombstone is left, when the names that restored sites had are forgotten
//   - in some: a quiet hour is quiet
//   - in most seeds without restored or damaged databases there are no digests: what replication
//     lost, nothing would cover up

#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/replicator.h"
#include "testing/sim_network.h"
#include "testing/sim_replica.h"

namespace merrow::testing {

/// What happened, over all sites and seeds: the simulation is worth something only if all of it
/// did.
struct SimTotals {
  replication::Counters counters;
  uint64_t crashes = 0;
  uint64_t restores = 0;
  uint64_t copies = 0;  // of another site's database
  uint64_t late_restores = 0;
  uint64_t lost_overwriters = 0;
  uint64_t quiet_worlds = 0;
  uint64_t identity_changes = 0;
  uint64_t partitions = 0;
  uint64_t broken_links = 0;
  uint64_t silent_links = 0;
  uint64_t duplicate_links = 0;
  uint64_t clock_jumps = 0;
  uint64_t schema_changes = 0;
  uint64_t lost_rows = 0;
  uint64_t poisoned = 0;
  uint64_t writes = 0;
  uint64_t lost_unseen = 0;  // commits that went with a restored database and that nobody had
  uint64_t deletes = 0;      // acknowledged
  uint64_t tombstones = 0;   // that were there when all sites were equal
  SimTraffic traffic;
  int64_t heal_ms_max = 0;
  int64_t collect_ms_max = 0;
};

/// Makes the database of a site.
using DatabaseFactory = std::function<std::unique_ptr<SimDatabase>(const SimDatabaseSetup&)>;

struct SimPlan {
  uint64_t seed = 0;
  bool traces = false;
  size_t sites_max = 30;
  DatabaseFactory make_database;
};

class SimWorld {
 public:
  explicit SimWorld(const SimPlan& plan);
  ~SimWorld();

  /// Runs all of it. Nothing if all is well; else what is wrong.
  std::optional<std::string> Run();
  void AddTo(SimTotals* totals) const;

 private:
  struct Site;
  struct Edge;
  class Events;
  struct Faults {
    bool crashes = false;
    bool restores = false;
    bool partitions = false;
    bool breaks = false;
    bool silence = false;
    bool clock_jumps = false;
    bool lost_rows = false;
    bool poison = false;
    bool late_schema = false;
  };
  /// A commit that somebody was told of.
  struct Acknowledged {
    int64_t id = 0;  // of a row of log
    int64_t document = -1;
    std::string marker;
    cells::SiteId site;
    bool is_poison = false;
  };

  void DrawPlan();
  void DrawTopology();
  void DrawOptions();
  void AddEdge(size_t from, size_t to);
  void Start(Site& site);
  void Stop(Site& site, bool crash);
  void Tick(Site& site, uint64_t life);
  void Dial(size_t edge, uint64_t number);
  void DialLater(size_t edge, int64_t delay_ms);
  void OnDown(size_t edge, int side, const SimConnection* connection);
  bool AreApart(size_t a, size_t b) const;
  void WriteSomething(Site& site);
  void DeleteRows(Site& site);
  void Commit(Site& site, const Write& write);
  void OnWritten(Site& site, const Write& write, const std::string& deleted_text);
  Write DrawWrite(Site& site);
  void Misfortune();
  void CrashSite(Site& site);
  void TakeBackup(Site& site);
  /// From `from`'s backup, which is a copy of another site's database if that is another site.
  void RestoreSite(Site& site, const Site& from);
  bool IsAnywhere(const Acknowledged& commit) const;
  static bool Has(SimDatabase& database, const Acknowledged& commit);
  void Heal();
  /// Nobody refuses anything any more.
  void TakeAll();
  std::optional<std::string> CheckGoodOnesArrive();
  /// Nothing if they are; else what differs.
  std::optional<std::string> WhyNotEqual();
  std::optional<std::string> CheckSeen();
  std::optional<std::string> CheckLost(bool with_poison);
  /// Nothing else happens until all sites are equal.
  std::optional<std::string> BecomeEqual();
  std::optional<std::string> RestoreLate();
  std::optional<std::string> LoseOverwriter();
  std::optional<std::string> CheckDeleted();
  std::optional<std::string> WhyNotAllConfirmed();
  bool MayCollect(Site& site);
  void RunUpkeep(Site& site);
  void ForgetFormerSites();
  std::optional<std::string> CheckTombstones();
  std::optional<std::string> CheckQuiet();
  std::optional<std::string> CheckCost();
  replication::Counters SumCounters() const;
  void Trace(const std::string& text) const;
  Site& AnySite();

  const SimPlan plan_;
  SeededRandom random_;
  SimLoop loop_;
  replication::Options options_;
  SimDiskFaults disk_;
  SimWire wire_;
  Faults faults_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<std::unique_ptr<Edge>> edges_;
  struct Wired {
    std::shared_ptr<SimConnection> connection;
    size_t sites[2];
  };
  std::vector<Wired> wired_;  // all that some end still knows
  std::vector<int> side_of_;  // in a partition
  bool is_parted_ = false;
  bool is_healed_ = false;
  bool is_quiet_ = false;
  static constexpr int64_t kTickMsMax = 50;
  int64_t tick_ms_max_ = kTickMsMax;
  /// Tombstones are collected, and backups that are older than that are not used.
  bool collects_ = true;
  int64_t tombstone_keep_ms_ = 0;
  std::vector<Acknowledged> acknowledged_;
  /// What was in column b of rows that were deleted; each text is written once.
  struct Deleted {
    size_t by = 0;
    int64_t ms = 0;
  };
  std::map<std::string, Deleted> deleted_;
  int64_t next_id_ = 1;
  SimTotals totals_;
};

}  // namespace merrow::testing
