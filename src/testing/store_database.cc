// SPDX-License-Identifier: Apache-2.0
#include "testing/store_database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "base/bytes.h"
#include "merrow/check.h"
#include "merrow/document.h"
#include "server/replica_outcomes.h"

namespace merrow::testing {
namespace {

using replication::Fate;

constexpr char kFirstSchema[] =
    "CREATE TABLE log (id INTEGER PRIMARY KEY NOT NULL, text TEXT);"
    "CREATE TABLE kv (id INTEGER PRIMARY KEY NOT NULL, a TEXT, b TEXT);"
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, items CRDT_LIST);";
constexpr char kSecondSchema[] =
    "CREATE TABLE log (id INTEGER PRIMARY KEY NOT NULL, text TEXT, extra TEXT);"
    "CREATE TABLE kv (id INTEGER PRIMARY KEY NOT NULL, a TEXT, b TEXT);"
    "CREATE TABLE late (id INTEGER PRIMARY KEY NOT NULL, text TEXT);"
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, items CRDT_LIST);";

constexpr char kNote[] = "note";
constexpr size_t kRepairBytes = size_t{1} << 20;

std::string FreshPath() {
  static std::atomic<uint64_t> next = 0;
  const std::filesystem::path memory = "/dev/shm";
  const auto folder =
      std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
  return folder / ("merrow-sim-" + std::to_string(getpid()) + "-" + std::to_string(next++));
}

// SQLite draws anew after it opened the first file of a process, with a seed or without.
void OpenOneFile() {
  const std::string path = FreshPath();
  sqlite3* db = nullptr;
  MERROW_CHECK(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  MERROW_CHECK(sqlite3_exec(db, "PRAGMA user_version = 1", nullptr, nullptr, nullptr) == SQLITE_OK);
  MERROW_CHECK(sqlite3_close(db) == SQLITE_OK);
  std::filesystem::remove(path);
}

// Every suffix that SQLite or the store puts behind the name.
constexpr const char* kSuffixes[] = {"", "-wal", "-shm", "-journal", "-merrow-lock"};

std::string NameOf(int64_t document) { return "d" + std::to_string(document); }

loro::ContainerId Items() { return loro::ContainerId::Root("items", loro::ContainerKind::kList); }

std::vector<VersionProof> ProofsOf(const std::vector<store::VersionProof>& from) {
  std::vector<VersionProof> proofs;
  for (const store::VersionProof& proof : from) proofs.push_back({proof.version, proof.timestamp});
  return proofs;
}

}  // namespace

StoreDatabase::StoreDatabase(const SimDatabaseSetup& setup)
    : wall_ms_(setup.wall_ms),
      random_(setup.random),
      tombstone_keep_ms_(setup.tombstone_keep_ms),
      clock_(setup.wall_ms),
      has_second_schema_(setup.has_second_schema),
      path_(FreshPath()) {
  Open();
}

StoreDatabase::StoreDatabase(const StoreDatabase& other, std::string path)
    : wall_ms_(other.wall_ms_),
      random_(other.random_),
      tombstone_keep_ms_(other.tombstone_keep_ms_),
      clock_(other.wall_ms_),
      has_second_schema_(other.has_second_schema_),
      path_(std::move(path)) {
  Open();
}

StoreDatabase::~StoreDatabase() {
  Close();
  for (const char* const suffix : kSuffixes) std::filesystem::remove(path_ + suffix);
}

void StoreDatabase::Open() {
  // Site ids are drawn by SQLite: with a seed, they are the same in every run.
  [[maybe_unused]] static const bool is_first = (OpenOneFile(), true);
  const int seed = static_cast<int>(random_.Next() % INT32_MAX) + 1;
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed, nullptr);
  store::StoreOptions options;
  options.path = path_;
  options.schema_sql = has_second_schema_ ? kSecondSchema : kFirstSchema;
  options.clock = &clock_;
  options.document_memory_bytes_max = size_t{1} << 20;
  options.replicate = true;
  options.replica_limits.entries_kept = 4;
  options.replica_limits.tombstone_keep_ms = tombstone_keep_ms_;
  options.replica_limits.tombstone_pause_ms = 100;
  auto store = store::Store::Open(options);
  if (!store.ok()) printf("open: %s\n", store.error().ToString().c_str());
  MERROW_CHECK(store.ok());
  store_ = std::move(*store);
  store_->KeepPublished(true);
  auto digest = store::ReplicaDigest::Open(path_, /*busy_timeout_ms=*/1000);
  MERROW_CHECK(digest.ok());
  digest_ = std::move(*digest);
  MERROW_CHECK(sqlite3_open_v2(path_.c_str(), &reader_, SQLITE_OPEN_READONLY, nullptr) ==
               SQLITE_OK);
}

