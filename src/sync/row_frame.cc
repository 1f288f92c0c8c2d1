// SPDX-License-Identifier: Apache-2.0
#include "sync/row_frame.h"

#include <nlohmann/json.hpp>

namespace merrow::sync {
namespace {

using Json = nlohmann::ordered_json;

// Collects the known string members of the outermost object; builds nothing else.
class FieldCollector final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit FieldCollector(int depth_max) : depth_max_(depth_max) {}

  RowCommandFields TakeFields() { return std::move(fields_); }
  bool is_object() const { return is_object_; }
  const char* failure() const { return failure_; }

  bool null() override { return Scalar(); }
  bool boolean(bool) override { return Scalar(); }
  bool number_integer(number_integer_t) override { return Scalar(); }
  bool number_unsigned(number_unsigned_t) override { return Scalar(); }
  bool number_float(number_float_t, const string_t&) override { return Scalar(); }
  bool binary(binary_t&) override { return Scalar(); }
  bool string(string_t& text) override {
    if (depth_ == 1 && slot_ != nullptr) *slot_ = std::move(text);
    return Scalar();
  }
  bool key(string_t& name) override {
    if (depth_ == 1) slot_ = Slot(name);
    return true;
  }
  bool start_object(size_t) override {
    if (depth_ == 0) is_object_ = true;
    return Enter();
  }
  bool start_array(size_t) override { return Enter(); }
  bool end_object() override { return Exit(); }
  bool end_array() override { return Exit(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    if (failure_ == nullptr) failure_ = "not JSON";
    return false;
  }

 private:
  std::optional<std::string>* Slot(const std::string& name) {
    if (name == "type") return &fields_.type;
    if (name == "entity") return &fields_.entity;
    if (name == "rowId" || name == "row_id") return &fields_.row_id;
    if (name == "vv") return &fields_.version;
    return nullptr;
  }
  bool Enter() {
    slot_ = nullptr;
    if (++depth_ <= depth_max_) return true;
    failure_ = "JSON nests too deep";
    return false;
  }
  bool Exit() {
    --depth_;
    return true;
  }
  bool Scalar() {
    slot_ = nullptr;
    return true;
  }

  const int depth_max_;
  int depth_ = 0;
  bool is_object_ = false;
  const char* failure_ = nullptr;
  RowCommandFields fields_;
  std::optional<std::string>* slot_ = nullptr;
};

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void AddRow(Json& json, const RowKey& row) {
  json["entity"] = row.table;
  json["rowId"] = row.key;
}

Result<BytesView> ReadName(ByteReader& reader) {
  MERROW_ASSIGN(const uint16_t size, reader.U16Be());
  MERROW_ASSIGN(const BytesView name, reader.Take(size));
  if (!IsUtf8(name)) return reader.Fail("name is not UTF-8");
  return name;
}

}  // namespace

Result<RowFrame> DecodeRowFrame(BytesView message) {
  ByteReader reader(message);
  RowFrame frame;
  MERROW_ASSIGN(const uint8_t type, reader.U8());
  if (type < 0x10 || type > 0x12) return Corruption("unknown frame type " + std::to_string(type));
  frame.type = static_cast<RowFrameType>(type);
  MERROW_ASSIGN(frame.table, ReadName(reader));
  MERROW_ASSIGN(frame.key, ReadName(reader));
  if (frame.type == RowFrameType::kPush) {
    MERROW_ASSIGN(const BytesView id, reader.Take(4));
    for (const char byte : id) frame.push_id = frame.push_id << 8 | static_cast<uint8_t>(byte);
  }
  frame.payload = reader.rest();
  return frame;
}

Bytes EncodeRowFrame(const RowFrame& frame) {
  MERROW_CHECK(frame.table.size() <= UINT16_MAX && frame.key.size() <= UINT16_MAX);
  ByteWriter out;
  out.U8(static_cast<uint8_t>(frame.type));
  out.U16Be(static_cast<uint16_t>(frame.table.size()));
  out.Append(frame.table);
  out.U16Be(static_cast<uint16_t>(frame.key.size()));
  out.Append(frame.key);
  if (frame.type == RowFrameType::kPush) {
    out.U16Be(static_cast<uint16_t>(frame.push_id >> 16));
    out.U16Be(static_cast<uint16_t>(frame.push_id));
  }
  out.Append(frame.payload);
  return out.Release();
}

Result<RowCommandFields> ReadCommandFields(std::string_view text, const Limits& limits) {
  FieldCollector collector(limits.json_depth_max);
  const bool parsed = nlohmann::json::sax_parse(text.begin(), text.end(), &collector);
  if (!parsed) return Corruption(collector.failure() != nullptr ? collector.failure() : "not JSON");
  if (!collector.is_object()) return Corruption("not a JSON object");
  return collector.TakeFields();
}

Result<RowCommand> ParseCommand(const RowCommandFields& fields, const Limits& limits) {
  RowCommand command;
  if (!fields.type) return InvalidArgument("no \"type\"");
  if (*fields.type == "crdt-subscribe") {
    command.kind = RowCommand::Kind::kSubscribe;
  } else if (*fields.type == "crdt-unsubscribe") {
    command.kind = RowCommand::Kind::kUnsubscribe;
  } else if (*fields.type == "crdt-resync") {
    command.kind = RowCommand::Kind::kResync;
  } else {
    return InvalidArgument("unknown type \"" + fields.type->substr(0, 64) + "\"");
  }
  if (!fields.entity) return InvalidArgument("no \"entity\"");
  if (!fields.row_id) return InvalidArgument("no \"rowId\"");
  command.row = {*fields.entity, *fields.row_id};
  if (fields.version) {
    if (fields.version->size() / 4 * 3 > limits.version_bytes_max) {
      return LimitReached("\"vv\" of " + std::to_string(fields.version->size()) + " characters");
    }
    const Result<Bytes> bytes = FromBase64(*fields.version);
    if (!bytes.ok()) return InvalidArgument("\"vv\" is not base64");
    Result<loro::VersionVector> version = loro::VersionVector::Decode(*bytes);
    if (!version.ok()) return InvalidArgument("\"vv\": " + version.error().message());
    command.version = std::make_shared<const loro::VersionVector>(std::move(version).value());
  }
  return command;
}

std::string EncodeAckText(const RowKey& row, PushId push_id, const loro::VersionVector& version) {
  Json json;
  json["type"] = "crdt-ack";
  AddRow(json, row);
  json["pushId"] = push_id;
  json["vv"] = ToBase64(version.Encode());
  return Dump(json);
}

std::string EncodeSyncedText(const RowKey& row, const loro::VersionVector& version) {
  Json json;
  json["type"] = "crdt-synced";
  AddRow(json, row);
  json["vv"] = ToBase64(version.Encode());
  return Dump(json);
}

std::string EncodeErrorText(const RowErrorText& error) {
  Json json;
  json["type"] = "crdt-error";
  if (error.row) AddRow(json, *error.row);
  json["code"] = error.code;
  json["message"] = error.message;
  if (error.push_id) json["pushId"] = *error.push_id;
  if (error.version != nullptr) json["vv"] = ToBase64(error.version->Encode());
  return Dump(json);
}

}  // namespace merrow::sync
