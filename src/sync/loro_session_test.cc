// SPDX-License-Identifier: Apache-2.0
//
// Sessions of the Loro protocol, case by case: joining, updates and their acknowledgements,
// fragments.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sync/hub_test_util.h"

namespace merrow::sync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LoroSessionTest : public HubTest {};

// --- Joining ---

TEST_F(LoroSessionTest, JoinOfARowThatDoesNotExist) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  EXPECT_TRUE(wire.sink.empty()) << "answered before the row was read";
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("join_response_ok write {}"));
  ModelDocument other;
  CommitElsewhere(hub, other, 5, 2);
  EXPECT_THAT(wire.Received(), ElementsAre("doc_update {5: 2}"));
}

TEST_F(LoroSessionTest, CommitsThatWaitForTheirTurnAreSentAsOne) {
  std::vector<std::function<void()>> turns;
  Hub hub(source, Limits(), nullptr,
          [&turns](std::function<void()> turn) { turns.push_back(std::move(turn)); });
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("join_response_ok write {}"));
  ModelDocument other;
  CommitElsewhere(hub, other, 5, 2);
  CommitElsewhere(hub, other, 5, 1);
  CommitElsewhere(hub, other, 5, 4);
  EXPECT_TRUE(wire.sink.empty());
  ASSERT_EQ(turns.size(), 1U);
  turns[0]();
  EXPECT_THAT(wire.Received(), ElementsAre("doc_update {5: 7}"));
  EXPECT_EQ(hub.metrics().commits_joined, 2U);
  CommitElsewhere(hub, other, 5, 1);
  ASSERT_EQ(turns.size(), 2U);
  turns[1]();
  EXPECT_THAT(wire.Received(), ElementsAre("doc_update {5: 8}"));
}

TEST_F(LoroSessionTest, JoinGetsOnlyWhatIsLacking) {
  Hub hub = MakeHub();
  ModelDocument other;
  CommitElsewhere(hub, other, 5, 3);
  Wire full(hub, Dialect::kLoroProtocol);
  ASSERT_TRUE(full.document.Import(DecodeBlob(other.ExportSince({})).value()));
  full.Join(other.version().Encode());
  Wire part(hub, Dialect::kLoroProtocol);
  ASSERT_TRUE(part.document.Import(DecodeBlob(other.ExportSince({})).value()));
  part.Join(part.document.version().Encode());
  CommitElsewhere(hub, other, 5, 2);
  source.RunAll();
  EXPECT_THAT(full.Received(), ElementsAre("join_response_ok write {5: 5}", "doc_update {5: 5}"));
  EXPECT_THAT(part.Received(), ElementsAre("join_response_ok write {5: 5}", "doc_update {5: 5}"));
  EXPECT_EQ(hub.metrics().reads_shared, 1U);
  Wire knows(hub, Dialect::kLoroProtocol);
  knows.Join(other.version().Encode());
  source.RunAll();
  EXPECT_THAT(knows.Received(), ElementsAre("join_response_ok write {5: 5}"));
}

