// SPDX-License-Identifier: Apache-2.0
//
// Replicator against peers that are written by hand, message by message: what a careless or lying
// peer can do, versions of the protocol, limits. Sites among each other are in replication_lab_test
// and replication_sim_test.
#include "replication/replicator.h"

#include <gtest/gtest.h>

#include <zdict.h>
#include <algorithm>

#include "changeset/decoder.h"
#include "changeset/encoder.h"
#include "replication/message.h"
#include "testing/model_database.h"
#include "testing/sim_replica.h"

namespace merrow::replication {
namespace {

using testing::ModelDatabase;
using testing::SimDiskFaults;
using testing::SimLoop;
using testing::SimReplica;

cells::SiteId SiteOf(unsigned char fill) {
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

// A transaction of `site` that writes one row of log.
Changeset LogRow(const cells::SiteId& site, VersionRange range, int64_t id,
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

VersionRanges RangesIn(const SiteVersions& versions, const cells::SiteId& site) {
  const auto at = versions.find(site);
  return at == versions.end() ? VersionRanges() : at->second;
}

// A peer that says exactly what the test says.
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
  // A link that is open, to a peer that has `has`.
  void Open(HandPeer& peer, SiteVersions has = {}) {
    peer.Connect();
    peer.SayHello(100 + peer.site.bytes[0]);
    peer.Say(StateMessage{true, std::move(has), {}});
    Run(100);
    ASSERT_FALSE(peer.closed.has_value()) << CloseReasonName(*peer.closed);
    ASSERT_EQ(replicator->report().links.back().state, LinkState::kOpen);
  }
  void Write(int64_t id) {
    replica->Commit({{{"log", id, false, {{"text", "own"}}}}, {}}, [] {});
    Run(50);
  }
  const Counters counters() { return replicator->report().counters; }

  SimLoop loop;
  TestTime time{loop};
  SeededRandom random{1};
  SimDiskFaults faults;
  ModelDatabase database{[this] { return time.Read().wall_ms; }, random, true};
  std::optional<Replicator> replicator;
  std::unique_ptr<SimReplica> replica = std::make_unique<SimReplica>(
      database, loop, random, faults,
      [this](std::vector<SharedChangeset> made) { replicator->OnLocalCommits(std::move(made)); });
};

// --- Opening.

TEST_F(ReplicatorTest, SaysHelloAtOnceAndStateAfterThePeersHello) {
  Make();
  Write(1);
  HandPeer peer(*replicator, SiteOf(1));
  peer.Connect();
  ASSERT_EQ(peer.Heard<HelloMessage>().size(), 1U);
  EXPECT_EQ(peer.Heard<HelloMessage>()[0].site, database.site());
  Run(100);
  EXPECT_TRUE(peer.Heard<StateMessage>().empty());
  peer.SayHello();
  Run(100);
  ASSERT_EQ(peer.Heard<StateMessage>().size(), 1U);
  EXPECT_EQ(peer.Heard<StateMessage>()[0].versions, database.seen());
}

TEST_F(ReplicatorTest, SpeaksWithALaterReleaseAndNotWithOneThatGaveThisVersionUp) {
  Make();
  HelloMessage hello;
  hello.site = SiteOf(1);
  hello.version_max = 9;
  HandPeer later(*replicator, SiteOf(1));
  later.Connect();
  later.Say(hello);
  EXPECT_FALSE(later.closed.has_value());
  EXPECT_EQ(replicator->report().links[0].protocol, kProtocolVersion);

  hello.version_min = 2;
  HandPeer newest(*replicator, SiteOf(2));
  newest.Connect();
  newest.Say(hello);
  EXPECT_EQ(newest.closed, CloseReason::kVersion);
  ASSERT_EQ(newest.Heard<ByeMessage>().size(), 1U);
}

TEST_F(ReplicatorTest, UnknownMessagesAreSkipped) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  replicator->OnMessage(peer.link, "\x7fwhatever");
  EXPECT_FALSE(peer.closed.has_value());
  EXPECT_EQ(counters().messages_unknown, 1U);
}

TEST_F(ReplicatorTest, DisorderEndsTheLink) {
  Make();
  const auto reason_after = [&](std::vector<Message> messages) {
    HandPeer peer(*replicator, SiteOf(1));
    peer.Connect();
    for (const Message& message : messages) peer.Say(message);
    Run(50);
    return peer.closed;
  };
  HelloMessage hello;
  hello.site = SiteOf(1);
  EXPECT_EQ(reason_after({HaveMessage{}}), CloseReason::kProtocol);
  EXPECT_EQ(reason_after({hello, hello}), CloseReason::kProtocol);
  EXPECT_EQ(reason_after({hello, HaveMessage{}}), CloseReason::kProtocol);
  EXPECT_EQ(reason_after({hello, StateMessage{}, StateMessage{}}), CloseReason::kProtocol);
  ChangesMessage garbage;
  garbage.frame = "garbage";
  EXPECT_EQ(reason_after({hello, StateMessage{}, garbage}), CloseReason::kProtocol);
}

TEST_F(ReplicatorTest, AHandshakeThatDoesNotGoOnEnds) {
  Options options;
  options.handshake_timeout_ms = 1000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  peer.Connect();
  Run(900);
  EXPECT_FALSE(peer.closed.has_value());
  Run(200);
  EXPECT_EQ(peer.closed, CloseReason::kTimeout);
}

TEST_F(ReplicatorTest, NoticesItselfAndASecondLinkToTheSameProcess) {
  Make();
  HandPeer self(*replicator, database.site());
  self.Connect();
  self.SayHello(self.Heard<HelloMessage>()[0].nonce);
  EXPECT_EQ(self.closed, CloseReason::kSelf);

  HandPeer first(*replicator, SiteOf(1));
  Open(first);
  HandPeer second(*replicator, SiteOf(1));
  second.Connect();
  second.SayHello(101);
  EXPECT_EQ(first.closed, CloseReason::kDuplicate);
  EXPECT_FALSE(second.closed.has_value());

  // Both dialed: it depends on the ids which one stays, and both sides see it alike.
  HandPeer third(*replicator, SiteOf(1));
  third.Connect(/*dialed=*/true);
  third.SayHello(101);
  const bool own_dial_stays = database.site() < SiteOf(1);
  EXPECT_EQ(second.closed.has_value(), own_dial_stays);
  EXPECT_EQ(third.closed.has_value(), !own_dial_stays);

  // Two that this side dialed: the other side says which, since it may have heard of them in
  // another order.
  HandPeer fourth(*replicator, SiteOf(2)), fifth(*replicator, SiteOf(2));
  for (HandPeer* peer : {&fourth, &fifth}) {
    peer->Connect(/*dialed=*/true);
    peer->SayHello(102);
    EXPECT_FALSE(peer->closed.has_value());
  }
  fifth.Say(ByeMessage{CloseReason::kDuplicate, ""});
  EXPECT_TRUE(fifth.closed.has_value());
  EXPECT_FALSE(fourth.closed.has_value());
}

TEST_F(ReplicatorTest, ASilentPeerIsDroppedAndALinkIsKeptAlive) {
  Options options;
  options.keepalive_ms = 200;
  options.silence_ms_max = 1000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  Run(700);
  EXPECT_GE(peer.Heard<HaveMessage>().size(), 3U);
  EXPECT_FALSE(peer.closed.has_value());
  peer.Say(HaveMessage{});
  Run(900);
  EXPECT_FALSE(peer.closed.has_value());
  Run(200);
  EXPECT_EQ(peer.closed, CloseReason::kTimeout);
}

// --- Pulling.

TEST_F(ReplicatorTest, AsksForWhatItLacksNewestFirstAndCountsItOnlyAfterTheCommit) {
  Make();
  const cells::SiteId origin = SiteOf(9);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer, {{origin, VersionRanges(VersionRange{0, 3000})}});
  const auto needs = peer.Heard<NeedMessage>();
  ASSERT_FALSE(needs.empty());
  EXPECT_EQ(needs[0].wanted.at(origin).last(), 3000) << "the newest first";
  for (size_t i = 1; i < needs.size(); ++i) {
    EXPECT_TRUE(needs[i].wanted.at(origin).Intersection(needs[0].wanted.at(origin)).empty());
  }
  ChangesMessage answer;
  answer.flags = kChangesAnswer | kChangesLast;
  answer.request = needs[0].request;
  peer.SayChanges(answer, {LogRow(origin, {0, 3000}, 5)});
  EXPECT_TRUE(replicator->seen().empty()) << "not committed yet";
  Run(100);
  EXPECT_EQ(replicator->seen().at(origin).last(), 3000);
  EXPECT_TRUE(database.HasRow("log", 5));
  EXPECT_TRUE(replicator->report().needs.empty());
}

TEST_F(ReplicatorTest, WhatAPeerDoesNotHaveAfterAllIsNotAskedForAgain) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer, {{SiteOf(9), VersionRanges(VersionRange{0, cells::kDbVersionMax})}});
  for (int i = 0; i < 200; ++i) {
    const auto needs = peer.Heard<NeedMessage>();
    peer.heard.clear();
    for (const NeedMessage& need : needs) {
      ChangesMessage answer;
      answer.flags = kChangesAnswer | kChangesLast;
      answer.request = need.request;
      peer.Say(answer);
    }
    Run(20);
  }
  // It lies about 2^43 versions; that costs it, and hardly us.
  EXPECT_LT(counters().requests, 60U);
  EXPECT_GT(counters().requests_empty, 0U);
  EXPECT_FALSE(peer.closed.has_value());
}

