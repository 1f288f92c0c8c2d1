// SPDX-License-Identifier: Apache-2.0
//
// For tests of the Replicator on a model database: peers that are written by hand, message by
// message.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "changeset/encoder.h"
#include "replication/message.h"
#include "replication/replicator.h"
#include "testing/model_database.h"
#include "testing/sim_replica.h"

namespace merrow::replication {

using testing::ModelDatabase;
using testing::SimDiskFaults;
using testing::SimLoop;
using testing::SimReplica;

inline cells::SiteId SiteOf(unsigned char fill) {
  cells::SiteId site;
  site.bytes.fill(fill);
  return site;
}

class TestTime final : public TimeSource {
 public:
  explicit TestTime(SimLoop& loop) : loop_(loop) {}
  Now Read() const override { return {loop_.now_ms(), 1'700'000'000'000 + loop_.now_ms()}; }

 private:
  SimLoop& loop_;
};

/// A transaction of `site` that writes one row of log.
inline Changeset LogRow(const cells::SiteId& site, VersionRange range, int64_t id,
                        std::string_view text = "text") {
  Changeset changeset;
  changeset.cells.site = site;
  changeset.cells.authors = {site};
  changeset.cells.previous = range.after;
  changeset.cells.version = range.until;
  changeset.cells.tables = {{"log", {"text"}}};
  changeset.timestamp = {1'700'000'000'000 + range.until, 0};
  cells::RowChange row;
  row.key = testing::KeyOf(id);
  row.cells = {{0, 1, cells::Value::Text(text), {range.until, 0, 0}}};
  changeset.cells.rows = {row};
  return changeset;
}

inline VersionRanges RangesIn(const SiteVersions& versions, const cells::SiteId& site) {
  const auto at = versions.find(site);
  return at == versions.end() ? VersionRanges() : at->second;
}

/// A peer that says exactly what the test says.
class HandPeer final : public LinkSink {
 public:
  HandPeer(Replicator& replicator, const cells::SiteId& peer_site)
      : site(peer_site), replicator_(replicator) {}

  void Connect(bool dialed = false) { link = replicator_.OnLinkUp(*this, dialed); }
  void Say(const Message& message) { replicator_.OnMessage(link, encoder.Encode(message)); }
  void SayHello(uint64_t nonce = 77) {
    HelloMessage hello;
    hello.site = site;
    hello.nonce = nonce;
    Say(hello);
  }
  void SayChanges(ChangesMessage message, std::vector<Changeset> changesets) {
    const auto encoded = frames.Encode(std::span<const Changeset>(changesets));
    ASSERT_TRUE(encoded.ok()) << encoded.error().ToString();
    message.frame = *encoded;
    Say(message);
  }

  void Send(SharedBytes message) override {
    sent.push_back(message);
    auto decoded = decoder.Decode(*sent.back());
    ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
    heard.push_back(std::move(*decoded));
    if (blocks) buffered += message->size();
  }
  void Close(CloseReason why, std::string_view) override { closed = why; }
  size_t buffered_bytes() const override { return buffered; }

  template <typename T>
  std::vector<T> Heard() const {
    std::vector<T> all;
    for (const Message& message : heard) {
      if (const T* const one = std::get_if<T>(&message)) all.push_back(*one);
    }
    return all;
  }

  cells::SiteId site;
  LinkId link = 0;
  Options options;
  MessageEncoder encoder;
  MessageDecoder decoder{options};
  changeset::Encoder frames;
  std::vector<SharedBytes> sent;
  std::vector<Message> heard;
  std::optional<CloseReason> closed;
  bool blocks = false;
  size_t buffered = 0;

 private:
  Replicator& replicator_;
};

class ReplicatorTest : public ::testing::Test {
 protected:
  void Make(const Options& with = {}) {
    replicator.emplace(with, database.site(), database.seen(), *replica, time, random);
  }
  void Run(int64_t ms) {
    const int64_t until = loop.now_ms() + ms;
    while (loop.now_ms() < until) {
      loop.RunUntil(std::min(until, loop.now_ms() + 10));
      replicator->OnTick();
      replicator->CheckInvariants();
    }
  }
  /// A link that is open, to a peer that has `has`.
  void Open(HandPeer& peer, SiteVersions has = {}) {
    peer.Connect();
    peer.SayHello(100 + peer.site.bytes[0]);
    peer.Say(StateMessage{true, std::move(has), {}});
    Run(100);
    ASSERT_FALSE(peer.closed.has_value()) << CloseReasonName(*peer.closed);
    ASSERT_EQ(replicator->report().links.back().state, LinkState::kOpen);
  }
  void Write(int64_t id) {
    replica->Commit({{{"log", id, false, {{"text", "own"}}}}, {}}, [] { return [] {}; });
    Run(50);
  }
  const Counters counters() { return replicator->report().counters; }

  SimLoop loop;
  TestTime time{loop};
  SeededRandom random{1};
  SimDiskFaults faults;
  ModelDatabase database{{[this] { return time.Read().wall_ms; }, random, true}};
  std::optional<Replicator> replicator;
  std::unique_ptr<SimReplica> replica = std::make_unique<SimReplica>(
      database, loop, random, faults,
      [this](std::vector<SharedChangeset> made) { replicator->OnLocalCommits(std::move(made)); });
};

}  // namespace merrow::replication
