// SPDX-License-Identifier: Apache-2.0
//
// What a site asks of its peers, what it makes of their answers, and what it answers.
#include "changeset/decoder.h"
#include "replication/replicator_test_util.h"

namespace merrow::replication {
namespace {

/// A transaction that writes the rows 1 to `rows` of log, in parts.
std::vector<Changeset> LogRowsInParts(const cells::SiteId& origin, VersionRange range,
                                      int64_t rows) {
  Changeset large = LogRow(origin, range, 1);
  for (int64_t id = 2; id <= rows; ++id) {
    Changeset row = LogRow(origin, range, id, std::string(50, 'x'));
    row.cells.rows[0].cells[0].clock.seq = static_cast<cells::Seq>(id - 1);
    large.cells.rows.push_back(row.cells.rows[0]);
  }
  return changeset::SplitChangeset(large, 500);
}

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
  const std::vector<Changeset> parts = LogRowsInParts(origin, {0, 3}, 40);
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
  const std::vector<Changeset> parts = LogRowsInParts(origin, {0, 3}, 400);
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
  replica->Commit(write, [] { return [] {}; });
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

TEST_F(ReplicatorTest, WhatACompleteAnswerLeavesOutIsNotAskedForAgain) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  const SiteVersions has = {{SiteOf(9), VersionRanges(VersionRange{0, 3})}};
  Open(peer, has);
  ASSERT_EQ(peer.Heard<NeedMessage>().size(), 1U);
  ChangesMessage end;
  end.flags = kChangesAnswer | kChangesLast;
  end.request = peer.Heard<NeedMessage>()[0].request;
  peer.Say(end);
  Run(20'000);
  EXPECT_EQ(peer.Heard<NeedMessage>().size(), 1U);
  EXPECT_TRUE(replicator->report().needs.empty());
  EXPECT_EQ(counters().requests_empty, 1U);
  peer.Say(HaveMessage{has});
  Run(1000);
  EXPECT_EQ(peer.Heard<NeedMessage>().size(), 2U) << "it has them now";
}

TEST_F(ReplicatorTest, WhatCouldNotBeUsedIsAskedForLaterEachTime) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  const Changeset large = LogRow(SiteOf(9), {0, 1}, 1, std::string(2000, 'x'));
  const std::vector<Changeset> parts = changeset::SplitChangeset(large, 500);
  Open(peer, {{SiteOf(9), VersionRanges(VersionRange{0, 1})}});
  size_t answered = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::vector<NeedMessage> needs = peer.Heard<NeedMessage>();
    for (; answered < needs.size(); ++answered) {
      ChangesMessage last;
      last.flags = kChangesAnswer | kChangesPart | kChangesLast;
      last.request = needs[answered].request;
      last.whole = 7;
      peer.SayChanges(last, {parts.back()});  // never the ones before it
    }
    Run(10);
  }
  EXPECT_GT(answered, 3U);
  EXPECT_LT(answered, 12U);
}

TEST_F(ReplicatorTest, ALinkOnWhichNoRequestIsAnsweredIsDropped) {
  Options options;
  options.request_timeout_ms = 1000;
  options.request_timeouts_max = 3;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer, {{SiteOf(9), VersionRanges(VersionRange{0, 3})}});
  for (int i = 0; i < 100 && !peer.closed.has_value(); ++i) {
    Run(100);
    if (!peer.closed.has_value()) peer.Say(HaveMessage{});  // it is there
  }
  EXPECT_EQ(peer.closed, CloseReason::kTimeout);
  EXPECT_EQ(counters().request_timeouts, 3U);
}

}  // namespace
}  // namespace merrow::replication
