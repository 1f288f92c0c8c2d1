// SPDX-License-Identifier: Apache-2.0
//
// What column rows cost, side by side in one run: a plain SQLite table, the same table tracked by
// merrow.so and, where its library is at hand, by cr-sqlite. Prints a Markdown report, which `make
// bench-cells` keeps as bench/results/cells.md.
//
//     cells_speed --merrow PATH [--crsqlite PATH] [--runs N] [--rows N] [--cpu]
//
// Beside them runs a floor: the plain table with a trigger that puts 12 bytes into a second table.
// A transaction that leaves a row in a log cannot cost less than that, whatever else it does.
//
// Each figure is a median over the runs, in which the kinds take turns, so that what else the
// machine does hits all alike. Table t(id, a TEXT 15 bytes, b INT, c REAL, d TEXT 36 bytes), the
// key an INTEGER PRIMARY KEY or a text of 36 characters; WAL, synchronous = NORMAL, 64 MB of cache,
// prepared statements, a file in the current directory.

#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

/// Milliseconds that have passed, or that this process has computed for.
bool count_processor_time = false;
double Now() {
  timespec time;
  clock_gettime(count_processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

struct Options {
  std::string merrow;
  std::string crsqlite;
  int runs = 5;
  int rows = 100000;
};

[[noreturn]] void Die(sqlite3* db, const std::string& doing) {
  std::fprintf(stderr, "cells_speed: %s: %s\n", doing.c_str(),
               db == nullptr ? "" : sqlite3_errmsg(db));
  std::exit(1);
}

class Database {
 public:
  Database(const std::string& path, const std::string& extension) : path_(path) {
    Remove();
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) {
      Die(db_, "opening " + path);
    }
    sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
    char* message = nullptr;
    if (!extension.empty() &&
        sqlite3_load_extension(db_, extension.c_str(), nullptr, &message) != SQLITE_OK) {
      Die(nullptr, std::string("loading ") + extension + ": " + message);
    }
    Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -64000");
  }
  ~Database() {
    for (const auto& [sql, statement] : statements_) {
      sqlite3_finalize(statement);
    }
    sqlite3_exec(db_, "SELECT crsql_finalize()", nullptr, nullptr, nullptr);
    sqlite3_close(db_);
    Remove();
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void Run(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      Die(db_, sql);
    }
  }
  sqlite3_stmt* Prepare(const std::string& sql) {
    sqlite3_stmt*& statement = statements_[sql];
    if (statement == nullptr &&
        sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      Die(db_, sql);
    }
    return statement;
  }
  void Finish(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) {
      Die(db_, sqlite3_sql(statement));
    }
    sqlite3_reset(statement);
  }
  double FileMegabytes() {
    Run("PRAGMA wal_checkpoint(TRUNCATE)");
    return static_cast<double>(std::filesystem::file_size(path_)) / 1e6;
  }
  sqlite3* handle() const { return db_; }

  /// Pages that this connection has written to its log since the last call.
  int TakePagesWritten() {
    int pages = 0;
    int most = 0;
    if (sqlite3_db_status(db_, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &most, 1) != SQLITE_OK) {
      Die(db_, "SQLITE_DBSTATUS_CACHE_WRITE");
    }
    return pages;
  }

 private:
  void Remove() const {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(path_ + suffix);
    }
  }

  std::string path_;
  sqlite3* db_ = nullptr;
  std::map<std::string, sqlite3_stmt*> statements_;
};

/// The C library puts off a part of what many small frees cost until somebody asks for a larger
/// piece. That is done here, or it would count for whoever is measured next.
void SettleMemory() {
  constexpr int kPieces = 100;
  constexpr size_t kBytes = 1 << 16;
  for (int i = 0; i < kPieces; ++i) {
    void* volatile piece = std::malloc(kBytes);
    std::free(piece);
  }
}

/// A system under test: nothing, merrow.so or cr-sqlite.
struct Kind {
  std::string name;
  std::string extension;
  bool tracked() const { return !extension.empty(); }
};

std::string KeyText(int64_t number) {
  std::mt19937_64 random(static_cast<uint64_t>(number) * 7919 + 1);
  char text[40];
  std::snprintf(text, sizeof(text), "%08x-%04x-4%03x-a%03x-%012llx",
                static_cast<unsigned>(random()), static_cast<unsigned>(random() & 0xFFFF),
                static_cast<unsigned>(random() & 0xFFF), static_cast<unsigned>(random() & 0xFFF),
                static_cast<unsigned long long>(random() & 0xFFFFFFFFFFFF));
  return text;
}