TEST_F(LoroSessionTest, JoinsThatAreRefused) {
  Limits limits;
  limits.rooms_per_session_max = 2;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  const auto join = [&](RoomKind kind, std::string_view room, BytesView version = {}) {
    wire.Send(Encode(kind, room, JoinRequest{.auth = {}, .version = version}));
    source.RunAll();
    const auto lines = wire.Received();
    return lines.size() == 1 ? lines[0] : std::to_string(lines.size()) + " lines";
  };
  EXPECT_EQ(join(RoomKind::kLoro, "other/n1"), "join_error 127 unknown_table");
  EXPECT_EQ(join(RoomKind::kLoro, "note"), "join_error 127 invalid_room");
  EXPECT_EQ(join(RoomKind::kLoro, "note/"), "join_error 127 invalid_room");
  EXPECT_EQ(join(RoomKind::kLoro, "/n1"), "join_error 127 invalid_room");
  EXPECT_EQ(join(RoomKind::kLoro, ""), "join_error 127 invalid_room");
  EXPECT_EQ(join(RoomKind::kLoro, "note/a!b"), "join_error 127 invalid_room");
  EXPECT_EQ(join(RoomKind::kYjs, "note/n1"), "join_error 127 unsupported_room_kind");
  EXPECT_EQ(join(RoomKind::kEphemeralPersisted, "x"), "join_error 127 unsupported_room_kind");
  EXPECT_EQ(join(RoomKind::kEphemeral, ""), "join_error 127 invalid_room");
  EXPECT_EQ(join(RoomKind::kLoro, "note/n1", "\xFF"), "join_error 1 vv 00");
  EXPECT_EQ(join(RoomKind::kLoro, "note/n1", Bytes(70'000, '\0')), "join_error 1 vv 00");
  EXPECT_EQ(hub.metrics().subscriptions, 0U);
  EXPECT_EQ(log.size(), 11U) << "one line for each";
  EXPECT_EQ(join(RoomKind::kLoro, "note/n1"), "join_response_ok write {}");
  EXPECT_EQ(join(RoomKind::kEphemeral, "lobby"), "join_response_ok write");
  EXPECT_EQ(join(RoomKind::kLoro, "note/n2"), "join_error 127 too_many_rooms");
  EXPECT_EQ(join(RoomKind::kEphemeral, "hall"), "join_error 127 too_many_rooms");
  EXPECT_EQ(join(RoomKind::kLoro, "note/n1"), "join_response_ok write {}") << "a rejoin";
  EXPECT_EQ(hub.metrics().errors.at("too_many_rooms"), 2U);
}

TEST_F(LoroSessionTest, ARowThatCannotBeRead) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  Wire rows(hub, Dialect::kRowFrames);
  source.fail_read = IoError("disk");
  wire.Join();
  rows.SendText(Subscribe());
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("join_error 127 unavailable"));
  const auto lines = rows.Received();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr(R"("code":"unavailable")"));
  EXPECT_EQ(hub.metrics().subscriptions, 0U);
  EXPECT_EQ(hub.metrics().rows, 0U);
}

// --- Updates ---

TEST_F(LoroSessionTest, AckComesAfterTheCommit) {
  Hub hub = MakeHub();
  Wire writer(hub, Dialect::kLoroProtocol);
  Wire reader(hub, Dialect::kLoroProtocol);
  writer.Join();
  reader.Join();
  source.RunAll();
  writer.Received();
  reader.Received();
  ModelDocument document;
  std::vector<Bytes> updates;
  for (int i = 0; i < 3; ++i) updates.push_back(document.Edit(9, 1));
  writer.Update(77, updates);
  source.WorkSubmit();
  source.WorkSubmit();
  source.WorkSubmit();
  source.Deliver();
  source.Deliver();
  EXPECT_THAT(writer.Received(), ElementsAre()) << "one of the three is not on disk yet";
  source.RunAll();
  EXPECT_THAT(writer.Received(), ElementsAre("ack 77 ok"));
  EXPECT_THAT(reader.Received(),
              ElementsAre("doc_update {9: 1}", "doc_update {9: 2}", "doc_update {9: 3}"));
  writer.Update(78, {});
  EXPECT_THAT(writer.Received(), ElementsAre("ack 78 ok"));
  writer.Update(79, {updates[0]});  // once more
  source.RunAll();
  EXPECT_THAT(writer.Received(), ElementsAre("ack 79 ok"));
  EXPECT_THAT(reader.Received(), ElementsAre());
}

TEST_F(LoroSessionTest, UpdatesThatAreRefused) {
  Limits limits;
  limits.update_bytes_max = 100;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  ModelDocument document;
  wire.Update(1, {document.Edit(9, 1)});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 1 permission_denied")) << "not joined";
  wire.Join();
  source.RunAll();
  wire.Received();
  wire.Update(2, {"garbage"});
  wire.Update(3, {Bytes(101, 'x')});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 2 invalid_update", "ack 3 payload_too_large"));
  EXPECT_TRUE(source.idle()) << "neither went to the store";
  source.fail_submit = Conflict("contradicts");
  wire.Update(4, {document.ExportSince({})});
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("ack 4 invalid_update"));
  // Not the update's fault: the client is made to send it again.
  source.fail_submit = IoError("disk full");
  wire.Update(5, {document.ExportSince({})});
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("ack 5 unknown", "room_error 1"));
  EXPECT_EQ(source.version(kRow).ToString(), "{}");
}

