// SPDX-License-Identifier: Apache-2.0
#include "sync/loro_session.h"

#include "sync/presence.h"

namespace merrow::sync {
namespace {

// A room of kind %LOR is "table/key"; the first slash splits, so keys may have slashes.
Result<RowKey> ParseRoom(std::string_view room) {
  const size_t slash = room.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == room.size()) {
    return InvalidArgument("a room is named table/key");
  }
  return RowKey{std::string(room.substr(0, slash)), std::string(room.substr(slash + 1))};
}

std::string RoomOf(const RowKey& row) { return row.table + "/" + row.key; }

UpdateStatus StatusFor(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kLimit:
      return UpdateStatus::kPayloadTooLarge;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorruption:
    case ErrorCode::kUnsupported:
    case ErrorCode::kConflict:
      return UpdateStatus::kInvalidUpdate;
    case ErrorCode::kNotFound:
      return UpdateStatus::kPermissionDenied;
    case ErrorCode::kBusy:
    case ErrorCode::kIo:
    case ErrorCode::kCancelled:
      return UpdateStatus::kUnknown;
  }
  return UpdateStatus::kUnknown;
}

// What `claimed` has of ops that `version` has not, of at most `peers_max` peers.
SharedVersion NotIn(const loro::VersionVector& claimed, const loro::VersionVector& version,
                    size_t peers_max) {
  auto rest = std::make_shared<loro::VersionVector>();
  for (const auto& entry : claimed.entries()) {
    if (entry.end <= version.End(entry.peer)) continue;
    if (rest->entries().size() == peers_max) break;
    rest->Set(entry.peer, entry.end);
  }
  return rest;
}

// The update itself is fine; it failed for a reason that may pass.
bool IsTransient(UpdateStatus status) {
  return status == UpdateStatus::kUnknown || status == UpdateStatus::kRateLimited ||
         status == UpdateStatus::kFragmentTimeout;
}

}  // namespace

// --- Messages ---

void LoroSession::OnMessage(BytesView message, bool is_text) {
  if (is_text) {
    OnText(message);
  } else if (message.size() > limits().loro_message_bytes_max) {
    OnOversized(message);
  } else {
    OnBinary(message);
  }
}

void LoroSession::OnText(std::string_view text) {
  if (text == "ping") {
    SendText("pong");
  } else if (text != "pong") {
    Report(LogLevel::kInfo, "unexpected_text", "text other than ping and pong is ignored");
  }
}

// One linear dispatch.
void LoroSession::OnBinary(BytesView message) {
  const Result<Envelope> envelope = DecodeEnvelope(message, limits());
  if (!envelope.ok()) {
    // It names no room that an answer could go to. 1002: protocol error.
    Fail(1002, "malformed_message", envelope.error().message());
    return;
  }
  const Result<MessageBody> body = DecodeBody(*envelope, limits());
  if (!body.ok()) {
    OnMalformedBody(*envelope, body.error());
    return;
  }
  switch (envelope->type) {
    case MessageType::kJoinRequest:
      OnJoin(*envelope, std::get<JoinRequest>(*body));
      break;
    case MessageType::kDocUpdate:
      OnDocUpdate(*envelope, message, std::get<DocUpdate>(*body));
      break;
    case MessageType::kFragmentHeader:
      OnFragmentHeader(*envelope, std::get<FragmentHeader>(*body));
      break;
    case MessageType::kFragment:
      OnFragment(*envelope, std::get<Fragment>(*body));
      break;
    case MessageType::kAck:
      OnClientAck(*envelope, std::get<Ack>(*body));
      break;
    case MessageType::kJoinError:  // the client could not use the JoinResponseOk
      Report(LogLevel::kInfo, "client_join_error", std::get<JoinError>(*body).message);
      OnLeave(*envelope);
      break;
    case MessageType::kLeave:
      OnLeave(*envelope);
      break;
    case MessageType::kJoinResponseOk:
    case MessageType::kRoomError:
      Report(LogLevel::kInfo, "unexpected_message", MessageTypeName(envelope->type));
      break;
  }
}

