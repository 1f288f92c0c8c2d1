// SPDX-License-Identifier: Apache-2.0
//
// Store row source: the rows that client sync works on, kept by the store thread.

#pragma once

#include <functional>

#include "server/store_thread.h"
#include "sync/row_source.h"

namespace merrow::server {

class StoreRowSource final : public sync::RowSource {
 public:
  /// Both must outlive this. `key_bytes_max` as in store::StoreLimits.
  StoreRowSource(StoreThread& store, size_t key_bytes_max);

  Status CheckRow(const sync::RowKey& row) const override;
  Result<loro::VersionVector> UpdateEnd(BytesView update) const override;
  sync::SharedBytes JoinUpdates(const std::vector<sync::SharedBytes>& updates) const override;
  void Submit(const sync::RowKey& row, sync::SharedBytes update, SubmitDone done) override;
  void ReadSince(const sync::RowKey& row, sync::SharedVersion from, ReadDone done) override;

 private:
  StoreThread& store_;
  const size_t key_bytes_max_;
  const sync::SharedBytes empty_snapshot_;  // of a row that does not exist
};

}  // namespace merrow::server
