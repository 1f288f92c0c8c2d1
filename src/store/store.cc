// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "merrow/document.h"
#include "store/database_file.h"
#include "store/document_cache.h"
#include "store/document_log.h"
#include "store/file_lock.h"
#include "store/projection.h"
#include "store/sqlite.h"

namespace merrow::store {
namespace {

using loro::Document;
using loro::ImportStatus;
using loro::VersionVector;

/// The store makes no edits of its own, so nothing is ever written under this peer.
constexpr loro::PeerId kStorePeer = 0;
/// Rows that one step of upkeep writes, so that writes do not wait long behind it.
constexpr size_t kProjectionsPerUpkeep = 16;
/// Documents that one page of a scan over a whole table takes.
constexpr int64_t kKeysPerPage = 256;

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
bool IsRefusal(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kConflict:         // a constraint
    case ErrorCode::kLimit:            // a value that SQLite cannot hold
    case ErrorCode::kInvalidArgument:  // a trigger of the schema that fails on it
      return true;
    default:
      return false;
  }
}

}  // namespace

class Store::Impl {
 public:
  explicit Impl(const StoreOptions& options)
      : options_(options), cache_(options.document_memory_bytes_max) {
    MERROW_CHECK(options_.clock != nullptr);
  }

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
  Result<WriteResult> ImportAndSave(CachedDocument* entry, BytesView update);
  Result<WriteResult> Save(CachedDocument* entry, VersionVector before, const ImportStatus& status);
  Status SaveOps(CachedDocument* entry, const Bytes& delta);
  Status SaveRow(CachedDocument* entry, Projection::Effect effect);
  Status CheckSize(const CachedDocument& entry, size_t new_bytes) const;
  void Discard(CachedDocument* entry);
  void ForgetTransaction();

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
  std::optional<FileLock> lock_;        // released after the database is closed
  std::unique_ptr<Database> database_;  // null: closed
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
};

// --- Opening ---

namespace {

/// Triggers of the schema may not write what only the store may: documents' rows and its own
/// tables.
int AuthorizeTriggers(void* context, int action, const char* first, const char* /*second*/,
                      const char* /*database*/, const char* trigger) {
  if (trigger == nullptr ||
      (action != SQLITE_INSERT && action != SQLITE_UPDATE && action != SQLITE_DELETE)) {
    return SQLITE_OK;
  }
  const auto& tables = static_cast<const Schema*>(context)->tables();
  const bool is_document_table = std::any_of(tables.begin(), tables.end(), [&](const Table& table) {
    return sqlite3_stricmp(table.name.c_str(), first) == 0;
  });
  return is_document_table || sqlite3_strnicmp(first, "_merrow_", 8) == 0 ? SQLITE_DENY : SQLITE_OK;
}

}  // namespace

Status Store::Impl::Open() {
  MERROW_ASSIGN(schema_, Schema::Parse(options_.schema_sql));
  MERROW_ASSIGN(FileLock lock, FileLock::Acquire(options_.path));
  lock_.emplace(std::move(lock));
  MERROW_ASSIGN(database_, OpenDatabaseFile(options_.path, options_.busy_timeout_ms));
  sqlite3_set_authorizer(database_->handle(), AuthorizeTriggers, &schema_);
  MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
  MERROW_TRY(OpenTables());
  return transaction.Commit();
}

Status Store::Impl::OpenTables() {
  MERROW_TRY(InitializeFormat(*database_));
  MERROW_ASSIGN(const auto extended, ApplySchema(*database_, schema_));
  log_.emplace(database_.get());
  MERROW_TRY(log_->Initialize());
  for (const Table& table : schema_.tables()) {
    MERROW_ASSIGN(const int64_t id, TableId(*database_, table.name));
    MERROW_ASSIGN(Projection projection, Projection::Make(*database_, table));
    table_index_.emplace(table.name, tables_.size());
    tables_.push_back({&table, id, std::move(projection)});
  }
  // What a crash left waiting. What the table now refuses goes on waiting, for RunUpkeep to report.
  MERROW_TRY(ReloadStale());
  MERROW_TRY(ProjectStale(DueRows(0)));
  for (const std::string& name : extended) {
    MERROW_TRY(FillTable(table_index_.at(name)));
  }
  return {};
}