TEST_F(ReplicatorTest, ARequestThatIsNotAnsweredGoesElsewhere) {
  Options options;
  options.request_timeout_ms = 1000;
  Make(options);
  const SiteVersions has = {{SiteOf(9), VersionRanges(VersionRange{0, 4})}};
  HandPeer mute(*replicator, SiteOf(1));
  Open(mute, has);
  ASSERT_EQ(mute.Heard<NeedMessage>().size(), 1U);
  HandPeer other(*replicator, SiteOf(2));
  Open(other, has);
  EXPECT_TRUE(other.Heard<NeedMessage>().empty()) << "asked for twice at once";
  Run(1100);
  ASSERT_EQ(other.Heard<NeedMessage>().size(), 1U);
  EXPECT_EQ(other.Heard<NeedMessage>()[0].wanted, has);
  EXPECT_EQ(counters().request_timeouts, 1U);
}

TEST_F(ReplicatorTest, ALinkThatGoesDownLeavesItsRequestsToOthers) {
  Make();
  const SiteVersions has = {{SiteOf(9), VersionRanges(VersionRange{0, 4})}};
  HandPeer one(*replicator, SiteOf(1));
  HandPeer two(*replicator, SiteOf(2));
  Open(one, has);
  Open(two, has);
  ASSERT_TRUE(two.Heard<NeedMessage>().empty());
  replicator->OnLinkDown(one.link);
  ASSERT_EQ(two.Heard<NeedMessage>().size(), 1U);
}

TEST_F(ReplicatorTest, OnlyTheBadOneOfACombinationIsKeptOut) {
  Make();
  database.SetStrict(true);
  const cells::SiteId origin = SiteOf(9);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer, {{origin, VersionRanges(VersionRange{0, 3})}});
  const auto row = [&](cells::DbVersion version) {
    return LogRow(origin, {version - 1, version}, version,
                  version == 2 ? testing::kPoison : std::string_view("good"));
  };
  for (int round = 0; round < 10; ++round) {
    const auto needs = peer.Heard<NeedMessage>();
    peer.heard.clear();
    for (const NeedMessage& need : needs) {
      ChangesMessage answer;
      answer.flags = kChangesAnswer | kChangesLast;
      answer.request = need.request;
      if (need.bytes > 1) {  // all of it as one
        Changeset all = row(3);
        all.cells.previous = 0;
        for (cells::DbVersion version : {1, 2}) {
          all.cells.rows.push_back(row(version).cells.rows[0]);
        }
        peer.SayChanges(answer, {all});
      } else {  // one transaction
        const cells::DbVersion version = need.wanted.at(origin).last();
        if (need.wanted.at(origin).count() > 1) answer.flags |= kChangesMore;
        peer.SayChanges(answer, {row(version)});
      }
    }
    Run(50);
  }
  EXPECT_TRUE(database.HasRow("log", 1));
  EXPECT_FALSE(database.HasRow("log", 2));
  EXPECT_TRUE(database.HasRow("log", 3));
  Report report = replicator->report();
  ASSERT_EQ(report.refused.size(), 1U);
  EXPECT_EQ(report.refused[0].site, origin);
  EXPECT_EQ(report.refused[0].range, (VersionRange{1, 2}));
  EXPECT_EQ(report.refused[0].from, SiteOf(1));
  EXPECT_TRUE(report.needs.empty()) << "not asked for again";

  // Somebody else may have a good one.
  HandPeer other(*replicator, SiteOf(2));
  Open(other, {{origin, VersionRanges(VersionRange{0, 3})}});
  ASSERT_EQ(other.Heard<NeedMessage>().size(), 1U);
  EXPECT_EQ(other.Heard<NeedMessage>()[0].wanted.at(origin), VersionRanges(VersionRange{1, 2}));

  replicator->OnLinkDown(other.link);
  Run(50);
  peer.heard.clear();
  replicator->OnSchemaChanged(5);
  EXPECT_EQ(peer.Heard<NeedMessage>().size(), 1U) << "a new schema may take it";
}

