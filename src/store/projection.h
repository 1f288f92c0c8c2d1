// SPDX-License-Identifier: Apache-2.0
//
// Projection: a document as the columns of its row.
//
//   column                 source in the document             SQL value
//   scalar                 slot `row`.<column>                null, integer, real, text, blob; true
//   and
//                                                             false as 1 and 0; lists, maps and
//                                                             child containers as JSON text (Text
//                                                             as text)
//   CRDT_TEXT              root Text <column>                 plain text
//   CRDT_COUNTER           root Counter <column>              number
//   CRDT_LIST, CRDT_MAP    root List or Map <column>          JSON text
//   CRDT_MOVABLE_LIST      root MovableList <column>          JSON text
//   CRDT_TREE              root Tree <column>                 JSON text
//
// A slot that is absent gives the column's default, or NULL. A CRDT_ column whose root container is
// empty shows a child container of its kind at `row`.<column> instead if there is one (Pylon's
// layout). A value of another type than the column's never rejects an edit: SQLite stores what the
// column's affinity makes of it. Constraints do: NOT NULL, UNIQUE, CHECK, foreign keys and RAISE in
// triggers refuse the edit whole.
//
// When a row is written. SQLite rewrites a whole row, with its overflow pages, when one column
// changes: for a body of 50,000 characters that is about 54 KB of write-ahead log for one typed
// character, against 2 KB (one page) for its entry in the document's log. Nothing inside an
// ordinary table avoids it: a generated column cannot read another table, a view over chunks of
// text is not a table (no indexes, foreign keys, upserts or declared types), and writing into the
// blob in place cannot insert. So a table stays an ordinary table, and
//
//   (1) scalar columns, and all columns of rows up to `immediate_projection_bytes_max`, are written
//       in the transaction of the edit;
//   (2) an edit that touches only CRDT_ columns of a longer row leaves the row for later, and notes
//       that in _merrow_stale in the same transaction. The row is written with the edit that brings
//       the cost down to kDeferredBytesPerEdit for each edit since the last time (50 edits for
//       50,000 characters), or when there was no edit for `projection_pause_ms`;
//   (3) Store::FlushProjections() writes all such rows, so whoever asks through Merrow sees every
//       row as it is; only other programs that read the file at the same time may see a long column
//       a few dozen edits or some seconds late. Opening the store after a crash writes them first;
//   (4) a column that anything depends on (an index, a CHECK, a trigger, a generated column, a
//       foreign key) is never left for later, because its edit might have to be refused.

#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cells/value.h"
#include "merrow/document.h"
#include "merrow/result.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace merrow::store {

/// What a row left for later may cost per edit, in bytes of write-ahead log.
inline constexpr size_t kDeferredBytesPerEdit = 1024;

/// Appends the row as a JSON object, columns as declared.
void AppendRowJson(const Table& table, std::string_view key, const loro::Document& document,
                   std::string* out);

/// The root map that holds the scalar columns.
const loro::ContainerId& RowMap();
bool IsCrdt(const Column& column);
/// The container that a CRDT_ column shows. REQUIRES: IsCrdt(column)
loro::ContainerId ColumnSource(const loro::Document& document, const Column& column);
/// What a column shows; nothing if its slot is absent, so that it shows its default. REQUIRES: not
/// the key
std::optional<cells::Value> ColumnValue(const loro::Document& document, const Column& column);

/// Writes rows of one document table.
class Projection {
 public:
  /// What an edit that changed some containers means for the row.
  enum class Effect { kNone, kMayWait, kImmediate };

  /// `table` must outlive this. Reads from the database what depends on the table's columns.
  static Result<Projection> Make(Database& database, const Table& table);

  Effect EffectOf(std::span<const loro::ContainerId> changed) const;

  /// Inserts or updates the row of `key`. Conflict if it breaks a constraint. Sets `row_bytes` to
  /// the size of its values, about.
  Status WriteRow(Database& database, std::string_view key, const loro::Document& document,
                  size_t* row_bytes) const;

  /// At least this many bytes are in the columns that may wait; cheap.
  size_t LongColumnBytes(const loro::Document& document) const;

 private:
  explicit Projection(const Table& table) : table_(&table) {}
  void BuildSql();

  const Table* table_;
  std::string sql_;
  std::vector<int> default_flags_;  // per column: parameter that asks for the default; 0 if none
  std::vector<bool> may_wait_;      // per column
  bool nested_may_wait_ = false;    // all CRDT_ columns may wait
};

}  // namespace merrow::store