/// Writes every row of a table again, for columns that were added.
Status Store::Impl::FillTable(size_t table) {
  DocumentName name{table, ""};
  while (true) {
    MERROW_ASSIGN(const auto keys, log_->Keys(tables_[table].id, name.key, kKeysPerPage));
    if (keys.empty()) {
      return {};
    }
    for (const std::string& key : keys) {
      name.key = key;
      const Result<CachedDocument*> entry = Load(name, IfAbsent::kFail);
      if (!entry.ok()) {
        if (entry.error().code() == ErrorCode::kCorruption) {
          continue;  // quarantined; its row keeps what it has
        }
        return entry.error();
      }
      MERROW_TRY(ProjectRow(*entry));
      cache_.EvictToBudget();
    }
  }
}

void Store::Impl::Close() {
  if (database_ == nullptr) {
    return;
  }
  // What fails here is noted in _merrow_stale and done at the next open.
  [[maybe_unused]] const Status flushed = FlushProjections();
  database_.reset();
}

// --- Documents ---

Result<DocumentName> Store::Impl::Resolve(std::string_view table, std::string_view key) const {
  const auto found = table_index_.find(table);
  if (found == table_index_.end()) {
    return NotFound("there is no document table " + std::string(table));
  }
  return DocumentName{found->second, std::string(key)};
}

Result<CachedDocument*> Store::Impl::Load(const DocumentName& name, IfAbsent if_absent) {
  if (CachedDocument* const cached = cache_.Find(name); cached != nullptr) {
    return cached;
  }
  const int64_t table_id = tables_[name.table].id;
  MERROW_ASSIGN(const std::optional<DocumentRecord> record, log_->Find(table_id, name.key));
  CachedDocument entry(name, Document(kStorePeer));
  if (!record.has_value()) {
    if (if_absent == IfAbsent::kFail) {
      return NotFound("there is no row " + Describe(name));
    }
    return &cache_.Insert(std::move(entry));
  }
  if (const auto bad = quarantine_.find(record->id); bad != quarantine_.end()) {
    return Corruption(Describe(name) + " is quarantined: " + bad->second);
  }
  entry.id = record->id;
  MERROW_ASSIGN(const Status decoded, Hydrate(&entry));
  if (!decoded.ok()) {
    return Quarantine(name, record->id, decoded.error());
  }
  if (record->quarantined) {
    MERROW_TRY(log_->SetQuarantine(table_id, name.key, nullptr));
  }
  CachedDocument& inserted = cache_.Insert(std::move(entry));
  if (OutgrewBase(inserted)) {
    QueueFold(inserted);
  }
  return &inserted;
}

Result<Status> Store::Impl::Hydrate(CachedDocument* entry) {
  Status decoded;
  const auto import = [&](int64_t seq, BytesView bytes) {
    // The base was written by this store, after it had read it back (VerifiedSnapshot).
    const Result<ImportStatus> status =
        seq == 0 ? entry->document.Load(bytes) : entry->document.Import(bytes);
    // What cannot be decoded is found now, not when somebody needs it.
    const Status woken = status.ok() ? entry->document.Wake() : Status(status.error());
    if (!woken.ok()) {
      decoded = woken.error().Within("entry " + std::to_string(seq));
    } else if (!status->pending.empty()) {
      decoded = Corruption("entry " + std::to_string(seq) + " follows ops that are missing");
    }
    entry->next_seq = seq + 1;
    if (seq == 0) {
      entry->base_bytes = bytes.size();
    } else {
      entry->log_bytes += bytes.size();
      ++entry->log_entries;
    }
    return decoded.ok();
  };
  MERROW_TRY(log_->Read(entry->id, import));
  if (decoded.ok() && entry->base_bytes == 0 && entry->log_entries == 0) {
    decoded = Corruption("it has neither base nor log");
  }
  return decoded;
}

/// Sets the document aside. Its bytes stay as they are.
Error Store::Impl::Quarantine(const DocumentName& name, int64_t id, const Error& why) {
  quarantine_.emplace(id, why.message());
  ++stats_.documents_quarantined;
  std::string message = Describe(name) + " is quarantined: " + why.message();
  const std::string reason = why.ToString();
  const Status marked = log_->SetQuarantine(tables_[name.table].id, name.key, &reason);
  if (!marked.ok()) {
    message += " (and could not be marked: " + marked.error().message() + ")";
  }
  return Corruption(std::move(message));
}

