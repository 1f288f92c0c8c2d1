// SPDX-License-Identifier: Apache-2.0
//
// Rows in an order of the user's, in SQL:
//
//     crsql_fract_key_between(low, high)            a key between two, NULL for no bound
//     crsql_fract_as_ordered(t, column [, list...]) keeps t's rows of equal `list` in order
//
// The second makes triggers by which a row whose order column is set to -1 or 1 gets a key before
// or after all others of its list, and a view t_fractindex with a further column after_<key> by
// which a row is inserted or moved behind another:
//
//     INSERT INTO todo (id, list, position, text) VALUES (1, 'home', 1, 'append me');
//     INSERT INTO todo_fractindex (id, list, text, after_id) VALUES (2, 'home', 'behind 1', 1);
//     UPDATE todo_fractindex SET after_id = 2 WHERE id = 1;
//
// Two sites may give the same key to two rows. Whoever next inserts behind one of them first moves
// it apart from the others.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "extension/extension.h"
#include "extension/ordering.h"
#include "store/cell_guard.h"

namespace merrow::extension {
namespace {

using store::ArgumentValue;
using store::CellStatement;
using store::GuardFunction;
using store::RunSql;
using store::SqlName;

Result<std::optional<std::string_view>> KeyArgument(sqlite3_value* value) {
  const cells::ValueView key = ArgumentValue(value);
  if (key.type == cells::ValueType::kNull) {
    return std::optional<std::string_view>();
  }
  if (key.type != cells::ValueType::kText) {
    return InvalidArgument("an order key is a text, not " + cells::Describe(key));
  }
  return std::optional<std::string_view>(key.bytes);
}

void KeyBetweenFunction(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const auto low, KeyArgument(values[0]));
    MERROW_ASSIGN(const auto high, KeyArgument(values[1]));
    MERROW_ASSIGN(const std::string key, KeyBetween(low, high));
    SetResult(context, cells::ValueView::Text(key));
    return {};
  });
}

/// The pieces of SQL from which triggers and view are put together.
struct OrderedTable {
  std::string name;                    // as given
  std::string table;                   // quoted, as the rest
  std::string order;                   // the order column
  std::vector<std::string> columns;    // all of them
  std::vector<std::string> key_names;  // not quoted
  std::vector<std::string> lists;

  /// `left`.c = `right`.c for every c of `columns`, or true.
  static std::string AllEqual(const std::vector<std::string>& names, const std::string& left,
                              const std::string& right) {
    std::string condition = "1";
    for (const std::string& name : names) {
      condition += " AND " + left + "." + name + " IS " + right + "." + name;
    }
    return condition;
  }
  std::string SameList() const { return AllEqual(lists, "t", "NEW"); }
  /// The row's key, as `side` (NEW or OLD) has it.
  std::string IsRow(const std::string& side) const {
    std::string condition = "1";
    for (const std::string& key : key_names) {
      condition += " AND " + SqlName(key) + " = " + side + "." + SqlName(key);
    }
    return condition;
  }
  /// The row named by NEW.after_*.
  std::string IsAfter() const {
    std::string condition = "1";
    for (const std::string& key : key_names) {
      condition += " AND " + SqlName(key) + " = NEW." + SqlName("after_" + key);
    }
    return condition;
  }
  std::string Edge(const std::string& function) const {
    return "(SELECT " + function + "(t." + order + ") FROM " + table + " t WHERE " + SameList() +
           " AND CAST(t." + order + " AS TEXT) NOT IN ('-1', '1'))";
  }
  std::string AfterOrder() const {
    return "(SELECT t." + order + " FROM " + table + " t WHERE " + IsAfter() + ")";
  }
  /// A key behind the row that NEW.after_* names; before all if it names none.
  std::string KeyBehind() const {
    return "CASE WHEN " + AfterOrder() + " IS NULL THEN crsql_fract_key_between(NULL, " +
           Edge("min") + ") ELSE crsql_fract_key_between(" + AfterOrder() + ", (SELECT min(t." +
           order + ") FROM " + table + " t WHERE " + SameList() + " AND t." + order + " > " +
           AfterOrder() + ")) END";
  }
  /// Gives the row that NEW.after_* names a key of its own, just below the one that it shares.
  std::string MoveApart() const {
    return "UPDATE " + table + " SET " + order + " = crsql_fract_key_between((SELECT max(t." +
           order + ") FROM " + table + " t WHERE " + SameList() + " AND t." + order + " < " +
           AfterOrder() + "), " + AfterOrder() + ") WHERE " + IsAfter() +
           " AND (SELECT count(*) FROM " + table + " t WHERE " + SameList() + " AND t." + order +
           " = " + AfterOrder() + ") > 1; ";
  }
};