TEST_F(ReplicatorTest, ASiteThatLacksMuchDoesNotKeepOthersWaiting) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  SiteVersions has;
  for (const unsigned char fill : std::initializer_list<unsigned char>{9, 50, 60, 200}) {
    has[SiteOf(fill)].Add({0, fill == 50 ? 10'000'000 : 5});
  }
  Open(peer, has);
  SiteVersions asked;
  for (const NeedMessage& need : peer.Heard<NeedMessage>()) {
    for (const auto& [site, ranges] : need.wanted) asked[site].Add(ranges);
  }
  EXPECT_EQ(asked.size(), 4U);
}

TEST_F(ReplicatorTest, APeerCannotHoldARequestByAnsweringWithNothing) {
  Options options;
  options.request_timeout_ms = 1000;
  Make(options);
  const cells::SiteId origin = SiteOf(9);
  const SiteVersions has = {{origin, VersionRanges(VersionRange{0, 4})}};
  HandPeer slow(*replicator, SiteOf(1));
  Open(slow, has);
  ASSERT_EQ(slow.Heard<NeedMessage>().size(), 1U);
  HandPeer other(*replicator, SiteOf(2));
  Open(other, has);
  ChangesMessage answer;
  answer.flags = kChangesAnswer;
  answer.request = slow.Heard<NeedMessage>()[0].request;
  ChangesMessage part = answer;
  part.flags |= kChangesPart;
  part.whole = 5;
  Changeset first = LogRow(origin, {0, 4}, 1);
  first.parts = 3;
  for (int i = 0; i < 10 && other.Heard<NeedMessage>().empty(); ++i) {
    slow.Say(answer);
    slow.SayChanges(answer, {LogRow(SiteOf(8), {i, i + 1}, 100 + i)});
    slow.SayChanges(part, {first});  // the same one again and again
    Run(400);
  }
  EXPECT_EQ(other.Heard<NeedMessage>().size(), 1U);
}

TEST_F(ReplicatorTest, PartsThatCameBeforeTheLinkWentDownAreNotAskedForAgain) {
  Make();
  const cells::SiteId origin = SiteOf(9);
  const SiteVersions has = {{origin, VersionRanges(VersionRange{0, 3})}};
  Changeset large = LogRow(origin, {0, 3}, 1);
  for (int64_t id = 2; id <= 40; ++id) {
    Changeset row = LogRow(origin, {0, 3}, id, std::string(50, 'x'));
    row.cells.rows[0].cells[0].clock.seq = static_cast<cells::Seq>(id - 1);
    large.cells.rows.push_back(row.cells.rows[0]);
  }
  const std::vector<Changeset> parts = changeset::SplitChangeset(large, 500);
  ASSERT_GT(parts.size(), 3U);
  const auto say = [&](HandPeer& peer, size_t from, size_t to) {
    ChangesMessage answer;
    answer.flags = kChangesAnswer | kChangesPart;
    answer.request = peer.Heard<NeedMessage>().at(0).request;
    answer.whole = 77;
    for (size_t i = from; i < to; ++i) {
      if (i + 1 == parts.size()) answer.flags |= kChangesLast;
      peer.SayChanges(answer, {parts[i]});
    }
    Run(100);
  };
  HandPeer one(*replicator, SiteOf(1));
  Open(one, has);
  EXPECT_TRUE(one.Heard<NeedMessage>().at(0).there.empty());
  say(one, 0, 2);
  replicator->OnLinkDown(one.link);

  HandPeer two(*replicator, SiteOf(2));
  Open(two, has);
  const NeedMessage need = two.Heard<NeedMessage>().at(0);
  ASSERT_EQ(need.there.size(), 1U);
  EXPECT_EQ(need.there[0].site, origin);
  EXPECT_EQ(need.there[0].range, (VersionRange{0, 3}));
  EXPECT_EQ(need.there[0].whole, 77U);
  EXPECT_EQ(need.there[0].parts, 2U);
  say(two, 2, parts.size());
  EXPECT_EQ(replicator->seen(), has);
  EXPECT_TRUE(database.HasRow("log", 40));
}

TEST_F(ReplicatorTest, PartsOfWhichThereIsNoRoomAreAskedForLater) {
  Options options;
  options.apply_queue_bytes_max = 20'000;
  options.request_bytes = 1000;
  Make(options);
  const cells::SiteId origin = SiteOf(9);
  Changeset large = LogRow(origin, {0, 3}, 1);
  for (int64_t id = 2; id <= 400; ++id) {
    Changeset row = LogRow(origin, {0, 3}, id, std::string(50, 'x'));
    row.cells.rows[0].cells[0].clock.seq = static_cast<cells::Seq>(id - 1);
    large.cells.rows.push_back(row.cells.rows[0]);
  }
  const std::vector<Changeset> parts = changeset::SplitChangeset(large, 500);
  ASSERT_GT(parts.size(), 20U);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer, {{origin, VersionRanges(VersionRange{0, 3})}});
  for (int round = 0; round < 100 && replicator->seen().empty(); ++round) {
    const auto needs = peer.Heard<NeedMessage>();
    peer.heard.clear();
    for (const NeedMessage& need : needs) {
      ChangesMessage answer;
      answer.flags = kChangesAnswer | kChangesPart;
      answer.request = need.request;
      answer.whole = 77;
      for (size_t i = need.there.empty() ? 0 : need.there[0].parts; i < parts.size(); ++i) {
        if (i + 1 == parts.size()) answer.flags |= kChangesLast;
        peer.SayChanges(answer, {parts[i]});
        ASSERT_LT(replicator->report().apply_queue_bytes, 30'000U);
      }
    }
    Run(500);
  }
  EXPECT_EQ(RangesIn(replicator->seen(), origin).last(), 3);
  EXPECT_GT(counters().fresh_dropped, 0U);
}

