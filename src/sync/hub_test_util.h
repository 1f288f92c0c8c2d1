// SPDX-License-Identifier: Apache-2.0
//
// For the tests of the hub: raw connections to it, and what came over them, a line each.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "sync/hub.h"
#include "sync/model_client.h"
#include "sync/model_source.h"

namespace merrow::sync {

using Json = nlohmann::json;

inline const RowKey kRow{"note", "n1"};
inline const std::string kRoom = "note/n1";

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

inline Bytes Push(PushId id, const Bytes& update, std::string_view table = "note",
                  std::string_view key = "n1") {
  return EncodeRowFrame(
      {.type = RowFrameType::kPush, .table = table, .key = key, .push_id = id, .payload = update});
}

}  // namespace merrow::sync
