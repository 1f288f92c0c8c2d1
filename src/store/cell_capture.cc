// SPDX-License-Identifier: Apache-2.0
//
// The two ends at which SQLite calls column rows: the functions that triggers call, and the virtual
// table merrow_cell_txn, by which it reports the transaction's fate. Nothing here lets an exception
// into SQLite.
#include "store/cell_statement.h"

#include <memory>
#include <string>
#include <vector>

#include "cells/packed_key.h"
#include "store/cell_guard.h"
#include "store/cell_store.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {

/// What the callbacks may do with a store.
class CellCapture {
 public:
  static void Insert(sqlite3_context* context, int count, sqlite3_value** values) {
    Record(context, count, values, &CellCapture::RecordInsert);
  }
  static void Update(sqlite3_context* context, int count, sqlite3_value** values) {
    Record(context, count, values, &CellCapture::RecordUpdate);
  }
  static void Columns(sqlite3_context* context, int count, sqlite3_value** values) {
    Record(context, count, values, &CellCapture::RecordColumns);
  }
  static void Delete(sqlite3_context* context, int count, sqlite3_value** values) {
    Record(context, count, values, &CellCapture::RecordDelete);
  }

  static bool joining(const CellStore& store) { return store.joining_; }
  static Status Begin(CellStore& store) { return store.BeginTransaction(); }
  static void Committed(CellStore& store) { store.Committed(); }
  static void AlterEnded(CellStore& store) { store.alters_.clear(); }
  static void SavepointEnded(CellStore& store, int number) { store.SavepointEnded(number); }
  static void Closing(CellStore& store) { store.Closing(); }
  static CellStore* Make(sqlite3* db) { return new CellStore(db); }

 private:
  struct Call {
    CellStore& store;
    CellTable& table;
    int count;
    sqlite3_value** values;  // behind the table's id
  };
  using Recorder = Status (*)(const Call&);

  static void Record(sqlite3_context* context, int count, sqlite3_value** values,
                     Recorder recorder) {
    auto& store = *static_cast<CellStore*>(sqlite3_user_data(context));
    if (store.applying_) {
      return;
    }
    GuardFunction(context, [&]() -> Status {
      if (count < 2) {
        return InvalidArgument("called outside a trigger of a tracked table");
      }
      MERROW_TRY(store.Join());
      CellTable* const table = store.tables_.FindId(sqlite3_value_int64(values[0]));
      if (table == nullptr) {
        return NotFound("the table of this trigger is not tracked; drop the trigger");
      }
      MERROW_TRY(recorder({store, *table, count - 1, values + 1}));
      if (store.transaction_.is_full()) {
        MERROW_TRY(store.transaction_.Flush());
      }
      return {};
    });
  }

  static Error Outdated(const Call& call) {
    return InvalidArgument("table " + call.table.name +
                           ": its columns changed since it was tracked; run SELECT merrow_track(" +
                           SqlText(call.table.name) + ")");
  }

  /// The key at values[at], packed into `buffer` unless it is a number.
  static RowKey KeyAt(const Call& call, size_t at, Bytes& buffer) {
    if (call.table.int_key) {
      return {call.table.id, sqlite3_value_int64(call.values[at]), {}};
    }
    const size_t count = call.table.key.size();
    buffer.assign(1, static_cast<char>(static_cast<unsigned char>(count)));
    for (size_t i = 0; i < count; ++i) {
      cells::AppendPackedColumn(
          cells::KeyValue(ArgumentValue(call.values[at + i]), call.table.key[i].affinity), buffer);
    }
    return {call.table.id, 0, buffer};
  }

  static Status RecordInsert(const Call& call) {
    if (static_cast<size_t>(call.count) != call.table.key.size()) {
      return Outdated(call);
    }
    Bytes buffer;
    call.store.transaction_.AddInsert(KeyAt(call, 0, buffer));
    return {};
  }

  static Status RecordDelete(const Call& call) {
    if (static_cast<size_t>(call.count) != call.table.key.size()) {
      return Outdated(call);
    }
    Bytes buffer;
    call.store.transaction_.AddDelete(KeyAt(call, 0, buffer));
    return {};
  }

  /// Nearly all columns of an update are as they were, so this is what an update costs.
  static bool Differ(sqlite3_value* a, sqlite3_value* b) {
    const int type = sqlite3_value_type(a);
    if (type == SQLITE_INTEGER && sqlite3_value_type(b) == type) {
      return sqlite3_value_int64(a) != sqlite3_value_int64(b);
    }
    return !cells::SameValue(ArgumentValue(a), ArgumentValue(b));
  }