TEST_F(LoroSessionTest, MissingDependenciesMakeTheClientRejoin) {
  Limits limits;
  limits.rejoins_max = 2;
  Hub hub = MakeHub(limits);
  ModelLoro client(hub, 9, 1 << 20);
  client.Connect();
  client.Enter(kRow);
  const auto settle = [&] {
    bool moved = true;
    while (moved) {
      moved = !source.idle();
      while (client.MoveOut(0)) moved = true;
      source.RunAll();
      while (client.MoveIn()) moved = true;
    }
  };
  settle();
  // The store fails to take the first edit; the second depends on it.
  source.fail_submit = IoError("disk");
  client.Edit(kRow, 1);
  client.Edit(kRow, 1);
  client.Edit(kRow, 1);
  settle();
  EXPECT_EQ(source.version(kRow).ToString(), "{9: 3}");
  EXPECT_EQ(client.rejoins, 1U) << "three updates failed together, one rejoin healed them";
  EXPECT_EQ(client.refusals, 3U);
  client.Edit(kRow, 1);
  settle();
  EXPECT_EQ(source.version(kRow).ToString(), "{9: 4}");
  EXPECT_EQ(client.echoes, 0U);
}

TEST_F(LoroSessionTest, WhatFailsAfterTheRejoinDoesNotEndIt) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  ModelDocument document;
  document.Edit(9, 1);
  wire.Update(1, {document.Edit(9, 1)});
  wire.Update(2, {document.Edit(9, 1)});
  source.WorkSubmit();
  source.Deliver();
  EXPECT_THAT(wire.Received(), ElementsAre("ack 1 invalid_update", "room_error 1"));
  wire.Join(document.version().Encode());
  source.RunAll();  // the second fails now, in a room that was joined since
  EXPECT_THAT(wire.Received(), ElementsAre("ack 2 invalid_update", "join_response_ok write {}"));
  EXPECT_EQ(hub.metrics().subscriptions, 1U);
}

TEST_F(LoroSessionTest, RejoiningForEverEndsWithEviction) {
  Limits limits;
  limits.rejoins_max = 2;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  ModelDocument document;
  document.Edit(9, 1);
  const Bytes orphan = document.Edit(9, 1);
  std::vector<std::string> errors;
  for (int i = 0; i < 3; ++i) {
    wire.Join();
    source.RunAll();
    wire.Update(1, {orphan});
    source.RunAll();
    const auto lines = wire.Received();
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[1], "ack 1 invalid_update");
    errors.push_back(lines[2]);
  }
  EXPECT_THAT(errors, ElementsAre("room_error 1", "room_error 1", "room_error 2"));
}

// Whoever is evicted stays out for good: a disk that was full for a minute would cost all that is
// typed afterwards.
TEST_F(LoroSessionTest, AStoreThatFailsForLongMakesClientsConnectAgain) {
  Limits limits;
  limits.rejoins_max = 2;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  ModelDocument document;
  const Bytes first = document.Edit(9, 1);
  const Bytes second = document.Edit(9, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(wire.sink.close_code);
    wire.Join();
    source.RunAll();
    // The last failure only follows from the others.
    if (i < 2) source.fail_submit = IoError("disk full");
    wire.Update(1, {i < 2 ? first : second});
    source.RunAll();
    if (i < 2) {
      EXPECT_EQ(wire.Received().back(), "room_error 1");
    }
  }
  EXPECT_EQ(wire.sink.close_code, 1013);
}

// What somebody types after a reconnect, before the difference was sent, is not refused.
TEST_F(LoroSessionTest, UpdatesThatDependOnAnAwaitedUploadAreParked) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  ModelDocument document;
  document.Edit(9, 5);  // offline
  wire.Join(document.version().Encode());
  wire.Update(1, {document.Edit(9, 1)});  // typed before the answer to the join
  source.WorkSubmit();
  source.Deliver();
  wire.Update(2, {document.Edit(9, 1)});
  source.RunAll();
  wire.Update(3, {document.Edit(9, 1)});  // and after it
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("join_response_ok write {}"));
  wire.Update(4, {document.ExportSince({})});  // the difference
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("ack 4 ok", "ack 1 ok", "ack 2 ok", "ack 3 ok"));
  EXPECT_EQ(source.version(kRow).ToString(), "{9: 8}");
  EXPECT_EQ(hub.metrics().rejoins_suggested, 0U);
}