bool Store::Impl::OutgrewBase(const CachedDocument& entry) const {
  return entry.log_entries > options_.fold_log_entries_max ||
         entry.log_bytes > std::max(entry.base_bytes, options_.fold_log_bytes_min);
}

void Store::Impl::QueueFold(const CachedDocument& entry) {
  if (!fold_refused_.contains(entry.id) && fold_queued_.insert(entry.name).second) {
    fold_queue_.push_back(entry.name);
  }
}

template <typename T, typename Read>
Result<T> Store::Impl::WithDocument(std::string_view table, std::string_view key, Read read) {
  MERROW_ASSIGN(const DocumentName name, Resolve(table, key));
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, IfAbsent::kFail));
  T result = read(entry->document, name);
  cache_.EvictToBudget();
  return result;
}

Result<VersionVector> Store::Impl::Version(std::string_view table, std::string_view key) {
  return WithDocument<VersionVector>(
      table, key, [](const Document& document, const DocumentName&) { return document.version(); });
}

Result<RowUpdates> Store::Impl::ReadSnapshot(std::string_view table, std::string_view key) {
  return WithDocument<RowUpdates>(table, key, [](Document& document, const DocumentName&) {
    return RowUpdates{document.ExportSnapshot(), document.version()};
  });
}

Result<RowUpdates> Store::Impl::ReadUpdates(std::string_view table, std::string_view key,
                                            const VersionVector& from) {
  return WithDocument<RowUpdates>(table, key, [&](Document& document, const DocumentName&) {
    const bool has_all = from.Includes(document.version());
    return RowUpdates{has_all ? Bytes() : document.ExportUpdates(from), document.version()};
  });
}

Result<std::string> Store::Impl::ReadRow(std::string_view table, std::string_view key) {
  return WithDocument<std::string>(
      table, key, [&](const Document& document, const DocumentName& name) {
        std::string json;
        AppendRowJson(*tables_[name.table].table, name.key, document, &json);
        return json;
      });
}

// --- Writing ---

std::vector<WriteResult> Store::Impl::ApplyBatch(std::span<const Write> writes) {
  std::vector<WriteResult> results;
  results.reserve(writes.size());
  touched_.clear();
  const Status status = ApplyAll(writes, &results);
  if (!status.ok()) {
    ForgetTransaction();
    results.assign(writes.size(), WriteResult(status.error().Within("nothing was stored")));
  } else {
    ++stats_.transactions;
  }
  for (const WriteResult& result : results) {
    const Applied* const applied = std::get_if<Applied>(&result);
    if (applied == nullptr) {
      ++stats_.updates_refused;
    } else if (applied->delta != nullptr) {
      ++stats_.updates_applied;
      stats_.log_bytes_appended += applied->delta->size();
    }
  }
  cache_.EvictToBudget();
  return results;
}

Status Store::Impl::ApplyAll(std::span<const Write> writes, std::vector<WriteResult>* results) {
  MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
  for (const Write& write : writes) {
    MERROW_ASSIGN(WriteResult result, ApplyOne(write));
    results->push_back(std::move(result));
    cache_.EvictToBudget();
  }
  return transaction.Commit();
}

/// After a rollback: memory must not know more than the disk.
void Store::Impl::ForgetTransaction() {
  for (const DocumentName& name : touched_) {
    cache_.Erase(name);
  }
  touched_.clear();
  // If the disk cannot even be read, the rows that wait stay noted there for the next open.
  [[maybe_unused]] const Status reloaded = ReloadStale();
}

Result<WriteResult> Store::Impl::ApplyOne(const Write& write) {
  const StoreLimits& limits = options_.limits;
  const Result<DocumentName> name = Resolve(write.table, write.key);
  if (!name.ok()) {
    return WriteResult(name.error());
  }
  if (write.key.empty() || write.key.size() > limits.key_bytes_max || !IsUtf8(write.key) ||
      write.key.find('\0') != std::string_view::npos) {
    return WriteResult(InvalidArgument("a key must be UTF-8 without zero bytes, from 1 to " +
                                       std::to_string(limits.key_bytes_max) + " bytes long (" +
                                       std::to_string(write.key.size()) + ")"));
  }
  if (write.update.size() > limits.update_bytes_max) {
    return WriteResult(LimitReached("an update of " + std::to_string(write.update.size()) +
                                    " bytes; update_bytes_max is " +
                                    std::to_string(limits.update_bytes_max)));
  }
  // Reading cannot harm the transaction, so a document that cannot be read fails alone.
  const Result<CachedDocument*> entry = Load(*name, IfAbsent::kCreate);
  if (!entry.ok()) {
    return WriteResult(entry.error());
  }
  return ImportAndSave(*entry, write.update);
}

