// SPDX-License-Identifier: Apache-2.0
//
// Schema: what the SQL of a schema file says about its tables. SQLite itself reads the SQL (in a
// database in memory); this file only asks it what it understood and picks the merge behaviour by
// the declared types.
//
// A table with a CRDT_ column is a document table: every row is one Loro document, found by the
// table's single key column. All other tables are local: Merrow creates them and leaves them alone.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/result.h"

namespace merrow::store {

/// What a column of a document table shows of the document.
enum class ColumnKind : uint8_t {
  kKey,          // the document's name; not in the document
  kScalar,       // slot `row`.<column> of the root map `row`
  kText,         // CRDT_TEXT: root Text container named by the column, as plain text
  kList,         // CRDT_LIST: root List container, as JSON
  kMap,          // CRDT_MAP: root Map container, as JSON
  kCounter,      // CRDT_COUNTER: root Counter container, as a number
  kMovableList,  // CRDT_MOVABLE_LIST: root MovableList container, as JSON
  kTree,         // CRDT_TREE: root Tree container, as JSON
};

struct Column {
  std::string name;
  std::string declared_type;  // verbatim
  ColumnKind kind = ColumnKind::kScalar;
  std::string default_sql;  // a literal; empty if the column has no default
};

/// A document table.
struct Table {
  std::string name;
  std::vector<Column> columns;  // as declared, without generated columns
  size_t key_index = 0;         // of the key column in `columns`

  const Column& key() const { return columns[key_index]; }
  const Column* FindColumn(std::string_view column_name) const;
};

/// Everything in a schema file that CREATE made, in order.
struct SchemaObject {
  std::string type;  // table, index, trigger or view
  std::string name;
  std::string table;  // that it belongs to
  std::string sql;    // as SQLite keeps it
};

class Schema {
 public:
  /// Invalid argument if SQLite refuses the SQL, if it does anything but CREATE, or if a document
  /// table is not one that Merrow can keep.
  static Result<Schema> Parse(const std::string& sql);

  /// The document tables, in the order of the file.
  const std::vector<Table>& tables() const { return tables_; }
  const std::vector<SchemaObject>& objects() const { return objects_; }
  /// The document table of that exact name; null if there is none.
  const Table* Find(std::string_view name) const;

 private:
  std::vector<Table> tables_;
  std::vector<SchemaObject> objects_;
};

/// Names do not differ by the case of ASCII letters.
bool SameSqlName(std::string_view a, std::string_view b);

/// Invalid argument unless it is a key that a document can have.
Status CheckDocumentKey(std::string_view key, size_t bytes_max);

/// `name` as an SQL identifier, quoted.
std::string QuoteIdentifier(std::string_view name);

}  // namespace merrow::store
