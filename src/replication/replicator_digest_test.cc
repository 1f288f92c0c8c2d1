// SPDX-License-Identifier: Apache-2.0
//
// Repairs of rows: large ones, and those that cannot be repaired.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <string>

#include "replication/replicator_test_util.h"

namespace merrow::replication {
namespace {

using ::testing::HasSubstr;

class ReplicatorDigestTest : public ReplicatorTest {
 protected:
  /// The state of the only row, as a peer gets it that has none.
  std::vector<RowsMessage> AskForRow(HandPeer& peer) {
    const auto buckets = database.ReadDigest();
    const auto at =
        std::find_if(buckets->begin(), buckets->end(), [](uint64_t b) { return b != 0; });
    const auto bucket = static_cast<uint32_t>(at - buckets->begin());
    peer.Say(RowDigestsMessage{bucket, 0, UINT64_MAX, {}});
    Run(200);
    return peer.Heard<RowsMessage>();
  }
  void WriteLargeRow() {
    replica->Commit({{{"kv", 1, false, {{"a", "small"}, {"b", std::string(kLarge, 'x')}}}}, {}},
                    [] { return [] {}; });
    Run(100);
  }

  // More than a frame holds.
  static constexpr size_t kLarge = changeset::kFramePayloadMax + (size_t{1} << 20);
};

TEST_F(ReplicatorDigestTest, ARowThatIsLargerThanAFrameIsRepaired) {
  Make();
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  WriteLargeRow();
  const std::vector<RowsMessage> rows = AskForRow(peer);
  EXPECT_GT(rows.size(), 100U) << "in parts";
  EXPECT_EQ(counters().unsendable, 0U);
  ASSERT_TRUE(database.LoseRow());
  ASSERT_TRUE(database.TextOf(1).empty());
  // A link that broke in between, and one that begins anew.
  for (size_t i = 0; i < 10; ++i) peer.Say(rows[i]);
  for (const RowsMessage& message : rows) peer.Say(message);
  Run(100);
  EXPECT_FALSE(peer.closed.has_value());
  EXPECT_EQ(database.TextOf(1).size(), kLarge);
  EXPECT_EQ(counters().repairs_dropped, 0U);
}

TEST_F(ReplicatorDigestTest, ARowForWhichThereIsNoRoomIsLeftAndShown) {
  Options options;
  options.digest_row_bytes_max = kLarge / 2;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  Changeset row = LogRow(SiteOf(1), {0, 1}, 1, std::string(kLarge, 'x'));
  for (const Changeset& part : changeset::SplitChangeset(std::move(row), options.chunk_bytes)) {
    peer.Say(RowsMessage{0, *changeset::Encoder().Encode({&part, 1})});
  }
  Run(100);
  EXPECT_FALSE(peer.closed.has_value());
  EXPECT_TRUE(database.TextOf(1).empty());
  EXPECT_EQ(counters().repairs_dropped, 1U);
  EXPECT_THAT(replicator->report().links[0].digest_error, HasSubstr("digest_row_bytes_max"));
}

TEST_F(ReplicatorDigestTest, ARowThatNobodyWouldTakeIsNotSent) {
  Options options;
  options.digest_row_bytes_max = kLarge / 2;
  Make(options);
  HandPeer peer(*replicator, SiteOf(1));
  Open(peer);
  WriteLargeRow();
  EXPECT_TRUE(AskForRow(peer).empty());
  EXPECT_EQ(counters().unsendable, 1U);
  EXPECT_THAT(replicator->report().links[0].digest_error, HasSubstr("digest_row_bytes_max"));
}

TEST_F(ReplicatorDigestTest, WhatRepairsDoNotMakeEqualIsComparedLessAndLessOften) {
  Options options;
  options.digest_interval_ms = 600'000;
  options.digest_second_round_ms = 5'000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(0xFF));
  ASSERT_LT(database.site(), peer.site) << "this side begins";
  Open(peer);
  size_t answered = 0;
  const auto run = [&](int64_t ms, bool differs) {
    for (int64_t at = 0; at < ms; at += 1000) {
      loop.RunUntil(loop.now_ms() + 1000);
      replicator->OnTick();
      peer.Say(HaveMessage{});
      const std::vector<DigestMessage> digests = peer.Heard<DigestMessage>();
      for (; answered < digests.size(); ++answered) {
        DigestDiffMessage diff{digests[answered].round, {}};
        diff.differing[7] = differs;
        peer.Say(diff);
      }
    }
  };
  run(4 * 3'600'000, /*differs=*/true);
  EXPECT_GT(answered, 40U);
  EXPECT_LT(answered, 70U);
  // When it is equal at last, the next difference is looked into at once again.
  run(600'000, /*differs=*/false);
  const size_t before = answered;
  run(700'000, /*differs=*/true);
  EXPECT_GT(answered, before + 10);
}

TEST_F(ReplicatorDigestTest, BucketsThatStayDifferentDoNotKeepOthersFromBeingRepaired) {
  Options options;
  options.digest_buckets_max = 4;
  Make(options);
  HandPeer peer(*replicator, SiteOf(0xFF));
  Open(peer);
  replicator->CompareDigests();
  size_t answered = 0;
  for (int second = 0; second < 60; ++second) {
    Run(1000);
    peer.Say(HaveMessage{});
    const std::vector<DigestMessage> digests = peer.Heard<DigestMessage>();
    for (; answered < digests.size(); ++answered) {
      DigestDiffMessage diff{digests[answered].round, {}};
      for (const size_t bucket : {0U, 1U, 2U, 3U, 4U, 5U, 200U}) diff.differing[bucket] = true;
      peer.Say(diff);
    }
  }
  std::map<uint32_t, int> looked_into;
  for (const RowDigestsMessage& rows : peer.Heard<RowDigestsMessage>()) ++looked_into[rows.bucket];
  EXPECT_EQ(looked_into.size(), 7U);
  EXPECT_GT(looked_into[200], 1);
}

TEST_F(ReplicatorDigestTest, APeerThatDoesNotAnswerIsShownAndAskedAgain) {
  Options options;
  options.apply_timeout_ms = 10'000;
  Make(options);
  HandPeer peer(*replicator, SiteOf(0xFF));
  Open(peer);
  replicator->CompareDigests();
  for (int i = 0; i < 12; ++i) {
    Run(1000);
    peer.Say(HaveMessage{});
  }
  ASSERT_GE(peer.Heard<DigestMessage>().size(), 1U);
  EXPECT_THAT(replicator->report().links[0].digest_error, HasSubstr("does not answer"));
  const size_t asked = peer.Heard<DigestMessage>().size();
  for (int i = 0; i < 30; ++i) {
    Run(1000);
    peer.Say(HaveMessage{});
  }
  EXPECT_GT(peer.Heard<DigestMessage>().size(), asked);
}

}  // namespace
}  // namespace merrow::replication