TEST_F(ReplicatorTest, PartsThatAPeerHasAreLeftOutOfItsAnswer) {
  Options options;
  options.chunk_bytes = 500;
  Make(options);
  Write(1);
  testing::Write write;
  for (int64_t id = 10; id < 60; ++id) {
    write.rows.push_back({"log", id, false, {{"text", std::string(50, 'x')}}});
  }
  replica->Commit(write, [] {});
  Run(50);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  NeedMessage need{1, 100'000, {{database.site(), VersionRanges(VersionRange{1, 2})}}, {}};
  const auto ask = [&] {
    peer.heard.clear();
    peer.Say(need);
    Run(100);
    std::vector<ChangesMessage> parts;
    for (const ChangesMessage& one : peer.Heard<ChangesMessage>()) {
      if ((one.flags & kChangesPart) != 0) parts.push_back(one);
    }
    return parts;
  };
  const auto all = ask();
  ASSERT_GT(all.size(), 4U);
  need.there = {{database.site(), {1, 2}, all[0].whole, 3}};
  EXPECT_EQ(ask().size(), all.size() - 3);
  need.there[0].parts = 1000;
  EXPECT_EQ(ask().size(), 1U) << "the last one in any case";
  need.there[0].whole += 1;
  EXPECT_EQ(ask().size(), all.size()) << "of another split";
}

TEST_F(ReplicatorTest, WhatIsRememberedOfRefusedChangesetsIsBounded) {
  Options options;
  options.refused_ranges_max = 50;
  Make(options);
  database.SetStrict(true);
  std::optional<CloseReason> closed;
  for (unsigned char fill = 1; fill < 100 && !closed.has_value(); ++fill) {
    HandPeer peer(*replicator, SiteOf(fill));
    Open(peer);
    for (cells::DbVersion i = 0; i < 40; ++i) {
      peer.SayChanges({}, {LogRow(SiteOf(200), {2 * i + 100 * fill, 2 * i + 100 * fill + 1}, i,
                                  testing::kPoison)});
    }
    Run(300);
    closed = peer.closed;
    replicator->OnLinkDown(peer.link);
  }
  EXPECT_FALSE(closed.has_value()) << "those of peers that are gone make room";
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  for (cells::DbVersion i = 0; i < 60; ++i) {
    peer.SayChanges({},
                    {LogRow(SiteOf(200), {2 * i + 20'000, 2 * i + 20'001}, i, testing::kPoison)});
  }
  Run(300);
  EXPECT_EQ(peer.closed, CloseReason::kLimit);
}

TEST_F(ReplicatorTest, OneChangesetForWhichThereIsNoRoomDoesNotBlockOthers) {
  Options options;
  options.retry_ms_max = 500;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  faults.too_large = SiteOf(8);
  peer.SayChanges({}, {LogRow(SiteOf(8), {0, 1}, 1)});
  for (cells::DbVersion i = 0; i < 5; ++i) {
    peer.SayChanges({}, {LogRow(SiteOf(9), {i, i + 1}, 10 + i)});
  }
  Run(20'000);
  EXPECT_EQ(RangesIn(replicator->seen(), SiteOf(9)).last(), 5);
  EXPECT_EQ(RangesIn(replicator->seen(), SiteOf(8)).last(), 0);
  faults.too_large.reset();
  Run(2'000);
  EXPECT_EQ(RangesIn(replicator->seen(), SiteOf(8)).last(), 1);
}

TEST_F(ReplicatorTest, WhileABadOneIsLookedForOthersAreAskedFor) {
  Make();
  database.SetStrict(true);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  Changeset bad = LogRow(SiteOf(9), {0, 1000}, 1, testing::kPoison);
  peer.Say(HaveMessage{{{SiteOf(9), VersionRanges(VersionRange{0, 1000})}}});
  ChangesMessage answer;
  answer.flags = kChangesAnswer | kChangesLast;
  answer.request = peer.Heard<NeedMessage>().at(0).request;
  peer.SayChanges(answer, {bad});
  Run(100);
  peer.heard.clear();
  peer.Say(HaveMessage{{{SiteOf(10), VersionRanges(VersionRange{0, 2000})}}});
  const auto needs = peer.Heard<NeedMessage>();
  ASSERT_FALSE(needs.empty());
  EXPECT_TRUE(needs[0].wanted.contains(SiteOf(10)));
}

// --- Compression.

// As `zstd --train` makes it of frames like the ones that it is to compress.
std::shared_ptr<const changeset::Dictionary> TrainDictionary() {
  Bytes samples;
  std::vector<size_t> sizes;
  for (int64_t id = 1; id <= 400; ++id) {
    changeset::Encoder encoder;
    const std::vector<Changeset> one = {LogRow(
        SiteOf(9), {id - 1, id}, id,
        "the same long sentence, written to row " + std::to_string(id * 7919) + " by somebody")};
    const auto frame = encoder.Encode(std::span<const Changeset>(one));
    samples += *frame;
    sizes.push_back(frame->size());
  }
  Bytes dictionary(4096, 0);
  const size_t size = ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), samples.data(),
                                            sizes.data(), static_cast<unsigned>(sizes.size()));
  dictionary.resize(ZDICT_isError(size) != 0 ? 0 : size);
  auto made = changeset::Dictionary::FromBytes(dictionary, 3);
  return made.ok() ? *made : nullptr;
}

TEST_F(ReplicatorTest, ADictionaryIsUsedWhereThePeerNamesTheSame) {
  Options options;
  options.dictionary = TrainDictionary();
  ASSERT_NE(options.dictionary, nullptr);
  Make(options);
  HandPeer with(*replicator, SiteOf(1));
  HandPeer without(*replicator, SiteOf(2));
  with.Connect();
  EXPECT_EQ(with.Heard<HelloMessage>()[0].dictionary, options.dictionary->id());
  HelloMessage hello;
  hello.site = with.site;
  hello.nonce = 101;
  hello.dictionary = options.dictionary->id();
  with.Say(hello);
  with.Say(StateMessage{});
  Open(without);
  const changeset::FrameOptions frames{.zstd_level = 3, .dictionary = options.dictionary};
  with.frames = changeset::Encoder({}, frames);
  const Changeset change =
      LogRow(SiteOf(9), {0, 4}, 1, "the same long sentence, written to row 12 by somebody");
  with.SayChanges({}, {change});
  Run(100);
  EXPECT_EQ(counters().applied, 1U) << "a frame of the peer that needs the dictionary";

  replica->Commit(
      {{{"log", 5, false, {{"text", "the same long sentence, written to row 3 by somebody"}}}}, {}},
      [] {});
  Run(100);
  changeset::Decoder decoder({}, frames);
  const BytesView frame = with.Heard<ChangesMessage>().back().frame;
  EXPECT_TRUE(decoder.Decode(frame).ok());
  EXPECT_EQ(changeset::Decoder().Decode(frame).error().code(), ErrorCode::kUnsupported);
  EXPECT_TRUE(changeset::Decoder().Decode(without.Heard<ChangesMessage>().front().frame).ok());
}

// --- Pushing.

TEST_F(ReplicatorTest, ACommitThatCouldNotBeReadIsAnnounced) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  replicator->OnUnreadCommits(VersionRanges({0, 3}));
  Run(100);
  EXPECT_TRUE(peer.Heard<ChangesMessage>().empty());
  ASSERT_EQ(peer.Heard<HaveMessage>().size(), 1U);
  EXPECT_EQ(peer.Heard<HaveMessage>()[0].versions.at(database.site()), VersionRanges({0, 3}));
  EXPECT_EQ(replicator->seen().at(database.site()), VersionRanges({0, 3}));
}

