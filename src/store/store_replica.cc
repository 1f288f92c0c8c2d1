// SPDX-License-Identifier: Apache-2.0
//
// Store's replication: its documents as the replica log sees them, and its transactions in the log.
#include <utility>

#include "cells/packed_key.h"
#include "loro/envelope.h"
#include "store/store_impl.h"

namespace merrow::store {
namespace {

/// An export of more blocks is made again from a compact history.
constexpr size_t kBlocksMax = 8;

/// Between tries of what a constraint refused.
constexpr int64_t kRetryPauseMs = 60'000;

}  // namespace

/// The store's documents, in the open transaction.
class Store::Impl::Documents final : public ReplicaDocuments {
 public:
  explicit Documents(Impl& store) : store_(store) {}

  bool HasTable(std::string_view table) const override {
    return store_.table_index_.contains(table);
  }

  Result<VersionVector> VersionOf(std::string_view table, BytesView packed_key) override {
    MERROW_ASSIGN(const std::string key, KeyOf(packed_key));
    Result<VersionVector> version = store_.Version(table, key);
    if (!version.ok() && version.error().code() == ErrorCode::kNotFound) {
      return VersionVector();
    }
    return version;
  }

  Result<Result<Imported>> Import(std::string_view table, BytesView packed_key,
                                  BytesView blocks) override {
    const Result<std::string> key = KeyOf(packed_key);
    if (!key.ok()) {
      return Result<Imported>(key.error());
    }
    MERROW_ASSIGN(const DocumentName name, store_.Resolve(table, *key));
    if (const Status valid = store_.CheckKey(*key); !valid.ok()) {
      return Result<Imported>(valid.error());
    }
    const Result<CachedDocument*> entry = store_.Load(name, IfAbsent::kCreate);
    if (!entry.ok()) {
      return Refusal(entry.error());
    }
    Imported imported;
    const int64_t id = (*entry)->id;
    const Bytes update = loro::EncodeEnvelope(loro::EncodeMode::kFastUpdates, blocks);
    MERROW_ASSIGN(WriteResult result, store_.ImportAndSave(*entry, update, &imported.ops));
    if (const Error* const error = std::get_if<Error>(&result)) {
      return Refusal(*error);
    }
    if (imported.ops.document_id == 0) {
      imported.ops.document_id = id;
    }
    if (std::holds_alternative<MissingDependencies>(result)) {
      imported.is_waiting = true;
    } else if (std::get<Applied>(result).delta != nullptr) {
      store_.notices_.push_back({std::string(table), *key, std::get<Applied>(std::move(result))});
    }
    store_.cache_.EvictToBudget();
    return Result<Imported>(std::move(imported));
  }

  void BeginPart() override {
    touched_before_ = store_.touched_.size();
    notices_before_ = store_.notices_.size();
  }

  void UndoPart() override {
    for (size_t i = touched_before_; i < store_.touched_.size(); ++i) {
      store_.cache_.Erase(store_.touched_[i]);
    }
    store_.touched_.resize(touched_before_);
    store_.notices_.resize(notices_before_);
    // If the disk cannot be read, the commit will fail too.
    [[maybe_unused]] const Status reloaded = store_.ReloadStale();
  }

  Result<bool> IsReadable(int64_t document_id) override {
    MERROW_ASSIGN(const std::optional<DocumentName> name, NameOf(document_id));
    if (!name.has_value()) {
      return false;
    }
    const Result<CachedDocument*> entry = store_.Load(*name, IfAbsent::kFail);
    if (!entry.ok() && entry.error().code() != ErrorCode::kCorruption) {
      return entry.error();
    }
    return entry.ok();
  }

  Result<DocumentBlocks> Export(const DocumentOps& ops) override {
    MERROW_ASSIGN(const std::optional<DocumentName> name, NameOf(ops.document_id));
    if (!name.has_value()) {
      return NotFound("there is no document " + std::to_string(ops.document_id));
    }
    MERROW_ASSIGN(CachedDocument* const entry, store_.Load(*name, IfAbsent::kFail));
    Bytes update = ExportOps(ops, entry->document);
    if (CountBlocks(update) > kBlocksMax) {
      entry->document.Compact();
      update = ExportOps(ops, entry->document);
    }
    DocumentBlocks blocks;
    blocks.table = store_.tables_[name->table].table->name;
    const cells::ValueView key = cells::ValueView::Text(name->key);
    blocks.key = cells::PackColumns({&key, 1});
    blocks.blocks = Bytes(BytesView(update).substr(loro::kEnvelopeBytes));
    store_.cache_.EvictToBudget();
    return blocks;
  }