  /// Adds those of `count` columns from `first` on whose values, from call.values[at] on, differ.
  static void AddChanged(const Call& call, size_t at, size_t first, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (Differ(call.values[at + 2 * i], call.values[at + 2 * i + 1])) {
        call.store.changed_.push_back(call.table.columns[first + i].id);
      }
    }
  }

  /// Of an update of a wide table, some columns. RecordUpdate follows.
  static Status RecordColumns(const Call& call) {
    const size_t before = call.table.ColumnsBeforeLastCall();
    const int64_t first = sqlite3_value_int64(call.values[0]);
    const auto count = static_cast<size_t>(call.count - 1) / 2;
    if (call.count % 2 == 0 || call.table.columns.size() != call.table.triggered_columns ||
        first < 0 || static_cast<size_t>(first) > before ||
        count > before - static_cast<size_t>(first)) {
      return Outdated(call);
    }
    if (first == 0) {
      call.store.changed_.clear();
    }
    AddChanged(call, 1, static_cast<size_t>(first), count);
    return {};
  }

  static Status RecordUpdate(const Call& call) {
    const size_t keys = call.table.key.size();
    const size_t columns = call.table.columns.size();
    const size_t before = call.table.ColumnsBeforeLastCall();
    if (static_cast<size_t>(call.count) != 2 * keys + 2 * (columns - before) ||
        columns != call.table.triggered_columns) {
      return Outdated(call);
    }
    bool moved = false;
    for (size_t i = 0; i < keys; ++i) {
      moved = moved || Differ(call.values[i], call.values[keys + i]);
    }
    Bytes buffer;
    if (moved) {
      Bytes old_buffer;
      const RowKey from = KeyAt(call, keys, old_buffer);
      const RowKey to = KeyAt(call, 0, buffer);
      // From 5 to 5.0 is not a move.
      if (from.number != to.number || from.packed != to.packed) {
        call.store.transaction_.AddMove(from, to);
        return {};
      }
    }
    std::vector<cells::ColumnId>& changed = call.store.changed_;
    if (before == 0) {
      changed.clear();
    }
    AddChanged(call, 2 * keys, before, columns - before);
    if (!changed.empty() || sqlite3_get_autocommit(call.store.db_) == 0) {
      call.store.transaction_.AddUpdate(KeyAt(call, 0, buffer), changed);
    }
    return {};
  }
};

namespace {

/// A text as the number that SQLite would store for it in a numeric column.
void ToNumber(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_value_numeric_type(values[0]);
  sqlite3_result_value(context, values[0]);
}

/// A log row without its clocks.
void Keys(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    const BytesView rows = ArgumentValue(values[0]).bytes;
    if (!HasTxClocks(rows)) {
      sqlite3_result_value(context, values[0]);
      return {};
    }
    MERROW_ASSIGN(const Bytes keys, WithoutTxClocks(rows));
    sqlite3_result_blob64(context, keys.data(), keys.size(), SQLITE_TRANSIENT);
    return {};
  });
}

struct TxnTable : sqlite3_vtab {
  explicit TxnTable(CellStore* of) : sqlite3_vtab{}, store(of) {}
  CellStore* store;
};

CellStore& StoreOf(sqlite3_vtab* table) { return *static_cast<TxnTable*>(table)->store; }

int Connect(sqlite3* db, void* store, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(db, "CREATE TABLE x (joined INTEGER)");
  if (code != SQLITE_OK) {
    return code;
  }
  auto made =
      std::unique_ptr<TxnTable>(new (std::nothrow) TxnTable(static_cast<CellStore*>(store)));
  if (made == nullptr) {
    return SQLITE_NOMEM;
  }
  *table = made.release();
  return SQLITE_OK;
}

int Disconnect(sqlite3_vtab* table) {
  delete static_cast<TxnTable*>(table);
  return SQLITE_OK;
}

/// SQLite disconnects virtual tables before it looks for statements that would forbid closing, so
/// this is where the store lets go of its own. A table that one of them uses stays connected;
/// merrow_cell_close is used by none.
int DisconnectClose(sqlite3_vtab* table) {
  CellCapture::Closing(StoreOf(table));
  return Disconnect(table);
}

int BestIndex(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1;
  return SQLITE_OK;
}

int Open(sqlite3_vtab*, sqlite3_vtab_cursor** cursor) {
  auto made = std::unique_ptr<sqlite3_vtab_cursor>(new (std::nothrow) sqlite3_vtab_cursor{});
  if (made == nullptr) {
    return SQLITE_NOMEM;
  }
  *cursor = made.release();
  return SQLITE_OK;
}

int Close(sqlite3_vtab_cursor* cursor) {
  delete cursor;
  return SQLITE_OK;
}

// It holds no rows.
int Filter(sqlite3_vtab_cursor*, int, const char*, int, sqlite3_value**) { return SQLITE_OK; }
int Next(sqlite3_vtab_cursor*) { return SQLITE_OK; }
int Eof(sqlite3_vtab_cursor*) { return 1; }
int Column(sqlite3_vtab_cursor*, sqlite3_context*, int) { return SQLITE_OK; }
int Rowid(sqlite3_vtab_cursor*, sqlite3_int64* rowid) {
  *rowid = 0;
  return SQLITE_OK;
}