void StoreDatabase::Close() {
  sqlite3_close(std::exchange(reader_, nullptr));
  digest_.reset();
  store_.reset();
}

std::string StoreDatabase::CopyFiles() const {
  const std::string path = FreshPath();
  for (const char* const suffix : {"", "-wal"}) {
    if (std::filesystem::exists(path_ + suffix)) {
      std::filesystem::copy_file(path_ + suffix, path + suffix);
    }
  }
  return path;
}

void StoreDatabase::Crash() {
  const std::string path = CopyFiles();
  Close();
  for (const char* const suffix : kSuffixes) std::filesystem::remove(path_ + suffix);
  path_ = path;
  Open();
}

std::unique_ptr<SimDatabase> StoreDatabase::Backup() {
  return std::unique_ptr<SimDatabase>(new StoreDatabase(*this, CopyFiles()));
}

void StoreDatabase::TakeSecondSchema() {
  if (std::exchange(has_second_schema_, true)) return;
  Close();
  Open();
}

// --- Writing here.

Status StoreDatabase::Edit(const DocumentWrite& write) {
  const std::string key = NameOf(write.id);
  loro::Document document(random_.Next() >> 1);
  const auto snapshot = store_->ReadSnapshot(kNote, key);
  if (snapshot.ok()) MERROW_TRY(document.Import(snapshot->bytes));
  const loro::VersionVector before = document.version();
  const size_t length = document.Length(Items());
  MERROW_TRY(
      document.ListInsert(Items(), random_.Next() % (length + 1), loro::Value(write.marker)));
  document.Commit();
  const Bytes update = document.ExportUpdates(before);
  const store::Write batch{kNote, key, update};
  const auto results = store_->ApplyBatch({&batch, 1});
  if (const Error* const error = std::get_if<Error>(&results[0])) return *error;
  return {};
}

Status StoreDatabase::Commit(const Write& write) {
  std::vector<store::SqlWrite> statements;
  for (const RowWrite& row : write.rows) {
    store::SqlWrite& statement = statements.emplace_back();
    statement.values.push_back(cells::Value::Integer(row.id));
    if (row.is_delete) {
      statement.sql = "DELETE FROM " + row.table + " WHERE id = ?1";
      continue;
    }
    std::string columns = "id";
    std::string values = "?1";
    std::string updates;
    for (const auto& [column, text] : row.texts) {
      statement.values.push_back(cells::Value::Text(text));
      const std::string parameter = "?" + std::to_string(statement.values.size());
      columns += ", " + column;
      values += ", " + parameter;
      updates += (updates.empty() ? "" : ", ") + column + " = excluded." + column;
    }
    statement.sql = "INSERT INTO " + row.table + " (" + columns + ") VALUES (" + values +
                    ") ON CONFLICT (id) DO UPDATE SET " + updates;
  }
  if (!statements.empty()) MERROW_TRY(store_->Execute(statements));
  for (const DocumentWrite& document : write.documents) MERROW_TRY(Edit(document));
  return {};
}

// --- What replication asks.

Result<std::vector<ApplyOutcome>> StoreDatabase::Apply(const std::vector<Incoming>& changesets) {
  std::vector<store::IncomingChangeset> incoming;
  const auto refuses = [this](const Incoming& one) {
    return is_strict_ && IsPoisoned(*one.changeset);
  };
  for (const Incoming& one : changesets) {
    if (!refuses(one)) incoming.push_back({one.changeset, one.whole});
  }
  MERROW_ASSIGN(store::ChangesetsApplied applied, store_->ApplyChangesets(incoming));
  std::vector<ApplyOutcome> taken = server::OutcomesOf(std::move(applied.outcomes));
  MERROW_CHECK(taken.size() == incoming.size());
  std::vector<ApplyOutcome> outcomes;
  auto next = taken.begin();
  for (const Incoming& one : changesets) {
    if (refuses(one)) {
      const cells::Transaction& cells = one.changeset->cells;
      outcomes.push_back({Fate::kRefused,
                          cells.site,
                          {cells.previous, cells.version},
                          nullptr,
                          Corruption("poison")});
    } else {
      outcomes.push_back(std::move(*next++));
    }
  }
  return outcomes;
}

Result<ReadPage> StoreDatabase::Read(const cells::SiteId& site, const VersionRanges& wanted,
                                     size_t bytes_target) {
  MERROW_ASSIGN(store::ReplicaPage page, store_->ReadChangesets(site, wanted, bytes_target));
  return ReadPage{std::move(page.changesets), std::move(page.settled), page.more};
}