class Bench {
 public:
  Bench(const Options& options, bool text_key) : options_(options), text_key_(text_key) {
    const auto count = static_cast<size_t>(options.rows) * 2;
    keys_.reserve(count);
    for (size_t i = 0; i < count && text_key; ++i) {
      keys_.push_back(KeyText(static_cast<int64_t>(i)));
    }
    std::mt19937_64 random(42);
    for (int i = 0; i < options.rows; ++i) {
      shuffled_.push_back(i);
    }
    std::shuffle(shuffled_.begin(), shuffled_.end(), random);
  }

  /// The workloads with a transaction each, on a plain table whose trigger writes a log row.
  std::map<std::string, double> RunFloor(const Kind& plain) {
    std::map<std::string, double> figures;
    Database db("cells_speed.db", plain.extension);
    CreateTable(db, plain);
    Insert(db, 0, options_.rows, true);
    Update(db, options_.rows, true, false);
    Update(db, options_.rows, true, true);
    db.FileMegabytes();  // checkpoints, as the others do
    db.Run("CREATE TABLE log (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    for (const char* event : {"INSERT", "UPDATE"}) {
      db.Run(std::string("CREATE TRIGGER on_") + event + " AFTER " + event +
             " ON t BEGIN INSERT INTO log (bytes) VALUES (x'000102030405060708090A0B'); END");
    }
    TimeAutocommits(db, figures);
    return figures;
  }

  /// One run of all workloads; milliseconds (or megabytes) by workload.
  std::map<std::string, double> RunOnce(const Kind& kind) {
    std::map<std::string, double> figures;
    {
      Database db("cells_speed.db", kind.extension);
      CreateTable(db, kind);
      figures["insert"] = Time([&] { Insert(db, 0, options_.rows, true); });
      figures["size"] = db.FileMegabytes();
      figures["update"] = Time([&] { Update(db, options_.rows, true, false); });
      figures["update random"] = Time([&] { Update(db, options_.rows, true, true); });
      figures["size after updates"] = db.FileMegabytes();
      TimeAutocommits(db, figures);
    }
    Merge(kind, figures);
    if (kind.name == "merrow") {
      Exchange(kind, figures);
    } else if (kind.tracked()) {
      figures["apply new"] = figures["merge new"];
      figures["apply newer"] = figures["merge newer"];
      figures["export new"] = figures["read"];
    }
    return figures;
  }

 private:
  static double Time(const std::function<void()>& work) {
    SettleMemory();
    const double start = Now();
    work();
    return Now() - start;
  }

  void TimeAutocommits(Database& db, std::map<std::string, double>& figures) {
    const int count = options_.rows / 10;
    const auto time = [&](const std::string& figure, const std::function<void()>& work) {
      db.TakePagesWritten();
      figures[figure] = Time(work);
      figures[figure + " pages"] = static_cast<double>(db.TakePagesWritten()) / count;
    };
    time("autocommit insert", [&] { Insert(db, options_.rows, options_.rows + count, false); });
    time("autocommit update", [&] { Update(db, count, false, true); });
  }

  void CreateTable(Database& db, const Kind& kind) const {
    db.Run(std::string("CREATE TABLE t (id ") + (text_key_ ? "TEXT" : "INTEGER") +
           " PRIMARY KEY NOT NULL, a TEXT, b INT, c REAL, d TEXT)");
    if (kind.tracked()) {
      db.Run("SELECT crsql_as_crr('t')");
    }
  }

  void BindKey(sqlite3_stmt* statement, int index, int number) const {
    if (text_key_) {
      const std::string& key = keys_[static_cast<size_t>(number)];
      sqlite3_bind_text(statement, index, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    } else {
      sqlite3_bind_int64(statement, index, number);
    }
  }

  void Insert(Database& db, int from, int to, bool one_transaction) const {
    sqlite3_stmt* const statement = db.Prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)");
    if (one_transaction) {
      db.Run("BEGIN");
    }
    for (int i = from; i < to; ++i) {
      BindKey(statement, 1, i);
      sqlite3_bind_text(statement, 2, "fifteen letters", -1, SQLITE_STATIC);
      sqlite3_bind_int(statement, 3, i * 7);
      sqlite3_bind_double(statement, 4, i + 0.5);
      sqlite3_bind_text(statement, 5, "thirty-six characters of other text.", -1, SQLITE_STATIC);
      db.Finish(statement);
    }
    if (one_transaction) {
      db.Run("COMMIT");
    }
  }