void LoroSession::OnMalformedBody(const Envelope& envelope, const Error& error) {
  const std::string detail = std::string(MessageTypeName(envelope.type)) + ": " + error.message();
  if (envelope.type == MessageType::kJoinRequest) {
    RefuseJoin(envelope, JoinErrorCode::kAppError, "malformed", detail);
    return;
  }
  Report(LogLevel::kWarning, "malformed_body", detail);
  OnLeave(envelope);
  SendRoomError(envelope.kind, envelope.room, RoomErrorCode::kUnknown, "malformed " + detail);
}

// The envelope and the batch id of a DocUpdate can be found without reading what is between.
void LoroSession::OnOversized(BytesView message) {
  const Result<Envelope> envelope = DecodeEnvelope(message, limits());
  if (!envelope.ok() || envelope->type != MessageType::kDocUpdate || envelope->body.size() < 8) {
    Fail(1009, "message_too_large", std::to_string(message.size()) + " bytes");
    return;
  }
  ByteReader tail(envelope->body.substr(envelope->body.size() - 8));
  SendAck(envelope->kind, envelope->room, tail.U64Be().value(), UpdateStatus::kPayloadTooLarge,
          std::to_string(message.size()) + " bytes");
}

// --- Joining and leaving ---

void LoroSession::OnJoin(const Envelope& envelope, const JoinRequest& join) {
  switch (envelope.kind) {
    case RoomKind::kLoro:
      JoinRow(envelope, join);
      break;
    case RoomKind::kEphemeral:
      JoinPresence(envelope);
      break;
    case RoomKind::kEphemeralPersisted:
    case RoomKind::kYjs:
    case RoomKind::kYjsAwareness:
    case RoomKind::kFlock:
    case RoomKind::kEncryptedLoro:
      RefuseJoin(envelope, JoinErrorCode::kAppError, "unsupported_room_kind",
                 "only %LOR and %EPH rooms are served here");
      break;
  }
}

void LoroSession::JoinRow(const Envelope& envelope, const JoinRequest& join) {
  const Result<RowKey> row = ParseRoom(envelope.room);
  const Status checked = row.ok() ? core().source.CheckRow(*row) : Status(row.error());
  if (!checked.ok()) {
    const bool unknown = checked.error().code() == ErrorCode::kNotFound;
    RefuseJoin(envelope, JoinErrorCode::kAppError, unknown ? "unknown_table" : "invalid_room",
               checked.error().message());
    return;
  }
  const bool is_new = fanout().Find(*this, *row) == nullptr;
  if (is_new && room_count() >= limits().rooms_per_session_max) {
    RefuseJoin(envelope, JoinErrorCode::kAppError, "too_many_rooms", "leave other rooms first");
    return;
  }
  SharedVersion claimed;
  if (!join.version.empty()) {
    if (join.version.size() > limits().version_bytes_max) {
      RefuseVersion(*row, std::string(envelope.room), LimitReached("the version is too long"));
      return;
    }
    Result<loro::VersionVector> version = loro::VersionVector::Decode(join.version);
    if (!version.ok()) {
      RefuseVersion(*row, std::string(envelope.room), version.error());
      return;
    }
    if (!version->empty()) {
      claimed = std::make_shared<const loro::VersionVector>(std::move(version).value());
    }
  }
  if (Subscription* const old = fanout().Find(*this, *row)) {
    // The client is about to learn the server's version and to send all that is lacking, what is
    // parked included.
    const std::deque<Parked> parked = TakeParked(*row);
    LeaveRow(*old);
    RefuseParked(parked);
  }
  fanout().Open(*this, *row, std::move(claimed));
}

void LoroSession::OnOpened(Subscription& subscription, const Opening& opening) {
  const RowKey row = subscription.row->key;
  const Bytes version = opening.version->Encode();
  SendBinary(Encode(RoomKind::kLoro, RoomOf(row),
                    JoinResponseOk{.permission = "write", .version = version, .extra = {}}));
  SendUpdate(opening.messages);
  if (opening.version->Includes(*opening.claimed)) {
    ReleaseParked(row);
  } else {
    awaited_[row].version = NotIn(*opening.claimed, *opening.version, limits().foreign_peers_max);
  }
}