int Write(sqlite3_vtab* table, int, sqlite3_value**, sqlite3_int64* rowid) {
  *rowid = 1;
  return CellCapture::joining(StoreOf(table)) ? SQLITE_OK : SQLITE_READONLY;
}

int Begin(sqlite3_vtab* table) {
  if (!CellCapture::joining(StoreOf(table))) {
    return SQLITE_READONLY;
  }
  return GuardTable(table, [&] { return CellCapture::Begin(StoreOf(table)); });
}

int Sync(sqlite3_vtab* table) {
  return GuardTable(table, [&]() -> Status {
    const KeepLastInsertRowId keep(StoreOf(table).db());
    if (StoreOf(table).listener() != nullptr) {
      MERROW_TRY(StoreOf(table).listener()->BeforeCommit());
    }
    return StoreOf(table).transaction().Flush();
  });
}

int Commit(sqlite3_vtab* table) {
  return GuardTable(table, [&]() -> Status {
    CellCapture::Committed(StoreOf(table));
    if (StoreOf(table).listener() != nullptr) {
      StoreOf(table).listener()->Committed();
    }
    return {};
  });
}

/// After a rollback: what is known may not be so.
void Forget(CellStore& store) {
  store.Forget();
  if (store.listener() != nullptr) {
    store.listener()->RolledBack();
  }
}

int Rollback(sqlite3_vtab* table) {
  return GuardTable(table, [&]() -> Status {
    StoreOf(table).tables().pending().Invalidate();
    StoreOf(table).transaction().ForgetBlocks();
    StoreOf(table).transaction().End();
    CellCapture::AlterEnded(StoreOf(table));
    Forget(StoreOf(table));
    return {};
  });
}

int SavepointBegin(sqlite3_vtab* table, int number) {
  return GuardTable(table, [&]() -> Status {
    StoreOf(table).transaction().Savepoint(number);
    return {};
  });
}

int SavepointRelease(sqlite3_vtab* table, int number) {
  return GuardTable(table, [&]() -> Status {
    StoreOf(table).transaction().Release(number);
    CellCapture::SavepointEnded(StoreOf(table), number);
    return {};
  });
}

int SavepointRollback(sqlite3_vtab* table, int number) {
  return GuardTable(table, [&]() -> Status {
    StoreOf(table).transaction().RollbackTo(number);
    CellCapture::SavepointEnded(StoreOf(table), number);
    Forget(StoreOf(table));
    return {};
  });
}

sqlite3_module MakeModule() {
  sqlite3_module module = {};
  module.iVersion = 2;
  module.xConnect = Connect;  // no xCreate: the table is there by itself
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
  module.xUpdate = Write;
  module.xBegin = Begin;
  module.xSync = Sync;
  module.xCommit = Commit;
  module.xRollback = Rollback;
  module.xSavepoint = SavepointBegin;
  module.xRelease = SavepointRelease;
  module.xRollbackTo = SavepointRollback;
  return module;
}

sqlite3_module MakeCloseModule() {
  sqlite3_module module = {};
  module.iVersion = 1;
  module.xConnect = Connect;
  module.xBestIndex = BestIndex;
  module.xDisconnect = DisconnectClose;
  module.xDestroy = DisconnectClose;
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
const sqlite3_module kCloseModule = MakeCloseModule();

void DeleteStore(void* store) { delete static_cast<CellStore*>(store); }

}  // namespace

Result<CellStore*> CellStore::Attach(sqlite3* db) {
  CellStore* const store = CellCapture::Make(db);
  // From here on SQLite owns the store: it calls DeleteStore also when this fails.
  int code = sqlite3_create_module_v2(db, "merrow_cell_txn", &kModule, store, DeleteStore);
  if (code != SQLITE_OK) {
    return SqlError(db, code, "registering merrow_cell_txn");
  }
  code = sqlite3_create_module_v2(db, "merrow_cell_close", &kCloseModule, store, nullptr);
  if (code != SQLITE_OK) {
    return SqlError(db, code, "registering merrow_cell_close");
  }
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
  struct {
    const char* name;
    int arguments;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  } const functions[] = {{"merrow_cell_insert", -1, CellCapture::Insert},
                         {"merrow_cell_update", -1, CellCapture::Update},
                         {"merrow_cell_columns", -1, CellCapture::Columns},
                         {"merrow_cell_delete", -1, CellCapture::Delete},
                         {"merrow_cell_number", 1, ToNumber},
                         {"merrow_cell_keys", 1, Keys}};
  for (const auto& function : functions) {
    code = sqlite3_create_function_v2(db, function.name, function.arguments, kFlags, store,
                                      function.function, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
      return SqlError(db, code, std::string("registering ") + function.name);
    }
  }
  store->WatchClose();
  return store;
}

}  // namespace merrow::store
