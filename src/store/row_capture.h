// SPDX-License-Identifier: Apache-2.0
//
// Row capture: a row of a document table as SQL has it now, made into ops of its document by
// row_edit.h. The server and the connections of document_rows.h do the same here; how a document is
// loaded, whose the ops are and where they go is theirs.

#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "merrow/document.h"
#include "merrow/result.h"
#include "store/row_edit.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace merrow::store {

class RowCapture {
 public:
  /// `database` and `table` must outlive this. Asks SQLite for the values of the defaults.
  static Result<RowCapture> Make(Database& database, const Table& table);

  /// The peer that makes the ops, given the row's values.
  using PeerOf = std::function<loro::PeerId(std::span<const cells::ValueView> row)>;

  struct Outcome {
    bool edited = false;
    bool shows = true;  // the row shows its document
  };
  /// Edits `document` so that it shows the row of `key`, and commits that; nothing happens if there
  /// is no such row. `is_new`: the document is nowhere yet, and exists with an edit. Invalid
  /// argument if the row of a document went, or says why a column cannot hold its value; then the
  /// document is to be dropped.
  Result<Outcome> Edit(std::string_view key, bool is_new, const PeerOf& peer,
                       loro::Document& document) const;

 private:
  RowCapture(Database& database, const Table& table, std::vector<cells::Value> defaults);

  Database* database_;
  RowEditor editor_;
  std::string read_sql_;
};

}  // namespace merrow::store