void LoroSession::OnReadFailed(Subscription& subscription, const Error& error) {
  const RowKey row = subscription.row->key;
  const std::string room = RoomOf(row);
  const bool is_opening = subscription.state == Subscription::State::kOpening;
  Report(LogLevel::kWarning, "unavailable", room + ": " + error.message());
  if (!is_opening) {
    SuggestRejoin(row, "the row could not be read", Fault::kStore);
    return;
  }
  LeaveRow(subscription);
  SendBinary(Encode(RoomKind::kLoro, room,
                    JoinError{.code = JoinErrorCode::kAppError,
                              .message = "the row could not be read",
                              .app_code = "unavailable"}));
}

// The answer carries the row's version, which has to be read first.
void LoroSession::RefuseVersion(const RowKey& row, std::string room, const Error& error) {
  Report(LogLevel::kWarning, "version_unknown", room + ": " + error.message());
  ReadVersion(row, [this, room = std::move(room)](const loro::VersionVector& version) {
    const Bytes bytes = version.Encode();
    SendBinary(Encode(RoomKind::kLoro, room,
                      JoinError{.code = JoinErrorCode::kVersionUnknown,
                                .message = "the version does not decode",
                                .receiver_version = bytes}));
  });
}

void LoroSession::JoinPresence(const Envelope& envelope) {
  if (envelope.room.empty()) {
    RefuseJoin(envelope, JoinErrorCode::kAppError, "invalid_room", "the room id is empty");
    return;
  }
  const bool is_new = !presence_rooms_.contains(envelope.room);
  if (is_new && room_count() >= limits().rooms_per_session_max) {
    RefuseJoin(envelope, JoinErrorCode::kAppError, "too_many_rooms", "leave other rooms first");
    return;
  }
  if (const Status joined = core().presence->Join(*this, envelope.room); !joined.ok()) {
    RefuseJoin(envelope, JoinErrorCode::kAppError, "too_many_rooms", joined.error().message());
    return;
  }
  presence_rooms_.emplace(envelope.room);
  SendBinary(Encode(RoomKind::kEphemeral, envelope.room,
                    JoinResponseOk{.permission = "write", .version = {}, .extra = {}}));
  const Bytes state = core().presence->State(envelope.room);
  if (!state.empty()) {
    SendUpdate(sync::EncodeUpdate(RoomKind::kEphemeral, envelope.room, state,
                                  core().next_batch_id++, limits()));
  }
}

void LoroSession::RefuseJoin(const Envelope& envelope, JoinErrorCode code,
                             std::string_view app_code, std::string_view message) {
  std::string detail = std::string(RoomKindMagic(envelope.kind)) + " ";
  detail.append(envelope.room).append(": ").append(message);
  Report(LogLevel::kWarning, app_code, detail);
  SendBinary(Encode(envelope.kind, envelope.room,
                    JoinError{.code = code, .message = message, .app_code = app_code}));
}

void LoroSession::OnLeave(const Envelope& envelope) {
  if (envelope.kind == RoomKind::kEphemeral) {
    const auto room = presence_rooms_.find(envelope.room);
    if (room == presence_rooms_.end()) return;
    core().presence->Leave(*this, *room);
    presence_rooms_.erase(room);
  } else if (envelope.kind == RoomKind::kLoro) {
    const Result<RowKey> row = ParseRoom(envelope.room);
    Subscription* const subscription = row.ok() ? fanout().Find(*this, *row) : nullptr;
    if (subscription == nullptr) return;
    LeaveRow(*subscription);
    return;
  }
  fragments_.DropRoom(envelope.kind, envelope.room);
}

void LoroSession::LeaveRow(Subscription& subscription) {
  const RowKey row = subscription.row->key;
  TakeParked(row);
  fragments_.DropRoom(RoomKind::kLoro, RoomOf(row));
  fanout().Close(subscription);
}

void LoroSession::OnClosed() {
  for (const std::string& room : presence_rooms_) core().presence->Leave(*this, room);
  presence_rooms_.clear();
}

void LoroSession::OnDrained() {
  for (const std::string& room : presence_rooms_) core().presence->OnDrained(*this, room);
}

// --- Updates ---

bool LoroSession::IsJoined(const Envelope& envelope) const {
  if (envelope.kind == RoomKind::kEphemeral) return presence_rooms_.contains(envelope.room);
  if (envelope.kind != RoomKind::kLoro) return false;
  const Result<RowKey> row = ParseRoom(envelope.room);
  return row.ok() && fanout().Find(*this, *row) != nullptr;
}

