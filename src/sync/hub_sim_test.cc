// SPDX-License-Identifier: Apache-2.0
//
// Simulation of a hub with many clients of both dialects: random interleavings of edits, commits,
// completions, slow sinks, joins, leaves, lost connections and store failures. Every client checks
// every message (ModelClient::Import); at the end all is drained and everybody must agree.
//
// To replay a seed: MERROW_SIM_SEED=n [MERROW_SIM_TRACE=1] sync_test --gtest_filter='HubSim*'

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>

#include "base/clock.h"
#include "sync/model_client.h"
#include "sync/model_source.h"

namespace merrow::sync {
namespace {

struct World {
  World(uint64_t seed, bool late_reads)
      : random(seed), hub(source, SmallLimits(), nullptr, DeferFor(seed)) {
    source.reads_are_late = late_reads;
    const size_t count = 2 + random.Below(5);
    for (size_t i = 0; i < count; ++i) {
      const loro::PeerId peer = 100 + i;
      if (random.Below(3) == 0) {
        clients.push_back(std::make_unique<ModelRows>(hub, peer));
      } else {
        clients.push_back(std::make_unique<ModelLoro>(hub, peer, 200));
      }
    }
    for (auto& client : clients) client->trace = std::getenv("MERROW_SIM_TRACE") != nullptr;
    for (uint64_t i = 0; i < 1 + random.Below(3); ++i) {
      rows.push_back({"note", "n" + std::to_string(i)});
    }
  }

  // Small, so that every limit that a well-behaved client can meet is met.
  static Limits SmallLimits() {
    Limits limits;
    limits.buffer_high_water_bytes = 600;
    limits.fragment_bytes = 150;
    limits.in_flight_requests_max = 4;
    limits.heals_in_flight_max = 1;
    limits.rejoins_max = 1000;
    return limits;
  }

  // In two of three seeds commits wait for their turn.
  Defer DeferFor(uint64_t seed) {
    if (seed % 3 == 0) return {};
    return [this](std::function<void()> turn) { turns.push_back(std::move(turn)); };
  }
  bool TakeTurn() {
    if (turns.empty()) return false;
    const std::function<void()> turn = std::move(turns.front());
    turns.pop_front();
    turn();
    return true;
  }

  ModelClient& AnyClient() { return *clients[random.Below(clients.size())]; }
  const RowKey& AnyRow() { return rows[random.Below(rows.size())]; }

  void Step() {
    now_ms += static_cast<int64_t>(random.Below(20));
    switch (random.Below(26)) {
      case 0:
        AnyClient().Connect();
        break;
      case 1:
        if (random.Below(8) == 0) AnyClient().Drop();
        break;
      case 2:
        AnyClient().Enter(AnyRow());
        break;
      case 3:
        if (random.Below(8) == 0) AnyClient().Leave(AnyRow());
        break;
      case 4:
      case 5:
      case 6:
        AnyClient().Edit(AnyRow(), 1 + static_cast<int>(random.Below(3)));
        break;
      case 7:
        OtherWriter(AnyRow());
        break;
      case 8:
        if (random.Below(30) == 0) source.fail_submit = IoError("disk");
        break;
      case 9:
        if (random.Below(30) == 0) source.fail_read = IoError("disk");
        break;
      case 10:
      case 11:
      case 12:
        source.WorkSubmit();
        break;
      case 13:
      case 14:
        source.WorkRead();
        break;
      case 15:
      case 16:
      case 17:
        source.Deliver();
        break;
      case 18:
        source.DeliverLate(random.Next());
        break;
      case 19:
      case 20:
      case 21:
        AnyClient().MoveOut(now_ms);
        break;
      case 22: {
        ModelClient& client = AnyClient();
        for (uint64_t i = random.Below(8); i > 0; --i) client.MoveIn();
        break;
      }
      case 24:
      case 25:
        TakeTurn();
        break;
      case 23:
        if (random.Below(20) == 0) hub.OnTick(now_ms);
        break;
    }
    hub.CheckInvariants();
  }

  // Writes that came by HTTP: they go to the source without the hub, which is only told.
  void OtherWriter(const RowKey& row) {
    ModelDocument& document = others[row];
    document.Edit(7, 1);
    source.Submit(row, std::make_shared<const Bytes>(document.ExportSince({})),
                  [this, row](const SubmitOutcome& outcome) {
                    if (const Applied* applied = std::get_if<Applied>(&outcome)) {
                      hub.OnCommitted(row, applied->before, applied->after, applied->delta);
                    }
                  });
  }

