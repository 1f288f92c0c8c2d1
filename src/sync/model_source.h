// SPDX-License-Identifier: Apache-2.0
//
// ModelSource: a RowSource in memory, over ModelDocument. Nothing happens in Submit and ReadSince
// but queueing; the test decides when the store works (Work) and when completions arrive (Deliver),
// and whether reads may overtake and be overtaken by commits. Linked by tests only.

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "sync/model_document.h"
#include "sync/row_source.h"

namespace merrow::sync {

class ModelSource final : public RowSource {
 public:
  // --- RowSource ---
  Status CheckRow(const RowKey& row) const override {
    if (row.table != "note") return NotFound("no table \"" + row.table + "\"");
    if (row.key.find('!') != std::string::npos) return InvalidArgument("key with !");
    return {};
  }
  Result<loro::VersionVector> UpdateEnd(BytesView update) const override {
    MERROW_ASSIGN(const ModelBlob blob, DecodeBlob(update));
    return BlobEnd(blob);
  }
  SharedBytes JoinUpdates(const std::vector<SharedBytes>& updates) const override {
    ModelBlob joined;
    for (const SharedBytes& update : updates) {
      const ModelBlob blob = DecodeBlob(*update).value();
      joined.ops.insert(joined.ops.end(), blob.ops.begin(), blob.ops.end());
    }
    return std::make_shared<const Bytes>(EncodeBlob(joined));
  }
  void Submit(const RowKey& row, SharedBytes update, SubmitDone done) override {
    submits_.push_back({row, std::move(update), std::move(done)});
  }
  void ReadSince(const RowKey& row, SharedVersion from, ReadDone done) override {
    reads_.push_back({row, std::move(from), std::move(done)});
    ++reads_asked;
  }

  // --- The test's side ---

  bool idle() const {
    return submits_.empty() && reads_.empty() && completions_.empty() && late_.empty();
  }
  size_t completions() const { return completions_.size(); }
  size_t late() const { return late_.size(); }

  /// Executes the oldest waiting submit, or read.
  bool WorkSubmit();
  bool WorkRead();
  /// Calls the oldest completion (commits, and reads that keep to the order of commits).
  bool Deliver();
  /// Calls one of the reads' completions that do not keep to the order.
  bool DeliverLate(uint64_t index);
  /// Everything that waits, in order.
  void RunAll();

  const ModelDocument& document(const RowKey& row) { return documents_[row]; }
  const loro::VersionVector& version(const RowKey& row) { return documents_[row].version(); }

  bool reads_are_late = false;       // reads complete in any order
  std::optional<Error> fail_submit;  // the next one, when it is executed
  std::optional<Error> fail_read;
  size_t reads_asked = 0;

 private:
  struct PendingSubmit {
    RowKey row;
    SharedBytes update;
    SubmitDone done;
  };
  struct PendingRead {
    RowKey row;
    SharedVersion from;
    ReadDone done;
  };
  SharedVersion VersionOf(const RowKey& row) {
    return std::make_shared<const loro::VersionVector>(documents_[row].version());
  }

  std::map<RowKey, ModelDocument> documents_;
  std::deque<PendingSubmit> submits_;
  std::deque<PendingRead> reads_;
  std::deque<std::function<void()>> completions_;
  std::vector<std::function<void()>> late_;
};

}  // namespace merrow::sync
