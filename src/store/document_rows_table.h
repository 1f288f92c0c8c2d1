// SPDX-License-Identifier: Apache-2.0
//
// What document_rows.h knows of a document table.

#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/document_rows.h"

namespace merrow::store {

/// Documents that one page of a scan over a whole table takes.
inline constexpr int64_t kDocumentKeysPerPage = 256;

struct DocumentRows::TableState {
  int64_t id = 0;  // in _merrow_table
  std::string name;
  bool is_renamed = false;  // since _merrow_table was told
  bool is_there = false;
  /// Why nothing can be done with its rows, if so; then there is no more than the above. Documents
  /// can be read nevertheless: writing may need functions that this connection has not, in
  /// triggers.
  Status usable;
  std::unique_ptr<const Table> table;
  std::optional<Projection> projection;
  std::optional<RowCapture> capture;
  std::string page_sql;  // keys after one, in order
};

/// The peer of a document that is made of a row from before its table was tracked. Rows that are
/// the same make the same ops, so that copies of a database that were tracked apart from each other
/// can merge without having everything twice.
loro::PeerId ContentPeer(const Table& table, std::span<const cells::ValueView> row);

}  // namespace merrow::store