  Status ForEach(const std::function<Status(int64_t, size_t)>& visit) override {
    // What is quarantined comes last, and as if it was large, so that it does not share a
    // transaction with others: nobody gets that until the document can be read again.
    MERROW_ASSIGN(
        Statement documents,
        store_.database_->Prepare(
            "SELECT id, quarantine IS NOT NULL, (SELECT sum(length(bytes)) FROM _merrow_log "
            "WHERE _merrow_log.id BETWEEN d.id << " +
            std::to_string(kSeqBits) + " AND (d.id << " + std::to_string(kSeqBits) + ") + " +
            std::to_string(kSeqMax) + ") FROM _merrow_document d ORDER BY 2, 1"));
    while (true) {
      MERROW_ASSIGN(const bool more, documents.Step());
      if (!more) {
        return {};
      }
      const bool is_quarantined = documents.Int(1) != 0;
      const auto bytes = is_quarantined ? SIZE_MAX / 2 : static_cast<size_t>(documents.Int(2));
      MERROW_TRY(visit(documents.Int(0), bytes));
    }
  }

 private:
  /// What is wrong with the document or its row, or (the outer error) with the database.
  static Result<Result<Imported>> Refusal(const Error& error) {
    const ErrorCode code = error.code();
    if (code == ErrorCode::kBusy || code == ErrorCode::kIo || code == ErrorCode::kCancelled) {
      return error;
    }
    return Result<Imported>(error);
  }

  static Result<std::string> KeyOf(BytesView packed) {
    MERROW_ASSIGN(const auto values, cells::UnpackColumns(packed));
    if (values.size() != 1 || values[0].type != cells::ValueType::kText) {
      return InvalidArgument("the key of a document is one text");
    }
    return std::string(values[0].bytes);
  }

  static Bytes ExportOps(const DocumentOps& ops, Document& document) {
    return ops.all ? document.ExportUpdates(VersionVector())
                   : document.ExportUpdatesInRange(ops.spans);
  }

  static size_t CountBlocks(BytesView update) {
    size_t blocks = 0;
    // Our own export: it cannot fail.
    const Status counted =
        loro::ForEachBlock(update.substr(loro::kEnvelopeBytes), [&](BytesView) -> Status {
          ++blocks;
          return {};
        });
    MERROW_CHECK(counted.ok());
    return blocks;
  }

  Result<std::optional<DocumentName>> NameOf(int64_t document_id) {
    MERROW_ASSIGN(Statement find, store_.database_->Prepare(
                                      "SELECT table_id, key FROM _merrow_document WHERE id = ?1"));
    find.BindInt(1, document_id);
    MERROW_ASSIGN(const bool found, find.Step());
    if (!found) {
      return std::optional<DocumentName>();
    }
    for (size_t i = 0; i < store_.tables_.size(); ++i) {
      if (store_.tables_[i].id == find.Int(0)) {
        return std::optional<DocumentName>({i, std::string(find.Text(1))});
      }
    }
    return std::optional<DocumentName>();
  }

