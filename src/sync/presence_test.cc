// SPDX-License-Identifier: Apache-2.0
//
// Presence rooms: relayed, remembered for newcomers, bounded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sync/ephemeral_codec.h"
#include "sync/hub_test_util.h"

namespace merrow::sync {
namespace {

using testing::ElementsAre;

Bytes Entry(std::string_view key, int64_t timestamp, std::optional<Bytes> text = "here") {
  ByteWriter out;
  out.Uleb(1);
  out.LengthPrefixed(key);
  out.U8(text ? 1 : 0);
  if (text) {
    out.U8(4);
    out.LengthPrefixed(*text);
  }
  out.Zigzag(timestamp);
  return out.Release();
}

class PresenceTest : public HubTest {
 protected:
  static Bytes Message(const MessageBody& body) {
    return Encode(RoomKind::kEphemeral, "lobby", body);
  }
  static void Join(Wire& wire) { wire.Send(Message(JoinRequest{.auth = {}, .version = {}})); }
  static Bytes Update(BatchId batch, const Bytes& bytes) {
    DocUpdate body;
    body.updates.push_back(bytes);
    body.batch = batch;
    return Message(body);
  }
};

TEST_F(PresenceTest, IsRelayedVerbatimAndShownToNewcomers) {
  Hub hub = MakeHub();
  Wire a(hub, Dialect::kLoroProtocol);
  Wire b(hub, Dialect::kLoroProtocol);
  a.Send(Update(1, Entry("a", 10)));
  EXPECT_THAT(a.Received(), ElementsAre("ack 1 permission_denied"));
  Join(a);
  Join(b);
  EXPECT_THAT(a.Received(), ElementsAre("join_response_ok write"));
  b.Received();
  const Bytes message = Update(2, Entry("a", 10));
  a.Send(message);
  EXPECT_THAT(a.Received(), ElementsAre("ack 2 ok"));
  EXPECT_EQ(*b.sink.Take().first, message);
  b.Send(Update(3, Bytes(1, '\0')));  // what a client without presence sends when it joins
  EXPECT_THAT(b.Received(), ElementsAre("ack 3 ok"));
  EXPECT_THAT(a.Received(), ElementsAre());
  Wire c(hub, Dialect::kLoroProtocol);
  Join(c);
  EXPECT_THAT(c.Received(), ElementsAre("join_response_ok write",
                                        "doc_update presence " + ToHex(Entry("a", 10))));
  // An older entry does not replace a newer one; a deletion does.
  a.Send(Update(4, Entry("a", 9, "old")));
  a.Send(Update(5, Entry("a", 11, std::nullopt)));
  Wire d(hub, Dialect::kLoroProtocol);
  Join(d);
  EXPECT_THAT(d.Received(),
              ElementsAre("join_response_ok write",
                          "doc_update presence " + ToHex(Entry("a", 11, std::nullopt))));
  EXPECT_EQ(source.reads_asked, 0U);
}

TEST_F(PresenceTest, EndsWithItsSenderOrWithTime) {
  Hub hub = MakeHub();
  Wire stays(hub, Dialect::kLoroProtocol);
  Join(stays);
  auto goes = std::make_unique<Wire>(hub, Dialect::kLoroProtocol);
  Join(*goes);
  goes->Send(Update(1, Entry("goes", 10)));
  stays.Send(Update(2, Entry("stays", 10)));
  goes.reset();
  {
    Wire late(hub, Dialect::kLoroProtocol);
    Join(late);
    EXPECT_THAT(late.Received(), ElementsAre("join_response_ok write",
                                             "doc_update presence " + ToHex(Entry("stays", 10))));
  }
  hub.OnTick(30'000);
  Wire later(hub, Dialect::kLoroProtocol);
  Join(later);
  EXPECT_THAT(later.Received(), ElementsAre("join_response_ok write"));
  EXPECT_EQ(hub.metrics().presence_rooms, 1U);
  EXPECT_EQ(hub.metrics().presence_members, 2U);
}

TEST_F(PresenceTest, IsBoundedAndChecked) {
  Limits limits;
  limits.presence_keys_max = 2;
  limits.presence_message_bytes_max = 50;
  limits.presence_room_bytes_max = 100;
  Hub hub = MakeHub(limits);
  Wire a(hub, Dialect::kLoroProtocol);
  Wire b(hub, Dialect::kLoroProtocol);
  Join(a);
  Join(b);
  a.Received();
  b.Received();
  a.Send(Update(1, "\x01garbage"));
  a.Send(Update(2, Entry("a", 1, Bytes(60, 'x'))));
  a.Send(Update(3, Entry("a", 1)));
  a.Send(Update(4, Entry("b", 1)));
  a.Send(Update(5, Entry("c", 1)));
  a.Send(Update(6, Entry("a", 2, Bytes(40, 'y'))));
  a.Send(Update(7, Entry("b", 2, Bytes(40, 'y'))));
  EXPECT_THAT(a.Received(),
              ElementsAre("ack 1 invalid_update", "ack 2 payload_too_large", "ack 3 ok", "ack 4 ok",
                          "ack 5 payload_too_large", "ack 6 ok", "ack 7 payload_too_large"));
  EXPECT_EQ(b.Received().size(), 3U);
}

TEST_F(PresenceTest, ACongestedMemberGetsTheWholeRoomLater) {
  Limits limits;
  limits.buffer_high_water_bytes = 100;
  Hub hub = MakeHub(limits);
  Wire a(hub, Dialect::kLoroProtocol);
  Wire slow(hub, Dialect::kLoroProtocol);
  Join(a);
  Join(slow);
  a.Received();
  slow.Received();
  for (int i = 0; i < 50; ++i) a.Send(Update(1, Entry("a", i)));
  EXPECT_LT(slow.Received().size(), 10U);
  hub.OnDrained(2);
  EXPECT_THAT(slow.Received(), ElementsAre("doc_update presence " + ToHex(Entry("a", 49))));
}

}  // namespace
}  // namespace merrow::sync
