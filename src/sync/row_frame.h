// SPDX-License-Identifier: Apache-2.0
//
// The messages of the row frames dialect: binary frames that carry documents, text messages (JSON)
// that ask and answer. The frame header, 0x10, 0x11, crdt-subscribe and crdt-unsubscribe are
// Pylon's; the rest is Merrow's own, behind codes that Pylon's clients ignore.
//
// Binary: [type u8][length u16be][entity][length u16be][row id][payload to the end]
//   0x10 snapshot, server to client   payload: a snapshot
//   0x11 update, server to client     payload: an update
//   0x12 push, client to server       payload: [push id u32be][an update]
//
// DO NOT CHANGE the numbers and names: they are on the wire (test/vectors/protocol/row_frame.json).

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "merrow/result.h"
#include "merrow/version_vector.h"
#include "sync/limits.h"
#include "sync/row_source.h"

namespace merrow::sync {

enum class RowFrameType : uint8_t {
  kSnapshot = 0x10,
  kUpdate = 0x11,
  kPush = 0x12,
};

using PushId = uint32_t;

struct RowFrame {
  RowFrameType type = RowFrameType::kUpdate;
  std::string_view table;
  std::string_view key;
  PushId push_id = 0;  // only of kPush
  BytesView payload;
};

/// Views point into `message`. Corruption if it is not a frame.
Result<RowFrame> DecodeRowFrame(BytesView message);
/// REQUIRES: table and key are shorter than 64 KiB
Bytes EncodeRowFrame(const RowFrame& frame);

/// A text message from a client.
struct RowCommand {
  enum class Kind : uint8_t { kSubscribe, kUnsubscribe, kResync };
  Kind kind = Kind::kSubscribe;
  RowKey row;
  SharedVersion version;  // "vv"; null if absent
};

/// What a text message says, as far as it could be read: for the answer to one that is malformed.
struct RowCommandFields {
  std::optional<std::string> type;
  std::optional<std::string> entity;
  std::optional<std::string> row_id;
  std::optional<std::string> version;  // base64
};

/// Reads the fields of a JSON object, ignoring others. Corruption if the text is not one JSON
/// object or nests too deep.
Result<RowCommandFields> ReadCommandFields(std::string_view text, const Limits& limits);
/// Invalid argument if a field is missing, unknown or does not decode.
Result<RowCommand> ParseCommand(const RowCommandFields& fields, const Limits& limits);

/// {"type":"crdt-ack","entity":..,"rowId":..,"pushId":..,"vv":..}
std::string EncodeAckText(const RowKey& row, PushId push_id, const loro::VersionVector& version);
/// {"type":"crdt-synced","entity":..,"rowId":..,"vv":..}
std::string EncodeSyncedText(const RowKey& row, const loro::VersionVector& version);

/// {"type":"crdt-error",["entity":..,"rowId":..,]"code":..,"message":..[,"pushId":..][,"vv":..]}
struct RowErrorText {
  std::optional<RowKey> row = std::nullopt;
  std::string_view code;
  std::string_view message;
  std::optional<PushId> push_id = std::nullopt;
  const loro::VersionVector* version = nullptr;
};
std::string EncodeErrorText(const RowErrorText& error);

}  // namespace merrow::sync