/// Drops a document that may have more in memory than on disk.
void Store::Impl::Discard(CachedDocument* entry) {
  const DocumentName name = entry->name;
  cache_.Erase(name);
}

Result<WriteResult> Store::Impl::ImportAndSave(CachedDocument* entry, BytesView update) {
  VersionVector before = entry->document.version();
  entry->unsaved = true;
  const Result<ImportStatus> status = entry->document.Import(update);
  if (!status.ok() || !status->pending.empty()) {
    // A failed import leaves the document as it was, or broken. One that parked ops may have
    // applied others.
    const bool intact = status.ok() ? status->success.empty() : !entry->document.is_broken();
    if (!intact || entry->id == 0) {
      Discard(entry);
    } else {
      entry->document.DropPending();
      entry->unsaved = false;
    }
    if (!status.ok()) {
      return WriteResult(status.error());
    }
    return WriteResult(MissingDependencies{std::move(before)});
  }
  if (status->success.empty()) {
    entry->unsaved = false;
    WriteResult nothing_new = Applied{before, before, nullptr, false};
    if (entry->id == 0) {
      Discard(entry);
    }
    return nothing_new;
  }
  // A row has its whole history: it is stored as updates, and clients may ask for any part of it.
  if (before.empty() && entry->document.is_shallow()) {
    Discard(entry);
    return WriteResult(
        Unsupported("a shallow snapshot cannot start a row: its history is trimmed"));
  }
  touched_.push_back(entry->name);
  return Save(entry, std::move(before), *status);
}

Status Store::Impl::CheckSize(const CachedDocument& entry, size_t new_bytes) const {
  const size_t bytes = entry.base_bytes + entry.log_bytes + new_bytes;
  if (bytes > options_.limits.document_bytes_max) {
    return LimitReached(Describe(entry.name) + " would have " + std::to_string(bytes) +
                        " bytes; document_bytes_max is " +
                        std::to_string(options_.limits.document_bytes_max));
  }
  if (entry.next_seq > kSeqMax) {
    return Busy(Describe(entry.name) + " has a full log, which waits to be folded");
  }
  return {};
}

Result<WriteResult> Store::Impl::Save(CachedDocument* entry, VersionVector before,
                                      const ImportStatus& status) {
  auto delta = std::make_shared<const Bytes>(entry->document.ExportUpdates(before));
  const bool created = entry->id == 0;
  if (const Status size = CheckSize(*entry, delta->size()); !size.ok()) {
    Discard(entry);
    return WriteResult(size.error());
  }
  const Projection& projection = tables_[entry->name.table].projection;
  const auto effect =
      created ? Projection::Effect::kImmediate : projection.EffectOf(status.changed);
  MERROW_ASSIGN(Savepoint savepoint, Savepoint::Begin(database_.get()));
  // The row first: it is what may be refused.
  const Status row = SaveRow(entry, effect);
  if (!row.ok()) {
    if (!IsRefusal(row.error())) {
      return row.error();
    }
    MERROW_TRY(savepoint.Rollback());
    Discard(entry);
    const bool too_long = row.error().code() == ErrorCode::kLimit;
    return WriteResult(too_long ? row.error() : Conflict(row.error().message()));
  }
  MERROW_TRY(SaveOps(entry, *delta));
  MERROW_TRY(savepoint.Release());
  entry->unsaved = false;
  cache_.Grew(*entry, delta->size());
  if (OutgrewBase(*entry)) {
    QueueFold(*entry);
  }
  return WriteResult(
      Applied{std::move(before), entry->document.version(), std::move(delta), created});
}

Status Store::Impl::SaveOps(CachedDocument* entry, const Bytes& delta) {
  if (entry->id == 0) {
    MERROW_ASSIGN(entry->id, log_->Create(tables_[entry->name.table].id, entry->name.key));
  }
  MERROW_TRY(log_->Append(entry->id, entry->next_seq, delta));
  ++entry->next_seq;
  entry->log_bytes += delta.size();
  ++entry->log_entries;
  return {};
}

// --- Projection and folding ---

