// SPDX-License-Identifier: Apache-2.0
//
// How changes spread when nothing goes wrong: 10 and 30 sites in a sparse graph (every site has a
// link to one before it, and there are half as many links again), links of 5 to 50 ms one way. One
// site after the other writes a row. Prints messages, copies and bytes per change, and how long it
// took; docs/replication.md quotes them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "replication/replicator.h"
#include "testing/model_database.h"
#include "testing/sim_network.h"
#include "testing/sim_replica.h"

namespace merrow::testing {
namespace {

using replication::LinkId;
using replication::Now;
using replication::Replicator;

class SpreadSite final : public replication::TimeSource {
 public:
  SpreadSite(SimLoop& loop, SeededRandom& random, const replication::Options& options)
      : loop_(loop),
        database({[this] { return Read().wall_ms; }, random, true}),
        replica(database, loop, random, faults_,
                [this](std::vector<SharedChangeset> made) {
                  replicator.OnLocalCommits(std::move(made));
                }),
        replicator(options, database.site(), {}, replica, *this, random) {
    Tick();
  }
  Now Read() const override { return {loop_.now_ms(), 1'700'000'000'000 + loop_.now_ms()}; }
  void Tick() {
    replicator.OnTick();
    const int64_t wait = std::clamp<int64_t>(replicator.next_tick_ms() - loop_.now_ms(), 5, 100);
    loop_.After(wait, [this] { Tick(); });
  }

 private:
  SimLoop& loop_;
  SimDiskFaults faults_;

 public:
  ModelDatabase database;
  SimReplica replica;
  Replicator replicator;
};

class SpreadEnd final : public SimEndEvents {
 public:
  explicit SpreadEnd(Replicator& replicator) : replicator_(replicator) {}
  void OnMessage(BytesView message) override { replicator_.OnMessage(link, message); }
  void OnDrained() override { replicator_.OnDrained(link); }
  void OnDown() override { replicator_.OnLinkDown(link); }
  LinkId link = 0;

