// SPDX-License-Identifier: Apache-2.0
//
// What a site sends without being asked: fresh changesets, notices, compressed or not.
#include <zdict.h>

#include "changeset/decoder.h"
#include "replication/replicator_test_util.h"

namespace merrow::replication {
namespace {

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
      [] { return [] {}; });
  Run(100);
  changeset::Decoder decoder({}, frames);
  const BytesView frame = with.Heard<ChangesMessage>().back().frame;
  EXPECT_TRUE(decoder.Decode(frame).ok());
  EXPECT_EQ(changeset::Decoder().Decode(frame).error().code(), ErrorCode::kUnsupported);
  EXPECT_TRUE(changeset::Decoder().Decode(without.Heard<ChangesMessage>().front().frame).ok());
}

}  // namespace
}  // namespace merrow::replication
