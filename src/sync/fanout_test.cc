// SPDX-License-Identifier: Apache-2.0
//
// Who is sent what when a row changes: deltas that are shared, slow clients, limits of memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sync/hub_test_util.h"

namespace merrow::sync {
namespace {

using testing::ElementsAre;

class FanoutTest : public HubTest {};

TEST_F(FanoutTest, ADeltaIsEncodedOncePerDialect) {
  Hub hub = MakeHub();
  std::vector<std::unique_ptr<Wire>> wires;
  for (int i = 0; i < 20; ++i) {
    wires.push_back(
        std::make_unique<Wire>(hub, i % 2 == 0 ? Dialect::kLoroProtocol : Dialect::kRowFrames));
    if (i % 2 == 0) {
      wires.back()->Join();
    } else {
      wires.back()->SendText(Subscribe());
    }
  }
  source.RunAll();
  EXPECT_EQ(source.reads_asked, 1U) << "one read for all that ask for the same";
  for (auto& wire : wires) wire->Received();
  const uint64_t encoded = hub.metrics().deltas_encoded;
  ModelDocument other;
  CommitElsewhere(hub, other, 5, 1);
  EXPECT_EQ(hub.metrics().deltas_encoded - encoded, 2U);
  std::set<const Bytes*> objects;
  for (auto& wire : wires) objects.insert(wire->sink.Take().first.get());
  EXPECT_EQ(objects.size(), 2U);
}

TEST_F(FanoutTest, NothingFallsBetweenSubscriptionAndSnapshot) {
  for (const bool commit_first : {true, false}) {
    ModelSource fresh;
    Hub hub(fresh, {}, nullptr);
    fresh.reads_are_late = true;
    Wire wire(hub, Dialect::kRowFrames);
    wire.SendText(Subscribe());
    fresh.WorkRead();  // sees the empty row
    ModelDocument other;
    fresh.Submit(kRow, std::make_shared<const Bytes>(other.Edit(5, 1)),
                 [&hub](const SubmitOutcome& outcome) {
                   const Applied& applied = std::get<Applied>(outcome);
                   hub.OnCommitted(kRow, applied.before, applied.after, applied.delta);
                 });
    fresh.WorkSubmit();
    if (commit_first) fresh.Deliver();
    fresh.DeliverLate(0);
    fresh.RunAll();
    EXPECT_THAT(wire.Received(), ElementsAre("snapshot {}", "update {5: 1}"));
  }
}

TEST_F(FanoutTest, ASlowClientCostsAVersion) {
  Limits limits;
  limits.buffer_high_water_bytes = 200;
  Hub hub = MakeHub(limits);
  Wire slow(hub, Dialect::kLoroProtocol);
  Wire fast(hub, Dialect::kLoroProtocol);
  slow.Join();
  fast.Join();
  source.RunAll();
  slow.Received();
  fast.Received();
  ModelDocument other;
  for (int i = 0; i < 100; ++i) {
    CommitElsewhere(hub, other, 5, 1);
    EXPECT_EQ(fast.Received().size(), 1U);
    EXPECT_LT(slow.sink.buffered_bytes(), 300U);
  }
  EXPECT_EQ(hub.metrics().behind, 1U);
  const size_t before = slow.Received().size();
  EXPECT_LT(before, 10U);
  hub.OnDrained(2);  // the other one: nothing to do
  EXPECT_TRUE(source.idle());
  hub.OnDrained(1);
  source.RunAll();
  EXPECT_THAT(slow.Received(), ElementsAre("doc_update {5: 100}")) << "one merged delta";
  EXPECT_EQ(hub.metrics().behind, 0U);
  EXPECT_GT(hub.metrics().conflations, 80U);
  CommitElsewhere(hub, other, 5, 1);
  EXPECT_THAT(slow.Received(), ElementsAre("doc_update {5: 101}"));
}

TEST_F(FanoutTest, ACommitThatNobodyToldOfIsHealedByTheNext) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  ModelDocument other;
  source.Submit(kRow, std::make_shared<const Bytes>(other.Edit(5, 1)), [](const SubmitOutcome&) {});
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre());
  CommitElsewhere(hub, other, 5, 1);
  EXPECT_THAT(wire.Received(), ElementsAre("doc_update {5: 2}"));
}