TEST_F(LoroSessionTest, ParkedUpdatesAreBoundedInTimeAndBytes) {
  Limits limits;
  limits.parked_updates_max = 2;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  ModelDocument document;
  document.Edit(9, 5);
  wire.Join(document.version().Encode());
  source.RunAll();
  wire.Update(1, {document.Edit(9, 1)});
  wire.Update(2, {document.Edit(9, 1)});
  source.RunAll();
  hub.OnTick(9'999);
  EXPECT_THAT(wire.Received(), ElementsAre("join_response_ok write {}"));
  hub.OnTick(10'000);
  EXPECT_THAT(wire.Received(),
              ElementsAre("ack 1 invalid_update", "ack 2 invalid_update", "room_error 1"));
  wire.Join(document.version().Encode());
  source.RunAll();
  wire.Received();
  for (BatchId batch = 3; batch < 6; ++batch) wire.Update(batch, {document.Edit(9, 1)});
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("ack 5 invalid_update", "ack 3 invalid_update",
                                           "ack 4 invalid_update", "room_error 1"));
}

TEST_F(LoroSessionTest, ParkedUpdatesOfAllRoomsAreBoundedTogether) {
  Limits limits;
  ModelDocument document;
  document.Edit(9, 5);
  const Bytes version = document.version().Encode();
  const Bytes typed = document.Edit(9, 1);
  limits.parked_session_bytes_max = 2 * typed.size();
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  for (BatchId batch = 1; batch <= 3; ++batch) {
    const std::string room = "note/n" + std::to_string(batch);
    wire.Send(Encode(RoomKind::kLoro, room, JoinRequest{.auth = {}, .version = version}));
    source.RunAll();
    wire.Received();
    wire.Send(Encode(RoomKind::kLoro, room, DocUpdate{.updates = {typed}, .batch = batch}));
    source.RunAll();
    if (batch < 3) {
      EXPECT_THAT(wire.Received(), ElementsAre());
    } else {
      EXPECT_THAT(wire.Received(), ElementsAre("ack 3 invalid_update", "room_error 1"));
    }
  }
  // What is let go of makes room.
  wire.Send(Encode(RoomKind::kLoro, "note/n1", Leave{}));
  wire.Send(Encode(RoomKind::kLoro, "note/n3", JoinRequest{.auth = {}, .version = version}));
  source.RunAll();
  wire.Received();
  wire.Send(Encode(RoomKind::kLoro, "note/n3", DocUpdate{.updates = {typed}, .batch = 4}));
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre());
}

TEST_F(LoroSessionTest, AClientThatCouldNotApplyAnUpdateIsAskedToRejoin) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  wire.SendBody(Ack{.batch = 1, .status = UpdateStatus::kOk});
  EXPECT_THAT(wire.Received(), ElementsAre());
  wire.SendBody(Ack{.batch = 1, .status = UpdateStatus::kFragmentTimeout});
  EXPECT_THAT(wire.Received(), ElementsAre("room_error 1"));
  EXPECT_EQ(hub.metrics().subscriptions, 0U);
}

TEST_F(LoroSessionTest, LeaveEndsTheSubscription) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  wire.SendBody(Leave{});
  ModelDocument other;
  CommitElsewhere(hub, other, 5, 1);
  EXPECT_THAT(wire.Received(), ElementsAre());
  EXPECT_EQ(hub.metrics().rows, 0U);
}

// --- Fragments ---

TEST_F(LoroSessionTest, FragmentsInAnyOrder) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  ModelDocument document;
  const Bytes update = document.Edit(9, 100);
  const uint32_t half = static_cast<uint32_t>(update.size() / 2);
  const auto total = static_cast<uint32_t>(update.size());
  wire.SendBody(FragmentHeader{.batch = 5, .fragment_count = 2, .total_bytes = total});
  wire.SendBody(Fragment{.batch = 5, .index = 1, .bytes = BytesView(update).substr(half)});
  wire.SendBody(Fragment{.batch = 5, .index = 0, .bytes = BytesView(update).substr(0, half)});
  source.RunAll();
  EXPECT_THAT(wire.Received(), ElementsAre("ack 5 ok"));
  EXPECT_EQ(source.version(kRow).ToString(), "{9: 100}");
}