 private:
  Replicator& replicator_;
};

struct Spread {
  size_t links = 0;
  double messages = 0;
  double copies = 0;
  double duplicates = 0;
  double bytes = 0;
};

class SpreadLab {
 public:
  explicit SpreadLab(size_t count, const replication::Options& options = {}) : random_(count) {
    for (size_t i = 0; i < count; ++i) {
      sites_.push_back(std::make_unique<SpreadSite>(loop_, random_, options));
    }
    std::set<std::pair<size_t, size_t>> links;
    for (size_t i = 1; i < count; ++i) links.insert({random_.Below(i), i});
    while (links.size() < count - 1 + count / 2) {
      const size_t a = random_.Below(count);
      const size_t b = random_.Below(count);
      if (a < b) links.insert({a, b});
    }
    for (const auto& [a, b] : links) Connect(*sites_[a], *sites_[b]);
    loop_.RunUntil(5'000);
  }

  /// `pause_ms` between two changes.
  Spread Measure(int changes, int64_t pause_ms) {
    Spread before = Sum();
    for (int i = 0; i < changes; ++i) {
      WriteOne();
      loop_.RunUntil(loop_.now_ms() + pause_ms);
    }
    loop_.RunUntil(loop_.now_ms() + 5'000);
    Spread spread = Sum();
    const double n = changes;
    spread.links = connections_.size();
    spread.messages = (spread.messages - before.messages) / n;
    spread.copies = (spread.copies - before.copies) / n;
    spread.duplicates = (spread.duplicates - before.duplicates) / n;
    spread.bytes = (spread.bytes - before.bytes) / n;
    return spread;
  }

  /// What each link carries in a minute, of all kinds and both ways, while there are `changes`.
  double BytesPerMinuteAndLink(int changes) {
    const double before = Sum().bytes;
    const int64_t until = loop_.now_ms() + 60'000;
    for (int i = 0; i < changes; ++i) {
      WriteOne();
      loop_.RunUntil(loop_.now_ms() + 60'000 / changes);
    }
    loop_.RunUntil(until);
    return (Sum().bytes - before) / static_cast<double>(connections_.size());
  }
  bool AllKnowWhatAllHave() const {
    return std::all_of(sites_.begin(), sites_.end(), [this](const auto& site) {
      const auto& confirmed = site->replica.confirmed();
      return confirmed.size() + 1 == sites_.size() &&
             std::all_of(confirmed.begin(), confirmed.end(), [&](const auto& of_site) {
               return of_site.second == site->replicator.seen();
             });
    });
  }

  /// How long one change takes until all sites have it.
  int64_t Delay() {
    const int64_t id = next_id_;
    const int64_t start = loop_.now_ms();
    WriteOne();
    const auto all_have_it = [&] {
      return std::all_of(sites_.begin(), sites_.end(),
                         [&](const auto& site) { return site->database.HasRow("log", id); });
    };
    while (!all_have_it()) loop_.RunUntil(loop_.now_ms() + 1);
    const int64_t took = loop_.now_ms() - start;
    loop_.RunUntil(loop_.now_ms() + 2'000);
    return took;
  }

 private:
  void Connect(SpreadSite& a, SpreadSite& b) {
    SimWire wire;
    wire.delay_ms = 5 + static_cast<int64_t>(random_.Below(46));
    auto connection = std::make_shared<SimConnection>(loop_, random_, wire, traffic_);
    connections_.push_back(connection);
    auto dialer = std::make_unique<SpreadEnd>(a.replicator);
    auto acceptor = std::make_unique<SpreadEnd>(b.replicator);
    SpreadEnd& dialer_end = *dialer;
    SpreadEnd& acceptor_end = *acceptor;
    connection->Attach(0, std::move(dialer));
    connection->Attach(1, std::move(acceptor));
    dialer_end.link = a.replicator.OnLinkUp(connection->end(0), true);
    acceptor_end.link = b.replicator.OnLinkUp(connection->end(1), false);
  }

  void WriteOne() {
    Write write;
    write.rows.push_back({"log", next_id_++, false, {{"text", "twenty bytes of text"}}});
    sites_[random_.Below(sites_.size())]->replica.Commit(std::move(write), [] { return [] {}; });
  }

  Spread Sum() const {
    Spread sum;
    sum.messages = static_cast<double>(traffic_.messages);
    sum.bytes = static_cast<double>(traffic_.bytes);
    for (const auto& site : sites_) {
      const auto report = site->replicator.report();
      sum.duplicates += static_cast<double>(report.counters.duplicates);
      for (const auto& link : report.links) sum.copies += static_cast<double>(link.changesets_in);
    }
    return sum;
  }

  SeededRandom random_;
  SimLoop loop_;
  SimTraffic traffic_;
  std::vector<std::unique_ptr<SpreadSite>> sites_;
  std::vector<std::shared_ptr<SimConnection>> connections_;
  int64_t next_id_ = 1;
};

TEST(ReplicationSpread, EachSiteGetsEachChangeAboutOnce) {
  printf(
      "| sites | links | one change every | messages per change | copies per change | of which "
      "twice | bytes per change |\n");
  for (const size_t count : {10UL, 30UL}) {
    SpreadLab lab(count);
    // Until every site has written and the trees stand.
    lab.Measure(static_cast<int>(20 * count), 50);
    for (const int64_t pause_ms : {1000, 10}) {
      const Spread spread = lab.Measure(300, pause_ms);
      printf("| %zu | %zu | %ld ms | %.1f | %.2f | %.2f | %.0f |\n", count, spread.links,
             static_cast<long>(pause_ms), spread.messages, spread.copies, spread.duplicates,
             spread.bytes);
      EXPECT_LT(spread.duplicates, 0.02 * static_cast<double>(count));
      EXPECT_LT(spread.copies, 1.05 * static_cast<double>(count - 1));
    }
    std::vector<int64_t> delays;
    for (int i = 0; i < 30; ++i) delays.push_back(lab.Delay());
    std::sort(delays.begin(), delays.end());
    printf("%zu sites: all have a change after %ld ms in the median, %ld ms at most\n", count,
           static_cast<long>(delays[delays.size() / 2]), static_cast<long>(delays.back()));
    EXPECT_LT(delays.back(), 1000);
  }
}

// Every site knows of every other one what it has; that is free while nothing changes.
TEST(ReplicationSpread, WhatAllHaveIsKnownEverywhereForFewBytes) {
  for (const size_t count : {10UL, 30UL}) {
    replication::Options without;
    without.confirm_interval_ms = int64_t{1} << 40;
    SpreadLab with_lab(count);
    SpreadLab without_lab(count, without);
    for (SpreadLab* const lab : {&with_lab, &without_lab}) {
      lab->Measure(static_cast<int>(20 * count), 50);
      for (int minute = 0; minute < 10; ++minute) lab->BytesPerMinuteAndLink(0);
    }
    EXPECT_TRUE(with_lab.AllKnowWhatAllHave());
    printf("%zu sites: per minute and link, statements cost", count);
    for (const int changes : {0, 1, 60, 600}) {
      const double with = with_lab.BytesPerMinuteAndLink(changes);
      const double more = with - without_lab.BytesPerMinuteAndLink(changes);
      printf(" %.0f of %.0f bytes at %d changes;", more, with, changes);
      EXPECT_LE(more, changes == 0 ? 0 : 250.0 * static_cast<double>(count));
    }
    printf("\n");
  }
}

}  // namespace
}  // namespace merrow::testing
