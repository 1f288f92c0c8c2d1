// SPDX-License-Identifier: Apache-2.0
#include "store/document_capture_triggers.h"

#include <string>

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

std::string TriggerName(int64_t table_id, std::string_view event) {
  return QuoteIdentifier("_merrow_document_" + std::to_string(table_id) + "_" + std::string(event));
}

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
  return {};
}

Status DropDocumentTriggers(Database& database, int64_t table_id) {
  for (const char* event : {"insert", "update", "delete"}) {
    MERROW_TRY(database.Execute("DROP TRIGGER IF EXISTS main." + TriggerName(table_id, event)));
  }
  return {};
}

}  // namespace merrow::store