  void Update(Database& db, int count, bool one_transaction, bool random) {
    sqlite3_stmt* const statement = db.Prepare("UPDATE t SET b = ?2 WHERE id = ?1");
    if (one_transaction) {
      db.Run("BEGIN");
    }
    for (int i = 0; i < count; ++i) {
      BindKey(statement, 1, random ? shuffled_[static_cast<size_t>(i)] : i);
      sqlite3_bind_int64(statement, 2, ++next_value_);
      db.Finish(statement);
    }
    if (one_transaction) {
      db.Run("COMMIT");
    }
  }

  /// A plain table takes the same values by one upsert per value, the cheapest that SQL can do with
  /// changes that come one by one.
  void MergePlain(Database& db, int rows) {
    std::vector<sqlite3_stmt*> upserts;
    for (const char* column : {"a", "b", "c", "d"}) {
      upserts.push_back(db.Prepare(std::string("INSERT INTO t (id, ") + column +
                                   ") VALUES (?1, ?2) ON CONFLICT DO UPDATE SET " + column +
                                   " = excluded." + column));
    }
    db.Run("BEGIN");
    for (int i = 0; i < rows; ++i) {
      for (sqlite3_stmt* upsert : upserts) {
        BindKey(upsert, 1, i);
        sqlite3_bind_int64(upsert, 2, ++next_value_);
        db.Finish(upsert);
      }
    }
    db.Run("COMMIT");
  }

  struct Change {
    std::vector<sqlite3_value*> values;
  };

  static std::vector<Change> ReadChanges(Database& db) {
    std::vector<Change> changes;
    sqlite3_stmt* const statement = db.Prepare("SELECT * FROM crsql_changes");
    while (sqlite3_step(statement) == SQLITE_ROW) {
      Change change;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        change.values.push_back(sqlite3_value_dup(sqlite3_column_value(statement, i)));
      }
      changes.push_back(std::move(change));
    }
    sqlite3_reset(statement);
    return changes;
  }

  static void WriteChanges(Database& db, const std::vector<Change>& changes) {
    std::string parameters = "?";
    for (size_t i = 1; i < changes[0].values.size(); ++i) {
      parameters += ", ?";
    }
    sqlite3_stmt* const statement =
        db.Prepare("INSERT INTO crsql_changes VALUES (" + parameters + ")");
    db.Run("BEGIN");
    for (const Change& change : changes) {
      for (size_t i = 0; i < change.values.size(); ++i) {
        sqlite3_bind_value(statement, static_cast<int>(i) + 1, change.values[i]);
      }
      db.Finish(statement);
    }
    db.Run("COMMIT");
  }

  static void Free(std::vector<Change>& changes) {
    for (const Change& change : changes) {
      for (sqlite3_value* value : change.values) {
        sqlite3_value_free(value);
      }
    }
    changes.clear();
  }

  void Merge(const Kind& kind, std::map<std::string, double>& figures) {
    const int rows = options_.rows / 4;
    Database target("cells_speed_target.db", kind.extension);
    CreateTable(target, kind);
    if (!kind.tracked()) {
      figures["merge new"] = Time([&] { MergePlain(target, rows); });
      figures["merge newer"] = Time([&] { MergePlain(target, rows); });
      sqlite3_stmt* const read = target.Prepare("SELECT * FROM t");
      figures["read"] = Time([&] { ReadAll(read); });
      return;
    }
    Database source("cells_speed_source.db", kind.extension);
    CreateTable(source, kind);
    Insert(source, 0, rows, true);
    std::vector<Change> changes = ReadChanges(source);
    figures["merge new"] = Time([&] { WriteChanges(target, changes); });
    figures["merge known"] = Time([&] { WriteChanges(target, changes); });
    Free(changes);
    source.Run("UPDATE t SET a = a || 'x', b = b + 1, c = c + 1, d = d || 'x'");
    changes = ReadChanges(source);
    figures["merge newer"] = Time([&] { WriteChanges(target, changes); });
    Free(changes);
    sqlite3_stmt* const read = source.Prepare("SELECT * FROM crsql_changes");
    figures["read"] = Time([&] { ReadAll(read); });
  }

  /// Looks at every value as what it is, as a reader would.
  static void ReadAll(sqlite3_stmt* statement) {
    double sum = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        switch (sqlite3_column_type(statement, i)) {
          case SQLITE_INTEGER:
            sum += static_cast<double>(sqlite3_column_int64(statement, i));
            break;
          case SQLITE_FLOAT:
            sum += sqlite3_column_double(statement, i);
            break;
          case SQLITE_NULL:
            break;
          default:
            sum += sqlite3_column_blob(statement, i) != nullptr ? 1 : 0;
            sum += sqlite3_column_bytes(statement, i);
        }
      }
    }
    sqlite3_reset(statement);
    if (sum == 0) {
      Die(nullptr, "nothing was read");
    }
  }

  /// The same changes the way merrow sites exchange them: one changeset file, read out of one
  /// database and merged into another. cr-sqlite has the rows of crsql_changes for that.
  void Exchange(const Kind& kind, std::map<std::string, double>& figures) {
    Database source("cells_speed_source.db", kind.extension);
    Database target("cells_speed_target.db", kind.extension);
    CreateTable(source, kind);
    CreateTable(target, kind);
    Insert(source, 0, options_.rows / 4, true);
    for (const char* when : {"new", "newer"}) {
      // Keeps what it makes, and the log that it makes the first time is not what is measured.
      source.Run("SELECT merrow_changeset()");
      target.Run("SELECT merrow_changeset()");
      sqlite3_stmt* const read = source.Prepare("SELECT merrow_changeset()");
      sqlite3_stmt* const apply = target.Prepare("SELECT merrow_apply(?1)");
      figures[std::string("export ") + when] = Time([&] {
        if (sqlite3_step(read) != SQLITE_ROW) {
          Die(source.handle(), "merrow_changeset");
        }
      });
      sqlite3_bind_value(apply, 1, sqlite3_column_value(read, 0));
      figures[std::string("apply ") + when] = Time([&] {
        if (sqlite3_step(apply) != SQLITE_ROW || sqlite3_column_int(apply, 0) == 0) {
          Die(target.handle(), "merrow_apply");
        }
        sqlite3_reset(apply);
      });
      sqlite3_reset(read);
      source.Run("UPDATE t SET a = a || 'x', b = b + 1, c = c + 1, d = d || 'x'");
    }
  }

  Options options_;
  bool text_key_;
  std::vector<std::string> keys_;
  std::vector<int> shuffled_;
  int64_t next_value_ = 1000000000;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Milliseconds of ALTER TABLE ADD COLUMN and what makes it known, on a million rows.
