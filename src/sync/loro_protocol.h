// SPDX-License-Identifier: Apache-2.0
//
// The messages of the Loro syncing protocol, version 1, as published with npm loro-protocol 0.3.
//
// A message is: 4 bytes that name the room's kind, the room id as varString, 1 byte message type,
// the body. varBytes and varString are an unsigned LEB128 length and that many bytes; varUint is
// unsigned LEB128 of at most 32 bits. Batch ids are 8 opaque bytes, here read as a big-endian
// number. The text frames "ping" and "pong" are outside of this format.
//
// DO NOT CHANGE the numbers: they are on the wire (test/vectors/protocol/loro.json).

#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"
#include "sync/limits.h"
#include "sync/row_source.h"

namespace merrow::sync {

/// What a room holds; with the room id, its name.
enum class RoomKind : uint8_t {
  kLoro,                // %LOR
  kEphemeral,           // %EPH
  kEphemeralPersisted,  // %EPS
  kYjs,                 // %YJS
  kYjsAwareness,        // %YAW
  kFlock,               // %FLO
  kEncryptedLoro,       // %ELO
};
std::string_view RoomKindMagic(RoomKind kind);

enum class MessageType : uint8_t {
  kJoinRequest = 0,
  kJoinResponseOk = 1,
  kJoinError = 2,
  kDocUpdate = 3,
  kFragmentHeader = 4,
  kFragment = 5,
  kRoomError = 6,
  kLeave = 7,
  kAck = 8,
};
std::string_view MessageTypeName(MessageType type);

enum class JoinErrorCode : uint8_t {
  kUnknown = 0,
  kVersionUnknown = 1,
  kAuthFailed = 2,
  kAppError = 0x7F,
};

enum class RoomErrorCode : uint8_t {
  kRejoinSuggested = 1,
  kEvicted = 2,
  kUnknown = 0x7F,
};

enum class UpdateStatus : uint8_t {
  kOk = 0,
  kUnknown = 1,
  kPermissionDenied = 3,
  kInvalidUpdate = 4,
  kPayloadTooLarge = 5,
  kRateLimited = 6,
  kFragmentTimeout = 7,
  kAppError = 0x7F,
};
std::string_view UpdateStatusName(UpdateStatus status);

using BatchId = uint64_t;

struct JoinRequest {
  static constexpr MessageType kType = MessageType::kJoinRequest;
  BytesView auth;
  BytesView version;
};
struct JoinResponseOk {
  static constexpr MessageType kType = MessageType::kJoinResponseOk;
  std::string_view permission;
  BytesView version;
  BytesView extra;
};
struct JoinError {
  static constexpr MessageType kType = MessageType::kJoinError;
  JoinErrorCode code = JoinErrorCode::kUnknown;
  std::string_view message;
  std::optional<BytesView> receiver_version = std::nullopt;  // only with kVersionUnknown
  std::optional<std::string_view> app_code = std::nullopt;   // only with kAppError
};
struct DocUpdate {
  static constexpr MessageType kType = MessageType::kDocUpdate;
  std::vector<BytesView> updates;
  BatchId batch = 0;
};
struct FragmentHeader {
  static constexpr MessageType kType = MessageType::kFragmentHeader;
  BatchId batch = 0;
  uint32_t fragment_count = 0;
  uint32_t total_bytes = 0;
};
struct Fragment {
  static constexpr MessageType kType = MessageType::kFragment;
  BatchId batch = 0;
  uint32_t index = 0;
  BytesView bytes;
};
struct RoomError {
  static constexpr MessageType kType = MessageType::kRoomError;
  RoomErrorCode code = RoomErrorCode::kUnknown;
  std::string_view message;
};
struct Leave {
  static constexpr MessageType kType = MessageType::kLeave;
};
struct Ack {
  static constexpr MessageType kType = MessageType::kAck;
  BatchId batch = 0;
  UpdateStatus status = UpdateStatus::kOk;
};

using MessageBody = std::variant<JoinRequest, JoinResponseOk, JoinError, DocUpdate, FragmentHeader,
                                 Fragment, RoomError, Leave, Ack>;

/// The part of a message that names its room and type: enough to answer it, whatever its body.
struct Envelope {
  RoomKind kind = RoomKind::kLoro;
  std::string_view room;
  MessageType type = MessageType::kLeave;
  BytesView body;
};

/// Views point into `message`. Corruption if it is not one; limit if the room id is too long.
Result<Envelope> DecodeEnvelope(BytesView message, const Limits& limits);
/// The body of a message, checked to its last byte.
Result<MessageBody> DecodeBody(const Envelope& envelope, const Limits& limits);

/// Every body type has its encoder here. Nothing is checked: the caller keeps to the limits.
Bytes Encode(RoomKind kind, std::string_view room, const MessageBody& body);

/// The messages that carry one update to a client: one DocUpdate, or a header and fragments.
std::vector<SharedBytes> EncodeUpdate(RoomKind kind, std::string_view room, BytesView update,
                                      BatchId batch, const Limits& limits);

}  // namespace merrow::sync
