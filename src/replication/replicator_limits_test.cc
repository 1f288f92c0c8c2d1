// SPDX-License-Identifier: Apache-2.0
//
// What a careless or lying peer can make a site do, and where that ends.
#include "replication/replicator_test_util.h"

namespace merrow::replication {
namespace {

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

}  // namespace
}  // namespace merrow::replication