void LoroSession::OnDocUpdate(const Envelope& envelope, BytesView message,
                              const DocUpdate& update) {
  if (!IsJoined(envelope)) {
    SendAck(envelope.kind, envelope.room, update.batch, UpdateStatus::kPermissionDenied,
            "not joined");
  } else if (envelope.kind == RoomKind::kEphemeral) {
    TakePresence(envelope, update.updates, update.batch, {std::make_shared<const Bytes>(message)});
  } else {
    TakeUpdates(*fanout().Find(*this, ParseRoom(envelope.room).value()), update.updates,
                update.batch);
  }
}

void LoroSession::OnFragmentHeader(const Envelope& envelope, const FragmentHeader& header) {
  if (!IsJoined(envelope)) {
    SendAck(envelope.kind, envelope.room, header.batch, UpdateStatus::kPermissionDenied,
            "not joined");
    return;
  }
  const size_t bytes_max = envelope.kind == RoomKind::kEphemeral
                               ? limits().presence_message_bytes_max
                               : limits().update_bytes_max;
  const UpdateStatus status = fragments_.Begin(
      {envelope.kind, std::string(envelope.room), header.batch}, header, bytes_max, core().now_ms);
  if (status == UpdateStatus::kOk) return;
  SendAck(envelope.kind, envelope.room, header.batch, status, "fragment header");
  if (IsTransient(status) && envelope.kind == RoomKind::kLoro) {
    SuggestRejoin(ParseRoom(envelope.room).value(), "too many fragments at once");
  }
}

void LoroSession::OnFragment(const Envelope& envelope, const Fragment& fragment) {
  FragmentAssembler::Added added = fragments_.Add(
      {envelope.kind, std::string(envelope.room), fragment.batch}, fragment, core().now_ms);
  if (std::holds_alternative<FragmentAssembler::Incomplete>(added)) return;
  if (std::holds_alternative<FragmentAssembler::UnknownBatch>(added)) {
    SendAck(envelope.kind, envelope.room, fragment.batch, UpdateStatus::kFragmentTimeout,
            "fragment of a batch that is not known (any more)");
    return;
  }
  if (const UpdateStatus* status = std::get_if<UpdateStatus>(&added)) {
    SendAck(envelope.kind, envelope.room, fragment.batch, *status, "fragment");
    if (IsTransient(*status) && envelope.kind == RoomKind::kLoro) {
      SuggestRejoin(ParseRoom(envelope.room).value(), "too many fragments at once");
    }
    return;
  }
  const Bytes& update = std::get<Bytes>(added);
  // Whoever has left the room since the header has lost its fragments too.
  if (envelope.kind == RoomKind::kEphemeral) {
    TakePresence(
        envelope, {update}, fragment.batch,
        sync::EncodeUpdate(envelope.kind, envelope.room, update, fragment.batch, limits()));
  } else {
    TakeUpdates(*fanout().Find(*this, ParseRoom(envelope.room).value()), {update}, fragment.batch);
  }
}

void LoroSession::TakePresence(const Envelope& envelope, const std::vector<BytesView>& updates,
                               BatchId batch, const std::vector<SharedBytes>& messages) {
  size_t bytes = 0;
  for (const BytesView update : updates) bytes += update.size();
  if (bytes > limits().presence_message_bytes_max) {
    SendAck(envelope.kind, envelope.room, batch, UpdateStatus::kPayloadTooLarge,
            std::to_string(bytes) + " bytes of presence");
    return;
  }
  const Status status = core().presence->Update(*this, envelope.room, updates, messages);
  SendAck(envelope.kind, envelope.room, batch,
          status.ok() ? UpdateStatus::kOk : StatusFor(status.error()),
          status.ok() ? "" : status.error().message());
}

void LoroSession::TakeUpdates(Subscription& subscription, const std::vector<BytesView>& updates,
                              BatchId batch_id) {
  const auto batch = std::make_shared<Batch>();
  batch->row = subscription.row->key;
  batch->id = batch_id;
  batch->opening_id = subscription.opening_id;
  // One more than the updates, so that it does not finish before all of them were submitted.
  batch->remaining = updates.size() + 1;
  for (const BytesView update : updates) {
    if (update.empty()) {
      --batch->remaining;
    } else {
      SubmitUpdate(batch, std::make_shared<const Bytes>(update));
    }
  }
  FinishUpdate(batch);
}

