// SPDX-License-Identifier: Apache-2.0
//
// RowSession: a client that speaks row frames (row_frame.h; docs/protocol.md, row frames).

#pragma once

#include <optional>
#include <string>
#include <unordered_set>

#include "sync/row_frame.h"
#include "sync/session.h"

namespace merrow::sync {

class RowSession final : public Session {
 public:
  RowSession(Core& core, SessionId id, SessionSink& sink)
      : Session(core, id, Dialect::kRowFrames, sink) {}

  void OnMessage(BytesView message, bool is_text) override;
  void OnTick() override {}
  bool has_timers() const override { return false; }
  void OnOpened(Subscription& subscription, const Opening& opening) override;
  void OnReadFailed(Subscription& subscription, const Error& error) override;
  size_t MemoryBytes() const override { return sizeof(*this); }

 private:
  void OnText(std::string_view text);
  void OnCommand(RowCommand command);
  void OnPush(const RowFrame& frame);
  void OnPushDone(const RowKey& row, PushId push_id, const SubmitOutcome& outcome);
  Status CheckRow(const RowKey& row) const;
  void Refuse(const RowErrorText& error);
  void RefuseRow(const RowKey& row, const Error& error, std::optional<PushId> push_id);
};

}  // namespace merrow::sync
