// SPDX-License-Identifier: Apache-2.0
//
// What is behind Store: shared by the sources store*.cc, which have a theme each (opening and
// reading, writing, projection and folding, SQL writes, replication). Nobody else includes it.

#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "merrow/document.h"
#include "store/cell_store.h"
#include "store/database_file.h"
#include "store/document_cache.h"
#include "store/document_log.h"
#include "store/file_lock.h"
#include "store/projection.h"
#include "store/replica_log.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "store/store_sql_documents.h"

namespace merrow::store {

using loro::Document;
using loro::ImportStatus;
using loro::VersionVector;

/// The store makes no edits of its own, so nothing is ever written under this peer.
inline constexpr loro::PeerId kStorePeer = 0;
/// Rows that one step of upkeep writes, so that writes do not wait long behind it.
inline constexpr size_t kProjectionsPerUpkeep = 16;
/// Documents that one page of a scan over a whole table takes.
inline constexpr int64_t kKeysPerPage = 256;

/// A document table with what the store needs of it at hand.
struct TableState {
  const Table* table;
  int64_t id;  // in _merrow_table
  Projection projection;
};

/// A row that waits for its projection.
struct StaleRow {
  int64_t document_id = 0;
  size_t edits = 0;
  int64_t last_edit_ms = 0;
};

enum class IfAbsent { kCreate, kFail };

/// The table does not take the row. Any other failure is of the database, and ends the transaction.
inline bool IsRefusal(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kConflict:         // a constraint
    case ErrorCode::kLimit:            // a value that SQLite cannot hold
    case ErrorCode::kInvalidArgument:  // a trigger of the schema that fails on it
      return true;
    default:
      return false;
  }
}

/// An authorizer, whose context is the Schema: triggers of the schema may not write what only the
/// store may, which is documents' rows and its own tables.
int AuthorizeTriggers(void* context, int action, const char* first, const char* second,
                      const char* database, const char* trigger);

class Store::Impl {
 public:
  explicit Impl(const StoreOptions& options)
      : options_(options), cache_(options.document_memory_bytes_max) {
    MERROW_CHECK(options_.clock != nullptr);
  }
  ~Impl() { CloseConnection(); }

  Status Open();
  void Close();

  const Schema& schema() const { return schema_; }
  std::vector<WriteResult> ApplyBatch(std::span<const Write> writes);
  Result<VersionVector> Version(std::string_view table, std::string_view key);
  Result<RowUpdates> ReadSnapshot(std::string_view table, std::string_view key);
  Result<RowUpdates> ReadUpdates(std::string_view table, std::string_view key,
                                 const VersionVector& from);
  Result<std::string> ReadRow(std::string_view table, std::string_view key);
  Result<Upkeep> RunUpkeep();
  Status FlushProjections();
  StoreStats stats() const;
  void CheckInvariants() const;

  Result<Executed> Execute(std::span<const SqlWrite> statements);

  // REQUIRES: replica_ is there
  ReplicaLog& replica() {
    MERROW_CHECK(replica_ != nullptr);
    return *replica_;
  }
  void KeepPublished(bool on);
  std::vector<SharedChangeset> TakePublished() { return std::exchange(published_, {}); }
  changeset::VersionRanges TakeUnread() { return std::exchange(unread_, {}); }
  std::vector<DocumentNotice> TakeNotices() { return std::exchange(late_notices_, {}); }
  Result<ChangesetsApplied> ApplyChangesets(std::span<const IncomingChangeset> changesets);
  Result<cells::SiteId> TakeNewIdentity(cells::DbVersion agreed);
  Result<std::vector<DocumentNotice>> Repair(std::span<const SharedChangeset> rows);
  Status ConfirmPeer(const cells::SiteId& peer, const changeset::SiteVersions& has);
  Status TakeBack(const cells::SiteId& peer, const changeset::SiteVersions& has);
  Result<cells::SiteId> ForgetSite(std::string_view site_hex);
  Result<cells::SiteId> RememberSite(std::string_view site_hex);

 private:
  // --- Opening ---
  Status OpenTables();
  Status FillTable(size_t table);

  // --- Documents ---
  Result<DocumentName> Resolve(std::string_view table, std::string_view key) const;
  Result<CachedDocument*> Load(const DocumentName& name, IfAbsent if_absent);
  /// Gives an error as the outer result if the database failed, as the inner one if the document
  /// does not decode.
  Result<Status> Hydrate(CachedDocument* entry);
  Error Quarantine(const DocumentName& name, int64_t id, const Error& why);
  template <typename T, typename Read>
  Result<T> WithDocument(std::string_view table, std::string_view key, Read read);
  std::string Describe(const DocumentName& name) const {
    return tables_[name.table].table->name + "/" + name.key;
  }
  bool OutgrewBase(const CachedDocument& entry) const;
  void QueueFold(const CachedDocument& entry);

  // --- Writing. The outer error of these means that the whole transaction is lost. ---
  Status ApplyAll(std::span<const Write> writes, std::vector<WriteResult>* results);
  Result<WriteResult> ApplyOne(const Write& write);
  Status CheckKey(std::string_view key) const;
  /// Says in `ops` what was new, if it was applied.
  Result<WriteResult> ImportAndSave(CachedDocument* entry, BytesView update, DocumentOps* ops);
  Result<WriteResult> Save(CachedDocument* entry, VersionVector before, const ImportStatus& status,
                           DocumentOps* ops);
  Status SaveOps(CachedDocument* entry, const Bytes& delta);
  Status SaveRow(CachedDocument* entry, Projection::Effect effect);
  Status CheckSize(const CachedDocument& entry, size_t new_bytes) const;
  void Discard(CachedDocument* entry);
  void ForgetTransaction();
  void NoteWritten(const Status& status);
  /// Writes something that changes nothing if the last transaction failed a while ago: where nobody
  /// writes, nobody would learn that the disk is well again.
  void ProbeDisk();
  /// Every write transaction ends here, so that the replica log hears of it.
  Status Commit(Transaction& transaction);

