// SPDX-License-Identifier: Apache-2.0
//
// The virtual table crsql_changes, also named merrow_changes: one row per cell or sentinel that a
// version changed, in the order of (db_version, seq).
//
//     SELECT * FROM crsql_changes WHERE db_version > ? AND site_id IS NOT ?   what a peer lacks
//     INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)            merges one change
//
// Pushed down: db_version (= > >= < <= IS), site_id (= IS, IS NOT, !=) and "table" (= IS), all
// decided without reading a row. SQLite checks every condition again. Values are read when the val
// column is asked for.
#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "extension/extension.h"
#include "store/cell_guard.h"
#include "store/cell_reader.h"

namespace merrow::extension {
namespace {

using store::GuardTable;

// DO NOT CHANGE: the order is that of INSERT without a column list.
enum Column : int {
  kTable = 0,
  kKey = 1,
  kColumn = 2,
  kValue = 3,
  kColVersion = 4,
  kDbVersion = 5,
  kSite = 6,
  kCausalLength = 7,
  kSeq = 8,
};
constexpr int kColumnCount = 9;
constexpr char kDeclaration[] =
    "CREATE TABLE x (\"table\" TEXT NOT NULL, pk BLOB NOT NULL, cid TEXT NOT NULL, val ANY, "
    "col_version INTEGER NOT NULL, db_version INTEGER NOT NULL, site_id BLOB NOT NULL, "
    "cl INTEGER NOT NULL, seq INTEGER NOT NULL)";

struct Table : sqlite3_vtab {
  explicit Table(store::CellStore* of) : sqlite3_vtab{}, store(of) {}
  store::CellStore* store;
};

struct Cursor : sqlite3_vtab_cursor {
  explicit Cursor(store::CellStore& store) : sqlite3_vtab_cursor{}, reader(store) {}
  store::CellReader reader;
  // Of the change that was asked for it last.
  std::optional<cells::SiteOrdinal> ordinal;
  cells::SiteId site;
};

store::CellStore& StoreOf(sqlite3_vtab* table) { return *static_cast<Table*>(table)->store; }
Cursor& CursorOf(sqlite3_vtab_cursor* cursor) { return *static_cast<Cursor*>(cursor); }

int Connect(sqlite3* db, void* store, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(db, kDeclaration);
  if (code != SQLITE_OK) {
    return code;
  }
  auto made =
      std::unique_ptr<Table>(new (std::nothrow) Table(static_cast<store::CellStore*>(store)));
  if (made == nullptr) {
    return SQLITE_NOMEM;
  }
  *table = made.release();
  return SQLITE_OK;
}

int Disconnect(sqlite3_vtab* table) {
  delete static_cast<Table*>(table);
  return SQLITE_OK;
}

/// One letter per argument of Filter, in order.
char PlanOf(int column, unsigned char op) {
  const bool equal = op == SQLITE_INDEX_CONSTRAINT_EQ || op == SQLITE_INDEX_CONSTRAINT_IS;
  switch (column) {
    case kDbVersion:
      switch (op) {
        case SQLITE_INDEX_CONSTRAINT_GT:
          return '>';
        case SQLITE_INDEX_CONSTRAINT_GE:
          return 'g';
        case SQLITE_INDEX_CONSTRAINT_LT:
          return '<';
        case SQLITE_INDEX_CONSTRAINT_LE:
          return 'l';
        default:
          return equal ? '=' : 0;
      }
    case kSite:
      if (equal) {
        return 's';
      }
      return op == SQLITE_INDEX_CONSTRAINT_ISNOT || op == SQLITE_INDEX_CONSTRAINT_NE ? 'n' : 0;
    case kTable:
      return equal ? 't' : 0;
    default:
      return 0;
  }
}

bool OrderIsOurs(const sqlite3_index_info& info) {
  for (int i = 0; i < info.nOrderBy; ++i) {
    const bool in_place = i == 0 ? info.aOrderBy[i].iColumn == kDbVersion
                                 : i == 1 && info.aOrderBy[i].iColumn == kSeq;
    if (!in_place || info.aOrderBy[i].desc != 0) {
      return false;
    }
  }
  return true;
}

int BestIndex(sqlite3_vtab* table, sqlite3_index_info* info) {
  return GuardTable(table, [info]() -> Status {
    std::string plan;
    double rows = 1e6;
    for (int i = 0; i < info->nConstraint; ++i) {
      const auto& constraint = info->aConstraint[i];
      const char letter = constraint.usable != 0 ? PlanOf(constraint.iColumn, constraint.op) : '\0';
      if (letter == 0) {
        continue;
      }
      plan += letter;
      info->aConstraintUsage[i].argvIndex = static_cast<int>(plan.size());
      rows /= letter == '=' ? 10000 : (letter == 'n' ? 1.1 : 10);
    }
    info->estimatedRows = std::max<sqlite3_int64>(1, static_cast<sqlite3_int64>(rows));
    info->estimatedCost = rows;
    info->orderByConsumed = info->nOrderBy > 0 && OrderIsOurs(*info) ? 1 : 0;
    info->idxStr = sqlite3_mprintf("%s", plan.c_str());
    info->needToFreeIdxStr = 1;
    return {};
  });
}

int Open(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  auto made = std::unique_ptr<Cursor>(new (std::nothrow) Cursor(StoreOf(table)));
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

/// Narrows `filter` by a comparison with db_version. Only integers are: SQLite checks the rest.
void FilterVersion(char letter, sqlite3_value* value, store::ChangeFilter& filter) {
  if (sqlite3_value_type(value) != SQLITE_INTEGER) {
    return;
  }
  const int64_t version = sqlite3_value_int64(value);
  if (letter == '>' || letter == 'g' || letter == '=') {
    const bool inclusive = letter != '>' && version > INT64_MIN;
    filter.after = std::max(filter.after, inclusive ? version - 1 : version);
  }
  if (letter == '<' || letter == 'l' || letter == '=') {
    const bool exclusive = letter == '<' && version > INT64_MIN;
    filter.until = std::min(filter.until, exclusive ? version - 1 : version);
  }
}

/// The ordinal of a site that is known; nothing for any other value.
Result<std::optional<cells::SiteOrdinal>> KnownSite(store::CellStore& store, sqlite3_value* value) {
  if (sqlite3_value_type(value) != SQLITE_BLOB) {
    return std::optional<cells::SiteOrdinal>();  // a text of the same bytes is not equal
  }
  const auto site = cells::SiteId::FromBytes(store::ArgumentValue(value).bytes);
  if (!site.ok()) {
    return std::optional<cells::SiteOrdinal>();
  }
  return store.FindOrdinal(*site);
}

int Filter(sqlite3_vtab_cursor* cursor, int, const char* plan, int count, sqlite3_value** values) {
  return GuardTable(cursor->pVtab, [&]() -> Status {
    store::CellStore& store = StoreOf(cursor->pVtab);
    store::ChangeFilter filter;
    bool nothing = false;
    for (int i = 0; i < count; ++i) {
      switch (plan[i]) {
        case 't':
          // A number is compared as the text that it makes, which SQLite does.
          if (sqlite3_value_type(values[i]) == SQLITE_TEXT) {
            filter.table = std::string(store::ArgumentValue(values[i]).bytes);
          }
          break;
        case 's': {
          MERROW_ASSIGN(const auto site, KnownSite(store, values[i]));
          nothing = nothing || !site.has_value();
          filter.only_site = site;
          break;
        }
        case 'n': {
          MERROW_ASSIGN(filter.except_site, KnownSite(store, values[i]));
          break;
        }
        default:
          FilterVersion(plan[i], values[i], filter);
      }
    }
    if (nothing) {
      filter.until = filter.after;
    }
    CursorOf(cursor).ordinal.reset();
    return CursorOf(cursor).reader.Start(std::move(filter));
  });
}

int Next(sqlite3_vtab_cursor* cursor) {
  if (CursorOf(cursor).reader.NextAtHand()) {
    return SQLITE_OK;
  }
  return GuardTable(cursor->pVtab, [cursor] { return CursorOf(cursor).reader.Next(); });
}

int Eof(sqlite3_vtab_cursor* cursor) { return CursorOf(cursor).reader.done() ? 1 : 0; }

/// SQLite joins the results of the two sides of an OR by it, so a change must have the same one in
/// every scan, and no other may have it: a hash of the cell, for which there is one change.
int Rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* rowid) {
  return GuardTable(cursor->pVtab, [&]() -> Status {
    store::CellReader& reader = CursorOf(cursor).reader;
    const int64_t names[] = {reader.table().id,
                             reader.is_sentinel() ? -1 : static_cast<int64_t>(reader.column().id)};
    std::string cell(reinterpret_cast<const char*>(names), sizeof(names));
    cell += reader.key();
    *rowid = static_cast<sqlite3_int64>(std::hash<std::string>()(cell));
    return {};
  });
}

/// The columns for which something has to be looked up or made.
Status ShowFetched(Cursor& cursor, sqlite3_context* context, int column) {
  store::CellReader& reader = cursor.reader;
  switch (column) {
    case kKey:
      SetResult(context, cells::ValueView::Blob(reader.key()));
      return {};
    case kValue: {
      MERROW_ASSIGN(const cells::ValueView value, reader.value());
      SetResult(context, value);
      return {};
    }
    case kSite: {
      if (cursor.ordinal != reader.stamp().site) {
        MERROW_ASSIGN(cursor.site, StoreOf(cursor.pVtab).SiteOf(reader.stamp().site));
        cursor.ordinal = reader.stamp().site;
      }
      SetResult(context, cells::ValueView::Blob(cursor.site.view()));
      return {};
    }
    default:
      return {};
  }
}

/// SQLite asks for each column by a call of its own, so those that need no guard do without.
int ShowColumn(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  Cursor& cursor = CursorOf(base);
  const store::CellReader& reader = cursor.reader;
  switch (column) {
    case kTable:
      SetResult(context, cells::ValueView::Text(reader.table().name));
      return SQLITE_OK;
    case kColumn:
      SetResult(context, cells::ValueView::Text(reader.is_sentinel()
                                                    ? store::kSentinelColumn
                                                    : std::string_view(reader.column().name)));
      return SQLITE_OK;
    case kColVersion:
      sqlite3_result_int64(context, reader.col_version());
      return SQLITE_OK;
    case kDbVersion:
      sqlite3_result_int64(context, reader.stamp().db_version);
      return SQLITE_OK;
    case kCausalLength:
      sqlite3_result_int64(context, reader.cl());
      return SQLITE_OK;
    case kSeq:
      sqlite3_result_int64(context, reader.stamp().seq);
      return SQLITE_OK;
    default:
      return GuardTable(base->pVtab, [&] { return ShowFetched(cursor, context, column); });
  }
}

Result<int64_t> IntegerOf(sqlite3_value** row, int column, const char* name) {
  if (sqlite3_value_type(row[column]) == SQLITE_INTEGER) {
    return sqlite3_value_int64(row[column]);
  }
  sqlite3_value_numeric_type(row[column]);
  // Some drivers bind every number as a real.
  const cells::ValueView given = store::ArgumentValue(row[column]);
  const cells::ValueView value = cells::ApplyNumericAffinity(given, cells::Affinity::kInteger);
  if (value.type != cells::ValueType::kInteger) {
    return InvalidArgument(std::string("changes: ") + name + " must be an integer, not " +
                           cells::Describe(given));
  }
  return value.integer;
}

Result<store::FlatChange> ChangeOf(sqlite3_value** row) {
  store::FlatChange change;
  const cells::ValueView table = store::ArgumentValue(row[kTable]);
  const cells::ValueView key = store::ArgumentValue(row[kKey]);
  const cells::ValueView column = store::ArgumentValue(row[kColumn]);
  const cells::ValueView site = store::ArgumentValue(row[kSite]);
  if (table.type != cells::ValueType::kText || column.type != cells::ValueType::kText) {
    return InvalidArgument("changes: table and cid must be text");
  }
  if (key.type != cells::ValueType::kBlob && key.type != cells::ValueType::kText) {
    return InvalidArgument("changes: pk must be a blob of packed columns, not " +
                           cells::Describe(key));
  }
  change.table = table.bytes;
  change.key = key.bytes;
  change.column = column.bytes;
  change.value = store::ArgumentValue(row[kValue]);
  MERROW_ASSIGN(change.col_version, IntegerOf(row, kColVersion, "col_version"));
  MERROW_ASSIGN(change.db_version, IntegerOf(row, kDbVersion, "db_version"));
  MERROW_ASSIGN(change.cl, IntegerOf(row, kCausalLength, "cl"));
  MERROW_ASSIGN(change.seq, IntegerOf(row, kSeq, "seq"));
  if (site.type != cells::ValueType::kNull) {
    MERROW_ASSIGN(change.site, cells::SiteId::FromBytes(site.bytes));
  }
  return change;
}

int Write(sqlite3_vtab* table, int count, sqlite3_value** values, sqlite3_int64* rowid) {
  return GuardTable(table, [&]() -> Status {
    const bool is_insert =
        count == kColumnCount + 2 && sqlite3_value_type(values[0]) == SQLITE_NULL;
    if (!is_insert) {
      return InvalidArgument("changes: only SELECT and INSERT are possible");
    }
    MERROW_ASSIGN(const store::FlatChange change, ChangeOf(values + 2));
    *rowid = 1;
    return StoreOf(table).Apply(change);
  });
}

sqlite3_module MakeModule() {
  sqlite3_module module = {};
  module.iVersion = 1;
  module.xConnect = Connect;  // no xCreate: the table is there by itself
  module.xBestIndex = BestIndex;
  module.xDisconnect = Disconnect;
  module.xDestroy = Disconnect;
  module.xOpen = Open;
  module.xClose = Close;
  module.xFilter = Filter;
  module.xNext = Next;
  module.xEof = Eof;
  module.xColumn = ShowColumn;
  module.xRowid = Rowid;
  module.xUpdate = Write;
  return module;
}

const sqlite3_module kModule = MakeModule();

}  // namespace

Status RegisterChanges(store::CellStore& store) {
  for (const char* name : {"merrow_changes", "crsql_changes"}) {
    const int code = sqlite3_create_module_v2(store.db(), name, &kModule, &store, nullptr);
    if (code != SQLITE_OK) {
      return store::SqlError(store.db(), code, std::string("registering ") + name);
    }
  }
  return {};
}

}  // namespace merrow::extension