double TimeAddColumn(const Kind& kind) {
  Database db("cells_speed.db", kind.extension);
  db.Run("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a)");
  if (kind.tracked()) {
    db.Run("SELECT crsql_as_crr('t')");
  }
  db.Run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) "
      "INSERT INTO t SELECT i, 'a' FROM n");
  const double start = Now();
  if (kind.name == "cr-sqlite") {
    db.Run(
        "SELECT crsql_begin_alter('t'); ALTER TABLE t ADD COLUMN b DEFAULT 1; "
        "SELECT crsql_commit_alter('t')");
  } else {
    db.Run("ALTER TABLE t ADD COLUMN b DEFAULT 1");
    if (kind.tracked()) {
      db.Run("SELECT merrow_track('t')");
    }
  }
  return Now() - start;
}

struct Workload {
  const char* figure;
  const char* title;
  const char* goal;
};

const Workload kWorkloads[] = {
    {"insert", "100k inserts, one transaction", "at most 2x plain"},
    {"update", "100k one-column updates in key order, one transaction", "at most 2.5x plain"},
    {"update random", "100k one-column updates in random order, one transaction",
     "at most 2.5x plain"},
    {"autocommit insert", "10k inserts, each its own transaction", "at most 1.5x plain"},
    {"autocommit update", "10k updates, each its own transaction", "at most 1.5x plain"},
    {"size", "file after the inserts, MB", "at most 1.3x plain"},
    {"size after updates", "file after the updates too, MB", ""},
    {"merge new", "100k changes of 25k rows merged by INSERT INTO crsql_changes, rows new", ""},
    {"merge newer", "the same, all newer than what is there", ""},
    {"merge known", "the same, all known already", ""},
    {"apply new", "the 100k changes as one changeset, merrow_apply, rows new (cr-sqlite: as above)",
     "10x cr-sqlite"},
    {"apply newer", "the same, all newer than what is there", "10x cr-sqlite"},
    {"read", "100k changes read from crsql_changes (plain: the 25k rows)", "5x cr-sqlite"},
    {"export new", "the 100k changes by merrow_changeset (cr-sqlite: as above)", "5x cr-sqlite"},
};