void LoroSession::SubmitUpdate(const SharedBatch& batch, const SharedBytes& update) {
  const Status submitted =
      Submit(batch->row, update, [this, batch, update](const SubmitOutcome& outcome) {
        OnUpdateDone(batch, update, outcome);
      });
  if (!submitted.ok()) FailUpdate(batch, submitted.error());
}

void LoroSession::OnUpdateDone(const SharedBatch& batch, const SharedBytes& update,
                               const SubmitOutcome& outcome) {
  if (const Error* error = std::get_if<Error>(&outcome)) {
    FailUpdate(batch, *error);
    return;
  }
  if (const auto* missing = std::get_if<MissingDependencies>(&outcome)) {
    if (Park(batch, update, *missing->version)) return;
    batch->wants_rejoin = true;
    batch->status = UpdateStatus::kInvalidUpdate;
    batch->detail = "it depends on ops that the server lacks";
    FinishUpdate(batch);
    return;
  }
  const Applied& applied = std::get<Applied>(outcome);
  if (*applied.before != *applied.after) rejoins_.erase(batch->row);
  FinishUpdate(batch);
  const auto awaited = awaited_.find(batch->row);
  if (awaited != awaited_.end() && awaited->second.version != nullptr &&
      applied.after->Includes(*awaited->second.version)) {
    ReleaseParked(batch->row);
  }
}

void LoroSession::FailUpdate(const SharedBatch& batch, const Error& error) {
  batch->status = StatusFor(error);
  batch->wants_rejoin |= IsTransient(batch->status);
  batch->detail = error.ToString();
  FinishUpdate(batch);
}

void LoroSession::FinishUpdate(const SharedBatch& batch) {
  if (--batch->remaining > 0) return;
  SendAck(RoomKind::kLoro, RoomOf(batch->row), batch->id, batch->status, batch->detail);
  if (!batch->wants_rejoin) return;
  // Once per opening: when several updates fail together, the first makes the client rejoin, and
  // that heals all of them.
  const Subscription* const subscription = fanout().Find(*this, batch->row);
  if (subscription != nullptr && subscription->opening_id == batch->opening_id) {
    SuggestRejoin(batch->row, "updates are missing; join again to reconcile",
                  batch->status == UpdateStatus::kUnknown ? Fault::kStore : Fault::kClient);
  }
}

// Keeps the update for later if what it depends on is on its way.
bool LoroSession::Park(const SharedBatch& batch, const SharedBytes& update,
                       const loro::VersionVector& server_version) {
  const Subscription* const subscription = fanout().Find(*this, batch->row);
  if (subscription == nullptr || subscription->opening_id != batch->opening_id) return false;
  const bool is_opening = subscription->state == Subscription::State::kOpening;
  const auto found = awaited_.find(batch->row);
  if (!is_opening && found == awaited_.end()) return false;
  Awaited& awaited = awaited_[batch->row];
  if (awaited.version != nullptr && server_version.Includes(*awaited.version)) return false;
  if (awaited.parked.size() >= limits().parked_updates_max ||
      awaited.bytes + update->size() > limits().parked_bytes_max ||
      parked_bytes_ + update->size() > limits().parked_session_bytes_max) {
    return false;
  }
  if (awaited.parked.empty()) awaited.since_ms = core().now_ms;
  awaited.bytes += update->size();
  awaited.parked.push_back({update, batch});
  ++parked_updates_;
  parked_bytes_ += update->size();
  return true;
}

// What they depend on has arrived.
void LoroSession::ReleaseParked(const RowKey& row) {
  for (const Parked& parked : TakeParked(row)) SubmitUpdate(parked.batch, parked.update);
}

std::deque<LoroSession::Parked> LoroSession::TakeParked(const RowKey& row) {
  const auto node = awaited_.extract(row);
  if (node.empty()) return {};
  parked_updates_ -= node.mapped().parked.size();
  parked_bytes_ -= node.mapped().bytes;
  return std::move(node.mapped().parked);
}