Result<std::vector<VersionProof>> StoreDatabase::ReadProofs(const cells::SiteId& site) {
  MERROW_ASSIGN(const auto proofs, store_->ReadProofs(site));
  return ProofsOf(proofs);
}

Result<std::optional<cells::DbVersion>> StoreDatabase::CheckProofs(
    const std::vector<VersionProof>& proofs) {
  std::vector<store::VersionProof> list;
  for (const VersionProof& proof : proofs) list.push_back({proof.version, proof.timestamp});
  return store_->CheckProofs(list);
}

Result<cells::SiteId> StoreDatabase::TakeNewIdentity(cells::DbVersion agreed) {
  return store_->TakeNewIdentity(agreed);
}

Result<std::vector<uint64_t>> StoreDatabase::ReadDigest() { return digest_->ReadBuckets(); }

Result<std::vector<RowDigest>> StoreDatabase::ReadRowDigests(uint32_t bucket) {
  MERROW_ASSIGN(const auto rows, digest_->ReadRowDigests(bucket));
  std::vector<RowDigest> digests;
  for (const store::RowDigest& row : rows) digests.push_back({row.key, row.row});
  return digests;
}

Result<std::vector<SharedChangeset>> StoreDatabase::ReadRows(uint32_t bucket,
                                                             const std::vector<uint64_t>& keys) {
  return digest_->ReadRows(bucket, keys, kRepairBytes);
}

Status StoreDatabase::Repair(const std::vector<SharedChangeset>& rows) {
  MERROW_TRY(store_->Repair(rows));
  return {};
}

// --- Tombstones.

void StoreDatabase::Confirm(const cells::SiteId& site, const SiteVersions& has) {
  MERROW_CHECK(store_->ConfirmPeer(site, has).ok());
}

void StoreDatabase::ForgetSite(const cells::SiteId& site) {
  MERROW_CHECK(store_->ForgetSite(ToHex(site.view())).ok());
}

std::vector<cells::SiteId> StoreDatabase::KnownSites() {
  const auto known = store_->KnownSites();
  MERROW_CHECK(known.ok());
  std::vector<cells::SiteId> sites;
  for (const store::KnownSite& site : *known) {
    if (!site.is_gone) sites.push_back(site.site);
  }
  return sites;
}

Status StoreDatabase::RunUpkeep() {
  MERROW_TRY(store_->RunUpkeep());
  return {};
}

size_t StoreDatabase::CountTombstones() {
  MERROW_CHECK(store_->FlushProjections().ok());
  size_t rows = 0;
  for (uint32_t bucket = 0; bucket < replication::kDigestBuckets; ++bucket) {
    const auto digests = digest_->ReadRowDigests(bucket);
    MERROW_CHECK(digests.ok());
    rows += digests->size();
  }
  // What is listed and is not there.
  const std::string late = has_second_schema_ ? " + (SELECT count(*) FROM late)" : "";
  const std::string alive = Query(
      "SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM kv) + (SELECT count(*) FROM "
      "note)" +
      late);
  return rows - std::stoul(alive);
}

// --- The test's own questions.

std::string StoreDatabase::Query(const std::string& sql) {
  MERROW_CHECK(store_->FlushProjections().ok());
  sqlite3_stmt* statement = nullptr;
  MERROW_CHECK(sqlite3_prepare_v2(reader_, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK);
  std::string text;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* const column = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      text += std::string(i == 0 ? "" : " | ") + (column == nullptr ? "NULL" : column);
    }
    text += "\n";
  }
  MERROW_CHECK(sqlite3_finalize(statement) == SQLITE_OK);
  return text;
}

bool StoreDatabase::HasRow(const std::string& table, int64_t id) {
  if (table == "late" && !has_second_schema_) return false;
  return !Query("SELECT 1 FROM " + table + " WHERE id = " + std::to_string(id)).empty();
}

std::string StoreDatabase::TextOf(int64_t id) {
  std::string text = Query("SELECT b FROM kv WHERE id = " + std::to_string(id) + " AND b NOT NULL");
  if (!text.empty()) text.pop_back();  // the end of the line
  return text;
}

bool StoreDatabase::HasMarker(int64_t document, const std::string& marker) {
  return Query("SELECT items FROM note WHERE id = '" + NameOf(document) + "'")
             .find('"' + marker + '"') != std::string::npos;
}

std::string StoreDatabase::Dump() {
  std::string text = "log\n" + Query("SELECT * FROM log ORDER BY id");
  text += "kv\n" + Query("SELECT * FROM kv ORDER BY id");
  if (has_second_schema_) text += "late\n" + Query("SELECT * FROM late ORDER BY id");
  return text + "note\n" + Query("SELECT id, items FROM note ORDER BY id");
}

}  // namespace merrow::testing