void Report(const std::string& title, const std::vector<Kind>& kinds,
            std::map<std::string, std::map<std::string, std::vector<double>>>& figures) {
  std::printf("\n## %s\n\n| ms unless said |", title.c_str());
  for (const Kind& kind : kinds) {
    std::printf(" %s |", kind.name.c_str());
  }
  std::printf(" merrow / plain |%s goal |\n|---|", kinds.size() > 2 ? " cr-sqlite / merrow |" : "");
  for (size_t i = 0; i < kinds.size() + (kinds.size() > 2 ? 2 : 1); ++i) {
    std::printf("---:|");
  }
  std::printf("---|\n");
  for (const Workload& workload : kWorkloads) {
    std::printf("| %s |", workload.title);
    std::map<std::string, double> medians;
    for (const Kind& kind : kinds) {
      const std::vector<double>& values = figures[kind.name][workload.figure];
      if (values.empty()) {
        std::printf(" - |");
        continue;
      }
      medians[kind.name] = Median(values);
      std::printf(" %.1f |", medians[kind.name]);
    }
    const auto ratio = [&](const char* a, const char* b) {
      if (medians.count(a) == 0 || medians.count(b) == 0) {
        std::printf(" - |");
      } else {
        std::printf(" %.2fx |", medians[a] / medians[b]);
      }
    };
    ratio("merrow", "plain");
    if (kinds.size() > 2) {
      ratio("cr-sqlite", "merrow");
    }
    std::printf(" %s |\n", workload.goal);
  }
}

void ReportFloor(std::map<std::string, std::map<std::string, std::vector<double>>>& figures) {
  std::printf(
      "\nA transaction that leaves a row in a log writes one page more than a plain one. The "
      "floor: the plain table with a trigger that inserts 12 bytes into a second table, and "
      "nothing else.\n"
      "\n| each its own transaction | floor, ms | floor / plain | merrow / floor | pages written "
      "per transaction: plain | floor | merrow |\n|---|---:|---:|---:|---:|---:|---:|\n");
  for (const std::string figure : {"autocommit insert", "autocommit update"}) {
    const double floor = Median(figures["floor"][figure]);
    std::printf("| 10k %ss | %.1f | %.2fx | %.2fx |", figure.c_str() + std::strlen("autocommit "),
                floor, floor / Median(figures["plain"][figure]),
                Median(figures["merrow"][figure]) / floor);
    for (const char* kind : {"plain", "floor", "merrow"}) {
      std::printf(" %.2f |", Median(figures[kind][figure + " pages"]));
    }
    std::printf("\n");
  }
}

int Main(const Options& options) {
  std::vector<Kind> kinds = {{"plain", ""}, {"merrow", options.merrow}};
  if (!options.crsqlite.empty()) {
    kinds.push_back({"cr-sqlite", options.crsqlite});
  }
  std::printf(
      "# What column rows cost\n\nWritten by `make bench-cells` (bench/cells_speed.cc says how): "
      "SQLite %s, %d runs, medians of %s time.\n",
      sqlite3_libversion(), options.runs, count_processor_time ? "processor" : "elapsed");
  if (options.crsqlite.empty()) {
    std::printf(
        "cr-sqlite was not at hand; `make bench-cells ARGS=\"--crsqlite PATH\"` puts it beside.\n");
  }
  for (const bool text_key : {false, true}) {
    Bench bench(options, text_key);
    std::map<std::string, std::map<std::string, std::vector<double>>> figures;
    for (int run = 0; run < options.runs; ++run) {
      for (const Kind& kind : kinds) {
        for (const auto& [name, value] : bench.RunOnce(kind)) {
          figures[kind.name][name].push_back(value);
        }
      }
      for (const auto& [name, value] : bench.RunFloor(kinds[0])) {
        figures["floor"][name].push_back(value);
      }
    }
    Report(text_key ? "Key: text of 36 characters" : "Key: INTEGER PRIMARY KEY", kinds, figures);
    ReportFloor(figures);
  }
  std::printf("\n## ALTER TABLE ADD COLUMN on a million rows\n\n| | ms | goal |\n|---|---:|---|\n");
  for (const Kind& kind : kinds) {
    std::printf("| %s | %.2f | %s |\n", kind.name.c_str(), TimeAddColumn(kind),
                kind.name == "merrow" ? "under 5 ms" : "");
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app{"What column rows cost"};
  Options options;
  app.add_option("--merrow", options.merrow, "merrow.so")->required();
  app.add_option("--crsqlite", options.crsqlite, "crsqlite.so");
  app.add_option("--runs", options.runs, "Runs of each workload")->check(CLI::Range(1, 99));
  app.add_option("--rows", options.rows, "Rows of the large workloads")
      ->check(CLI::Range(1000, 10000000));
  app.add_flag("--cpu", count_processor_time,
               "Processor time instead of elapsed time, for a machine that others use too");
  CLI11_PARSE(app, count, arguments);
  return Main(options);
}