void LoroSession::RefuseParked(const std::deque<Parked>& parked) {
  for (const Parked& each : parked) {
    each.batch->status = UpdateStatus::kInvalidUpdate;
    each.batch->detail = "what it depends on did not arrive";
    FinishUpdate(each.batch);
  }
}

void LoroSession::OnClientAck(const Envelope& envelope, const Ack& ack) {
  if (ack.status == UpdateStatus::kOk) return;
  Report(LogLevel::kWarning, "client_rejected_update",
         std::string(envelope.room) + ": " + std::string(UpdateStatusName(ack.status)));
  // What the client has is not known any more; it says so when it joins again.
  if (envelope.kind == RoomKind::kLoro && IsJoined(envelope)) {
    SuggestRejoin(ParseRoom(envelope.room).value(), "join again to receive the update again");
  }
}

void LoroSession::OnTick() {
  for (const FragmentAssembler::Key& key : fragments_.Expire(core().now_ms)) {
    SendAck(key.kind, key.room, key.batch, UpdateStatus::kFragmentTimeout, "fragments are missing");
    if (key.kind == RoomKind::kLoro) {
      const RowKey row = ParseRoom(key.room).value();
      if (fanout().Find(*this, row) != nullptr) SuggestRejoin(row, "fragments are missing");
    }
  }
  std::vector<RowKey> late;
  for (const auto& [row, awaited] : awaited_) {
    if (!awaited.parked.empty() && core().now_ms - awaited.since_ms >= limits().parked_timeout_ms) {
      late.push_back(row);
    }
  }
  for (const RowKey& row : late) SuggestRejoin(row, "what the updates depend on did not arrive");
}

// --- Answers ---

void LoroSession::SendAck(RoomKind kind, std::string_view room, BatchId batch, UpdateStatus status,
                          std::string_view detail) {
  if (status != UpdateStatus::kOk) {
    std::string line(room);
    line.append(": ").append(detail);
    Report(LogLevel::kWarning, UpdateStatusName(status), line);
  }
  SendBinary(Encode(kind, room, Ack{.batch = batch, .status = status}));
}

// The room is left either way: the protocol says so of every RoomError.
void LoroSession::SuggestRejoin(const RowKey& row, std::string_view reason, Fault fault) {
  Subscription* const subscription = fanout().Find(*this, row);
  if (subscription == nullptr) return;
  const std::deque<Parked> parked = TakeParked(row);
  LeaveRow(*subscription);
  RefuseParked(parked);
  const bool has_room = rejoins_.contains(row) || rejoins_.size() < limits().rooms_per_session_max;
  if (has_room) rejoins_[row].store_failed |= fault == Fault::kStore;
  if (!has_room || ++rejoins_[row].count > limits().rejoins_max) {
    const auto ended = rejoins_.extract(row);
    if (!ended.empty() && ended.mapped().store_failed) {
      // The disk is full, say. Whoever is evicted stays out and types on for nobody; after 1013
      // (try again later) a client connects again, after a pause, until the store takes what it
      // has.
      return Fail(1013, "unavailable", RoomOf(row) + ": the store cannot take updates");
    }
    Report(LogLevel::kWarning, "evicted", RoomOf(row) + ": rejoining does not help");
    SendRoomError(RoomKind::kLoro, RoomOf(row), RoomErrorCode::kEvicted,
                  "rejoining did not reconcile this room");
    return;
  }
  ++core().metrics.rejoins_suggested;
  SendRoomError(RoomKind::kLoro, RoomOf(row), RoomErrorCode::kRejoinSuggested, reason);
}

void LoroSession::SendRoomError(RoomKind kind, std::string_view room, RoomErrorCode code,
                                std::string_view message) {
  SendBinary(Encode(kind, room, RoomError{.code = code, .message = message}));
}

size_t LoroSession::MemoryBytes() const {
  size_t bytes = sizeof(*this) + fragments_.held_bytes();
  for (const std::string& room : presence_rooms_) bytes += room.capacity() + 64;
  for (const auto& [row, awaited] : awaited_) {
    bytes += sizeof(Awaited) + awaited.bytes + 64;
    if (awaited.version != nullptr) bytes += awaited.version->entries().capacity() * 16;
  }
  return bytes + rejoins_.size() * 128;
}

}  // namespace merrow::sync
