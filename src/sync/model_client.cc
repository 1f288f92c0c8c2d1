// SPDX-License-Identifier: Apache-2.0
#include "sync/model_client.h"

#include <nlohmann/json.hpp>

namespace merrow::sync {
namespace {

const Limits kProtocolLimits;

RowKey RowOf(std::string_view room) {
  const size_t slash = room.find('/');
  return {std::string(room.substr(0, slash)), std::string(room.substr(slash + 1))};
}

std::string RoomOf(const RowKey& row) { return row.table + "/" + row.key; }

}  // namespace

// --- ModelClient ---

void ModelClient::Connect() {
  if (session_) return;
  if (trace) printf("%lu connects\n", peer_);
  sink_.emplace();
  session_ = hub_.OpenSession(dialect_, *sink_);
  OnConnected();
}

void ModelClient::Drop() {
  if (!session_) return;
  hub_.CloseSession(*session_);
  session_.reset();
  sink_.reset();
  outbox_.clear();
  left_.clear();
  OnDropped();
}

bool ModelClient::MoveOut(int64_t now_ms) {
  if (!session_ || outbox_.empty() || !sink_->is_reading) return false;
  const auto [message, is_text] = std::move(outbox_.front());
  outbox_.pop_front();
  if (trace) Trace("->", message, is_text);
  hub_.OnMessage(*session_, message, is_text, now_ms);
  return true;
}

bool ModelClient::MoveIn() {
  if (!session_ || sink_->empty()) return false;
  const auto [message, is_text] = sink_->Take();
  if (trace) Trace("<-", *message, is_text);
  OnIncoming(*message, is_text);
  if (sink_->empty()) hub_.OnDrained(*session_);
  return true;
}

void ModelClient::Trace(const char* direction, BytesView message, bool is_text) const {
  std::string what(message);
  if (!is_text && dialect_ == Dialect::kLoroProtocol) {
    const Envelope envelope = DecodeEnvelope(message, kProtocolLimits).value();
    what = std::string(MessageTypeName(envelope.type)) + " " + std::string(envelope.room) + " " +
           ToHex(envelope.body.substr(0, 40));
  } else if (!is_text) {
    what = "frame " + ToHex(message.substr(0, 60));
  }
  printf("%lu %s %s\n", peer_, direction, what.c_str());
}

void ModelClient::Import(const RowKey& row, BytesView bytes) {
  const Result<ModelBlob> blob = DecodeBlob(bytes);
  ASSERT_TRUE(blob.ok()) << blob.error().ToString();
  ModelDocument& document = documents_[row];
  ++updates;
  if (!blob->is_snapshot) {
    for (const ModelOp& op : blob->ops) {
      if (!document.version().Includes(op.id)) continue;
      ++known_ops;
      if (op.id.peer == peer_) ++echoes;
    }
  }
  const bool imported = document.Import(*blob);
  EXPECT_TRUE(imported || left_.contains(row))
      << "a gap: peer " << peer_ << " at " << document.version().ToString() << " was sent up to "
      << BlobEnd(*blob).ToString();
}

// --- ModelLoro ---

void ModelLoro::Enter(const RowKey& row) {
  if (trace) printf("%lu enters %s\n", peer(), row.key.c_str());
  if (pending_.contains(row) || active_.contains(row)) return;
  evicted.erase(row);
  pending_.insert(row);
  if (connected()) SendJoin(row);
}

// As room.destroy() does.
void ModelLoro::Leave(const RowKey& row) {
  if (trace) printf("%lu leaves %s\n", peer(), row.key.c_str());
  // Only a room that was joined can be left.
  if (pending_.contains(row) || active_.erase(row) == 0 || !connected()) return;
  NoteLeft(row);
  SendOut(Encode(RoomKind::kLoro, RoomOf(row), sync::Leave{}), false);
}

void ModelLoro::Edit(const RowKey& row, int ops) {
  const Bytes update = documents_[row].Edit(peer(), ops);
  if (active_.contains(row) && connected()) SendUpdate(row, update);
}

void ModelLoro::SendJoin(const RowKey& row) {
  const Bytes version = documents_[row].version().Encode();
  SendOut(Encode(RoomKind::kLoro, RoomOf(row), JoinRequest{.auth = {}, .version = version}), false);
}

void ModelLoro::SendUpdate(const RowKey& row, const Bytes& update) {
  Limits limits;
  limits.fragment_bytes = fragment_bytes_;
  const BatchId batch = next_batch_++;
  sent_[batch] = {row, BlobEnd(DecodeBlob(update).value())};
  for (const SharedBytes& message :
       EncodeUpdate(RoomKind::kLoro, RoomOf(row), update, batch, limits)) {
    SendOut(*message, false);
  }
}

void ModelLoro::OnConnected() {
  for (const RowKey& row : active_) {
    pending_.insert(row);
    SendJoin(row);
  }
  for (const RowKey& row : pending_) {
    if (!active_.contains(row)) SendJoin(row);
  }
}

void ModelLoro::OnDropped() {
  fragments_.clear();
  sent_.clear();
}

// One linear dispatch.
void ModelLoro::OnIncoming(BytesView message, bool is_text) {
  if (is_text) return;
  const Envelope envelope = DecodeEnvelope(message, kProtocolLimits).value();
  const MessageBody body = DecodeBody(envelope, kProtocolLimits).value();
  const RowKey row = RowOf(envelope.room);
  if (const auto* joined = std::get_if<JoinResponseOk>(&body)) {
    OnJoined(row, *joined);
  } else if (const auto* update = std::get_if<DocUpdate>(&body)) {
    if (!active_.contains(row) && !pending_.contains(row)) return;
    for (const BytesView bytes : update->updates) Import(row, bytes);
  } else if (const auto* header = std::get_if<FragmentHeader>(&body)) {
    fragments_[header->batch] = {*header, {}};
  } else if (const auto* fragment = std::get_if<Fragment>(&body)) {
    auto& [head, parts] = fragments_.at(fragment->batch);
    parts.emplace(fragment->index, fragment->bytes);
    if (parts.size() < head.fragment_count) return;
    Bytes whole;
    for (const auto& [index, bytes] : parts) whole += bytes;
    fragments_.erase(fragment->batch);
    if (active_.contains(row) || pending_.contains(row)) Import(row, whole);
  } else if (const auto* error = std::get_if<RoomError>(&body)) {
    pending_.erase(row);
    if (!active_.contains(row)) return;
    if (error->code == RoomErrorCode::kRejoinSuggested) {
      ++rejoins;
      pending_.insert(row);
      SendJoin(row);
    } else {
      active_.erase(row);
      evicted.insert(row);
    }
  } else if (std::holds_alternative<JoinError>(body)) {
    if (pending_.erase(row) == 0) return;
    active_.erase(row);
    evicted.insert(row);
  } else if (const auto* ack = std::get_if<Ack>(&body)) {
    ++acks[ack->status];
    const auto sent = sent_.find(ack->batch);
    if (sent == sent_.end()) return;
    if (ack->status == UpdateStatus::kOk) {
      acknowledged[sent->second.first].Merge(sent->second.second);
    } else {
      ++refusals;
    }
    sent_.erase(sent);
  }
}

// As LoroAdaptor.handleJoinOk does.
void ModelLoro::OnJoined(const RowKey& row, const JoinResponseOk& body) {
  if (pending_.erase(row) == 0) return;
  active_.insert(row);
  const loro::VersionVector server = loro::VersionVector::Decode(body.version).value();
  const ModelDocument& document = documents_[row];
  if (!server.Includes(document.version())) SendUpdate(row, document.ExportSince(server));
}

// --- ModelRows ---

void ModelRows::Enter(const RowKey& row) {
  if (!rows_.insert(row).second || !connected()) return;
  Subscribe(row, "crdt-subscribe");
}

void ModelRows::Leave(const RowKey& row) {
  if (rows_.erase(row) == 0 || !connected()) return;
  NoteLeft(row);
  nlohmann::json text = {{"type", "crdt-unsubscribe"}, {"entity", row.table}, {"rowId", row.key}};
  SendOut(text.dump(), true);
}

void ModelRows::Edit(const RowKey& row, int ops) {
  const Bytes update = documents_[row].Edit(peer(), ops);
  if (rows_.contains(row) && connected()) Push(row, update);
}

void ModelRows::Resync(const RowKey& row) {
  if (rows_.contains(row) && connected()) Subscribe(row, "crdt-resync");
}

void ModelRows::Subscribe(const RowKey& row, std::string_view type) {
  nlohmann::json text = {{"type", type}, {"entity", row.table}, {"rowId", row.key}};
  // Whoever has nothing may leave out the version, as Pylon's clients do.
  const loro::VersionVector& version = documents_[row].version();
  if (!version.empty() || peer() % 2 == 0) text["vv"] = ToBase64(version.Encode());
  SendOut(text.dump(), true);
}

void ModelRows::Push(const RowKey& row, const Bytes& update) {
  const PushId id = next_push_++;
  sent_[id] = {row, BlobEnd(DecodeBlob(update).value())};
  SendOut(EncodeRowFrame({.type = RowFrameType::kPush,
                          .table = row.table,
                          .key = row.key,
                          .push_id = id,
                          .payload = update}),
          false);
}

void ModelRows::PushSince(const RowKey& row, const loro::VersionVector& version) {
  const ModelDocument& document = documents_[row];
  if (!version.Includes(document.version())) Push(row, document.ExportSince(version));
}

void ModelRows::OnConnected() {
  for (const RowKey& row : rows_) Subscribe(row, "crdt-subscribe");
}

void ModelRows::OnDropped() { sent_.clear(); }

void ModelRows::OnIncoming(BytesView message, bool is_text) {
  if (is_text) {
    OnText(message);
    return;
  }
  const RowFrame frame = DecodeRowFrame(message).value();
  const RowKey row{std::string(frame.table), std::string(frame.key)};
  if (rows_.contains(row)) Import(row, frame.payload);
}

void ModelRows::OnText(std::string_view message) {
  const nlohmann::json text = nlohmann::json::parse(message);
  const std::string type = text["type"];
  const RowKey row{text.value("entity", ""), text.value("rowId", "")};
  std::optional<loro::VersionVector> version;
  if (text.contains("vv")) {
    const std::string base64 = text["vv"];
    version = loro::VersionVector::Decode(FromBase64(base64).value()).value();
  }
  if (type == "crdt-synced") {
    if (rows_.contains(row)) PushSince(row, *version);
  } else if (type == "crdt-ack") {
    const auto sent = sent_.find(text["pushId"].get<PushId>());
    if (sent == sent_.end()) return;
    EXPECT_TRUE(version->Includes(sent->second.second));
    acknowledged[row].Merge(sent->second.second);
    sent_.erase(sent);
  } else if (type == "crdt-error") {
    const std::string code = text["code"];
    errors.push_back(code);
    ++refusals;
    if (code == "missing_dependencies") {
      PushSince(row, *version);
    } else if (code == "io" || code == "busy") {
      Resync(row);
    } else if (code == "unavailable" && rows_.contains(row)) {
      Subscribe(row, "crdt-subscribe");
    }
  }
}

}  // namespace merrow::sync
