// SPDX-License-Identifier: Apache-2.0
//
// What the hub answers, case by case, in both dialects.

#include "sync/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "sync/ephemeral_codec.h"
#include "sync/model_client.h"
#include "sync/model_source.h"
#include "sync/vectors.h"

namespace merrow::sync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

const RowKey kRow{"note", "n1"};
const std::string kRoom = "note/n1";

// One raw connection: messages in, decoded messages out.
class Wire {
 public:
  Wire(Hub& hub, Dialect dialect) : hub_(hub), id_(hub.OpenSession(dialect, sink)) {}
  ~Wire() { hub_.CloseSession(id_); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void Send(BytesView message, int64_t now_ms = 0) { hub_.OnMessage(id_, message, false, now_ms); }
  void SendText(std::string_view text) { hub_.OnMessage(id_, text, true, 0); }
  void SendBody(const MessageBody& body, int64_t now_ms = 0) {
    Send(Encode(RoomKind::kLoro, kRoom, body), now_ms);
  }
  void Join(BytesView version = {}) { SendBody(JoinRequest{.auth = {}, .version = version}); }
  void Update(BatchId batch, const std::vector<Bytes>& updates) {
    DocUpdate body;
    for (const Bytes& update : updates) body.updates.push_back(update);
    body.batch = batch;
    SendBody(body);
  }

  // Everything that was sent so far, a line each.
  std::vector<std::string> Received() {
    std::vector<std::string> lines;
    while (!sink.empty()) {
      const auto [message, is_text] = sink.Take();
      lines.push_back(is_text ? *message : Describe(*message));
    }
    return lines;
  }

  ModelSink sink;
  ModelDocument document;  // what the updates made of it

 private:
  std::string Describe(BytesView message) {
    const Result<Envelope> envelope = DecodeEnvelope(message, Limits());
    if (!envelope.ok()) return DescribeFrame(message);
    const MessageBody body = DecodeBody(*envelope, Limits()).value();
    std::string line = std::string(MessageTypeName(envelope->type));
    if (const auto* ok = std::get_if<JoinResponseOk>(&body)) {
      line += " " + std::string(ok->permission);
      if (!ok->version.empty()) {
        line += " " + loro::VersionVector::Decode(ok->version).value().ToString();
      }
    } else if (const auto* refused = std::get_if<JoinError>(&body)) {
      line += " " + std::to_string(static_cast<int>(refused->code));
      if (refused->app_code) line += " " + std::string(*refused->app_code);
      if (refused->receiver_version) line += " vv " + ToHex(*refused->receiver_version);
    } else if (const auto* update = std::get_if<DocUpdate>(&body)) {
      for (const BytesView each : update->updates) line += " " + Import(each);
    } else if (const auto* error = std::get_if<RoomError>(&body)) {
      line += " " + std::to_string(static_cast<int>(error->code));
    } else if (const auto* ack = std::get_if<Ack>(&body)) {
      line += " " + std::to_string(ack->batch) + " " + std::string(UpdateStatusName(ack->status));
    } else if (const auto* header = std::get_if<FragmentHeader>(&body)) {
      line += " " + std::to_string(header->fragment_count);
    }
    return line;
  }
  std::string DescribeFrame(BytesView message) {
    const RowFrame frame = DecodeRowFrame(message).value();
    return std::string(frame.type == RowFrameType::kSnapshot ? "snapshot " : "update ") +
           Import(frame.payload);
  }
  std::string Import(BytesView bytes) {
    const Result<ModelBlob> blob = DecodeBlob(bytes);
    if (!blob.ok()) return "presence " + ToHex(bytes);
    EXPECT_TRUE(document.Import(*blob));
    return BlobEnd(*blob).ToString();
  }

  Hub& hub_;
  const SessionId id_;
};

class HubTest : public testing::Test {
 protected:
  Hub MakeHub(Limits limits = {}) {
    return Hub(source, limits, [this](LogLevel, std::string_view line) { log.emplace_back(line); });
  }
  // A commit that came by another way than the hub.
  void CommitElsewhere(Hub& hub, ModelDocument& document, loro::PeerId peer, int ops) {
    source.Submit(kRow, std::make_shared<const Bytes>(document.Edit(peer, ops)),
                  [&hub](const SubmitOutcome& outcome) {
                    const Applied& applied = std::get<Applied>(outcome);
                    hub.OnCommitted(kRow, applied.before, applied.after, applied.delta);
                  });
    source.RunAll();
  }
  std::string Subscribe(std::string_view row_id = "n1", std::string_view version = "") {
    Json text = {{"type", "crdt-subscribe"}, {"entity", "note"}, {"rowId", row_id}};
    if (!version.empty()) text["vv"] = version;
    return text.dump();
  }