  // --- SQL writes ---
  Status RunSqlWrites(std::span<const SqlWrite> statements, const std::function<bool()>& is_late,
                      Executed* executed);
  Result<int64_t> RunSqlWrite(const SqlWrite& write, sqlite3_stmt* statement);
  /// In the transaction of Open(), before anything writes a row.
  Status OpenSqlDocuments();
  Status OpenSqlTable(const TableState& state);
  /// What SQL wrote into document tables becomes ops.
  Status CaptureRows();
  Status CaptureRow(const DocumentName& name);
  /// True if there was something to edit. Sets `*shows` to whether the row shows the document now.

  // --- Replication ---
  void CloseConnection();
  /// The open transaction brings ops of this site's clients.
  void NoteOps(const DocumentName& name, const DocumentOps& ops);
  class Documents;
  friend class Documents;
  /// In the transaction of Open().
  Status OpenReplica();
  Status TrackTable(const std::string& name);
  void Publish(cells::DbVersion version);
  /// True if there is more to do at once.
  Result<bool> UpkeepReplica();
  Result<bool> CollectTombstones();
  void LookForTombstonesNow();
  /// `work` in one transaction, or nothing of it.
  Status Transact(const std::function<Status()>& work);
  /// The same for upkeep.
  Status TransactLate(const std::function<Status()>& work);

  // --- Projection and folding ---
  bool MayDefer(const CachedDocument& entry, Projection::Effect effect) const;
  Status DeferRow(const CachedDocument& entry);
  Status ProjectRow(CachedDocument* entry);
  /// In the caller's transaction. The inner error is of a row that its table refuses; it goes on
  /// waiting.
  Result<Status> ProjectStale(std::span<const DocumentName> names);
  Result<Status> ProjectStaleRow(const DocumentName& name);
  Status ProjectStaleAndCommit(std::span<const DocumentName> names);
  std::vector<DocumentName> DueRows(int64_t pause_ms) const;
  Status Fold(const DocumentName& name);
  Result<Bytes> VerifiedSnapshot(CachedDocument* entry);
  Status ReloadStale();

  int64_t NowMs() const { return options_.clock->MonotonicMicros() / 1000; }

  const StoreOptions options_;
  Schema schema_;
  std::unique_ptr<SqlDocuments> sql_documents_;  // the connection calls it
  std::optional<FileLock> lock_;                 // released after the database is closed
  std::unique_ptr<Database> database_;           // null: closed
  std::optional<DocumentLog> log_;
  std::vector<TableState> tables_;  // as schema_.tables()
  std::unordered_map<std::string_view, size_t> table_index_;

  DocumentCache cache_;
  /// Why documents do not decode, as found by this process. Each is tried once per process, so that
  /// a release that can decode it takes it out of quarantine.
  std::unordered_map<int64_t, std::string> quarantine_;
  /// The same as _merrow_stale.
  std::unordered_map<DocumentName, StaleRow, DocumentNameHash> stale_;
  std::deque<DocumentName> fold_queue_;
  std::unordered_set<DocumentName, DocumentNameHash> fold_queued_;  // what is in fold_queue_
  std::unordered_set<int64_t> fold_refused_;  // documents whose snapshot did not check out
  /// Documents that the open transaction changed.
  std::vector<DocumentName> touched_;
  StoreStats stats_;
  // While stats_.write_error says why nothing is written.
  int64_t write_failing_since_ms_ = 0;
  int64_t probe_due_ms_ = 0;    // when ProbeDisk() may try
  int changes_at_failure_ = 0;  // what SQLite had counted

  // --- Replication; null and empty without it ---
  CellStore* cells_ = nullptr;  // belongs to the connection
  std::unique_ptr<ReplicaDocuments> documents_;
  std::unique_ptr<ReplicaLog> replica_;
  bool keep_published_ = false;
  std::vector<SharedChangeset> published_;
  changeset::VersionRanges unread_;
  /// Documents that the open transaction changed for others.
  std::vector<DocumentNotice> notices_;
  /// What each other site said that it has. Not on disk: they say it again.
  std::map<cells::SiteId, changeset::SiteVersions> confirmed_;
  /// What a site said that it has no longer, if that could not be written: before anything is
  /// collected. After a restart the site says it again.
  std::optional<changeset::SiteVersions> taken_back_;
  /// Of what upkeep applied, for the next one who asks.
  std::vector<DocumentNotice> late_notices_;
  int64_t retry_due_ms_ = 0;  // of what is refused
  // The look at all tombstones that is under way, and how long it took.
  std::optional<TombstoneSweep> sweep_;
  int64_t sweep_ms_ = 0;
  // When one began last, or since:
  bool look_for_tombstones_ = false;  // somebody confirmed something
  cells::DbVersion looked_at_ = 0;    // the last local version
  int64_t collect_due_ms_ = 0;
  int64_t young_due_ms_ = INT64_MAX;  // since the Unix epoch: something may go that was too young
};

}  // namespace merrow::store
