// SPDX-License-Identifier: Apache-2.0
//
// What sites without a link have, and when the database is told.
#include "replication/replicator_test_util.h"

namespace merrow::replication {
namespace {

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

TEST_F(ReplicatorTest, NothingIsHeardOfAForgottenSiteAndNothingPassedOn) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  HandPeer one(*replicator, SiteOf(1));
  HandPeer two(*replicator, SiteOf(2));
  Open(one);
  Open(two);
  const auto says = [&](uint64_t stamp) {
    one.Say(StatementsMessage{{{SiteOf(7), stamp, Has({})}}});
    Run(1100);
  };
  const auto is_named = [](const HandPeer& peer) {
    for (const StatementsMessage& message : peer.Heard<StatementsMessage>()) {
      for (const Statement& statement : message.statements) {
        if (statement.site == SiteOf(7)) return true;
      }
    }
    return false;
  };
  says(5);
  EXPECT_TRUE(is_named(two));
  replicator->OnForgotten(SiteOf(7), true);
  two.heard.clear();
  says(6);
  EXPECT_FALSE(is_named(two));
  HandPeer newcomer(*replicator, SiteOf(3));
  Open(newcomer);
  EXPECT_FALSE(is_named(newcomer)) << "it would wait for a site that is gone";
  replicator->CheckInvariants();

  replicator->OnForgotten(SiteOf(7), false);
  says(7);
  EXPECT_TRUE(is_named(two));
}

TEST_F(ReplicatorTest, ASiteThatIsForgottenHasNoLink) {
  Make();
  HandPeer peer(*replicator, SiteOf(1)), other(*replicator, SiteOf(2));
  Open(peer);
  Open(other);
  replicator->OnForgotten(SiteOf(1), true);
  EXPECT_EQ(peer.closed, CloseReason::kLimit);
  EXPECT_FALSE(other.closed.has_value());
  replicator->CheckInvariants();
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

TEST_F(ReplicatorTest, ALinkThatBreaksSoonDoesNotSayThatTheSiteHasNothing) {
  Make();
  // The database would begin to count the time of all tombstones anew.
  for (int i = 0; i < 3; ++i) {
    HandPeer one(*replicator, SiteOf(1));
    Open(one, {{SiteOf(9), VersionRanges(VersionRange{0, 3})}});
    EXPECT_TRUE(replica->confirmed().at(SiteOf(1)).empty());
    EXPECT_EQ(replica->confirmations(), 1U) << "it exists";
    replicator->OnLinkDown(one.link);
  }
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

TEST_F(ReplicatorTest, WhoStatesUnderTheSameNameBehindSomebodyElseIsFoundOut) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  const cells::SiteId before = database.site();
  int rounds = 0;
  uint64_t stamp = 0;
  // Until this site has another name. What it stated in earlier lives is not enough for that.
  for (; rounds < 40 && database.site() == before; ++rounds) {
    EXPECT_TRUE(rounds > 5 || replicator->site() == before);
    HandPeer one(*replicator, SiteOf(1));
    Open(one);
    for (const StatementsMessage& message : one.Heard<StatementsMessage>()) {
      for (const Statement& statement : message.statements) stamp = statement.stamp;
    }
    one.Say(StatementsMessage{{{before, stamp + 1000, Has({})}}});
    Run(2100);
    if (!one.closed.has_value()) replicator->OnLinkDown(one.link);
  }
  EXPECT_GT(rounds, 8);
  EXPECT_LT(rounds, 20);
  ASSERT_EQ(replicator->report().identity_changes.size(), 1U);
  EXPECT_EQ(replicator->report().identity_changes[0].before, before);
  EXPECT_EQ(replicator->site(), database.site());
  // What the other one goes on stating means nothing to it any more.
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  for (int i = 0; i < 40; ++i) one.Say(StatementsMessage{{{before, stamp += 5000, Has({})}}});
  Run(5000);
  EXPECT_EQ(replicator->report().identity_changes.size(), 1U);
}

TEST_F(ReplicatorTest, ManyStatementsOfAnEarlierLifeAtOnceAreNobodyElse) {
  Options options;
  options.confirm_interval_ms = 1000;
  Make(options);
  HandPeer one(*replicator, SiteOf(1));
  Open(one);
  uint64_t stamp = one.Heard<StatementsMessage>()[0].statements.at(0).stamp;
  // They were made before the clock was put back, and lay in the queue of a slow link.
  for (int i = 0; i < 40; ++i) {
    one.Say(StatementsMessage{{{database.site(), stamp += 60'000, Has({})}}});
  }
  Run(3000);
  EXPECT_FALSE(one.closed.has_value());
  EXPECT_TRUE(replicator->report().identity_changes.empty());
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
      {{database.site(), stamp + 5000, Has({{SiteOf(9), VersionRanges(VersionRange{0, 3})}})}}});
  Run(2000);
  ASSERT_EQ(one.Heard<StatementsMessage>().size(), 1U);
  EXPECT_EQ(one.Heard<StatementsMessage>()[0].statements.at(0).stamp, stamp + 5001);
  EXPECT_TRUE(one.Heard<StatementsMessage>()[0].statements.at(0).has->empty());
  // Its own, back again by another way.
  one.heard.clear();
  one.Say(StatementsMessage{{{database.site(), stamp + 5001, Has({})}}});
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

}  // namespace
}  // namespace merrow::replication
