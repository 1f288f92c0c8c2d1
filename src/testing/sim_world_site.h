// SPDX-License-Identifier: Apache-2.0
//
// What a SimWorld knows of its sites and of the lines between them. Inside of SimWorld only.

#pragma once

#include <limits>

#include "testing/sim_world.h"

namespace merrow::testing {

inline constexpr int64_t kStartWallMs = 1'700'000'000'000;
inline constexpr int64_t kHealLimitMs = 900'000;
inline constexpr int64_t kHealStepMs = 500;
inline constexpr int64_t kNow = std::numeric_limits<int64_t>::max();
inline constexpr int64_t kKeys = 12;

struct SimWorld::Site : replication::TimeSource {
  explicit Site(SimLoop& sim_loop) : loop(sim_loop) {}

  replication::Now Read() const override { return {loop.now_ms(), WallMs()}; }
  int64_t WallMs() const { return kStartWallMs + loop.now_ms() + wall_off_ms; }

  SimLoop& loop;
  size_t index = 0;
  int64_t wall_off_ms = 0;
  std::unique_ptr<SimDatabase> database;
  std::unique_ptr<SimDatabase> backup;
  // How old what is in the backup is, and what is in the database: after a restore, until it has
  // caught up, as old as the backup was. kNow: as it is.
  int64_t backup_ms = 0;
  int64_t data_ms = kNow;
  SiteVersions catches_up_with;
  std::unique_ptr<SimReplica> replica;
  std::unique_ptr<replication::Replicator> replicator;
  uint64_t life = 0;            // counts starts and ends
  std::set<cells::SiteId> met;  // in all lives
  bool is_up() const { return replicator != nullptr; }
  std::vector<replication::Report> reports;  // of earlier lives
};

struct SimWorld::Edge {
  size_t from = 0;
  size_t to = 0;
  std::shared_ptr<SimConnection> connection;
  uint64_t number = 0;  // of dial attempts: a later one makes an earlier one void
  bool is_dialing = false;
};

}  // namespace merrow::testing
