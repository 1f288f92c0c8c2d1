// SPDX-License-Identifier: Apache-2.0
//
// Packed columns in SQL: crsql_pack_columns(a, b, ...) makes the blob that names a row in
// crsql_changes, and the table-valued crsql_unpack_columns(blob) gives its columns back in order:
//
//     SELECT cell FROM crsql_unpack_columns(crsql_pack_columns(1, 'a'));
#include <memory>
#include <new>
#include <vector>

#include "cells/packed_key.h"
#include "extension/extension.h"
#include "store/cell_guard.h"

namespace merrow::extension {
namespace {

using store::GuardTable;

constexpr int kCell = 0;
constexpr int kPackage = 1;

void Pack(sqlite3_context* context, int count, sqlite3_value** values) {
  store::GuardFunction(context, [&]() -> Status {
    if (static_cast<size_t>(count) > cells::kPackedColumnsMax) {
      return LimitReached("at most 255 columns can be packed, not " + std::to_string(count));
    }
    std::vector<cells::ValueView> columns;
    for (int i = 0; i < count; ++i) {
      columns.push_back(store::ArgumentValue(values[i]));
    }
    SetResult(context, cells::ValueView::Blob(cells::PackColumns(columns)));
    return {};
  });
}

struct Cursor : sqlite3_vtab_cursor {
  Cursor() : sqlite3_vtab_cursor{} {}
  Bytes package;
  std::vector<cells::ValueView> columns;
  size_t at = 0;
};

Cursor& CursorOf(sqlite3_vtab_cursor* cursor) { return *static_cast<Cursor*>(cursor); }

int Connect(sqlite3* db, void*, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(db, "CREATE TABLE x (cell ANY, package BLOB HIDDEN)");
  if (code != SQLITE_OK) {
    return code;
  }
  auto made = std::unique_ptr<sqlite3_vtab>(new (std::nothrow) sqlite3_vtab{});
  if (made == nullptr) {
    return SQLITE_NOMEM;
  }
  sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
  *table = made.release();
  return SQLITE_OK;
}

int Disconnect(sqlite3_vtab* table) {
  delete table;
  return SQLITE_OK;
}

/// Without the package there is nothing to show, so a plan that cannot give it is refused.
int BestIndex(sqlite3_vtab*, sqlite3_index_info* info) {
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    if (constraint.iColumn != kPackage || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ) {
      continue;
    }
    if (constraint.usable == 0) {
      return SQLITE_CONSTRAINT;
    }
    info->aConstraintUsage[i].argvIndex = 1;
    info->aConstraintUsage[i].omit = 1;
    info->idxNum = 1;
    break;
  }
  info->estimatedCost = 10;
  info->estimatedRows = 10;
  return SQLITE_OK;
}

int Open(sqlite3_vtab*, sqlite3_vtab_cursor** cursor) {
  auto made = std::unique_ptr<Cursor>(new (std::nothrow) Cursor());
  if (made == nullptr) {
    return SQLITE_NOMEM;
  }
  *cursor = made.release();
  return SQLITE_OK;
}

int Close(sqlite3_vtab_cursor* cursor) {
  delete &CursorOf(cursor);
  return SQLITE_OK;
}

int Filter(sqlite3_vtab_cursor* cursor, int plan, const char*, int, sqlite3_value** values) {
  return GuardTable(cursor->pVtab, [&]() -> Status {
    Cursor& self = CursorOf(cursor);
    self.at = 0;
    self.columns.clear();
    if (plan == 0) {
      return InvalidArgument("crsql_unpack_columns needs a package: crsql_unpack_columns(blob)");
    }
    const cells::ValueView package = store::ArgumentValue(values[0]);
    if (package.type != cells::ValueType::kBlob) {
      return InvalidArgument("crsql_unpack_columns takes a blob, not " + cells::Describe(package));
    }
    self.package = Bytes(package.bytes);
    MERROW_ASSIGN(self.columns, cells::UnpackColumns(self.package));
    return {};
  });
}

int Next(sqlite3_vtab_cursor* cursor) {
  ++CursorOf(cursor).at;
  return SQLITE_OK;
}

int Eof(sqlite3_vtab_cursor* cursor) {
  return CursorOf(cursor).at >= CursorOf(cursor).columns.size() ? 1 : 0;
}

int Column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int column) {
  const Cursor& self = CursorOf(cursor);
  SetResult(context,
            column == kCell ? self.columns[self.at] : cells::ValueView::Blob(self.package));
  return SQLITE_OK;
}

int Rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* rowid) {
  *rowid = static_cast<sqlite3_int64>(CursorOf(cursor).at) + 1;
  return SQLITE_OK;
}

sqlite3_module MakeModule() {
  sqlite3_module module = {};
  module.xConnect = Connect;
  module.xBestIndex = BestIndex;
  module.xDisconnect = Disconnect;
  module.xDestroy = Disconnect;
  module.xOpen = Open;
  module.xClose = Close;
  module.xFilter = Filter;
  module.xNext = Next;
  module.xEof = Eof;
  module.xColumn = Column;
  module.xRowid = Rowid;
  return module;
}

const sqlite3_module kModule = MakeModule();

}  // namespace

Status RegisterPacking(store::CellStore& store) {
  MERROW_TRY(
      AddFunction(store, "crsql_pack_columns", -1, SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, Pack));
  const int code =
      sqlite3_create_module_v2(store.db(), "crsql_unpack_columns", &kModule, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return store::SqlError(store.db(), code, "registering crsql_unpack_columns");
  }
  return {};
}

}  // namespace merrow::extension