  Impl& store_;
  size_t touched_before_ = 0;
  size_t notices_before_ = 0;
};

// --- Opening ---

Status Store::Impl::OpenReplica() {
  MERROW_ASSIGN(const int64_t has_log,
                database_->QueryInt("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = "
                                    "'_merrow_source')"));
  if (!options_.replicate && has_log == 0) {
    return {};
  }
  MERROW_ASSIGN(cells_, CellStore::Attach(database_->handle()));
  for (const SchemaObject& object : schema_.objects()) {
    if (object.type == "table" && schema_.Find(object.name) == nullptr) {
      const Status tracked = TrackTable(object.name);
      if (!tracked.ok()) {
        return tracked.error().Within("schema, replication");
      }
    }
  }
  MERROW_TRY(database_->Execute(
      "CREATE INDEX IF NOT EXISTS _merrow_document_id ON _merrow_document (id)"));
  documents_ = std::make_unique<Documents>(*this);
  ReplicaOptions options;
  options.clock = options_.clock;
  options.documents = documents_.get();
  options.limits = options_.replica_limits;
  MERROW_ASSIGN(replica_, ReplicaLog::Open(*cells_, options));
  return {};
}

/// A table without a PRIMARY KEY stays local.
Status Store::Impl::TrackTable(const std::string& name) {
  MERROW_ASSIGN(Statement find_key,
                database_->Prepare("SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE pk)"));
  find_key.BindText(1, name);
  MERROW_ASSIGN([[maybe_unused]] const bool row, find_key.Step());
  if (find_key.Int(0) == 0) {
    return {};
  }
  MERROW_TRY(cells_->tables().Refresh());
  const CellTable* const table = cells_->tables().Find(name);
  if (table != nullptr && table->has_triggers &&
      table->triggered_columns == table->columns.size()) {
    return {};
  }
  return cells_->Track(name);
}

void Store::Impl::NoteOps(const DocumentName& name, const DocumentOps& ops) {
  if (replica_ == nullptr) {
    return;
  }
  replica_->NoteDocument(ops);
  if (replica_->has_parked()) {
    const cells::ValueView key = cells::ValueView::Text(name.key);
    replica_->NoteArrived({tables_[name.table].table->name, cells::PackColumns({&key, 1})},
                          ops.spans);
  }
}

// --- Transactions ---

Status Store::Impl::Commit(Transaction& transaction) {
  if (replica_ == nullptr) {
    return transaction.Commit();
  }
  MERROW_ASSIGN(const std::optional<cells::DbVersion> version, replica_->NoteLocal());
  MERROW_TRY(transaction.Commit());
  replica_->Committed();
  if (version.has_value()) {
    Publish(*version);
  }
  return {};
}

void Store::Impl::KeepPublished(bool on) {
  keep_published_ = on;
  if (!on) {
    published_.clear();
    unread_ = {};
  }
}

/// It is committed: what cannot be read now is announced, and pulled by those who lack it.
void Store::Impl::Publish(cells::DbVersion version) {
  if (!keep_published_) {
    return;
  }
  changeset::VersionRanges unread({version - 1, version});
  Result<ReplicaPage> page = replica_->Read(replica_->own_site(), unread, SIZE_MAX);
  if (page.ok()) {
    std::move(page->changesets.begin(), page->changesets.end(), std::back_inserter(published_));
    unread.Remove(page->settled);
  }
  unread_.Add(unread);
}

Status Store::Impl::Transact(const std::function<Status()>& work) {
  touched_.clear();
  notices_.clear();
  const auto in_transaction = [&]() -> Status {
    MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
    MERROW_TRY(work());
    return Commit(transaction);
  };
  Status status = in_transaction();
  NoteWritten(status);
  if (!status.ok()) {
    notices_.clear();
    ForgetTransaction();
  }
  cache_.EvictToBudget();
  return status;
}

Result<ChangesetsApplied> Store::Impl::ApplyChangesets(
    std::span<const IncomingChangeset> changesets) {
  ChangesetsApplied applied;
  MERROW_TRY(Transact([&]() -> Status {
    MERROW_ASSIGN(applied.outcomes, replica().Apply(changesets));
    return {};
  }));
  for (const ReplicaOutcome& outcome : applied.outcomes) {
    stats_.changesets_applied += outcome.fate == ReplicaFate::kApplied ? 1 : 0;
    stats_.changesets_refused += outcome.fate == ReplicaFate::kRefused ? 1 : 0;
  }
  applied.notices = std::exchange(late_notices_, {});
  std::move(notices_.begin(), notices_.end(), std::back_inserter(applied.notices));
  notices_.clear();
  return applied;
}

Result<std::vector<DocumentNotice>> Store::Impl::Repair(std::span<const SharedChangeset> rows) {
  const cells::DbVersion before = replica().own_version();
  std::optional<Error> refused;
  const auto repair = [&]() -> Status {
    MERROW_ASSIGN(refused, replica().Repair(rows));
    return {};
  };
  MERROW_TRY(Transact(repair));
  // What a repair brought is a transaction of this site, which others have to hear of.
  if (replica().own_version() > before) {
    Publish(replica().own_version());
  }
  std::vector<DocumentNotice> notices = std::exchange(notices_, {});
  if (refused.has_value()) {
    std::move(notices.begin(), notices.end(), std::back_inserter(late_notices_));
    return *std::move(refused);
  }
  return notices;
}

Result<cells::SiteId> Store::Impl::TakeNewIdentity(cells::DbVersion agreed) {
  std::optional<cells::SiteId> site;
  MERROW_TRY(Transact([&]() -> Status {
    MERROW_ASSIGN(site, replica().TakeNewIdentity(agreed));
    return {};
  }));
  // They carry the old name. Peers pull them under the new one.
  published_.clear();
  unread_ = {};
  return *site;
}

Status Store::Impl::ConfirmPeer(const cells::SiteId& peer, const changeset::SiteVersions& has) {
  if (peer == replica().own_site()) {
    return InvalidArgument("a site does not confirm to itself");
  }
  const auto [confirmed, is_new] = confirmed_.try_emplace(peer);
  if (is_new) {
    // It exists from now on, also for the next process.
    const Status met = Transact([&] { return replica().Meet(peer); });
    if (!met.ok()) {
      confirmed_.erase(confirmed);
      return met;
    }
  }
  look_for_tombstones_ = look_for_tombstones_ || !(confirmed->second == has);
  confirmed->second = has;
  // (The first time only says that the site exists.)
  const Status taken_back = is_new ? Status() : TakeBack(peer, has);
  if (!taken_back.ok()) {
    taken_back_ = taken_back_.has_value() ? changeset::Common(*taken_back_, has) : has;
  }
  return taken_back;
}

Status Store::Impl::TakeBack(const cells::SiteId& peer, const changeset::SiteVersions& has) {
  MERROW_ASSIGN(const bool takes_back, replica().TakesBack(peer, has));
  return takes_back ? Transact([&] { return replica().TakeBack(has); }) : Status();
}

Result<cells::SiteId> Store::Impl::ForgetSite(std::string_view site_hex) {
  MERROW_ASSIGN(const cells::SiteId site, replica().FindSite(site_hex));
  MERROW_TRY(Transact([&] { return replica().ForgetSite(site); }));
  LookForTombstonesNow();
  return site;
}

Result<cells::SiteId> Store::Impl::RememberSite(std::string_view site_hex) {
  MERROW_ASSIGN(const cells::SiteId site, replica().FindSite(site_hex));
  MERROW_TRY(Transact([&] { return replica().RememberSite(site); }));
  LookForTombstonesNow();
  return site;
}

void Store::Impl::LookForTombstonesNow() {
  look_for_tombstones_ = true;
  collect_due_ms_ = 0;
}

/// One step. Also counts them, so it happens when there may be new ones, too. True if there is more
/// to look at.
Result<bool> Store::Impl::CollectTombstones() {
  const int64_t start_ms = NowMs();
  if (!sweep_.has_value()) {
    sweep_.emplace();
    sweep_ms_ = 0;
    look_for_tombstones_ = false;
    looked_at_ = replica().last_local();
  }
  TombstoneSweep next = *sweep_;
  const auto step = [&]() -> Status {
    if (taken_back_.has_value()) {
      MERROW_TRY(replica().TakeBack(*taken_back_));
    }
    return replica().CollectTombstones(confirmed_, &next);
  };
  MERROW_TRY(Transact(step));
  taken_back_.reset();
  sweep_ = std::move(next);
  sweep_ms_ += NowMs() - start_ms;
  if (!sweep_->place.at_end) {
    return true;
  }
  const TombstoneReport report = std::move(sweep_->report);
  sweep_.reset();
  stats_.tombstones = static_cast<uint64_t>(report.left);
  stats_.tombstones_young = static_cast<uint64_t>(report.young);
  stats_.tombstones_collected += static_cast<uint64_t>(report.collected);
  young_due_ms_ = report.young_until_ms;
  stats_.tombstone_holders.clear();
  for (const auto& [site, holder] : report.holders) {
    stats_.tombstone_holders.push_back(holder);
  }
  std::sort(stats_.tombstone_holders.begin(), stats_.tombstone_holders.end(),
            [](const auto& a, const auto& b) { return a.tombstones > b.tombstones; });
  stats_.tombstone_holders.resize(std::min(stats_.tombstone_holders.size(), kHoldersListedMax));
  // It reads every clock, so it gets a small part of the time.
  collect_due_ms_ = NowMs() + std::max(options_.replica_limits.tombstone_pause_ms, sweep_ms_ * 100);
  return false;
}

Status Store::Impl::TransactLate(const std::function<Status()>& work) {
  MERROW_TRY(Transact(work));
  std::move(notices_.begin(), notices_.end(), std::back_inserter(late_notices_));
  notices_.clear();
  return {};
}

Result<bool> Store::Impl::UpkeepReplica() {
  const int64_t now = NowMs();
  const bool may_find = look_for_tombstones_ || looked_at_ != replica().last_local() ||
                        options_.clock->UnixMillis() >= young_due_ms_;
  bool more = false;
  if (sweep_.has_value() || (may_find && now >= collect_due_ms_)) {
    MERROW_ASSIGN(more, CollectTombstones());
  }
  if (replica().has_arrived()) {
    // A client brought what something waits for.
    const auto apply = [this]() -> Status {
      MERROW_TRY(replica().ApplyArrived());
      return {};
    };
    MERROW_TRY(TransactLate(apply));
  }
  if (!replica().refused().empty() && now >= retry_due_ms_) {
    retry_due_ms_ = now + kRetryPauseMs;
    const auto retry = [this]() -> Status {
      MERROW_TRY(replica().RetryRefused());
      return {};
    };
    MERROW_TRY(TransactLate(retry));
  }
  if (!replica().HasToPrune()) {
    return more;
  }
  MERROW_TRY(Transact([&]() -> Status {
    MERROW_ASSIGN(const bool more_to_prune, replica().Prune());
    more = more || more_to_prune;
    return {};
  }));
  return more;
}

}  // namespace merrow::store
