// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include "store/store_impl.h"

namespace merrow::store {

// --- Opening ---

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

Status Store::Impl::Open() {
  MERROW_ASSIGN(schema_, Schema::Parse(options_.schema_sql));
  MERROW_ASSIGN(FileLock lock, FileLock::Acquire(options_.path));
  lock_.emplace(std::move(lock));
  MERROW_ASSIGN(database_, OpenDatabaseFile(options_.path, options_.busy_timeout_ms));
  sqlite3_set_authorizer(database_->handle(), AuthorizeTriggers, &schema_);
  MERROW_TRY(OpenSqlDocuments());
  MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
  MERROW_TRY(OpenTables());
  MERROW_TRY(OpenReplica());
  return Commit(transaction);
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
    MERROW_TRY(OpenSqlTable(tables_.back()));
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
  CloseConnection();
}

void Store::Impl::CloseConnection() {
  replica_.reset();
  if (cells_ != nullptr) {
    cells_->FinalizeStatements();
    cells_ = nullptr;
  }
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

Result<Executed> Store::Execute(std::span<const SqlWrite> statements) {
  return impl_->Execute(statements);
}

const cells::SiteId& Store::own_site() const { return impl_->replica().own_site(); }
cells::DbVersion Store::own_version() const { return impl_->replica().own_version(); }
const changeset::SiteVersions& Store::seen() const { return impl_->replica().seen(); }
void Store::KeepPublished(bool on) { impl_->KeepPublished(on); }
std::vector<SharedChangeset> Store::TakePublished() { return impl_->TakePublished(); }
changeset::VersionRanges Store::TakeUnread() { return impl_->TakeUnread(); }
std::vector<DocumentNotice> Store::TakeNotices() { return impl_->TakeNotices(); }

Result<ChangesetsApplied> Store::ApplyChangesets(std::span<const IncomingChangeset> changesets) {
  return impl_->ApplyChangesets(changesets);
}

Result<ReplicaPage> Store::ReadChangesets(const cells::SiteId& site,
                                          const changeset::VersionRanges& wanted,
                                          size_t bytes_target) {
  return impl_->replica().Read(site, wanted, bytes_target);
}

Result<std::vector<VersionProof>> Store::ReadProofs(const cells::SiteId& site) {
  return impl_->replica().Proofs(site);
}

Result<std::optional<cells::DbVersion>> Store::CheckProofs(std::span<const VersionProof> proofs) {
  return impl_->replica().CheckProofs(proofs);
}

Result<cells::SiteId> Store::TakeNewIdentity(cells::DbVersion agreed) {
  return impl_->TakeNewIdentity(agreed);
}

Result<std::vector<DocumentNotice>> Store::Repair(std::span<const SharedChangeset> rows) {
  return impl_->Repair(rows);
}

Result<std::vector<KnownSite>> Store::KnownSites() { return impl_->replica().KnownSites(); }

Result<cells::SiteId> Store::ForgetSite(std::string_view site_hex) {
  return impl_->ForgetSite(site_hex);
}

Result<cells::SiteId> Store::RememberSite(std::string_view site_hex) {
  return impl_->RememberSite(site_hex);
}

Status Store::ConfirmPeer(const cells::SiteId& peer, const changeset::SiteVersions& has) {
  return impl_->ConfirmPeer(peer, has);
}

}  // namespace merrow::store