TEST_F(LoroSessionTest, FragmentsThatAreRefused) {
  Limits limits;
  limits.update_bytes_max = 1000;
  limits.fragment_batches_max = 2;
  limits.rejoins_max = 9;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.SendBody(FragmentHeader{.batch = 1, .fragment_count = 2, .total_bytes = 10});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 1 permission_denied"));
  wire.Join();
  source.RunAll();
  wire.Received();
  // Too large: said once, its fragments are swallowed.
  wire.SendBody(FragmentHeader{.batch = 2, .fragment_count = 2, .total_bytes = 1001});
  wire.SendBody(Fragment{.batch = 2, .index = 0, .bytes = "x"});
  wire.SendBody(Fragment{.batch = 2, .index = 1, .bytes = "x"});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 2 payload_too_large"));
  wire.SendBody(Fragment{.batch = 2, .index = 1, .bytes = "x"});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 2 fragment_timeout"));
  // Counts and sizes that contradict each other.
  wire.SendBody(FragmentHeader{.batch = 3, .fragment_count = 0, .total_bytes = 10});
  wire.SendBody(FragmentHeader{.batch = 4, .fragment_count = 11, .total_bytes = 10});
  EXPECT_THAT(wire.Received(), ElementsAre("ack 3 invalid_update", "ack 4 invalid_update"));
  for (int i = 0; i < 11; ++i) wire.SendBody(Fragment{.batch = 4, .index = 0, .bytes = "x"});
  EXPECT_THAT(wire.Received(), ElementsAre());
  const auto one = [&](BatchId batch, uint32_t index, BytesView bytes) {
    wire.SendBody(FragmentHeader{.batch = batch, .fragment_count = 2, .total_bytes = 4});
    wire.SendBody(Fragment{.batch = batch, .index = 0, .bytes = "ab"});
    wire.SendBody(Fragment{.batch = batch, .index = index, .bytes = bytes});
  };
  one(5, 2, "cd");   // index out of range
  one(6, 0, "cd");   // twice the same
  one(7, 1, "c");    // too short
  one(8, 1, "cde");  // too long
  one(9, 1, "");     // empty
  one(10, 1, "cd");  // complete, but not an update
  EXPECT_THAT(wire.Received(),
              ElementsAre("ack 5 invalid_update", "ack 6 invalid_update", "ack 7 invalid_update",
                          "ack 8 invalid_update", "ack 9 invalid_update", "ack 10 invalid_update"));
  // Too many at once.
  for (BatchId batch = 11; batch < 14; ++batch) {
    wire.SendBody(FragmentHeader{.batch = batch, .fragment_count = 2, .total_bytes = 4});
  }
  EXPECT_THAT(wire.Received(), ElementsAre("ack 13 rate_limited", "room_error 1"));
}

TEST_F(LoroSessionTest, FragmentsTimeOut) {
  Hub hub = MakeHub();
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  wire.Received();
  wire.SendBody(FragmentHeader{.batch = 5, .fragment_count = 3, .total_bytes = 6}, 1'000);
  hub.OnTick(10'500);
  wire.SendBody(Fragment{.batch = 5, .index = 0, .bytes = "ab"}, 10'900);
  hub.OnTick(20'899);
  EXPECT_THAT(wire.Received(), ElementsAre()) << "it goes on, if slowly";
  hub.OnTick(20'900);
  EXPECT_THAT(wire.Received(), ElementsAre("ack 5 fragment_timeout", "room_error 1"));
}

TEST_F(LoroSessionTest, LargeRowsAreSentInFragments) {
  Limits limits;
  limits.fragment_bytes = 100;
  Hub hub = MakeHub(limits);
  ModelDocument other;
  CommitElsewhere(hub, other, 5, 60);
  Wire wire(hub, Dialect::kLoroProtocol);
  wire.Join();
  source.RunAll();
  const auto lines = wire.Received();
  ASSERT_GE(lines.size(), 4U);
  EXPECT_EQ(lines[0], "join_response_ok write {5: 60}");
  EXPECT_EQ(lines[1], "fragment_header " + std::to_string(lines.size() - 2));
}

}  // namespace
}  // namespace merrow::sync
