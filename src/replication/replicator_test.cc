// SPDX-License-Identifier: Apache-2.0
//
// Replicator against peers that are written by hand: how a link opens and ends, versions of the
// protocol, identity, a database that is busy or slow. The other files replicator_*_test are about
// pulling, spreading, confirming and limits. Sites among each other are in replication_sim_test.
#include "replication/replicator.h"

#include "replication/replicator_test_util.h"

namespace merrow::replication {
namespace {

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

TEST_F(ReplicatorTest, WhatSomebodyHasToMendIsAWarningAtBothEnds) {
  LogLevel last = LogLevel::kDebug;
  replicator.emplace(Options(), database.site(), database.seen(), *replica, time, random,
                     [&](LogLevel level, std::string_view) { last = level; });
  uint8_t number = 1;
  const auto level_of_bye = [&](CloseReason reason) {
    HandPeer peer(*replicator, SiteOf(number++));
    peer.Connect();
    peer.Say(ByeMessage{reason, "because"});
    return last;
  };
  EXPECT_EQ(level_of_bye(CloseReason::kShutdown), LogLevel::kInfo);
  EXPECT_EQ(level_of_bye(CloseReason::kLimit), LogLevel::kWarning) << "it was forgotten there";
  EXPECT_EQ(level_of_bye(CloseReason::kDuplicate), LogLevel::kInfo);
  EXPECT_EQ(level_of_bye(CloseReason::kVersion), LogLevel::kWarning);

  HelloMessage hello;
  hello.site = SiteOf(number);
  hello.version_min = hello.version_max = 9;
  HandPeer newest(*replicator, SiteOf(number));
  newest.Connect();
  last = LogLevel::kDebug;
  newest.Say(hello);
  EXPECT_EQ(newest.closed, CloseReason::kVersion);
  EXPECT_EQ(last, LogLevel::kWarning);
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

// --- Identity.

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