TEST_F(ReplicatorTest, PushesToThoseThatLackItAndAcknowledgesToThoseThatSentIt) {
  Make();
  HandPeer one(*replicator, SiteOf(1));
  HandPeer two(*replicator, SiteOf(2));
  Open(one);
  Open(two);
  const cells::SiteId origin = SiteOf(9);
  one.SayChanges({}, {LogRow(origin, {0, 4}, 1)});
  EXPECT_TRUE(two.Heard<ChangesMessage>().empty()) << "before the commit";
  Run(100);
  EXPECT_EQ(two.Heard<ChangesMessage>().size(), 1U);
  EXPECT_TRUE(one.Heard<ChangesMessage>().empty()) << "sent back";
  Run(1000);
  ASSERT_EQ(one.Heard<HaveMessage>().size(), 1U);
  EXPECT_EQ(one.Heard<HaveMessage>()[0].versions.at(origin).last(), 4);
  EXPECT_TRUE(two.Heard<HaveMessage>().empty()) << "it was pushed there";
}

TEST_F(ReplicatorTest, ASecondCopyIsPrunedUnlessItIsTheLastSource) {
  Make();
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  const cells::SiteId origin = SiteOf(9);
  one.SayChanges({}, {LogRow(origin, {0, 1}, 1)});
  Run(100);
  one.SayChanges({}, {LogRow(origin, {0, 1}, 1)});
  EXPECT_TRUE(one.Heard<PruneMessage>().empty());
  HandPeer two(*replicator, SiteOf(2));
  Open(two);
  one.SayChanges({}, {LogRow(origin, {1, 2}, 2)});
  two.SayChanges({}, {LogRow(origin, {1, 2}, 2)});
  ASSERT_EQ(two.Heard<PruneMessage>().size(), 1U);
  EXPECT_EQ(two.Heard<PruneMessage>()[0].sites, std::vector{origin});
  EXPECT_EQ(counters().duplicates, 2U);

  // What the pruned link announces is waited for, then grafted and asked for.
  Run(100);
  two.heard.clear();
  two.Say(HaveMessage{{{origin, VersionRanges(VersionRange{2, 3})}}});
  Run(400);
  EXPECT_TRUE(two.Heard<NeedMessage>().empty());
  Run(200);
  ASSERT_EQ(two.Heard<GraftMessage>().size(), 1U);
  EXPECT_EQ(two.Heard<NeedMessage>().size(), 1U);
}

TEST_F(ReplicatorTest, WhenASourceGoesDownAnotherIsGraftedAtOnce) {
  Make();
  HandPeer one(*replicator, SiteOf(1));
  HandPeer two(*replicator, SiteOf(2));
  Open(one);
  Open(two);
  const cells::SiteId origin = SiteOf(9);
  one.SayChanges({}, {LogRow(origin, {0, 1}, 1)});
  two.SayChanges({}, {LogRow(origin, {0, 1}, 1)});
  ASSERT_EQ(two.Heard<PruneMessage>().size(), 1U);
  replicator->OnLinkDown(one.link);
  EXPECT_EQ(two.Heard<GraftMessage>().size(), 1U);
}

TEST_F(ReplicatorTest, WhoPrunedGetsNoticesUntilItGrafts) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  peer.Say(PruneMessage{{database.site()}});
  Write(1);
  Run(100);
  EXPECT_TRUE(peer.Heard<ChangesMessage>().empty());
  EXPECT_EQ(peer.Heard<HaveMessage>().size(), 1U);
  peer.Say(GraftMessage{{database.site()}});
  Write(2);
  EXPECT_EQ(peer.Heard<ChangesMessage>().size(), 1U);
}

TEST_F(ReplicatorTest, ASlowLinkCostsAVectorNotAQueue) {
  Options options;
  options.unsent_bytes_max = 500;
  Make(options);
  HandPeer slow(*replicator, SiteOf(1));
  Open(slow);
  slow.blocks = true;
  for (int64_t id = 1; id <= 100; ++id) Write(id);
  const size_t pushed = slow.Heard<ChangesMessage>().size();
  EXPECT_GT(pushed, 0U);
  EXPECT_LT(pushed, 40U);
  EXPECT_EQ(pushed + counters().push_skipped, 100U);
  slow.blocks = false;
  slow.buffered = 0;
  replicator->OnDrained(slow.link);
  Run(100);
  SiteVersions told;
  for (const HaveMessage& have : slow.Heard<HaveMessage>()) {
    for (const auto& [site, ranges] : have.versions) told[site].Add(ranges);
  }
  EXPECT_EQ(told.at(database.site()).last(), 100);
}

// --- What others have.

std::shared_ptr<const SiteVersions> Has(SiteVersions versions) {
  return std::make_shared<const SiteVersions>(std::move(versions));
}