Status Store::Impl::SaveRow(CachedDocument* entry, Projection::Effect effect) {
  if (effect == Projection::Effect::kNone) {
    return {};
  }
  if (MayDefer(*entry, effect)) {
    return DeferRow(*entry);
  }
  return ProjectRow(entry);
}

bool Store::Impl::MayDefer(const CachedDocument& entry, Projection::Effect effect) const {
  if (effect != Projection::Effect::kMayWait) {
    return false;
  }
  const size_t bytes = std::max(
      entry.row_bytes, tables_[entry.name.table].projection.LongColumnBytes(entry.document));
  if (bytes <= options_.immediate_projection_bytes_max) {
    return false;
  }
  const auto stale = stale_.find(entry.name);
  const size_t edits = stale == stale_.end() ? 1 : stale->second.edits + 1;
  return edits < bytes / kDeferredBytesPerEdit + 1;
}

Status Store::Impl::DeferRow(const CachedDocument& entry) {
  ++stats_.projections_deferred;
  const auto [stale, is_new] = stale_.try_emplace(entry.name, StaleRow{entry.id, 0, 0});
  ++stale->second.edits;
  stale->second.last_edit_ms = NowMs();
  if (!is_new) {
    return {};
  }
  return log_->MarkStale({entry.id, tables_[entry.name.table].id, entry.name.key});
}

Status Store::Impl::ProjectRow(CachedDocument* entry) {
  MERROW_TRY(tables_[entry->name.table].projection.WriteRow(*database_, entry->name.key,
                                                            entry->document, &entry->row_bytes));
  ++stats_.projections;
  if (stale_.contains(entry->name)) {
    MERROW_TRY(log_->ClearStale(entry->id));
    stale_.erase(entry->name);
  }
  return {};
}

std::vector<DocumentName> Store::Impl::DueRows(int64_t pause_ms) const {
  const int64_t now = NowMs();
  std::vector<DocumentName> due;
  for (const auto& [name, stale] : stale_) {
    if (now - stale.last_edit_ms >= pause_ms) {
      due.push_back(name);
    }
  }
  return due;
}

Result<Status> Store::Impl::ProjectStale(std::span<const DocumentName> names) {
  Status refused;
  for (const DocumentName& name : names) {
    MERROW_ASSIGN(Status status, ProjectStaleRow(name));
    if (!status.ok()) {
      refused = std::move(status);
    }
    cache_.EvictToBudget();
  }
  return refused;
}

Result<Status> Store::Impl::ProjectStaleRow(const DocumentName& name) {
  const Result<CachedDocument*> entry = Load(name, IfAbsent::kFail);
  if (!entry.ok()) {
    const ErrorCode code = entry.error().code();
    if (code != ErrorCode::kCorruption && code != ErrorCode::kNotFound) {
      return entry.error();
    }
    // Quarantined, or removed by a tool: the row keeps what it has.
    MERROW_TRY(log_->ClearStale(stale_.at(name).document_id));
    stale_.erase(name);
    return Status();
  }
  MERROW_ASSIGN(Savepoint savepoint, Savepoint::Begin(database_.get()));
  Status status = ProjectRow(*entry);
  if (status.ok()) {
    MERROW_TRY(savepoint.Release());
    return status;
  }
  if (!IsRefusal(status.error())) {
    return status.error();
  }
  MERROW_TRY(savepoint.Rollback());
  stale_.at(name).last_edit_ms = NowMs();  // not again at once
  return status;
}

Status Store::Impl::ProjectStaleAndCommit(std::span<const DocumentName> names) {
  const auto in_transaction = [&]() -> Result<Status> {
    MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
    MERROW_ASSIGN(Status refused, ProjectStale(names));
    MERROW_TRY(transaction.Commit());
    return refused;
  };
  Result<Status> refused = in_transaction();
  if (!refused.ok()) {
    MERROW_TRY(ReloadStale());
    return refused.error();
  }
  return *refused;
}

Status Store::Impl::ReloadStale() {
  stale_.clear();
  MERROW_ASSIGN(const auto records, log_->ReadStale());
  for (const StaleRecord& record : records) {
    const auto table = std::find_if(tables_.begin(), tables_.end(), [&](const TableState& state) {
      return state.id == record.table_id;
    });
    if (table == tables_.end()) {
      return Corruption("_merrow_stale names table " + std::to_string(record.table_id) +
                        ", which does not exist");
    }
    stale_.emplace(DocumentName{static_cast<size_t>(table - tables_.begin()), record.key},
                   StaleRow{record.document_id, 0, NowMs()});
  }
  return {};
}