Result<OrderedTable> Describe(sqlite3* db, int count, sqlite3_value** values) {
  if (count < 2) {
    return InvalidArgument("the arguments are table, order column [, list columns ...]");
  }
  OrderedTable ordered;
  ordered.name = std::string(ArgumentValue(values[0]).bytes);
  ordered.table = SqlName(ordered.name);
  ordered.order = SqlName(ArgumentValue(values[1]).bytes);
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db, "SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid"));
  statement.Bind(1, cells::ValueView::Text(ordered.name));
  while (true) {
    MERROW_ASSIGN(const bool more, statement.Step());
    if (!more) {
      break;
    }
    ordered.columns.push_back(SqlName(statement.Text(0)));
    if (statement.Int(1) != 0) {
      ordered.key_names.push_back(statement.Text(0));
    }
  }
  const auto check = [&ordered](const std::string& column) -> Status {
    if (std::find(ordered.columns.begin(), ordered.columns.end(), column) ==
        ordered.columns.end()) {
      return NotFound("table " + ordered.name + " has no column " + column);
    }
    return {};
  };
  MERROW_TRY(check(ordered.order));
  for (int i = 2; i < count; ++i) {
    ordered.lists.push_back(SqlName(ArgumentValue(values[i]).bytes));
    MERROW_TRY(check(ordered.lists.back()));
  }
  if (ordered.key_names.empty()) {
    return InvalidArgument("table " + ordered.name + " has no PRIMARY KEY");
  }
  return ordered;
}

std::string TriggerName(const OrderedTable& ordered, const std::string& what) {
  return SqlName("_merrow_" + ordered.name + "_order_" + what);
}

/// A trigger that replaces -1 and 1 by keys.
std::string EdgeTrigger(const OrderedTable& ordered, const std::string& what,
                        const std::string& event) {
  const std::string name = TriggerName(ordered, what);
  return "DROP TRIGGER IF EXISTS " + name + "; CREATE TRIGGER " + name + " AFTER " + event +
         " ON " + ordered.table + " WHEN CAST(NEW." + ordered.order +
         " AS TEXT) IN ('-1', '1', '-1.0', '1.0') BEGIN UPDATE " + ordered.table + " SET " +
         ordered.order + " = CASE CAST(NEW." + ordered.order +
         " AS INTEGER) WHEN -1 THEN crsql_fract_key_between(NULL, " + ordered.Edge("min") +
         ") ELSE crsql_fract_key_between(" + ordered.Edge("max") + ", NULL) END WHERE " +
         ordered.IsRow("NEW") + "; END; ";
}

std::string View(const OrderedTable& ordered) {
  const std::string view = SqlName(ordered.name + "_fractindex");
  std::string after;
  for (const std::string& name : ordered.key_names) {
    after += ", NULL AS " + SqlName("after_" + name);
  }
  std::string names;
  std::string values;
  std::string updates;
  for (const std::string& column : ordered.columns) {
    const bool is_order = column == ordered.order;
    names += (names.empty() ? "" : ", ") + column;
    values += (values.empty() ? "" : ", ") + (is_order ? ordered.KeyBehind() : "NEW." + column);
    updates +=
        (updates.empty() ? "" : ", ") + column + " = " +
        (is_order ? "CASE WHEN NEW." + SqlName("after_" + ordered.key_names[0]) +
                        " IS NULL THEN NEW." + column + " ELSE " + ordered.KeyBehind() + " END"
                  : "NEW." + column);
  }
  return "DROP VIEW IF EXISTS " + view + "; CREATE VIEW " + view + " AS SELECT *" + after +
         " FROM " + ordered.table + "; CREATE TRIGGER " + TriggerName(ordered, "view_insert") +
         " INSTEAD OF INSERT ON " + view + " BEGIN " + ordered.MoveApart() + "INSERT INTO " +
         ordered.table + " (" + names + ") VALUES (" + values + "); END; CREATE TRIGGER " +
         TriggerName(ordered, "view_update") + " INSTEAD OF UPDATE ON " + view + " BEGIN " +
         ordered.MoveApart() + "UPDATE " + ordered.table + " SET " + updates + " WHERE " +
         ordered.IsRow("OLD") + "; END; ";
}

void AsOrdered(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    sqlite3* const db = StoreOf(context).db();
    MERROW_ASSIGN(const OrderedTable ordered, Describe(db, count, values));
    MERROW_ASSIGN(store::CellSavepoint savepoint, store::CellSavepoint::Begin(db));
    MERROW_TRY(RunSql(db, EdgeTrigger(ordered, "insert", "INSERT")));
    MERROW_TRY(RunSql(db, EdgeTrigger(ordered, "update", "UPDATE OF " + ordered.order)));
    MERROW_TRY(RunSql(db, View(ordered)));
    return savepoint.Release();
  });
}

}  // namespace

Status RegisterOrdering(store::CellStore& store) {
  MERROW_TRY(AddFunction(store, "crsql_fract_key_between", 2,
                         SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, KeyBetweenFunction));
  return AddFunction(store, "crsql_fract_as_ordered", -1, 0, AsOrdered);
}

}  // namespace merrow::extension
