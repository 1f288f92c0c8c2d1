// SPDX-License-Identifier: Apache-2.0
//
// The triggers of document tables: they tell whoever has the database open, merrow.so or a server,
// that SQL wrote a row, and refuse what a document cannot do. They are in the file, so a program
// that knows nothing of documents cannot write such a table by mistake: the functions that they
// call are not there.
//
//     _merrow_document_<id>_insert   AFTER INSERT    merrow_document_insert(id, NEW.key)
//     _merrow_document_<id>_update   AFTER UPDATE    merrow_document_update(id, NEW.key, OLD.key)
//     _merrow_document_<id>_delete   BEFORE DELETE   merrow_document_delete(id, OLD.key)
//
// SQLite tells no trigger of the rows that a REPLACE takes away. A table with unique indexes
// besides the key therefore has two more, which name the rows that may go, so that it is noticed if
// they do:
//
//     _merrow_document_<id>_replace_insert   BEFORE INSERT
//     _merrow_document_<id>_replace_update   BEFORE UPDATE
//
// Both call merrow_document_insert(id, key) for each row that has what is unique in NEW.
//
// (Indexes on expressions are not looked at.)
//
// DO NOT CHANGE: on disk. <id> is that of _merrow_table.

#pragma once

#include <cstdint>
#include <string_view>

#include "merrow/result.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace merrow::store {

/// Whom triggers of document tables tell that SQL wrote a row.
class DocumentEvents {
 public:
  virtual ~DocumentEvents() = default;
  /// `key`: of the row as it is now. An error fails the statement.
  virtual Status RowWritten(int64_t table_id, std::string_view key) = 0;
  /// Merrow itself is writing: nothing is captured or refused.
  virtual bool is_writing() const = 0;
};

/// Registers what the triggers call: merrow_document_insert, _update and _delete. `events` must
/// outlive the connection.
Status RegisterDocumentFunctions(sqlite3* db, DocumentEvents* events);

/// In the caller's transaction: makes them, unless they are there. The last two follow the indexes
/// that the table has now.
Status CreateDocumentTriggers(Database& database, int64_t table_id, const Table& table);
Status DropDocumentTriggers(Database& database, int64_t table_id);
/// False for a table that was dropped and made anew: nobody heard of what was written to it since.
Result<bool> HasDocumentTriggers(Database& database, int64_t table_id);

}  // namespace merrow::store
