// SPDX-License-Identifier: Apache-2.0
#include "store/row_capture.h"

#include <utility>
#include <vector>

#include "store/cell_statement.h"

namespace merrow::store {
namespace {

/// What the columns of a table show if a document says nothing of them.
Result<std::vector<cells::Value>> ReadDefaults(Database& database, const Table& table) {
  std::vector<cells::Value> defaults;
  for (const Column& column : table.columns) {
    const std::string& sql = column.default_sql;
    MERROW_ASSIGN(Statement value, database.Prepare("SELECT " + (sql.empty() ? "NULL" : sql)));
    MERROW_TRY(value.Step());
    defaults.emplace_back(ColumnValue(value.handle(), 0));
  }
  return defaults;
}

/// Columns are named with their table: SQLite takes a lone name in double quotes that it does not
/// know for a text, which would be written into the document.
std::string ReadSql(const Table& table) {
  const std::string name = QuoteIdentifier(table.name);
  std::string columns;
  for (const Column& column : table.columns) {
    columns += (columns.empty() ? "" : ", ") + name + "." + QuoteIdentifier(column.name);
  }
  return "SELECT " + columns + " FROM main." + name + " WHERE " + name + "." +
         QuoteIdentifier(table.key().name) + " = ?1";
}

}  // namespace

RowCapture::RowCapture(Database& database, const Table& table, std::vector<cells::Value> defaults)
    : database_(&database), editor_(table, std::move(defaults)), read_sql_(ReadSql(table)) {}

Result<RowCapture> RowCapture::Make(Database& database, const Table& table) {
  MERROW_ASSIGN(std::vector<cells::Value> defaults, ReadDefaults(database, table));
  return RowCapture(database, table, std::move(defaults));
}

Result<RowCapture::Outcome> RowCapture::Edit(std::string_view key, bool is_new, const PeerOf& peer,
                                             loro::Document& document) const {
  MERROW_ASSIGN(Statement statement, database_->Prepare(read_sql_));
  statement.BindText(1, key);
  MERROW_ASSIGN(const bool is_there, statement.Step());
  if (!is_there && !is_new) {
    return InvalidArgument(
        "another row replaced it, but it is a document, which cannot be deleted");
  }
  if (!is_there) {
    return Outcome();
  }
  std::vector<cells::ValueView> row;
  for (int i = 0; i < sqlite3_column_count(statement.handle()); ++i) {
    row.push_back(ColumnValue(statement.handle(), i));
  }
  MERROW_TRY(document.SetPeer(peer(row)));
  MERROW_ASSIGN(bool edited, editor_.Apply(row, document));
  if (is_new && !edited) {
    MERROW_TRY(editor_.MakeExist(key, document));
    edited = true;
  }
  document.Commit();
  return Outcome{edited, editor_.Shows(row, document)};
}

}  // namespace merrow::store
