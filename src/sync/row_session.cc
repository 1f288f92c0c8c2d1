// SPDX-License-Identifier: Apache-2.0
#include "sync/row_session.h"

namespace merrow::sync {
namespace {

// "code" of crdt-error for what the row source or a check says. On the wire, DO NOT CHANGE.
std::string_view CodeFor(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return "unknown_table";
    case ErrorCode::kLimit:
      return "too_large";
    case ErrorCode::kBusy:
    case ErrorCode::kCancelled:
      return "busy";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorruption:
    case ErrorCode::kUnsupported:
    case ErrorCode::kConflict:
      return "invalid_update";
  }
  return "invalid_update";
}

}  // namespace

void RowSession::OnMessage(BytesView message, bool is_text) {
  if (message.size() > (is_text ? limits().row_text_bytes_max : limits().row_message_bytes_max)) {
    Refuse({.code = "too_large", .message = "the message is too large"});
    return;
  }
  if (is_text) {
    OnText(message);
    return;
  }
  const Result<RowFrame> frame = DecodeRowFrame(message);
  if (!frame.ok()) {
    Refuse({.code = "malformed", .message = frame.error().message()});
  } else if (frame->type != RowFrameType::kPush) {
    Refuse({.row = RowKey{std::string(frame->table), std::string(frame->key)},
            .code = "malformed",
            .message = "only push frames go to the server"});
  } else {
    OnPush(*frame);
  }
}

void RowSession::OnText(std::string_view text) {
  if (text == "ping") {
    SendText("pong");
    return;
  }
  if (text == "pong") return;
  const Result<RowCommandFields> fields = ReadCommandFields(text, limits());
  if (!fields.ok()) {
    Refuse({.code = "malformed", .message = fields.error().message()});
    return;
  }
  Result<RowCommand> command = ParseCommand(*fields, limits());
  if (command.ok()) {
    OnCommand(std::move(command).value());
    return;
  }
  RowErrorText error{.code = "malformed", .message = command.error().message()};
  if (fields->entity && fields->row_id) error.row = RowKey{*fields->entity, *fields->row_id};
  Refuse(error);
}

void RowSession::OnCommand(RowCommand command) {
  Subscription* const existing = fanout().Find(*this, command.row);
  if (command.kind == RowCommand::Kind::kUnsubscribe) {
    if (existing != nullptr) fanout().Close(*existing);
    return;
  }
  if (command.kind == RowCommand::Kind::kResync && existing == nullptr) {
    Refuse({.row = command.row, .code = "not_subscribed", .message = "subscribe first"});
    return;
  }
  if (const Status checked = CheckRow(command.row); !checked.ok()) {
    const bool unknown = checked.error().code() == ErrorCode::kNotFound;
    Refuse({.row = command.row,
            .code = unknown ? "unknown_table" : "invalid_key",
            .message = checked.error().message()});
    return;
  }
  if (existing == nullptr && subscriptions.size() >= limits().rooms_per_session_max) {
    Refuse({.row = command.row, .code = "too_many_rows", .message = "unsubscribe others first"});
    return;
  }
  fanout().Open(*this, command.row, std::move(command.version));
}

// Without "vv" the client gets the snapshot and nothing else, which is all that Pylon's clients
// know. With it, what it lacks (if anything) and then the row's version, so that it can push what
// the server lacks.
void RowSession::OnOpened(Subscription& subscription, const Opening& opening) {
  SendUpdate(opening.messages);
  if (!subscription.wants_snapshot) {
    SendText(EncodeSyncedText(subscription.row->key, *opening.version));
  }
}

void RowSession::OnReadFailed(Subscription& subscription, const Error& error) {
  const RowKey row = subscription.row->key;
  fanout().Close(subscription);
  Refuse({.row = row, .code = "unavailable", .message = error.message()});
}

void RowSession::OnPush(const RowFrame& frame) {
  const RowKey row{std::string(frame.table), std::string(frame.key)};
  const PushId push_id = frame.push_id;
  if (const Status checked = CheckRow(row); !checked.ok()) {
    const bool unknown = checked.error().code() == ErrorCode::kNotFound;
    Refuse({.row = row,
            .code = unknown ? "unknown_table" : "invalid_key",
            .message = checked.error().message(),
            .push_id = push_id});
    return;
  }
  const Status submitted = Submit(
      row, std::make_shared<const Bytes>(frame.payload),
      [this, row, push_id](const SubmitOutcome& outcome) { OnPushDone(row, push_id, outcome); });
  if (!submitted.ok()) RefuseRow(row, submitted.error(), push_id);
}

void RowSession::OnPushDone(const RowKey& row, PushId push_id, const SubmitOutcome& outcome) {
  if (const Applied* applied = std::get_if<Applied>(&outcome)) {
    SendText(EncodeAckText(row, push_id, *applied->after));
  } else if (const auto* missing = std::get_if<MissingDependencies>(&outcome)) {
    Refuse({.row = row,
            .code = "missing_dependencies",
            .message = "push what the server lacks since its vv",
            .push_id = push_id,
            .version = missing->version.get()});
  } else {
    RefuseRow(row, std::get<Error>(outcome), push_id);
  }
}

Status RowSession::CheckRow(const RowKey& row) const {
  if (row.key.empty()) return InvalidArgument("the key is empty");
  if (row.key.size() > limits().key_bytes_max) {
    return InvalidArgument("the key is " + std::to_string(row.key.size()) + " bytes");
  }
  return core().source.CheckRow(row);
}

void RowSession::Refuse(const RowErrorText& error) {
  std::string detail(error.message);
  if (error.row) detail += " (row " + error.row->table + "/" + error.row->key + ")";
  Report(LogLevel::kWarning, error.code, detail);
  SendText(EncodeErrorText(error));
}

void RowSession::RefuseRow(const RowKey& row, const Error& error, std::optional<PushId> push_id) {
  Refuse({.row = row, .code = CodeFor(error), .message = error.message(), .push_id = push_id});
}

}  // namespace merrow::sync
