// SPDX-License-Identifier: Apache-2.0
#include "store/document_capture_triggers.h"

#include <string>
#include <vector>

#include "cells/value.h"
#include "store/cell_guard.h"
#include "store/cell_statement.h"

namespace merrow::store {
namespace {

DocumentEvents& EventsOf(sqlite3_context* context) {
  return *static_cast<DocumentEvents*>(sqlite3_user_data(context));
}

Status RecordWrite(DocumentEvents& events, int count, sqlite3_value** values) {
  if (events.is_writing()) {
    return {};
  }
  const cells::ValueView key = ArgumentValue(values[1]);
  if (key.type != cells::ValueType::kText) {
    return InvalidArgument("the key of a document is text, not " + cells::Describe(key));
  }
  if (count > 2 && !cells::SameValue(key, ArgumentValue(values[2]))) {
    return InvalidArgument(
        "the key of a document cannot change: " + cells::Describe(ArgumentValue(values[2])) +
        " is what other sites know it by");
  }
  return events.RowWritten(sqlite3_value_int64(values[0]), key.bytes);
}

void Write(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&] { return RecordWrite(EventsOf(context), count, values); });
}

void Delete(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    if (EventsOf(context).is_writing()) {
      return {};
    }
    return InvalidArgument(
        "row " + cells::Describe(ArgumentValue(values[1])) +
        " is a document, which cannot be deleted: sites that are editing it would bring a part of "
        "it back; mark it in a column instead, or empty its columns");
  });
}

std::string PlainTriggerName(int64_t table_id, std::string_view event) {
  return "_merrow_document_" + std::to_string(table_id) + "_" + std::string(event);
}

std::string TriggerName(int64_t table_id, std::string_view event) {
  return QuoteIdentifier(PlainTriggerName(table_id, event));
}

struct UniqueColumns {
  std::vector<std::string> names;       // of all indexes, quoted
  std::vector<std::string> conditions;  // per index: row `t` has what NEW has
};

Result<UniqueColumns> ReadUniqueColumns(Database& database, const Table& table) {
  MERROW_ASSIGN(
      Statement statement,
      database.Prepare(
          "SELECT x.seqno, x.name, x.coll FROM pragma_index_list(?1, 'main') l, "
          "pragma_index_xinfo(l.name, 'main') x WHERE l.\"unique\" AND l.origin <> 'pk' AND x.key "
          "AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(l.name, 'main') e WHERE e.key AND "
          "e.cid = -2) ORDER BY l.name, x.seqno"));
  statement.BindText(1, table.name);
  UniqueColumns unique;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return unique;
    }
    const std::string name = QuoteIdentifier(statement.Text(1));
    const std::string equal =
        "t." + name + " = NEW." + name + " COLLATE " + QuoteIdentifier(statement.Text(2));
    unique.names.push_back(name);
    if (statement.Int(0) == 0) {
      unique.conditions.push_back(equal);
    } else {
      unique.conditions.back() += " AND " + equal;
    }
  }
}

/// The trigger behind its name; empty if there is nothing to look at.
std::string ReplaceTrigger(const UniqueColumns& unique, int64_t table_id, const Table& table,
                           std::string_view event) {
  if (unique.names.empty()) {
    return "";
  }
  const bool is_update = event == "replace_update";
  const std::string key = QuoteIdentifier(table.key().name);
  const std::string name = QuoteIdentifier(table.name);
  std::string columns;
  for (const std::string& column : unique.names) {
    columns += (columns.empty() ? "" : ", ") + column;
  }
  std::string body;
  for (const std::string& condition : unique.conditions) {
    body += "SELECT merrow_document_insert(" + std::to_string(table_id) + ", t." + key + ") FROM " +
            name + " AS t WHERE " + condition + " AND t." + key + " IS NOT " +
            (is_update ? "OLD." : "NEW.") + key + "; ";
  }
  return (is_update ? " BEFORE UPDATE OF " + columns : " BEFORE INSERT") + " ON " + name +
         " BEGIN " + body + "END";
}

Status BringReplaceTrigger(Database& database, int64_t table_id, std::string_view event,
                           const std::string& wanted) {
  bool is_there = false;
  {
    MERROW_ASSIGN(Statement statement,
                  database.Prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND "
                                   "name = ?1"));
    const std::string name = PlainTriggerName(table_id, event);
    statement.BindText(1, name);
    MERROW_ASSIGN(is_there, statement.Step());
    if (is_there ? !wanted.empty() && statement.Text(0).ends_with(wanted) : wanted.empty()) {
      return {};
    }
  }
  const std::string name = "main." + TriggerName(table_id, event);
  if (is_there) {
    MERROW_TRY(database.Execute("DROP TRIGGER " + name));
  }
  return wanted.empty() ? Status() : database.Execute("CREATE TRIGGER " + name + wanted);
}

constexpr std::string_view kReplaceEvents[] = {"replace_insert", "replace_update"};

}  // namespace

Status RegisterDocumentFunctions(sqlite3* db, DocumentEvents* events) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
  const struct {
    const char* name;
    int arguments;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  } functions[] = {{"merrow_document_insert", 2, Write},
                   {"merrow_document_update", 3, Write},
                   {"merrow_document_delete", 2, Delete}};
  for (const auto& function : functions) {
    const int code =
        sqlite3_create_function_v2(db, function.name, function.arguments, kFlags, events,
                                   function.function, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
      return SqlError(db, code, std::string("registering ") + function.name);
    }
  }
  return {};
}

Status CreateDocumentTriggers(Database& database, int64_t table_id, const Table& table) {
  const std::string id = std::to_string(table_id);
  const std::string key = QuoteIdentifier(table.key().name);
  const struct {
    const char* event;
    const char* when;
    std::string arguments;
  } triggers[] = {{"insert", "AFTER INSERT", "NEW." + key},
                  {"update", "AFTER UPDATE", "NEW." + key + ", OLD." + key},
                  {"delete", "BEFORE DELETE", "OLD." + key}};
  for (const auto& trigger : triggers) {
    MERROW_TRY(database.Execute("CREATE TRIGGER IF NOT EXISTS main." +
                                TriggerName(table_id, trigger.event) + " " + trigger.when + " ON " +
                                QuoteIdentifier(table.name) + " BEGIN SELECT merrow_document_" +
                                trigger.event + "(" + id + ", " + trigger.arguments + "); END"));
  }
  MERROW_ASSIGN(const UniqueColumns unique, ReadUniqueColumns(database, table));
  for (const std::string_view event : kReplaceEvents) {
    MERROW_TRY(BringReplaceTrigger(database, table_id, event,
                                   ReplaceTrigger(unique, table_id, table, event)));
  }
  return {};
}

Result<bool> HasDocumentTriggers(Database& database, int64_t table_id) {
  MERROW_ASSIGN(Statement statement,
                database.Prepare("SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = "
                                 "'trigger' AND name = ?1)"));
  const std::string name = PlainTriggerName(table_id, "insert");
  statement.BindText(1, name);
  MERROW_ASSIGN(const bool row, statement.Step());
  return row && statement.Int(0) != 0;
}

Status DropDocumentTriggers(Database& database, int64_t table_id) {
  for (const char* event : {"insert", "update", "delete", "replace_insert", "replace_update"}) {
    MERROW_TRY(database.Execute("DROP TRIGGER IF EXISTS main." + TriggerName(table_id, event)));
  }
  return {};
}

}  // namespace merrow::store