  ModelSource source;
  std::vector<std::string> log;
};

Bytes Push(PushId id, const Bytes& update, std::string_view table = "note",
           std::string_view key = "n1") {
  return EncodeRowFrame(
      {.type = RowFrameType::kPush, .table = table, .key = key, .push_id = id, .payload = update});
}

// --- Loro protocol: joining ---

TEST_F(HubTest, JoinOfARowThatDoesNotExist) {
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

TEST_F(HubTest, CommitsThatWaitForTheirTurnAreSentAsOne) {
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

TEST_F(HubTest, JoinGetsOnlyWhatIsLacking) {
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

TEST_F(HubTest, JoinsThatAreRefused) {
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

TEST_F(HubTest, ARowThatCannotBeRead) {
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

// --- Loro protocol: updates ---

TEST_F(HubTest, AckComesAfterTheCommit) {
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

TEST_F(HubTest, UpdatesThatAreRefused) {
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

TEST_F(HubTest, MissingDependenciesMakeTheClientRejoin) {
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

TEST_F(HubTest, WhatFailsAfterTheRejoinDoesNotEndIt) {
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

TEST_F(HubTest, RejoiningForEverEndsWithEviction) {
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
TEST_F(HubTest, AStoreThatFailsForLongMakesClientsConnectAgain) {
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
TEST_F(HubTest, UpdatesThatDependOnAnAwaitedUploadAreParked) {
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

TEST_F(HubTest, ParkedUpdatesAreBoundedInTimeAndBytes) {
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

TEST_F(HubTest, AClientThatCouldNotApplyAnUpdateIsAskedToRejoin) {
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

TEST_F(HubTest, LeaveEndsTheSubscription) {
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

TEST_F(HubTest, FragmentsInAnyOrder) {
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

TEST_F(HubTest, FragmentsThatAreRefused) {
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

TEST_F(HubTest, FragmentsTimeOut) {
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

TEST_F(HubTest, LargeRowsAreSentInFragments) {
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

// --- Fan-out ---

TEST_F(HubTest, ADeltaIsEncodedOncePerDialect) {
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

TEST_F(HubTest, NothingFallsBetweenSubscriptionAndSnapshot) {
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

TEST_F(HubTest, ASlowClientCostsAVersion) {
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

TEST_F(HubTest, ACommitThatNobodyToldOfIsHealedByTheNext) {
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

TEST_F(HubTest, AllRowsOfASlowClientAreHealedAfterOneDrain) {
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

TEST_F(HubTest, AClientThatNeverReadsIsClosed) {
  Limits limits;
  limits.buffer_bytes_max = 100;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kLoroProtocol);
  for (int i = 0; i < 30; ++i) wire.SendText("ping");
  EXPECT_EQ(wire.sink.close_code, 1013);
}

TEST_F(HubTest, InputIsPausedWhileTooMuchWaits) {
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

TEST_F(HubTest, ForeignPeersAreForgottenBeyondALimit) {
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

// --- Row frames ---

TEST_F(HubTest, RowsSubscribePushAndReceive) {
  Hub hub = MakeHub();
  Wire a(hub, Dialect::kRowFrames);
  Wire b(hub, Dialect::kRowFrames);
  a.SendText(Subscribe());
  b.SendText(Subscribe("n1", "AA=="));
  source.RunAll();
  EXPECT_THAT(a.Received(), ElementsAre("snapshot {}"));
  EXPECT_THAT(b.Received(),
              ElementsAre(R"({"type":"crdt-synced","entity":"note","rowId":"n1","vv":"AA=="})"));
  ModelDocument document;
  a.Send(Push(7, document.Edit(9, 5)));
  source.RunAll();
  EXPECT_THAT(
      a.Received(),
      ElementsAre(R"({"type":"crdt-ack","entity":"note","rowId":"n1","pushId":7,"vv":"AQkK"})"));
  EXPECT_THAT(b.Received(), ElementsAre("update {9: 5}"));
  // A client that returns with its version gets only what it lacks, then the server's version.
  Wire c(hub, Dialect::kRowFrames);
  ASSERT_TRUE(c.document.Import(DecodeBlob(document.ExportSince({})).value()));
  a.Send(Push(8, document.Edit(9, 1)));
  source.RunAll();
  c.SendText(Subscribe("n1", "AQkK"));
  source.RunAll();
  EXPECT_THAT(c.Received(),
              ElementsAre("update {9: 6}",
                          R"({"type":"crdt-synced","entity":"note","rowId":"n1","vv":"AQkM"})"));
  b.SendText(R"({"type":"crdt-unsubscribe","entity":"note","rowId":"n1"})");
  b.Received();
  a.Send(Push(9, document.Edit(9, 1)));
  source.RunAll();
  EXPECT_THAT(b.Received(), ElementsAre());
  EXPECT_THAT(c.Received(), ElementsAre("update {9: 7}"));
}

TEST_F(HubTest, RowsRefusals) {
  Limits limits;
  limits.rooms_per_session_max = 1;
  limits.update_bytes_max = 1000;
  limits.row_message_bytes_max = 2000;
  limits.row_text_bytes_max = 300;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  const auto code = [&]() -> std::string {
    source.RunAll();
    const auto lines = wire.Received();
    if (lines.size() != 1) return std::to_string(lines.size()) + " lines";
    const Json text = Json::parse(lines[0]);
    return text.value("type", "") + " " + text.value("code", "") + " " + text.value("entity", "-") +
           (text.contains("pushId") ? " push " + std::to_string(text["pushId"].get<int>()) : "");
  };
  wire.SendText(R"({"type":"crdt-subscribe","entity":"other","rowId":"n1"})");
  EXPECT_EQ(code(), "crdt-error unknown_table other");
  wire.SendText(Subscribe("a!"));
  EXPECT_EQ(code(), "crdt-error invalid_key note");
  wire.SendText(Subscribe(""));
  EXPECT_EQ(code(), "crdt-error invalid_key note");
  wire.SendText("{");
  EXPECT_EQ(code(), "crdt-error malformed -");
  wire.SendText(Subscribe("n1", "!!"));
  EXPECT_EQ(code(), "crdt-error malformed note");
  wire.SendText(R"({"type":"crdt-resync","entity":"note","rowId":"n1","vv":"AA=="})");
  EXPECT_EQ(code(), "crdt-error not_subscribed note");
  wire.SendText(Subscribe(std::string(400, 'k')));
  EXPECT_EQ(code(), "crdt-error too_large -");
  wire.Send(Bytes(2001, 'x'));
  EXPECT_EQ(code(), "crdt-error too_large -");
  wire.Send("x");
  EXPECT_EQ(code(), "crdt-error malformed -");
  wire.Send(
      EncodeRowFrame({.type = RowFrameType::kUpdate, .table = "note", .key = "n1", .payload = {}}));
  EXPECT_EQ(code(), "crdt-error malformed note");
  ModelDocument document;
  document.Edit(9, 1);
  wire.Send(Push(1, document.Edit(9, 1)));
  EXPECT_EQ(code(), "crdt-error missing_dependencies note push 1");
  wire.Send(Push(2, "garbage"));
  EXPECT_EQ(code(), "crdt-error invalid_update note push 2");
  wire.Send(Push(3, Bytes(1001, 'x')));
  EXPECT_EQ(code(), "crdt-error too_large note push 3");
  wire.Send(Push(4, document.ExportSince({}), "other"));
  EXPECT_EQ(code(), "crdt-error unknown_table other push 4");
  source.fail_submit = IoError("disk");
  wire.Send(Push(5, document.ExportSince({})));
  EXPECT_EQ(code(), "crdt-error io note push 5");
  source.fail_submit = Busy("later");
  wire.Send(Push(6, document.ExportSince({})));
  EXPECT_EQ(code(), "crdt-error busy note push 6");
  EXPECT_EQ(source.version(kRow).ToString(), "{}");
  EXPECT_EQ(log.size(), 16U) << "one line for each";
}

TEST_F(HubTest, RowsLimitOfSubscriptions) {
  Limits limits;
  limits.rooms_per_session_max = 1;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  wire.SendText(Subscribe("n1"));
  wire.SendText(Subscribe("n2"));
  source.RunAll();
  const auto lines = wire.Received();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], HasSubstr("too_many_rows"));
  EXPECT_EQ(lines[1], "snapshot {}");
}

TEST_F(HubTest, MissingDependenciesTellTheServersVersion) {
  Hub hub = MakeHub();
  ModelDocument other;
  CommitElsewhere(hub, other, 7, 5);
  Wire wire(hub, Dialect::kRowFrames);
  ModelDocument document;
  document.Edit(9, 1);
  wire.Send(Push(1, document.Edit(9, 1)));
  source.RunAll();
  const Json text = Json::parse(wire.Received().at(0));
  EXPECT_EQ(text["code"], "missing_dependencies");
  EXPECT_EQ(text["vv"], "AQcK");
}

TEST_F(HubTest, PingIsAnsweredInBothDialects) {
  Hub hub = MakeHub();
  for (const Dialect dialect : {Dialect::kLoroProtocol, Dialect::kRowFrames}) {
    Wire wire(hub, dialect);
    wire.SendText("ping");
    wire.SendText("pong");
    EXPECT_THAT(wire.Received(), ElementsAre("pong"));
  }
}

// --- Presence ---

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
