// SPDX-License-Identifier: Apache-2.0
//
// Document capture: the joint between SQLite and document rows on a connection with a CellStore, in
// merrow.so and in the `merrow changes` commands. A transaction of theirs:
//
//     UPDATE note SET ...
//       trigger _merrow_document_1_update -> merrow_document_update(1, key)   a key in memory
//     COMMIT
//       xSync of merrow_cell_txn -> BeforeCommit                 each key: row against document,
//                                                                ops into the log (document_rows.h)
//       replica log, then clocks                                 the same transaction
//
// The keys may be more than what was written, because a row that shows its document makes no ops:
// so they are kept as they are when a savepoint is rolled back.
//
// The replica log is kept once the database has its tables, which they get when changesets are
// asked for or applied for the first time. What was written before counts as transactions of this
// site.

#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "changeset/changeset_file.h"
#include "store/cell_store.h"
#include "store/document_capture_triggers.h"
#include "store/document_rows.h"
#include "store/file_lock.h"
#include "store/replica_log.h"
#include "store/sqlite.h"

namespace merrow::store {

struct DocumentCaptureOptions {
  /// Must outlive the connection, both.
  const Clock* clock = nullptr;
  Random* random = nullptr;
  /// Transactions are refused as busy while a server has the file.
  bool heed_server = true;
  DocumentRowsLimits limits;
};

class DocumentCapture final : public TransactionListener, public DocumentEvents {
 public:
  /// Makes document tables of the store's connection work; the store owns it.
  static Result<DocumentCapture*> Attach(CellStore& store, const DocumentCaptureOptions& options);
  ~DocumentCapture() override;

  CellStore& store() { return store_; }
  DocumentRows& rows() { return rows_; }

  /// Tracks a table of either kind. In the caller's savepoint.
  Status Track(const std::string& table);
  Status Untrack(const std::string& table);

  /// Makes rows() what the database is, with what SQL wrote in this transaction.
  Status Settle();
  /// In the caller's transaction, which is joined: the replica log, made if it is not there.
  Result<ReplicaLog*> Log();

  // --- Exchange, as changeset files. In the caller's savepoint; all or nothing.

  /// What this database has seen of every site. Invalid argument if the transaction wrote before,
  /// as with the next one: others must not rely on what may be undone.
  Result<changeset::SiteVersions> Versions();
  /// Makes a copied database a site of its own: what was written until now stays the original's.
  /// Errors as above.
  Result<cells::SiteId> NewSite();
  static constexpr int kExportZstdLevel = 3;
  /// Writes what is here and not in `since` to `sink`, a changeset file. Frames are compressed at
  /// `zstd_level`; 0: not at all. Leaves out documents that cannot be read, and what came
  /// with them. Memory: some MiB, or the largest transaction.
  Status ExportChanges(const changeset::SiteVersions& since, int zstd_level,
                       changeset::FileWriter::Sink sink);
  struct AppliedChanges {
    size_t changesets = 0;  // that were not known yet
    size_t known = 0;
    int64_t rows = 0;  // rows and documents that changed
    /// Of which something is kept for later, now: rows of tables and columns that are not here, or
    /// ops of documents that follow others that are not.
    size_t waiting = 0;
  };
  struct ChangesFile {
    std::string name;  // for errors; may be empty
    changeset::FileReader::Source source;
  };
  /// Merges every changeset of the files, in whatever order they depend on each other. Errors name
  /// the file, the frame and the changeset. Memory: as above, of each file in turn.
  Result<AppliedChanges> ApplyChanges(std::span<const ChangesFile> files);

  // --- TransactionListener.
  Status BeforeCommit() override;
  void Committed() override;
  void RolledBack() override;
  void FinalizeStatements() override;

  // --- DocumentEvents.
  Status RowWritten(int64_t table_id, std::string_view key) override;
  bool is_writing() const override { return rows_.is_writing(); }

 private:
  DocumentCapture(CellStore& store, const DocumentCaptureOptions& options);

  Status Refresh();
  Status CheckNoServer();
  Status CheckAttached();
  Status CapturePending();
  Result<bool> HasLog();
  /// work(), which may use the log for what can be undone.
  template <typename Work>
  auto WithLog(Work&& work) {
    log_in_use_ = true;
    auto result = work();
    log_in_use_ = false;
    if (std::exchange(drop_log_later_, false)) {
      log_.reset();
    }
    return result;
  }
  Status NoteOps(ReplicaLog& log);
  Status ApplyFile(ReplicaLog& log, const ChangesFile& file, AppliedChanges& applied);
  Result<ReplicaLog*> LogOfCommitted();

  CellStore& store_;
  const DocumentCaptureOptions options_;
  std::unique_ptr<Database> database_;
  DocumentRows rows_;
  using Row = std::pair<int64_t, std::string>;  // table id and key
  std::set<Row> pending_;
  /// What was captured before the commit, because somebody read documents: a savepoint that is
  /// rolled back makes it pending again.
  std::set<Row> captured_;
  std::unique_ptr<ReplicaLog> log_;
  /// What the log was told of in this transaction: it forgets that when a savepoint is rolled back.
  DocumentOpsById noted_;
  /// The log undoes parts of what it applies by itself; only of more it has to be read again.
  bool log_in_use_ = false;
  bool drop_log_later_ = false;
  /// SQLite's count when somebody asked what is committed, in this transaction: as long as it is
  /// that, nothing was written since.
  std::optional<int> changes_when_asked_;
  /// In this transaction, so that it may hold what is nowhere else.
  bool log_was_used_ = false;
};

}  // namespace merrow::store
