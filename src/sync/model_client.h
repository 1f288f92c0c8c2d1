// SPDX-License-Identifier: Apache-2.0
//
// Clients of both dialects over ModelDocument, for tests: they do what the real ones do (ModelLoro:
// npm loro-websocket with its Loro adaptor; ModelRows: a client as docs/protocol.md describes it)
// and check what they are sent. The network between is two queues that the test moves along. Linked
// by tests only.

#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "sync/hub.h"
#include "sync/loro_protocol.h"
#include "sync/model_document.h"
#include "sync/row_frame.h"

namespace merrow::sync {

/// Keeps what the hub sends until the test takes it.
class ModelSink final : public SessionSink {
 public:
  void Send(SharedBytes message, bool is_text) override {
    EXPECT_FALSE(close_code) << "a message after the close";
    bytes_ += message->size();
    bytes_peak = std::max(bytes_peak, bytes_);
    message_bytes_peak = std::max(message_bytes_peak, message->size());
    messages_.emplace_back(std::move(message), is_text);
  }
  void Close(uint16_t code, std::string_view reason) override {
    EXPECT_FALSE(close_code);
    close_code = code;
    close_reason = reason;
  }
  void SetReading(bool enabled) override { is_reading = enabled; }
  size_t buffered_bytes() const override { return bytes_; }

  bool empty() const { return messages_.empty(); }
  std::pair<SharedBytes, bool> Take() {
    auto message = std::move(messages_.front());
    messages_.pop_front();
    bytes_ -= message.first->size();
    return message;
  }

  bool is_reading = true;
  std::optional<uint16_t> close_code;
  std::string close_reason;
  size_t bytes_peak = 0;
  size_t message_bytes_peak = 0;

 private:
  std::deque<std::pair<SharedBytes, bool>> messages_;
  size_t bytes_ = 0;
};

class ModelClient {
 public:
  ModelClient(Hub& hub, Dialect dialect, loro::PeerId peer)
      : hub_(hub), dialect_(dialect), peer_(peer) {}
  virtual ~ModelClient() {
    if (session_) hub_.CloseSession(*session_);
  }

  void Connect();
  /// The connection is lost, with all that was under way in both directions.
  void Drop();
  bool connected() const { return session_.has_value(); }

  /// Moves one message to the hub, or from it. False if there is none (or the hub does not read).
  bool MoveOut(int64_t now_ms);
  bool MoveIn();
  bool quiet() const { return outbox_.empty() && (!sink_ || sink_->empty()); }

  virtual void Enter(const RowKey& row) = 0;
  virtual void Leave(const RowKey& row) = 0;
  virtual void Edit(const RowKey& row, int ops) = 0;

  const ModelDocument& document(const RowKey& row) { return documents_[row]; }
  loro::PeerId peer() const { return peer_; }
  ModelSink& sink() { return *sink_; }
  SessionId session() const { return *session_; }
  void SendOut(Bytes message, bool is_text) { outbox_.emplace_back(std::move(message), is_text); }

  bool trace = false;  // print every message

  // What happened so far.
  size_t updates = 0;
  size_t echoes = 0;     // ops of its own that came back in an update
  size_t known_ops = 0;  // ops in an update that it had already
  size_t refusals = 0;
  std::map<RowKey, loro::VersionVector> acknowledged;

 protected:
  virtual void OnConnected() = 0;
  virtual void OnDropped() = 0;
  virtual void OnIncoming(BytesView message, bool is_text) = 0;
  void Import(const RowKey& row, BytesView blob);
  void Trace(const char* direction, BytesView message, bool is_text) const;

  /// A room that was left and entered again may still get what was on its way from before, with
  /// gaps, which a real document would park. So gaps are let pass in such a room from then on.
  void NoteLeft(const RowKey& row) { left_.insert(row); }

  std::map<RowKey, ModelDocument> documents_;

 private:
  Hub& hub_;
  const Dialect dialect_;
  const loro::PeerId peer_;
  std::optional<SessionId> session_;
  std::optional<ModelSink> sink_;
  std::deque<std::pair<Bytes, bool>> outbox_;
  std::set<RowKey> left_;
};

class ModelLoro final : public ModelClient {
 public:
  ModelLoro(Hub& hub, loro::PeerId peer, size_t fragment_bytes)
      : ModelClient(hub, Dialect::kLoroProtocol, peer), fragment_bytes_(fragment_bytes) {}

  void Enter(const RowKey& row) override;
  void Leave(const RowKey& row) override;
  void Edit(const RowKey& row, int ops) override;

  bool is_active(const RowKey& row) const { return active_.contains(row); }
  std::set<RowKey> evicted;  // RoomErrors other than "rejoin", and JoinErrors
  size_t rejoins = 0;
  std::map<UpdateStatus, size_t> acks;

 private:
  void OnConnected() override;
  void OnDropped() override;
  void OnIncoming(BytesView message, bool is_text) override;
  void OnJoined(const RowKey& row, const JoinResponseOk& body);
  void SendJoin(const RowKey& row);
  void SendUpdate(const RowKey& row, const Bytes& update);

  const size_t fragment_bytes_;
  std::set<RowKey> pending_;
  std::set<RowKey> active_;
  std::map<BatchId, std::pair<FragmentHeader, std::map<uint32_t, Bytes>>> fragments_;
  std::map<BatchId, std::pair<RowKey, loro::VersionVector>> sent_;
  BatchId next_batch_ = 1;
};

class ModelRows final : public ModelClient {
 public:
  ModelRows(Hub& hub, loro::PeerId peer) : ModelClient(hub, Dialect::kRowFrames, peer) {}

  void Enter(const RowKey& row) override;
  void Leave(const RowKey& row) override;
  void Edit(const RowKey& row, int ops) override;
  void Resync(const RowKey& row);

  std::vector<std::string> errors;  // codes

 private:
  void OnConnected() override;
  void OnDropped() override;
  void OnIncoming(BytesView message, bool is_text) override;
  void OnText(std::string_view text);
  void Subscribe(const RowKey& row, std::string_view type);
  void Push(const RowKey& row, const Bytes& update);
  void PushSince(const RowKey& row, const loro::VersionVector& version);

  std::set<RowKey> rows_;
  std::map<PushId, std::pair<RowKey, loro::VersionVector>> sent_;
  PushId next_push_ = 1;
};

}  // namespace merrow::sync
