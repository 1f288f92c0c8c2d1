// SPDX-License-Identifier: Apache-2.0
#include "sync/loro_protocol.h"

#include <algorithm>
#include <array>

namespace merrow::sync {
namespace {

constexpr std::array<std::string_view, 7> kMagic = {"%LOR", "%EPH", "%EPS", "%YJS",
                                                    "%YAW", "%FLO", "%ELO"};
constexpr std::string_view kTypeNames[] = {
    "join_request", "join_response_ok", "join_error", "doc_update", "fragment_header",
    "fragment",     "room_error",       "leave",      "ack"};

Result<BytesView> ReadBytes(ByteReader& reader) {
  MERROW_ASSIGN(const uint32_t size, reader.Uleb32());
  return reader.Take(size);
}

Result<std::string_view> ReadText(ByteReader& reader) {
  MERROW_ASSIGN(const std::string_view text, ReadBytes(reader));
  if (!IsUtf8(text)) return reader.Fail("text is not UTF-8");
  return text;
}

Result<MessageBody> DecodeJoinRequest(ByteReader& reader) {
  JoinRequest body;
  MERROW_ASSIGN(body.auth, ReadBytes(reader));
  MERROW_ASSIGN(body.version, ReadBytes(reader));
  return MessageBody(body);
}

Result<MessageBody> DecodeJoinResponseOk(ByteReader& reader) {
  JoinResponseOk body;
  MERROW_ASSIGN(body.permission, ReadText(reader));
  if (body.permission != "read" && body.permission != "write") {
    return reader.Fail("permission is neither read nor write");
  }
  MERROW_ASSIGN(body.version, ReadBytes(reader));
  MERROW_ASSIGN(body.extra, ReadBytes(reader));
  return MessageBody(body);
}

Result<MessageBody> DecodeJoinError(ByteReader& reader) {
  JoinError body;
  MERROW_ASSIGN(const uint8_t code, reader.U8());
  body.code = code == 1 || code == 2 || code == 0x7F ? static_cast<JoinErrorCode>(code)
                                                     : JoinErrorCode::kUnknown;
  MERROW_ASSIGN(body.message, ReadText(reader));
  if (body.code == JoinErrorCode::kVersionUnknown && !reader.empty()) {
    MERROW_ASSIGN(body.receiver_version, ReadBytes(reader));
  }
  if (body.code == JoinErrorCode::kAppError && !reader.empty()) {
    MERROW_ASSIGN(body.app_code, ReadText(reader));
  }
  return MessageBody(body);
}

Result<MessageBody> DecodeDocUpdate(ByteReader& reader, const Limits& limits) {
  DocUpdate body;
  MERROW_ASSIGN(const uint32_t count, reader.Uleb32());
  if (count > limits.updates_per_message_max) return reader.Fail("too many updates in a message");
  // Each takes at least its length byte, which bounds the allocation by the input.
  if (count > reader.remaining()) return reader.Fail("update count is past the end");
  body.updates.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(const BytesView update, ReadBytes(reader));
    body.updates.push_back(update);
  }
  MERROW_ASSIGN(body.batch, reader.U64Be());
  return MessageBody(std::move(body));
}

Result<MessageBody> DecodeFragmentHeader(ByteReader& reader) {
  FragmentHeader body;
  MERROW_ASSIGN(body.batch, reader.U64Be());
  MERROW_ASSIGN(body.fragment_count, reader.Uleb32());
  MERROW_ASSIGN(body.total_bytes, reader.Uleb32());
  return MessageBody(body);
}

Result<MessageBody> DecodeFragment(ByteReader& reader) {
  Fragment body;
  MERROW_ASSIGN(body.batch, reader.U64Be());
  MERROW_ASSIGN(body.index, reader.Uleb32());
  MERROW_ASSIGN(body.bytes, ReadBytes(reader));
  return MessageBody(body);
}

Result<MessageBody> DecodeRoomError(ByteReader& reader) {
  RoomError body;
  MERROW_ASSIGN(const uint8_t code, reader.U8());
  body.code = code == 1 || code == 2 ? static_cast<RoomErrorCode>(code) : RoomErrorCode::kUnknown;
  MERROW_ASSIGN(body.message, ReadText(reader));
  return MessageBody(body);
}

Result<MessageBody> DecodeAck(ByteReader& reader) {
  Ack body;
  MERROW_ASSIGN(body.batch, reader.U64Be());
  MERROW_ASSIGN(const uint8_t status, reader.U8());
  const bool known = status == 0 || (status >= 3 && status <= 7) || status == 0x7F;
  body.status = known ? static_cast<UpdateStatus>(status) : UpdateStatus::kUnknown;
  return MessageBody(body);
}

Result<MessageBody> DecodeByType(MessageType type, ByteReader& reader, const Limits& limits) {
  switch (type) {
    case MessageType::kJoinRequest:
      return DecodeJoinRequest(reader);
    case MessageType::kJoinResponseOk:
      return DecodeJoinResponseOk(reader);
    case MessageType::kJoinError:
      return DecodeJoinError(reader);
    case MessageType::kDocUpdate:
      return DecodeDocUpdate(reader, limits);
    case MessageType::kFragmentHeader:
      return DecodeFragmentHeader(reader);
    case MessageType::kFragment:
      return DecodeFragment(reader);
    case MessageType::kRoomError:
      return DecodeRoomError(reader);
    case MessageType::kLeave:
      return MessageBody(Leave());
    case MessageType::kAck:
      return DecodeAck(reader);
  }
  return reader.Fail("unknown message type");
}

struct BodyWriter {
  ByteWriter& out;