TEST_F(FanoutTest, AllRowsOfASlowClientAreHealedAfterOneDrain) {
  Limits limits;
  limits.buffer_high_water_bytes = 1000;
  limits.heals_in_flight_max = 2;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  constexpr int kRows = 20;
  for (int i = 0; i < kRows; ++i) wire.SendText(Subscribe("n" + std::to_string(i)));
  source.RunAll();
  wire.Received();
  for (int i = 0; i < 200; ++i) wire.SendText("ping");  // 800 bytes of answers
  for (int i = 0; i < 51; ++i) wire.SendText("ping");
  std::vector<ModelDocument> documents(kRows);
  Wire writer(hub, Dialect::kRowFrames);
  for (int i = 0; i < kRows; ++i) {
    writer.Send(Push(1, documents[static_cast<size_t>(i)].Edit(100 + static_cast<uint64_t>(i), 1),
                     "note", "n" + std::to_string(i)));
    source.RunAll();
  }
  EXPECT_EQ(hub.metrics().behind, static_cast<uint64_t>(kRows));
  wire.Received();
  hub.OnDrained(1);
  source.RunAll();
  EXPECT_EQ(wire.Received().size(), static_cast<size_t>(kRows));
  EXPECT_EQ(hub.metrics().behind, 0U);
}

TEST_F(FanoutTest, AClientThatNeverReadsIsClosed) {
  Limits limits;
  limits.buffer_bytes_max = 100;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  for (int i = 0; i < 30; ++i) wire.SendText("ping");
  EXPECT_EQ(wire.sink.close_code, 1013);
}

TEST_F(FanoutTest, InputIsPausedWhileTooMuchWaits) {
  Limits limits;
  limits.in_flight_requests_max = 4;
  limits.messages_while_paused_max = 3;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  ModelDocument document;
  for (PushId i = 0; i < 3; ++i) wire.Send(Push(i, document.Edit(9, 1)));
  EXPECT_TRUE(wire.sink.is_reading);
  wire.Send(Push(3, document.Edit(9, 1)));
  EXPECT_FALSE(wire.sink.is_reading);
  source.RunAll();
  EXPECT_TRUE(wire.sink.is_reading);
  EXPECT_EQ(wire.Received().size(), 4U);
  // One that goes on regardless.
  for (PushId i = 4; i < 11; ++i) wire.Send(Push(i, document.Edit(9, 1)));
  EXPECT_FALSE(wire.sink.close_code.has_value());
  wire.Send(Push(11, document.Edit(9, 1)));
  EXPECT_EQ(wire.sink.close_code, 1013);
  source.RunAll();
  EXPECT_EQ(source.version(kRow).ToString(), "{9: 11}") << "what was submitted is committed";
}

TEST_F(FanoutTest, ForeignPeersAreForgottenBeyondALimit) {
  Limits limits;
  limits.foreign_peers_max = 4;
  Hub hub = MakeHub(limits);
  loro::VersionVector claimed;
  for (loro::PeerId peer = 1; peer <= 1000; ++peer) claimed.Set(peer, 7);
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join(claimed.Encode());
  source.RunAll();
  wire.SendBody(Leave{});
  wire.Join(claimed.Encode());
  source.RunAll();
  EXPECT_LT(hub.MemoryBytes(), 4'000U);
}

// What an update says it has is believed, but of peers that are nowhere in the row only so many.
TEST_F(FanoutTest, PeersOfRefusedUpdatesAreForgottenBeyondALimit) {
  Limits limits;
  limits.foreign_peers_max = 4;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  wire.SendText(Subscribe());
  source.RunAll();
  const size_t before = hub.MemoryBytes();
  for (loro::PeerId peer = 1; peer <= 1000; ++peer) {
    ModelDocument document;
    document.Edit(peer, 1);
    wire.Send(Push(1, document.Edit(peer, 1)));  // without the first
    source.RunAll();
    wire.Received();
  }
  EXPECT_LT(hub.MemoryBytes() - before, 1'000U);
}

// A source cannot be told that nobody waits for an answer any more.
TEST_F(FanoutTest, QuestionsThatAreAbandonedCountUntilTheyAreAnswered) {
  Limits limits;
  limits.in_flight_requests_max = 10;
  for (const Dialect dialect : {Dialect::kLoroProtocol, Dialect::kRowFrames}) {
    Hub hub = MakeHub(limits);
    Wire wire(hub, dialect);
    const auto ask = [&](loro::PeerId peer) {
      loro::VersionVector claimed;
      claimed.Set(peer, 1);
      if (dialect == Dialect::kRowFrames) {
        wire.SendText(Subscribe("n1", ToBase64(claimed.Encode())));
        return;
      }
      wire.Join(claimed.Encode());
      wire.SendBody(Leave{});
    };
    for (loro::PeerId peer = 1; peer < 10; ++peer) ask(peer);
    EXPECT_TRUE(wire.sink.is_reading);
    ask(10);
    EXPECT_FALSE(wire.sink.is_reading) << "ten questions wait for the store";
    source.RunAll();
    EXPECT_TRUE(wire.sink.is_reading);
    hub.CheckInvariants();
  }
}

}  // namespace
}  // namespace merrow::sync