/// The snapshot of a document, read back and compared: the log it replaces is the only other copy.
Result<Bytes> Store::Impl::VerifiedSnapshot(CachedDocument* entry) {
  Bytes snapshot = entry->document.ExportSnapshot();
  Document copy(kStorePeer);
  MERROW_ASSIGN(const ImportStatus status, copy.Load(snapshot));
  MERROW_TRY(copy.Wake());
  if (!status.pending.empty() || !(copy.version() == entry->document.version()) ||
      copy.ToJson() != entry->document.ToJson()) {
    return Corruption("the snapshot does not read back as the document");
  }
  return snapshot;
}

Status Store::Impl::Fold(const DocumentName& name) {
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, IfAbsent::kFail));
  if (entry->log_entries == 0) {
    return {};
  }
  const Result<Bytes> snapshot = VerifiedSnapshot(entry);
  if (!snapshot.ok()) {
    fold_refused_.insert(entry->id);
    return snapshot.error().Within("folding the log of " + Describe(name));
  }
  MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
  MERROW_TRY(log_->ReplaceAll(entry->id, *snapshot));
  MERROW_TRY(transaction.Commit());
  entry->base_bytes = snapshot->size();
  entry->log_bytes = 0;
  entry->log_entries = 0;
  entry->next_seq = 1;
  ++stats_.folds;
  return {};
}

Result<Upkeep> Store::Impl::RunUpkeep() {
  Upkeep upkeep;
  std::vector<DocumentName> due = DueRows(options_.projection_pause_ms);
  upkeep.more = due.size() > kProjectionsPerUpkeep;
  due.resize(std::min(due.size(), kProjectionsPerUpkeep));
  if (!due.empty()) {
    MERROW_TRY(ProjectStaleAndCommit(due));
    upkeep.projected = static_cast<uint32_t>(due.size());
  }
  if (!fold_queue_.empty()) {
    const DocumentName name = std::move(fold_queue_.front());
    fold_queue_.pop_front();
    fold_queued_.erase(name);
    const Status folded = Fold(name);
    // Not found: its transaction failed, so it did not come to be.
    if (!folded.ok() && folded.error().code() != ErrorCode::kNotFound) {
      return folded.error();
    }
    upkeep.folded = 1;
    upkeep.more = upkeep.more || !fold_queue_.empty();
    cache_.EvictToBudget();
  }
  return upkeep;
}

Status Store::Impl::FlushProjections() {
  if (stale_.empty()) {
    return {};
  }
  return ProjectStaleAndCommit(DueRows(0));
}

StoreStats Store::Impl::stats() const {
  StoreStats stats = stats_;
  stats.cache_bytes = cache_.bytes();
  stats.cache_bytes_max = cache_.budget();
  stats.cache_documents = cache_.documents();
  stats.cache_hits = cache_.hits();
  stats.cache_misses = cache_.misses();
  stats.cache_evictions = cache_.evictions();
  stats.rows_stale = stale_.size();
  return stats;
}

void Store::Impl::CheckInvariants() const {
  MERROW_CHECK(database_->autocommit());
  cache_.CheckInvariants();
}

// --- The facade ---

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  MERROW_TRY(impl->Open());
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() { impl_->Close(); }

const Schema& Store::schema() const { return impl_->schema(); }

std::vector<WriteResult> Store::ApplyBatch(std::span<const Write> writes) {
  return impl_->ApplyBatch(writes);
}

Result<VersionVector> Store::Version(std::string_view table, std::string_view key) {
  return impl_->Version(table, key);
}

Result<RowUpdates> Store::ReadSnapshot(std::string_view table, std::string_view key) {
  return impl_->ReadSnapshot(table, key);
}

Result<RowUpdates> Store::ReadUpdates(std::string_view table, std::string_view key,
                                      const VersionVector& from) {
  return impl_->ReadUpdates(table, key, from);
}

Result<std::string> Store::ReadRow(std::string_view table, std::string_view key) {
  return impl_->ReadRow(table, key);
}

Result<Upkeep> Store::RunUpkeep() { return impl_->RunUpkeep(); }
Status Store::FlushProjections() { return impl_->FlushProjections(); }
StoreStats Store::stats() const { return impl_->stats(); }
void Store::CheckInvariants() const { impl_->CheckInvariants(); }

}  // namespace merrow::store