  // Everybody comes back, and everything that is under way arrives.
  void Drain() {
    source.fail_submit.reset();
    source.fail_read.reset();
    for (const RowKey& row : rows) OtherWriter(row);  // its earlier ones may have failed
    for (int round = 0; round < 50; ++round) {
      for (auto& client : clients) {
        client->Connect();
        for (const RowKey& row : rows) client->Enter(row);
      }
      bool moved = true;
      while (moved) {
        moved = !source.idle();
        source.RunAll();
        while (TakeTurn()) moved = true;
        for (auto& client : clients) {
          while (client->MoveOut(now_ms)) moved = true;
          while (client->MoveIn()) moved = true;
        }
        hub.CheckInvariants();
      }
      now_ms += 20'000;
      hub.OnTick(now_ms);
      if (Converged()) return;
    }
  }

  bool Converged() {
    for (const RowKey& row : rows) {
      for (auto& client : clients) {
        if (client->document(row).version() != source.version(row)) return false;
      }
    }
    return true;
  }

  void CheckEnd() {
    for (const RowKey& row : rows) {
      for (auto& client : clients) {
        EXPECT_EQ(client->document(row).version().ToString(), source.version(row).ToString())
            << "peer " << client->peer() << " row " << row.key;
        EXPECT_TRUE(source.version(row).Includes(client->acknowledged[row]));
      }
      EXPECT_TRUE(source.version(row).Includes(others[row].version()));
    }
    for (auto& client : clients) {
      EXPECT_EQ(client->echoes, 0U) << "peer " << client->peer();
      const ModelSink& sink = client->sink();
      // A congested sink gets nothing but small answers.
      EXPECT_LE(sink.bytes_peak, 600 + 4 * sink.message_bytes_peak + 2000);
      EXPECT_FALSE(sink.close_code.has_value()) << sink.close_reason;
    }
    const Metrics metrics = hub.metrics();
    EXPECT_EQ(metrics.own_ops_resent, 0U);
    EXPECT_EQ(metrics.behind, 0U);
    for (auto& client : clients) client->Drop();
    EXPECT_EQ(hub.metrics().subscriptions, 0U);
    EXPECT_EQ(hub.metrics().sessions, 0U);
    source.RunAll();
    while (TakeTurn()) {
    }
    EXPECT_EQ(hub.metrics().rows, 0U);
    EXPECT_EQ(hub.MemoryBytes(), 0U);
  }

  SeededRandom random;
  ModelSource source;
  std::deque<std::function<void()>> turns;
  Hub hub;
  std::vector<std::unique_ptr<ModelClient>> clients;
  std::vector<RowKey> rows;
  std::map<RowKey, ModelDocument> others;
  int64_t now_ms = 1000;
};

struct Totals {
  uint64_t sent = 0;
  uint64_t encoded = 0;
  uint64_t conflations = 0;
  uint64_t resyncs = 0;
  uint64_t rejoins = 0;
  uint64_t shared_reads = 0;
  uint64_t pauses = 0;
};

void RunSeeds(bool late_reads, uint64_t seeds) {
  const char* const only = std::getenv("MERROW_SIM_SEED");
  Totals totals;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    if (only != nullptr && seed != std::strtoull(only, nullptr, 10)) continue;
    SCOPED_TRACE("seed " + std::to_string(seed) + (late_reads ? " late reads" : ""));
    World world(seed, late_reads);
    for (int step = 0; step < 1200; ++step) world.Step();
    world.Drain();
    const Metrics metrics = world.hub.metrics();
    totals.sent += metrics.deltas_sent;
    totals.encoded += metrics.deltas_encoded;
    totals.conflations += metrics.conflations;
    totals.resyncs += metrics.resyncs;
    totals.rejoins += metrics.rejoins_suggested;
    totals.shared_reads += metrics.reads_shared;
    totals.pauses += metrics.pauses;
    world.CheckEnd();
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "failed with seed " << seed;
      return;
    }
  }
  printf(
      "deltas sent %lu, encoded %lu; conflated %lu, healed %lu, rejoins %lu, reads shared %lu, "
      "pauses %lu\n",
      totals.sent, totals.encoded, totals.conflations, totals.resyncs, totals.rejoins,
      totals.shared_reads, totals.pauses);
  if (only != nullptr) return;
  // The simulation is worth something only if all of this happened.
  EXPECT_GT(totals.conflations, 0U);
  EXPECT_GT(totals.resyncs, 0U);
  EXPECT_GT(totals.rejoins, 0U);
  EXPECT_GT(totals.shared_reads, 0U);
  EXPECT_GT(totals.pauses, 0U);
  EXPECT_LT(totals.encoded, totals.sent);
}

TEST(HubSimTest, EverybodyConvergesWithoutGapsOrEchoes) { RunSeeds(false, 400); }

TEST(HubSimTest, AlsoWhenReadsOvertakeCommits) { RunSeeds(true, 200); }

}  // namespace
}  // namespace merrow::sync
