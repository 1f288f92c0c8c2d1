// SPDX-License-Identifier: Apache-2.0
#include "sync/loro_protocol.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "sync/vectors.h"

namespace merrow::sync {
namespace {

using Json = nlohmann::json;

const Limits kLimits;

// The message that a vector's fields describe, for comparison with its bytes.
struct Described {
  RoomKind kind;
  std::string room;
  std::vector<Bytes> bytes;  // owns what the body views
  std::vector<std::string> texts;
  MessageBody body;
};

RoomKind KindOf(const std::string& magic) {
  for (int i = 0; i <= static_cast<int>(RoomKind::kEncryptedLoro); ++i) {
    if (RoomKindMagic(static_cast<RoomKind>(i)) == magic) return static_cast<RoomKind>(i);
  }
  ADD_FAILURE() << magic;
  return RoomKind::kLoro;
}

BatchId BatchOf(const Json& text) {
  return std::stoull(text.get<std::string>().substr(2), nullptr, 16);
}

BytesView Keep(Described& out, const Json& field) {
  out.bytes.push_back(UnHex(field["hex"]));
  return out.bytes.back();
}

std::string_view KeepText(Described& out, const Json& field) {
  out.texts.push_back(field.get<std::string>());
  return out.texts.back();
}

void Describe(const Json& message, Described& out) {
  out.bytes.reserve(8);
  out.texts.reserve(8);
  out.kind = KindOf(message["crdt"]);
  out.room = message["roomId"];
  switch (static_cast<MessageType>(message["type"].get<int>())) {
    case MessageType::kJoinRequest:
      out.body = JoinRequest{Keep(out, message["auth"]), Keep(out, message["version"])};
      break;
    case MessageType::kJoinResponseOk:
      out.body =
          JoinResponseOk{KeepText(out, message["permission"]), Keep(out, message["version"]), {}};
      break;
    case MessageType::kJoinError: {
      JoinError body;
      body.code = static_cast<JoinErrorCode>(message["code"].get<int>());
      body.message = KeepText(out, message["message"]);
      if (message.contains("receiverVersion")) {
        body.receiver_version = Keep(out, message["receiverVersion"]);
      }
      if (message.contains("appCode")) body.app_code = KeepText(out, message["appCode"]);
      out.body = body;
      break;
    }
    case MessageType::kDocUpdate: {
      DocUpdate body;
      for (const Json& update : message["updates"]) body.updates.push_back(Keep(out, update));
      body.batch = BatchOf(message["batchId"]);
      out.body = body;
      break;
    }
    case MessageType::kFragmentHeader:
      out.body = FragmentHeader{BatchOf(message["batchId"]), message["fragmentCount"],
                                message["totalSizeBytes"]};
      break;
    case MessageType::kFragment:
      out.body =
          Fragment{BatchOf(message["batchId"]), message["index"], Keep(out, message["fragment"])};
      break;
    case MessageType::kRoomError:
      out.body = RoomError{static_cast<RoomErrorCode>(message["code"].get<int>()),
                           KeepText(out, message["message"])};
      break;
    case MessageType::kLeave:
      out.body = Leave{};
      break;
    case MessageType::kAck:
      out.body =
          Ack{BatchOf(message["refId"]), static_cast<UpdateStatus>(message["status"].get<int>())};
      break;
  }
}

TEST(LoroProtocolTest, EncodesWhatThePublishedPackageEncodes) {
  const Json vectors = ReadVectors("loro.json");
  ASSERT_GE(vectors.size(), 19U);
  for (const Json& vector : vectors) {
    Described described;
    Describe(vector["message"], described);
    EXPECT_EQ(ToHex(Encode(described.kind, described.room, described.body)),
              vector["bytes"].get<std::string>())
        << vector["name"];
  }
}

TEST(LoroProtocolTest, DecodesWhatThePublishedPackageEncodes) {
  for (const Json& vector : ReadVectors("loro.json")) {
    Described described;
    Describe(vector["message"], described);
    const Bytes bytes = UnHex(vector["bytes"]);
    const Result<Envelope> envelope = DecodeEnvelope(bytes, kLimits);
    ASSERT_TRUE(envelope.ok()) << vector["name"] << envelope.error().ToString();
    EXPECT_EQ(envelope->kind, described.kind);
    EXPECT_EQ(envelope->room, described.room);
    const Result<MessageBody> body = DecodeBody(*envelope, kLimits);
    ASSERT_TRUE(body.ok()) << vector["name"] << body.error().ToString();
    EXPECT_EQ(body->index(), described.body.index()) << vector["name"];
    // Every field survives the way back.
    EXPECT_EQ(Encode(envelope->kind, envelope->room, *body), bytes) << vector["name"];
  }
}

TEST(LoroProtocolTest, EveryTruncationIsRefused) {
  for (const Json& vector : ReadVectors("loro.json")) {
    const Bytes bytes = UnHex(vector["bytes"]);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const BytesView cut = BytesView(bytes).substr(0, size);
      const Result<Envelope> envelope = DecodeEnvelope(cut, kLimits);
      if (!envelope.ok()) continue;
      const Result<MessageBody> body = DecodeBody(*envelope, kLimits);
      // The only fields that may be missing at the end are those of a JoinError.
      if (envelope->type == MessageType::kJoinError && body.ok()) continue;
      EXPECT_FALSE(body.ok()) << vector["name"] << " cut to " << size;
    }
  }
}

TEST(LoroProtocolTest, TrailingBytesAreRefused) {
  for (const Json& vector : ReadVectors("loro.json")) {
    const Bytes bytes = UnHex(vector["bytes"]) + '\0';
    const Result<Envelope> envelope = DecodeEnvelope(bytes, kLimits);
    ASSERT_TRUE(envelope.ok());
    if (envelope->type == MessageType::kJoinError) continue;  // reads it as an optional field
    EXPECT_FALSE(DecodeBody(*envelope, kLimits).ok()) << vector["name"];
  }
}

TEST(LoroProtocolTest, RoomIdAndUpdateCountAreBounded) {
  const Bytes room(129, 'r');
  EXPECT_EQ(DecodeEnvelope(Encode(RoomKind::kLoro, room, Leave{}), kLimits).error().code(),
            ErrorCode::kLimit);
  // 2^32 - 1 updates in a message of a few bytes.
  const Bytes many = FromHex(
                         "254c4f5201720"
                         "3ffffffff0f")
                         .value();
  const Result<Envelope> envelope = DecodeEnvelope(many, kLimits);
  ASSERT_TRUE(envelope.ok());
  EXPECT_FALSE(DecodeBody(*envelope, kLimits).ok());
}

TEST(LoroProtocolTest, LargeUpdatesAreFragmentedWithinTheMessageLimit) {
  const Bytes update(600'000, 'u');
  const std::vector<SharedBytes> messages =
      EncodeUpdate(RoomKind::kLoro, std::string(128, 'r'), update, 5, kLimits);
  ASSERT_EQ(messages.size(), 4U);
  Bytes joined;
  for (const SharedBytes& message : messages) {
    EXPECT_LE(message->size(), kLimits.loro_message_bytes_max);
    const Envelope envelope = DecodeEnvelope(*message, kLimits).value();
    const MessageBody body = DecodeBody(envelope, kLimits).value();
    if (const auto* header = std::get_if<FragmentHeader>(&body)) {
      EXPECT_EQ(header->fragment_count, 3U);
      EXPECT_EQ(header->total_bytes, update.size());
    } else {
      joined += std::get<Fragment>(body).bytes;
    }
  }
  EXPECT_EQ(joined, update);
}

TEST(LoroProtocolTest, RandomBytesAreRefusedOrReencodeTheSame) {
  SeededRandom random(1);
  const Json vectors = ReadVectors("loro.json");
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes = UnHex(vectors[random.Below(vectors.size())]["bytes"]);
    for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
      bytes[random.Below(bytes.size())] ^= static_cast<char>(1 << random.Below(8));
    }
    const Result<Envelope> envelope = DecodeEnvelope(bytes, kLimits);
    if (!envelope.ok()) continue;
    const Result<MessageBody> body = DecodeBody(*envelope, kLimits);
    if (!body.ok()) continue;
    const Bytes again = Encode(envelope->kind, envelope->room, *body);
    const Result<Envelope> second = DecodeEnvelope(again, kLimits);
    ASSERT_TRUE(second.ok());
    ASSERT_TRUE(DecodeBody(*second, kLimits).ok());
  }
}

}  // namespace
}  // namespace merrow::sync