TEST_F(ReplicatorTest, StatesWhatItHasAndPassesOnWhatOthersState) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  Write(1);
  HandPeer one(*replicator, SiteOf(1));
  HandPeer two(*replicator, SiteOf(2));
  Open(one);
  Open(two);
  ASSERT_EQ(one.Heard<StatementsMessage>().size(), 1U);
  const Statement own = one.Heard<StatementsMessage>()[0].statements.at(0);
  EXPECT_EQ(own.site, database.site());
  EXPECT_EQ(*own.has, database.seen());
  one.heard.clear();
  two.heard.clear();

  const SiteVersions has = {{SiteOf(9), VersionRanges(VersionRange{0, 3})}};
  one.Say(StatementsMessage{{{SiteOf(7), 5, Has(has)}}});
  Run(1100);
  EXPECT_TRUE(one.Heard<StatementsMessage>().empty()) << "sent back";
  ASSERT_EQ(two.Heard<StatementsMessage>().size(), 1U);
  const Statement passed = two.Heard<StatementsMessage>()[0].statements.at(0);
  EXPECT_EQ(passed.site, SiteOf(7));
  EXPECT_EQ(passed.stamp, 5U);
  EXPECT_EQ(*passed.has, has);

  // Whoever comes later gets it at once. When nothing changes nothing is said.
  HandPeer three(*replicator, SiteOf(3));
  Open(three);
  ASSERT_EQ(three.Heard<StatementsMessage>().size(), 1U);
  EXPECT_EQ(three.Heard<StatementsMessage>()[0].statements.size(), 2U);
  one.heard.clear();
  two.heard.clear();
  two.Say(StatementsMessage{{{SiteOf(7), 5, Has(has)}}});
  Run(10'000);
  EXPECT_TRUE(one.heard.empty());
  EXPECT_TRUE(two.heard.empty());

  // One that goes by an older one is told.
  two.Say(StatementsMessage{{{SiteOf(7), 4, Has({})}}});
  Run(1100);
  ASSERT_EQ(two.Heard<StatementsMessage>().size(), 1U);
  EXPECT_EQ(two.Heard<StatementsMessage>()[0].statements.at(0).stamp, 5U);
  EXPECT_TRUE(one.heard.empty());
}

TEST_F(ReplicatorTest, TheDatabaseHearsWhatASiteHasWhenThisSiteHasSeenItToo) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  EXPECT_EQ(replica->confirmed().count(SiteOf(1)), 1U) << "it exists, from the start";
  EXPECT_EQ(replica->confirmed().count(SiteOf(7)), 0U);
  const cells::SiteId origin = SiteOf(9);
  const auto says = [&](uint64_t stamp, cells::DbVersion version) {
    one.Say(StatementsMessage{
        {{SiteOf(7), stamp, Has({{origin, VersionRanges(VersionRange{0, version})}})}}});
  };
  const auto confirmed = [&] {
    const auto& has = replica->confirmed().at(SiteOf(7));
    return has.contains(origin) ? has.at(origin).last() : 0;
  };
  says(5, 2);
  EXPECT_EQ(confirmed(), 0) << "it exists, and nothing is known of it";
  Run(1100);
  EXPECT_EQ(confirmed(), 0) << "what it wrote before may still be on its way";
  says(6, 3);
  one.SayChanges({}, {LogRow(origin, {0, 2}, 1)});
  Run(1100);
  EXPECT_EQ(confirmed(), 2) << "a site that always has more is confirmed as well";
  one.SayChanges({}, {LogRow(origin, {2, 3}, 2)});
  Run(1100);
  EXPECT_EQ(confirmed(), 3);

  // It was restored from a backup: at once, and also if it has something new.
  says(7, 1);
  Run(1100);
  EXPECT_EQ(confirmed(), 1);
  one.Say(StatementsMessage{{{SiteOf(7), 8,
                              Has({{origin, VersionRanges(VersionRange{0, 3})},
                                   {SiteOf(8), VersionRanges(VersionRange{0, 1})}})}}});
  Run(1100);
  EXPECT_EQ(confirmed(), 1);
  one.Say(
      StatementsMessage{{{SiteOf(7), 9, Has({{SiteOf(8), VersionRanges(VersionRange{0, 1})}})}}});
  Run(1100);
  EXPECT_EQ(confirmed(), 0);
  EXPECT_FALSE(one.closed.has_value());
}

TEST_F(ReplicatorTest, APeerOfTheFirstReleaseConfirmsByItsNotices) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  Write(1);
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  one.Say(HaveMessage{database.seen()});
  Run(1100);
  EXPECT_EQ(replica->confirmed().at(SiteOf(1)), database.seen());
  const uint64_t before = replica->confirmations();
  Run(5000);
  EXPECT_EQ(replica->confirmations(), before);
  // What it said on a link of its own counts until it states something newer.
  one.Say(StatementsMessage{{{SiteOf(1), 5, Has({})}}});
  Run(1100);
  replicator->OnLinkDown(one.link);
  Run(1100);
  EXPECT_EQ(replica->confirmed().at(SiteOf(1)), database.seen());
  HandPeer two(*replicator, SiteOf(2));
  Open(two);
  two.Say(StatementsMessage{{{SiteOf(1), 6, Has({})}}});
  Run(1100);
  EXPECT_TRUE(replica->confirmed().at(SiteOf(1)).empty());
}

TEST_F(ReplicatorTest, WhatItStatedInAnEarlierLifeIsOverridden) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  const uint64_t stamp = one.Heard<StatementsMessage>()[0].statements.at(0).stamp;
  one.heard.clear();
  one.Say(StatementsMessage{
      {{database.site(), stamp + 1000, Has({{SiteOf(9), VersionRanges(VersionRange{0, 3})}})}}});
  Run(2000);
  ASSERT_EQ(one.Heard<StatementsMessage>().size(), 1U);
  EXPECT_EQ(one.Heard<StatementsMessage>()[0].statements.at(0).stamp, stamp + 1001);
  EXPECT_TRUE(one.Heard<StatementsMessage>()[0].statements.at(0).has->empty());
  // Its own, back again by another way.
  one.heard.clear();
  one.Say(StatementsMessage{{{database.site(), stamp + 1001, Has({})}}});
  Run(3000);
  EXPECT_TRUE(one.Heard<StatementsMessage>().empty());
}

