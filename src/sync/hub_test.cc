// SPDX-License-Identifier: Apache-2.0
//
// What the hub does whatever the dialect: malformed input, its log, lifetimes, memory. What its
// sessions answer: loro_session_test.cc, row_session_test.cc, presence_test.cc; who is sent what:
// fanout_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "sync/hub_test_util.h"
#include "sync/vectors.h"

namespace merrow::sync {
namespace {

using testing::ElementsAre;

// --- Malformed input ---

TEST_F(HubTest, AMessageWithoutAnEnvelopeClosesTheSession) {
  Hub hub = MakeHub();
  for (const Bytes& message :
       {Bytes(), Bytes("x"), Bytes("%XYZ\x01r\x07"), Bytes("%LOR\x01\xFF\x07"),
        Bytes("%LOR\x01r\x09"), Bytes("%LOR\xFF\xFF\xFF\xFF\x0Fr")}) {
    Wire wire(hub, Dialect::kLoroProtocol);
    wire.Join();
    source.RunAll();
    wire.Received();
    wire.Send(message);
    EXPECT_EQ(wire.sink.close_code, 1002);
    EXPECT_EQ(hub.metrics().subscriptions, 0U);
    wire.Join();  // ignored
    EXPECT_TRUE(source.idle());
  }
}

TEST_F(HubTest, AMessageWithAMalformedBodyLosesItsRoom) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  const Bytes update = Encode(RoomKind::kLoro, kRoom, DocUpdate{.updates = {"abc"}, .batch = 1});
  wire.Send(BytesView(update).substr(0, update.size() - 1));
  EXPECT_THAT(wire.Received(), ElementsAre("room_error 127"));
  EXPECT_EQ(hub.metrics().subscriptions, 0U);
  const Bytes join = Encode(RoomKind::kLoro, kRoom, JoinRequest{.auth = {}, .version = {}});
  wire.Send(BytesView(join).substr(0, join.size() - 1));
  EXPECT_THAT(wire.Received(), ElementsAre("join_error 127 malformed"));
  EXPECT_FALSE(wire.sink.close_code.has_value());
}

TEST_F(HubTest, MessagesThatAreTooLarge) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  wire.Update(0x0102030405060708, {Bytes(300 * 1024, 'x')});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 72623859790382856 payload_too_large"));
  wire.SendBody(Fragment{.batch = 1, .index = 0, .bytes = Bytes(300 * 1024, 'x')});
  EXPECT_EQ(wire.sink.close_code, 1009);
}

TEST_F(HubTest, LogLinesStayOneLine) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Send(
      Encode(RoomKind::kLoro, "no\nsuch/room\x1b[2J", JoinRequest{.auth = {}, .version = {}}));
  ASSERT_EQ(log.size(), 1U);
  EXPECT_EQ(log[0].find('\n'), std::string::npos);
  EXPECT_EQ(log[0].find('\x1b'), std::string::npos);
}