  void operator()(const JoinRequest& body) {
    out.LengthPrefixed(body.auth);
    out.LengthPrefixed(body.version);
  }
  void operator()(const JoinResponseOk& body) {
    out.LengthPrefixed(body.permission);
    out.LengthPrefixed(body.version);
    out.LengthPrefixed(body.extra);
  }
  void operator()(const JoinError& body) {
    out.U8(static_cast<uint8_t>(body.code));
    out.LengthPrefixed(body.message);
    if (body.code == JoinErrorCode::kVersionUnknown && body.receiver_version) {
      out.LengthPrefixed(*body.receiver_version);
    }
    if (body.code == JoinErrorCode::kAppError && body.app_code) out.LengthPrefixed(*body.app_code);
  }
  void operator()(const DocUpdate& body) {
    out.Uleb(body.updates.size());
    for (const BytesView update : body.updates) out.LengthPrefixed(update);
    out.U64Be(body.batch);
  }
  void operator()(const FragmentHeader& body) {
    out.U64Be(body.batch);
    out.Uleb(body.fragment_count);
    out.Uleb(body.total_bytes);
  }
  void operator()(const Fragment& body) {
    out.U64Be(body.batch);
    out.Uleb(body.index);
    out.LengthPrefixed(body.bytes);
  }
  void operator()(const RoomError& body) {
    out.U8(static_cast<uint8_t>(body.code));
    out.LengthPrefixed(body.message);
  }
  void operator()(const Leave&) {}
  void operator()(const Ack& body) {
    out.U64Be(body.batch);
    out.U8(static_cast<uint8_t>(body.status));
  }
};

SharedBytes Share(Bytes bytes) { return std::make_shared<const Bytes>(std::move(bytes)); }

}  // namespace

std::string_view RoomKindMagic(RoomKind kind) { return kMagic[static_cast<size_t>(kind)]; }

std::string_view MessageTypeName(MessageType type) { return kTypeNames[static_cast<size_t>(type)]; }

std::string_view UpdateStatusName(UpdateStatus status) {
  switch (status) {
    case UpdateStatus::kOk:
      return "ok";
    case UpdateStatus::kUnknown:
      return "unknown";
    case UpdateStatus::kPermissionDenied:
      return "permission_denied";
    case UpdateStatus::kInvalidUpdate:
      return "invalid_update";
    case UpdateStatus::kPayloadTooLarge:
      return "payload_too_large";
    case UpdateStatus::kRateLimited:
      return "rate_limited";
    case UpdateStatus::kFragmentTimeout:
      return "fragment_timeout";
    case UpdateStatus::kAppError:
      return "app_error";
  }
  return "unknown";
}

Result<Envelope> DecodeEnvelope(BytesView message, const Limits& limits) {
  ByteReader reader(message);
  Envelope envelope;
  MERROW_ASSIGN(const BytesView magic, reader.Take(4));
  const auto kind = std::find(kMagic.begin(), kMagic.end(), magic);
  if (kind == kMagic.end()) return Corruption("unknown room kind 0x" + ToHex(magic));
  envelope.kind = static_cast<RoomKind>(kind - kMagic.begin());
  MERROW_ASSIGN(envelope.room, ReadText(reader));
  if (envelope.room.size() > limits.room_id_bytes_max) {
    return LimitReached("room id of " + std::to_string(envelope.room.size()) + " bytes");
  }
  MERROW_ASSIGN(const uint8_t type, reader.U8());
  if (type > static_cast<uint8_t>(MessageType::kAck)) {
    return Corruption("unknown message type " + std::to_string(type));
  }
  envelope.type = static_cast<MessageType>(type);
  envelope.body = reader.rest();
  return envelope;
}

Result<MessageBody> DecodeBody(const Envelope& envelope, const Limits& limits) {
  ByteReader reader(envelope.body);
  MERROW_ASSIGN(MessageBody body, DecodeByType(envelope.type, reader, limits));
  MERROW_TRY(reader.ExpectEnd());
  return body;
}

Bytes Encode(RoomKind kind, std::string_view room, const MessageBody& body) {
  ByteWriter out;
  out.Append(RoomKindMagic(kind));
  out.LengthPrefixed(room);
  std::visit(
      [&out](const auto& value) {
        out.U8(static_cast<uint8_t>(value.kType));
        BodyWriter{out}(value);
      },
      body);
  return out.Release();
}

std::vector<SharedBytes> EncodeUpdate(RoomKind kind, std::string_view room, BytesView update,
                                      BatchId batch, const Limits& limits) {
  if (update.size() <= limits.fragment_bytes) {
    DocUpdate body;
    body.updates.push_back(update);
    body.batch = batch;
    return {Share(Encode(kind, room, body))};
  }
  const size_t count = (update.size() + limits.fragment_bytes - 1) / limits.fragment_bytes;
  std::vector<SharedBytes> messages;
  messages.reserve(count + 1);
  messages.push_back(
      Share(Encode(kind, room,
                   FragmentHeader{.batch = batch,
                                  .fragment_count = static_cast<uint32_t>(count),
                                  .total_bytes = static_cast<uint32_t>(update.size())})));
  for (size_t i = 0; i < count; ++i) {
    const BytesView part = update.substr(i * limits.fragment_bytes, limits.fragment_bytes);
    messages.push_back(Share(Encode(
        kind, room, Fragment{.batch = batch, .index = static_cast<uint32_t>(i), .bytes = part})));
  }
  return messages;
}

}  // namespace merrow::sync