TEST_F(ReplicatorTest, StatementsForWhichThereIsNoRoomAreLeftOut) {
  Options options;
  options.confirm_interval_ms = 1000;
  options.statement_sites_max = 3;
  options.statement_ranges_max = 8;
  Make(options);
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  VersionRanges gaps;
  for (cells::DbVersion i = 0; i < 5; ++i) gaps.Add({2 * i, 2 * i + 1});
  one.Say(StatementsMessage{{{SiteOf(4), 5, Has({{SiteOf(9), gaps}})}}});
  one.Say(StatementsMessage{{{SiteOf(5), 5, Has({{SiteOf(9), gaps}})}}});
  EXPECT_EQ(counters().statements_dropped, 1U) << "too many ranges";
  one.Say(StatementsMessage{{{SiteOf(6), 5, Has({})}}});
  EXPECT_EQ(counters().statements_dropped, 2U) << "too many sites";
  one.Say(StatementsMessage{{{SiteOf(4), 6, Has({})}}});
  one.Say(StatementsMessage{{{SiteOf(5), 5, Has({{SiteOf(9), gaps}})}}});
  EXPECT_EQ(counters().statements_dropped, 2U) << "there is room again";
  replicator->CheckInvariants();
  EXPECT_FALSE(one.closed.has_value());
}

// --- Limits, identity.

TEST_F(ReplicatorTest, TooManyRequestsEndTheLink) {
  Options options;
  options.answers_per_link_max = 4;
  Make(options);
  Write(1);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  for (uint64_t i = 1; i <= 5; ++i) {
    peer.Say(NeedMessage{i, 1000, {{database.site(), VersionRanges(VersionRange{0, 1})}}, {}});
  }
  EXPECT_EQ(peer.closed, CloseReason::kLimit);
}

TEST_F(ReplicatorTest, ARequestOfTooManyPiecesEndsTheLink) {
  Options options;
  options.answer_ranges_max = 100;
  Make(options);
  Write(1);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  NeedMessage need{1, 1000, {}, {}};
  for (cells::DbVersion i = 0; i < 100; ++i) need.wanted[SiteOf(9)].Add({2 * i, 2 * i + 1});
  peer.Say(need);
  EXPECT_FALSE(peer.closed.has_value());
  need.wanted[SiteOf(9)].Add({500, 501});
  peer.Say(need);
  EXPECT_EQ(peer.closed, CloseReason::kLimit);
}

TEST_F(ReplicatorTest, TheQueueIsMeasuredByWhatItTakesInMemory) {
  Options options;
  options.apply_queue_bytes_max = 1'000'000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  faults.stuck = 1000;
  faults.stuck_ms = 100'000;
  for (cells::DbVersion i = 0; i < 10'000; ++i) {
    peer.SayChanges({}, {LogRow(SiteOf(9), {i, i + 1}, i, "x")});
  }
  // A changeset of one row is some 600 bytes, whatever it takes on the wire.
  EXPECT_GT(counters().fresh_dropped, 7'000U);
  EXPECT_LT(counters().fresh_dropped, 9'900U);
}

TEST_F(ReplicatorTest, RepairsThatTheDatabaseCannotKeepUpWithAreDropped) {
  Options options;
  options.digest_queue_bytes_max = 100'000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  faults.stuck = 1000;
  faults.stuck_ms = 10'000;
  for (int i = 0; i < 300; ++i) {
    const std::vector<Changeset> rows = {LogRow(SiteOf(9), {0, 1}, i, std::string(1000, 'x'))};
    const auto frame = changeset::Encoder().Encode(std::span<const Changeset>(rows));
    ASSERT_TRUE(frame.ok());
    RowsMessage message;
    message.bucket = 1;
    message.frame = *frame;
    peer.Say(message);
  }
  EXPECT_FALSE(peer.closed.has_value()) << "the next round finds the same rows again";
  EXPECT_GT(counters().repairs_dropped, 150U);
  EXPECT_LT(counters().repairs_dropped, 250U);
}

TEST_F(ReplicatorTest, APeerThatLostAllRowsOfManyBucketsMayAskForThem) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  for (uint32_t bucket = 0; bucket < 16; ++bucket) {
    RowsWantedMessage wanted{bucket, {}};
    for (uint64_t key = 0; key < 5000; ++key) wanted.keys.push_back(key);
    peer.Say(wanted);
  }
  EXPECT_FALSE(peer.closed.has_value());
  RowDigestsMessage all{0, 0, UINT64_MAX, {}};
  for (uint64_t key = 0; key <= 2 * Options().digest_rows_max; ++key) all.rows.push_back({key, 1});
  peer.Say(all);
  EXPECT_EQ(peer.closed, CloseReason::kLimit) << "more rows than one message may list";
}

TEST_F(ReplicatorTest, AnswersWhatIsThereAndSaysWhatIsNot) {
  Make();
  for (int64_t id = 1; id <= 3; ++id) Write(id);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  peer.Say(NeedMessage{4,
                       100'000,
                       {{database.site(), VersionRanges(VersionRange{0, 9})},
                        {SiteOf(8), VersionRanges(VersionRange{0, 9})}},
                       {}});
  Run(100);
  changeset::Decoder decoder;
  SiteVersions got;
  const auto changes = peer.Heard<ChangesMessage>();
  ASSERT_FALSE(changes.empty());
  for (const ChangesMessage& message : changes) {
    EXPECT_EQ(message.request, 4U);
    if (message.frame.empty()) continue;
    const auto changesets = decoder.Decode(message.frame);
    ASSERT_TRUE(changesets.ok());
    for (const Changeset& one : *changesets) {
      got[one.cells.site].Add({one.cells.previous, one.cells.version});
    }
  }
  EXPECT_EQ(got, database.seen());
  EXPECT_EQ(changes.back().flags, kChangesAnswer | kChangesLast);
}

TEST_F(ReplicatorTest, APeerThatDoesNotReadIsDropped) {
  Options options;
  options.unsent_bytes_hard_max = 300;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  peer.blocks = true;
  for (uint64_t i = 0; i < 100 && !peer.closed.has_value(); ++i) {
    peer.Say(DigestMessage{i, std::vector<uint64_t>(kDigestBuckets)});
    Run(50);
  }
  EXPECT_EQ(peer.closed, CloseReason::kLimit);
}

TEST_F(ReplicatorTest, LaterVersionsOfItselfShowThatItWasRestored) {
  Make();
  Write(1);
  const cells::SiteId before = database.site();
  HandPeer peer(*replicator, SiteOf(1));
  peer.Connect();
  peer.SayHello();
  peer.Say(StateMessage{true, {{before, VersionRanges(VersionRange{0, 5})}}, {{5, {5, 5}}}});
  Run(100);
  EXPECT_EQ(peer.closed, CloseReason::kNewIdentity);
  EXPECT_NE(replicator->site(), before);
  EXPECT_EQ(replicator->site(), database.site());
  ASSERT_EQ(replicator->report().identity_changes.size(), 1U);
  EXPECT_EQ(replicator->report().identity_changes[0].before, before);
}

TEST_F(ReplicatorTest, NoticesOfLaterVersionsOfItselfAreChecked) {
  Make();
  Write(1);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  peer.Say(HaveMessage{{{database.site(), VersionRanges(VersionRange{0, 1})}}});
  EXPECT_FALSE(peer.closed.has_value());
  peer.Say(HaveMessage{{{database.site(), VersionRanges(VersionRange{3, 4})}}});
  EXPECT_EQ(peer.closed, CloseReason::kRecheck);
}

TEST_F(ReplicatorTest, APeerCannotMakeItChangeItsNameForEver) {
  Options options;
  options.identity_changes_max = 3;
  Make(options);
  for (int i = 0; i < 6; ++i) {
    HandPeer peer(*replicator, SiteOf(1));
    peer.Connect();
    peer.SayHello();
    peer.Say(StateMessage{true, {{replicator->site(), VersionRanges(VersionRange{0, 5})}}, {}});
    Run(100);
    EXPECT_EQ(peer.closed, i < 3 ? CloseReason::kNewIdentity : CloseReason::kLimit);
  }
  EXPECT_EQ(replicator->report().identity_changes.size(), 3U);
}

TEST_F(ReplicatorTest, TheSameVersionWithOtherContentIsNoticed) {
  Make();
  const cells::SiteId origin = SiteOf(9);
  HandPeer one(*replicator, SiteOf(1));
  HandPeer two(*replicator, SiteOf(2));
  Open(one);
  Open(two);
  one.SayChanges({}, {LogRow(origin, {0, 1}, 1)});
  Run(100);
  Changeset other = LogRow(origin, {0, 1}, 2);
  other.timestamp.ms += 7;
  two.SayChanges({}, {other});
  EXPECT_EQ(two.closed, CloseReason::kRecheck);
}

TEST_F(ReplicatorTest, TimestampsFromFarAheadAreCounted) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  Changeset changeset = LogRow(SiteOf(9), {0, 1}, 1);
  changeset.timestamp.ms += 100'000'000;
  peer.SayChanges({}, {changeset});
  Run(100);
  EXPECT_EQ(counters().skewed, 1U);
  EXPECT_TRUE(database.HasRow("log", 1)) << "it is taken all the same";
}