// Random and damaged messages, with real ones between: nothing crashes, nothing changes the row but
// real updates, and the hub goes on serving.
TEST_F(HubTest, DamagedMessagesDoNoHarm) {
  Limits limits;
  limits.rejoins_max = 1'000'000;
  Hub hub(source, limits, nullptr);
  SeededRandom random(4);
  ModelDocument document;
  std::vector<Bytes> seeds;
  for (const Json& vector : ReadVectors("loro.json")) seeds.push_back(UnHex(vector["bytes"]));
  for (const Json& vector : ReadVectors("row_frame.json")) seeds.push_back(UnHex(vector["bytes"]));
  seeds.push_back(Encode(RoomKind::kLoro, kRoom, JoinRequest{.auth = {}, .version = {}}));
  seeds.push_back(Subscribe());
  seeds.push_back(Subscribe("n1", "AQcK"));
  const Bytes update = document.Edit(9, 3);
  seeds.push_back(Encode(RoomKind::kLoro, kRoom, DocUpdate{.updates = {update}, .batch = 1}));
  seeds.push_back(Push(1, update));
  std::vector<std::unique_ptr<Wire>> wires(4);
  int64_t now_ms = 0;
  for (int i = 0; i < 40'000; ++i) {
    auto& wire = wires[random.Below(wires.size())];
    if (wire == nullptr || wire->sink.close_code) {
      wire = std::make_unique<Wire>(
          hub, random.Below(2) == 0 ? Dialect::kLoroProtocol : Dialect::kRowFrames);
    }
    Bytes message = seeds[random.Below(seeds.size())];
    switch (random.Below(5)) {
      case 0:
        break;
      case 1:
        message.resize(random.Below(message.size() + 1));
        break;
      case 2:
        message = Bytes(random.Below(64), '\0');
        for (char& c : message) c = static_cast<char>(random.Next());
        break;
      default:
        for (uint64_t flips = 1 + random.Below(4); flips > 0 && !message.empty(); --flips) {
          message[random.Below(message.size())] ^= static_cast<char>(1 << random.Below(8));
        }
    }
    now_ms += static_cast<int64_t>(random.Below(100));
    if (random.Below(8) == 0) {
      wire->SendText(message);
    } else {
      wire->Send(message, now_ms);
    }
    if (random.Below(4) == 0) source.RunAll();
    if (random.Below(16) == 0) hub.OnTick(now_ms);
    while (!wire->sink.empty()) wire->sink.Take();
    hub.CheckInvariants();
  }
  source.RunAll();
  // Only the one real update can have got through.
  EXPECT_TRUE(document.version().Includes(source.version(kRow)));
  wires.clear();
  EXPECT_EQ(hub.metrics().rows, 0U);
  EXPECT_EQ(hub.MemoryBytes(), 0U);
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  EXPECT_EQ(wire.Received().at(0), "join_response_ok write {9: 3}");
}

// --- Lifetime ---

TEST_F(HubTest, CompletionsMayComeAfterTheSessionOrTheHub) {
  auto hub = std::make_unique<Hub>(source, Limits(), nullptr);
  ModelDocument document;
  {
    Wire gone(*hub, Dialect::kLoroProtocol);
    gone.Join();
    source.RunAll();
    gone.Update(1, {document.Edit(9, 1)});
  }
  ModelSink sink;
  const SessionId id = hub->OpenSession(Dialect::kRowFrames, sink);
  hub->OnMessage(id, Subscribe(), true, 0);
  source.WorkSubmit();
  source.Deliver();
  hub->OnMessage(id, Push(1, document.Edit(9, 1)), false, 0);
  hub.reset();
  source.RunAll();
  EXPECT_EQ(source.version(kRow).ToString(), "{9: 2}");
}

TEST_F(HubTest, CloseAllClosesEverySession) {
  Hub hub = MakeHub();
  Wire a(hub, Dialect::kLoroProtocol);
  Wire b(hub, Dialect::kRowFrames);
  a.Join();
  hub.CloseAll("shutting down");
  EXPECT_EQ(a.sink.close_code, 1001);
  EXPECT_EQ(b.sink.close_code, 1001);
  source.RunAll();
  EXPECT_EQ(hub.metrics().rows, 0U);
}

TEST_F(HubTest, AnIdleSubscriptionIsSmall) {
  Hub hub = MakeHub();
  ModelDocument other;
  for (loro::PeerId peer = 1; peer <= 50; ++peer) CommitElsewhere(hub, other, peer, 3);
  std::vector<std::unique_ptr<Wire>> wires;
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      wires.push_back(std::make_unique<Wire>(hub, Dialect::kLoroProtocol));
      wires.back()->Join(other.version().Encode());
      source.RunAll();
    }
  };
  add(100);
  const size_t before = hub.MemoryBytes();
  add(1000);
  // All are at one version, so they share its object (50 peers, 800 bytes).
  EXPECT_LT((hub.MemoryBytes() - before) / 1000, 800U);
}

}  // namespace
}  // namespace merrow::sync
