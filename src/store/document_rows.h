// SPDX-License-Identifier: Apache-2.0
//
// Document rows: the document tables of a connection that is not the server's, as merrow.so and the
// `merrow changes` commands have it. The layout is the server's (database_file.h), so both open
// each other's files. What differs: other programs may write the file between two transactions,
// rows are always projected at once, a log is folded by the transaction in which it outgrew its
// base, and writes come from both sides:
//
//     Capture   SQL wrote a row: what differs becomes ops of its document (row_edit.h)
//     Merge     ops came from somebody else: they go into the document, then into the row
//
// Nothing here begins, ends or undoes a transaction. After one was undone, or a part of it,
// Forget() must be called: then documents are read again, and local ops get a new peer, because ids
// of the ones that were undone may have been seen by others.
//
// Documents are kept in memory under a budget. A document there is exactly base + log of the
// database as this connection sees it.
//
// Thread-compatible, as its connection.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "merrow/document.h"
#include "store/document_cache.h"
#include "store/document_log.h"
#include "store/document_ops.h"
#include "store/projection.h"
#include "store/replica_documents.h"
#include "store/row_capture.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace merrow::store {

struct DocumentRowsLimits {
  size_t update_bytes_max = size_t{16} << 20;    // one update as it arrives
  size_t document_bytes_max = size_t{64} << 20;  // base and log of one document on disk
  size_t key_bytes_max = 512;
  size_t memory_bytes_max = size_t{32} << 20;  // documents in memory
  /// A log is folded into its base when it is larger than the base and than this, ...
  size_t fold_log_bytes_min = size_t{16} << 10;
  /// ... or has more entries than this; at most so many in a transaction.
  uint32_t fold_log_entries_max = 4096;
  uint32_t folds_per_transaction_max = 16;
};

class DocumentRows final : public ReplicaDocuments {
 public:
  /// `database` must outlive this. `random` gives peers.
  DocumentRows(Database& database, std::function<uint64_t()> random,
               const DocumentRowsLimits& limits = {});
  ~DocumentRows() override;

  /// Takes note of what other programs did to tables and documents. Before anything else in a
  /// transaction; cheap if they did nothing.
  struct Refreshed {
    bool data_changed = false;  // by somebody else
    bool tables_read = false;
  };
  Result<Refreshed> Refresh();
  /// The next Refresh() reads the tables anew.
  void ForgetTables() { schema_version_ = -1; }
  /// After a rollback, also of a statement that failed while a row was written.
  void Forget();

  // --- Tables.

  /// Does a column of the table have a type CRDT_...?
  Result<bool> HasCrdtColumns(const std::string& table);
  bool HasTables() const { return !tables_.empty(); }
  bool HasTable(std::string_view table) const override { return FindTable(table).has_value(); }
  /// Makes a table of the database a document table, its rows documents, and writes triggers
  /// (document_capture_triggers.h). Of one that is: brings every row up to its
  /// document. Invalid argument says what the table is not.
  Status Track(const std::string& table);
  /// Forgets the documents; the rows stay.
  Status Untrack(const std::string& table);

  // --- Rows.

  /// A row that SQL may have written. Nothing happens if it shows its document, or is gone.
  Status Capture(int64_t table_id, const std::string& key);
  /// True while this writes a row itself.
  bool is_writing() const { return is_writing_; }
  /// Rows wait for their columns, because a server stopped before it wrote them.
  Result<bool> HasStaleRows();

  struct Merged {
    /// Some op follows one that is not here: nothing was merged, but the caller must undo.
    bool is_waiting = false;
    loro::VersionVector before;
    Bytes delta;  // exactly the new ops, as a FastUpdates blob; empty if there are none
    std::vector<loro::IdSpan> spans;
    int64_t document_id = 0;
  };
  /// Merges a FastUpdates or FastSnapshot blob. The inner error is of the blob or of a row that its
  /// table does not take, after which the caller undoes; the outer one is of the database.
  Result<Result<Merged>> Merge(std::string_view table, std::string_view key, BytesView blob);

  // Not found if there is no such document table or row; corruption if it does not decode.
  Result<loro::VersionVector> Version(std::string_view table, std::string_view key);
  /// What `from` lacks as a FastUpdates blob; without it the whole document as a snapshot.
  Result<Bytes> ExportBlob(std::string_view table, std::string_view key,
                           const std::optional<loro::VersionVector>& from);
  /// The document's deep value.
  Result<std::string> Json(std::string_view table, std::string_view key);

  /// What Capture and `Merge` brought in this transaction, but not Import; forgets it.
  Result<DocumentOpsById> TakeOps();
  bool has_ops() const { return !ops_.empty(); }
  /// Notes ops that somebody imported on this site's account.
  void NoteOps(DocumentOps ops) { AddOps(ops, &ops_); }

  // --- ReplicaDocuments.

  Result<loro::VersionVector> VersionOf(std::string_view table, BytesView packed_key) override;
  Result<Result<Imported>> Import(std::string_view table, BytesView packed_key,
                                  BytesView blocks) override;
  void BeginPart() override { imported_before_ = imported_; }
  void UndoPart() override {
    Forget();
    imported_ = imported_before_;
  }
  Result<bool> IsReadable(int64_t document_id) override;
  Result<DocumentBlocks> Export(const DocumentOps& ops) override;
  Status ForEach(const std::function<Status(int64_t document_id, size_t bytes)>& visit) override;
  /// Imports that brought something, ever.
  int64_t imported() const { return imported_; }

 private:
  struct TableState;
  enum class Absent { kCreate, kFail };
  enum class Author { kConnection, kContent };

  std::optional<size_t> FindTable(std::string_view table) const;
  Status LoadTables();
  Status LoadTable(const std::string& sql, TableState* table);
  Status CreateTables();
  /// Tells _merrow_table what tables are called now.
  Status NoteNames();
  Status CaptureAll(size_t table);
  Status ProjectAll(size_t table);

  void ResetMemory();
  Result<DocumentName> Resolve(std::string_view table, std::string_view key) const;
  std::string Describe(const DocumentName& name) const;
  Result<CachedDocument*> Load(const DocumentName& name, Absent absent);
  Status Hydrate(CachedDocument* entry);
  Status CaptureRow(const DocumentName& name, Author author);
  Result<RowCapture::Outcome> EditDocument(const DocumentName& name, Author author,
                                           CachedDocument* entry);
  Result<Result<Merged>> MergeOfAnySize(std::string_view table, std::string_view key,
                                        BytesView blob);
  Result<Result<Merged>> MergeInto(CachedDocument* entry, BytesView blob);
  Status SaveOps(CachedDocument* entry, BytesView delta);
  Status WriteRow(CachedDocument* entry);
  Status FoldIfLong(CachedDocument* entry);
  Result<DocumentName> NameOf(int64_t document_id);

  Database& database_;
  const std::function<uint64_t()> random_;
  const DocumentRowsLimits limits_;
  loro::PeerId peer_;

  int64_t schema_version_ = -1;
  int64_t data_version_ = -1;
  std::vector<std::unique_ptr<TableState>> tables_;
  DocumentLog log_;
  std::unique_ptr<DocumentCache> cache_;
  /// By document id; empty if not read.
  std::unordered_map<int64_t, DocumentName> names_;
  DocumentOpsById ops_;
  bool was_undone_ = false;  // some of ops_ may not be in their documents any more
  bool is_writing_ = false;
  bool forget_later_ = false;  // while is_writing_
  uint32_t folds_ = 0;         // in this transaction
  int64_t imported_ = 0;
  int64_t imported_before_ = 0;  // this part
};

}  // namespace merrow::store
