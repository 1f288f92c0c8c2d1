// SPDX-License-Identifier: Apache-2.0
//
// The SQLite file of a store: what makes it Merrow's, its settings, and Merrow's own tables.
//
// application_id is kApplicationId and user_version kFormatVersion. Besides the tables of the
// schema it holds:
//
//   _merrow_table (id INTEGER PRIMARY KEY, name TEXT UNIQUE)
//       The document tables, by the number that stands for them below.
//   _merrow_document (table_id, key, id, quarantine, PRIMARY KEY (table_id, key)) WITHOUT ROWID
//       The documents; `id` is a number from 1 that names the document below. `quarantine` is NULL,
//       or why the document cannot be decoded.
//   _merrow_log (id INTEGER PRIMARY KEY, bytes BLOB)
//       The bytes of documents. id = document id << 24 | seq. Seq 0 is the base, a FastSnapshot
//       blob; it is absent until the log is folded for the first time. Seq 1, 2, ... is the log,
//       one FastUpdates blob each. The document is the base and then the log, imported in this
//       order: one range scan. Appending touches one page.
//   _merrow_stale (document_id INTEGER PRIMARY KEY, table_id, key)
//       Documents whose row waits for its projection (projection.h).

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "merrow/result.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace merrow::store {

/// "MRRW". DO NOT CHANGE: it is on disk.
inline constexpr int32_t kApplicationId = 0x4D525257;
/// Of the tables above. A file with a larger number is refused.
inline constexpr int32_t kFormatVersion = 1;

/// Bits of the seq in an id of _merrow_log. DO NOT CHANGE: it is on disk.
inline constexpr int kSeqBits = 24;
inline constexpr int64_t kSeqMax = (int64_t{1} << kSeqBits) - 1;
inline int64_t LogId(int64_t document_id, int64_t seq) { return (document_id << kSeqBits) | seq; }

/// Half the usual size: an edit of one document costs one page of log, and rows are small.
inline constexpr int kPageBytes = 2048;

/// Opens or creates the file, checks whose it is and applies the settings. REQUIRES: the caller has
/// the FileLock.
Result<std::unique_ptr<Database>> OpenDatabaseFile(const std::string& path, int busy_timeout_ms);

/// Opens a database that is there, a server's or any other that may have tracked tables, with its
/// settings as they are. Invalid argument if it is none, unsupported if a newer Merrow made it.
Result<std::unique_ptr<Database>> OpenExistingDatabase(const std::string& path,
                                                       int busy_timeout_ms);
/// The errors of that, for a connection of the caller's.
Status CheckExistingDatabase(Database& database, const std::string& path);

/// In the caller's transaction: marks a new file as Merrow's and creates Merrow's tables in it.
Status InitializeFormat(Database& database);

/// In the caller's transaction: creates Merrow's tables for documents in somebody else's database.
/// It is marked as Merrow's too, so that a server can open it, unless its marks are in use.
Status CreateDocumentTables(Database& database);

/// In the caller's transaction: creates what the schema has and the file has not, and adds columns.
/// Invalid argument if a table or column was dropped or changed. Gives the names of the document
/// tables that have new columns.
Result<std::vector<std::string>> ApplySchema(Database& database, const Schema& schema);

/// In the caller's transaction: the number of a document table, from _merrow_table.
Result<int64_t> TableId(Database& database, const std::string& name);

}  // namespace merrow::store