TEST_F(ReplicatorTest, NoTimestampIsTooStrange) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  cells::DbVersion version = 0;
  for (const int64_t ms :
       {-changeset::kTimestampMsMax, int64_t{-1}, int64_t{0}, changeset::kTimestampMsMax}) {
    Changeset changeset = LogRow(SiteOf(9), {version, version + 1}, version + 1);
    changeset.timestamp.ms = ms;
    HandPeer other(*replicator, SiteOf(static_cast<unsigned char>(20 + version)));
    Open(other);
    other.SayChanges({}, {changeset});
    Run(100);
    ++version;
    EXPECT_FALSE(other.closed.has_value()) << ms;
    EXPECT_TRUE(database.HasRow("log", version)) << ms;
    const auto sites = replicator->report().sites;
    const auto at = std::find_if(sites.begin(), sites.end(),
                                 [](const SiteReport& site) { return site.site == SiteOf(9); });
    ASSERT_NE(at, sites.end());
    EXPECT_GE(at->delay_ms, 0) << ms;
    replicator->OnLinkDown(other.link);
  }
  EXPECT_EQ(counters().skewed, 1U);
}

// --- The database.

TEST_F(ReplicatorTest, ABusyDatabaseGetsItAgain) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  faults.busy = 1000;
  peer.SayChanges({}, {LogRow(SiteOf(9), {0, 1}, 1)});
  Run(2000);
  EXPECT_GT(counters().applies_failed, 1U);
  EXPECT_LT(counters().applies_failed, 8U) << "with growing pauses";
  EXPECT_FALSE(replicator->seen().contains(SiteOf(9)));
  faults.busy = 0;
  Run(30'000);
  EXPECT_TRUE(replicator->seen().contains(SiteOf(9)));
}

TEST_F(ReplicatorTest, AnApplyThatHangsIsCountedAndStillWorthSomething) {
  Options options;
  options.apply_timeout_ms = 1000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  faults.stuck = 1000;
  faults.stuck_ms = 1500;
  peer.SayChanges({}, {LogRow(SiteOf(9), {0, 1}, 1)});
  Run(1200);
  EXPECT_EQ(counters().applies_stalled, 1U);
  EXPECT_FALSE(replicator->seen().contains(SiteOf(9)));
  Run(400);
  EXPECT_TRUE(replicator->seen().contains(SiteOf(9))) << "the late outcome counts";
}

TEST_F(ReplicatorTest, ASlowDatabaseGetsSmallBatchesSoThatClientsGetInBetween) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  const auto hand_in = [&](cells::DbVersion first) {
    for (cells::DbVersion version = first; version < first + 64; ++version) {
      peer.SayChanges(
          {}, {LogRow(SiteOf(9), {version - 1, version}, version, std::string(32'000, 'x'))});
    }
  };
  faults.stuck = 1000;
  faults.stuck_ms = 200;
  hand_in(1);
  // Two megabytes fit into one batch; at 200 ms for each, they go in small ones.
  Run(1000);
  EXPECT_GT(replicator->report().apply_queue_bytes, 1'000'000U);
  Run(20'000);
  EXPECT_EQ(replicator->report().apply_queue_bytes, 0U);
  EXPECT_TRUE(replicator->seen().at(SiteOf(9)).Includes(VersionRange{0, 64}));
  // It recovers: batches grow with what goes through.
  faults.stuck = 0;
  for (cells::DbVersion version = 65; version < 65 + 10 * 64; version += 64) {
    hand_in(version);
    Run(300);
  }
  faults.stuck = 1000;
  hand_in(705);
  Run(450);
  EXPECT_EQ(replicator->report().apply_queue_bytes, 0U) << "one large batch, or two";
}

TEST_F(ReplicatorTest, ReadsThatFailAreTriedAgainAndThenSentElsewhere) {
  Options options;
  options.read_tries_max = 3;
  Make(options);
  Write(1);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  faults.busy = 1000;
  peer.Say(NeedMessage{1, 1000, {{database.site(), VersionRanges(VersionRange{0, 1})}}, {}});
  Run(5000);
  EXPECT_EQ(counters().reads_failed, 3U);
  const auto changes = peer.Heard<ChangesMessage>();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_NE(changes[0].flags & kChangesFailed, 0);
}

}  // namespace
}  // namespace merrow::replication
