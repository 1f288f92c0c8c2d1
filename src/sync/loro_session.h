// SPDX-License-Identifier: Apache-2.0
//
// LoroSession: a client that speaks the Loro protocol (loro_protocol.h; docs/protocol.md, Loro
// protocol). It is written for what the published client, npm loro-websocket, really does:
//
//   - It never sends an update again because of an ack. What makes it resend is a RoomError with
//   code
//     rejoin_suggested: it joins again with its version, learns the server's, and sends the
//     difference. So everything that the server could not take and the client should keep trying is
//     answered by a negative ack and a suggestion to rejoin.
//   - When it (re)joins with edits that the server lacks, keystrokes typed meanwhile arrive before
//     that difference, and depend on it. They are parked until the difference has arrived, not
//     refused: refusing would make the client rejoin for ever while somebody types.

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sync/fragment_assembler.h"
#include "sync/loro_protocol.h"
#include "sync/session.h"

namespace merrow::sync {

class LoroSession final : public Session {
 public:
  LoroSession(Core& core, SessionId id, SessionSink& sink)
      : Session(core, id, Dialect::kLoroProtocol, sink), fragments_(limits()) {}

  void OnMessage(BytesView message, bool is_text) override;
  void OnTick() override;
  bool has_timers() const override { return !fragments_.empty() || parked_updates_ > 0; }
  void OnOpened(Subscription& subscription, const Opening& opening) override;
  void OnReadFailed(Subscription& subscription, const Error& error) override;
  void OnDrained() override;
  void OnClosed() override;
  size_t MemoryBytes() const override;

 private:
  // One message's updates: answered by one ack when the last of them is done.
  struct Batch {
    RowKey row;
    BatchId id = 0;
    uint64_t opening_id = 0;  // of the subscription that it arrived on
    size_t remaining = 0;
    UpdateStatus status = UpdateStatus::kOk;
    bool wants_rejoin = false;
    std::string detail;  // why it failed, for the log
  };
  using SharedBatch = std::shared_ptr<Batch>;

  struct Parked {
    SharedBytes update;
    SharedBatch batch;
  };
  // What is known about ops that the client has and the server has not, by row.
  struct Awaited {
    SharedVersion version;  // arrives with the client's next update; null until the row was read
    std::deque<Parked> parked;
    size_t bytes = 0;
    int64_t since_ms = 0;  // of the oldest parked update
  };

  void OnText(std::string_view text);
  void OnBinary(BytesView message);
  void OnMalformedBody(const Envelope& envelope, const Error& error);
  void OnOversized(BytesView message);

  // Joining and leaving.
  void OnJoin(const Envelope& envelope, const JoinRequest& join);
  void JoinRow(const Envelope& envelope, const JoinRequest& join);
  void JoinPresence(const Envelope& envelope);
  void RefuseVersion(const RowKey& row, std::string room, const Error& error);
  void RefuseJoin(const Envelope& envelope, JoinErrorCode code, std::string_view app_code,
                  std::string_view message);
  void OnLeave(const Envelope& envelope);
  void LeaveRow(Subscription& subscription);
  size_t room_count() const { return subscriptions.size() + presence_rooms_.size(); }

  // Updates.
  void OnDocUpdate(const Envelope& envelope, BytesView message, const DocUpdate& update);
  void OnFragmentHeader(const Envelope& envelope, const FragmentHeader& header);
  void OnFragment(const Envelope& envelope, const Fragment& fragment);
  void OnClientAck(const Envelope& envelope, const Ack& ack);
  bool IsJoined(const Envelope& envelope) const;
  void TakeUpdates(Subscription& subscription, const std::vector<BytesView>& updates,
                   BatchId batch);
  void TakePresence(const Envelope& envelope, const std::vector<BytesView>& updates, BatchId batch,
                    const std::vector<SharedBytes>& messages);
  void SubmitUpdate(const SharedBatch& batch, const SharedBytes& update);
  void OnUpdateDone(const SharedBatch& batch, const SharedBytes& update,
                    const SubmitOutcome& outcome);
  void FailUpdate(const SharedBatch& batch, const Error& error);
  void FinishUpdate(const SharedBatch& batch);
  bool Park(const SharedBatch& batch, const SharedBytes& update,
            const loro::VersionVector& server_version);
  void ReleaseParked(const RowKey& row);
  std::deque<Parked> TakeParked(const RowKey& row);
  void RefuseParked(const std::deque<Parked>& parked);

  // Answers.
  void SendAck(RoomKind kind, std::string_view room, BatchId batch, UpdateStatus status,
               std::string_view detail);
  // What a room was left for decides what happens when rejoining goes on without success.
  enum class Fault { kClient, kStore };
  void SuggestRejoin(const RowKey& row, std::string_view reason, Fault fault = Fault::kClient);
  void SendRoomError(RoomKind kind, std::string_view room, RoomErrorCode code,
                     std::string_view message);

  FragmentAssembler fragments_;
  std::set<std::string, std::less<>> presence_rooms_;
  std::map<RowKey, Awaited> awaited_;
  size_t parked_updates_ = 0;
  size_t parked_bytes_ = 0;
  // Rejoins suggested since the room's last accepted update.
  struct Rejoins {
    int count = 0;
    bool store_failed = false;  // one of them, so that the others may have followed from it
  };
  std::map<RowKey, Rejoins> rejoins_;
};

}  // namespace merrow::sync
