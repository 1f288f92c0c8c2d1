// SPDX-License-Identifier: Apache-2.0
#include "store/document_rows.h"

#include <algorithm>
#include <utility>

#include "cells/packed_key.h"
#include "loro/envelope.h"
#include "store/cell_statement.h"
#include "store/database_file.h"
#include "store/document_rows_table.h"

namespace merrow::store {
namespace {

using loro::Document;
using loro::ImportStatus;
using loro::VersionVector;

/// The row's table does not take it, or the blob is not one. Else it is the database that failed.
bool IsOfTheRow(const Error& error) {
  return error.code() == ErrorCode::kConflict || error.code() == ErrorCode::kLimit ||
         error.code() == ErrorCode::kInvalidArgument;
}

/// What of `spans` is in `version`.
std::vector<loro::IdSpan> Within(std::vector<loro::IdSpan> spans, const VersionVector& version) {
  for (loro::IdSpan& span : spans) {
    span.end = std::min(span.end, version.End(span.peer));
  }
  std::erase_if(spans, [](const loro::IdSpan& span) { return span.start >= span.end; });
  return spans;
}

/// An export of more blocks is made again from a compact history.
constexpr size_t kBlocksMax = 8;

Bytes ExportOps(const DocumentOps& ops, Document& document) {
  return ops.all ? document.ExportUpdates({}) : document.ExportUpdatesInRange(ops.spans);
}

size_t CountBlocks(BytesView body) {
  size_t blocks = 0;
  const Status counted = loro::ForEachBlock(body, [&](BytesView) -> Status {
    ++blocks;
    return {};
  });
  MERROW_CHECK(counted.ok());  // it is our own export
  return blocks;
}

loro::PeerId PeerOf(uint64_t random) { return random == loro::kNoPeer ? 0 : random; }

}  // namespace

DocumentRows::DocumentRows(Database& database, std::function<uint64_t()> random,
                           const DocumentRowsLimits& limits)
    : database_(database),
      random_(std::move(random)),
      limits_(limits),
      peer_(PeerOf(random_())),
      log_(&database),
      cache_(std::make_unique<DocumentCache>(limits.memory_bytes_max)) {}

DocumentRows::~DocumentRows() = default;

Result<DocumentRows::Refreshed> DocumentRows::Refresh() {
  MERROW_ASSIGN(const int64_t schema_version, database_.QueryInt("PRAGMA main.schema_version"));
  MERROW_ASSIGN(const int64_t data_version, database_.QueryInt("PRAGMA main.data_version"));
  if (std::exchange(forget_later_, false)) {
    Forget();
  }
  const bool is_same_data = data_version == data_version_;
  if (schema_version == schema_version_ && is_same_data) {
    return Refreshed();
  }
  ResetMemory();
  MERROW_TRY(LoadTables());
  if (!tables_.empty()) {
    MERROW_TRY(log_.Initialize());
  }
  schema_version_ = schema_version;
  data_version_ = data_version;
  return Refreshed{!is_same_data, true};
}

void DocumentRows::ResetMemory() {
  schema_version_ = -1;
  cache_ = std::make_unique<DocumentCache>(limits_.memory_bytes_max);
  names_.clear();
}

void DocumentRows::Forget() {
  was_undone_ = true;
  forget_later_ = is_writing_;  // the document that is being written is in use
  if (is_writing_) {
    return;
  }
  ResetMemory();
  peer_ = PeerOf(random_());
  folds_ = 0;
}

std::optional<size_t> DocumentRows::FindTable(std::string_view table) const {
  for (size_t i = 0; i < tables_.size(); ++i) {
    if (SameSqlName(tables_[i]->name, table)) {
      return i;
    }
  }
  return std::nullopt;
}

// --- Documents.

Result<DocumentName> DocumentRows::Resolve(std::string_view table, std::string_view key) const {
  const std::optional<size_t> found = FindTable(table);
  if (!found.has_value()) {
    return NotFound("there is no document table " + std::string(table));
  }
  MERROW_TRY(tables_[*found]->usable);
  return DocumentName{*found, std::string(key)};
}

std::string DocumentRows::Describe(const DocumentName& name) const {
  return "table " + tables_[name.table]->name + ", row " +
         cells::Describe(cells::ValueView::Text(name.key));
}

Result<CachedDocument*> DocumentRows::Load(const DocumentName& name, Absent absent) {
  if (CachedDocument* const cached = cache_->Find(name); cached != nullptr) {
    return cached;
  }
  MERROW_ASSIGN(const std::optional<DocumentRecord> record,
                log_.Find(tables_[name.table]->id, name.key));
  CachedDocument entry(name, Document(peer_));
  if (!record.has_value()) {
    if (absent == Absent::kFail) {
      return NotFound(Describe(name) + ": there is no such document");
    }
    return &cache_->Insert(std::move(entry));
  }
  entry.id = record->id;
  const Status decoded = Hydrate(&entry);
  if (!decoded.ok()) {
    return decoded.error().Within(Describe(name));
  }
  return &cache_->Insert(std::move(entry));
}

Status DocumentRows::Hydrate(CachedDocument* entry) {
  Status decoded;
  const auto import = [&](int64_t seq, BytesView bytes) {
    const Result<ImportStatus> status = entry->document.Import(bytes);
    if (!status.ok()) {
      decoded = Corruption("entry " + std::to_string(seq) +
                           " of the document does not decode: " + status.error().message());
    } else if (!status->pending.empty()) {
      decoded = Corruption("entry " + std::to_string(seq) +
                           " of the document follows ops that are missing");
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
  MERROW_TRY(log_.Read(entry->id, import));
  MERROW_TRY(decoded);
  if (entry->base_bytes == 0 && entry->log_entries == 0) {
    return Corruption("the document has neither base nor log");
  }
  return {};
}

Status DocumentRows::SaveOps(CachedDocument* entry, BytesView delta) {
  const size_t bytes = entry->base_bytes + entry->log_bytes + delta.size();
  if (bytes > limits_.document_bytes_max) {
    return LimitReached(Describe(entry->name) + ": the document would have " +
                        std::to_string(bytes) + " bytes; document_bytes_max is " +
                        std::to_string(limits_.document_bytes_max));
  }
  if (entry->id == 0) {
    MERROW_ASSIGN(entry->id, log_.Create(tables_[entry->name.table]->id, entry->name.key));
    if (!names_.empty()) {
      names_.emplace(entry->id, entry->name);
    }
  }
  if (entry->next_seq > kSeqMax) {
    return LimitReached(Describe(entry->name) + ": its log is full");
  }
  MERROW_TRY(log_.Append(entry->id, entry->next_seq, delta));
  ++entry->next_seq;
  entry->log_bytes += delta.size();
  ++entry->log_entries;
  entry->unsaved = false;
  cache_->Grew(*entry, delta.size());
  return FoldIfLong(entry);
}

Status DocumentRows::FoldIfLong(CachedDocument* entry) {
  const bool is_long = entry->log_entries > limits_.fold_log_entries_max ||
                       entry->log_bytes > std::max(entry->base_bytes, limits_.fold_log_bytes_min);
  if (!is_long || folds_ >= limits_.folds_per_transaction_max) {
    return {};
  }
  ++folds_;
  const Bytes snapshot = entry->document.ExportSnapshot();
  // Read back and compared: the log that it replaces is the only other copy.
  Document copy(peer_);
  const Result<ImportStatus> status = copy.Import(snapshot);
  if (!status.ok() || !status->pending.empty() || !(copy.version() == entry->document.version()) ||
      copy.ToJson() != entry->document.ToJson()) {
    return {};  // the log stays, and is good
  }
  MERROW_TRY(log_.ReplaceAll(entry->id, snapshot));
  entry->base_bytes = snapshot.size();
  entry->log_bytes = 0;
  entry->log_entries = 0;
  entry->next_seq = 1;
  return {};
}

Status DocumentRows::WriteRow(CachedDocument* entry) {
  is_writing_ = true;
  const Status written = tables_[entry->name.table]->projection->WriteRow(
      database_, entry->name.key, entry->document, &entry->row_bytes);
  is_writing_ = false;
  return written;
}

// --- What SQL wrote.

Status DocumentRows::Capture(int64_t table_id, const std::string& key) {
  MERROW_TRY(NoteNames());
  for (size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i]->id == table_id) {
      const Status& usable = tables_[i]->usable;
      if (!usable.ok() && usable.error().code() == ErrorCode::kNotFound) {
        break;
      }
      MERROW_TRY(usable);
      const Status captured = CaptureRow({i, key}, Author::kConnection);
      cache_->EvictToBudget();
      return captured;
    }
  }
  return {};  // the table was dropped since
}

Status DocumentRows::CaptureRow(const DocumentName& name, Author author) {
  MERROW_TRY(CheckDocumentKey(name.key, limits_.key_bytes_max));
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, Absent::kCreate));
  const VersionVector before = entry->document.version();
  entry->unsaved = true;
  const Result<RowCapture::Outcome> outcome = EditDocument(name, author, entry);
  if (!outcome.ok() || (!outcome->edited && entry->id == 0)) {
    // It may have edits that do not count, or is of a row that is not there.
    const std::string where = Describe(name);
    cache_->Erase(name);
    return outcome.ok() ? Status() : Status(outcome.error().Within(where));
  }
  entry->unsaved = false;
  if (outcome->edited) {
    const Bytes delta = entry->document.ExportUpdates(before);
    entry->unsaved = true;
    const Status saved = SaveOps(entry, delta);
    if (!saved.ok()) {
      cache_->Erase(name);
      return saved;
    }
    DocumentOps ops{entry->id, false, entry->document.version().SpansNotIn(before)};
    NoteOps(std::move(ops));
  }
  if (outcome->shows) {
    return {};
  }
  const Status written = WriteRow(entry);
  // While SQLite commits, it does not write virtual tables, as a trigger of the table may want to.
  // Then the row goes on saying the same in other words: NULL for what is empty, spaces in JSON.
  return written.ok() || written.error().code() == ErrorCode::kBusy ? Status() : written;
}

Result<RowCapture::Outcome> DocumentRows::EditDocument(const DocumentName& name, Author author,
                                                       CachedDocument* entry) {
  const TableState& table = *tables_[name.table];
  const bool is_new = entry->id == 0;
  const auto peer = [&](std::span<const cells::ValueView> row) {
    return is_new && author == Author::kContent ? ContentPeer(*table.table, row) : peer_;
  };
  MERROW_ASSIGN(const RowCapture::Outcome outcome,
                table.capture->Edit(name.key, is_new, peer, entry->document));
  MERROW_TRY(entry->document.SetPeer(peer_));
  return outcome;
}

Status DocumentRows::CaptureAll(size_t table) {
  std::string last;
  while (true) {
    std::vector<std::string> keys;
    {
      MERROW_ASSIGN(Statement page, database_.Prepare(tables_[table]->page_sql));
      page.BindText(1, last);
      while (true) {
        MERROW_ASSIGN(const bool row, page.Step());
        if (!row) break;
        keys.emplace_back(page.Text(0));
      }
    }
    if (keys.empty()) {
      return {};
    }
    for (const std::string& key : keys) {
      MERROW_TRY(CaptureRow({table, key}, Author::kContent));
      cache_->EvictToBudget();
    }
    last = keys.back();
  }
}

Status DocumentRows::ProjectAll(size_t table) {
  std::string last;
  while (true) {
    MERROW_ASSIGN(const auto keys, log_.Keys(tables_[table]->id, last, kDocumentKeysPerPage));
    if (keys.empty()) {
      return {};
    }
    for (const std::string& key : keys) {
      const Result<CachedDocument*> entry = Load({table, key}, Absent::kFail);
      if (!entry.ok() && entry.error().code() == ErrorCode::kCorruption) {
        continue;  // its row keeps what it has
      }
      MERROW_TRY(entry);
      MERROW_TRY(WriteRow(*entry));
      MERROW_TRY(log_.ClearStale((*entry)->id));
      cache_->EvictToBudget();
    }
    last = keys.back();
  }
}

Result<bool> DocumentRows::HasStaleRows() {
  if (tables_.empty()) {
    return false;
  }
  MERROW_ASSIGN(const int64_t any,
                database_.QueryInt("SELECT EXISTS (SELECT 1 FROM main._merrow_stale)"));
  return any != 0;
}

// --- What others wrote.

Result<Result<DocumentRows::Merged>> DocumentRows::Merge(std::string_view table,
                                                         std::string_view key, BytesView blob) {
  if (blob.size() > limits_.update_bytes_max) {
    return Result<Merged>(LimitReached("an update of " + std::to_string(blob.size()) +
                                       " bytes; update_bytes_max is " +
                                       std::to_string(limits_.update_bytes_max)));
  }
  return MergeOfAnySize(table, key, blob);
}

Result<Result<DocumentRows::Merged>> DocumentRows::MergeOfAnySize(std::string_view table,
                                                                  std::string_view key,
                                                                  BytesView blob) {
  using Outcome = Result<Merged>;
  const Result<DocumentName> name = Resolve(table, key);
  if (!name.ok()) {
    return Outcome(name.error());
  }
  const Status checked = CheckDocumentKey(key, limits_.key_bytes_max);
  if (!checked.ok()) {
    return Outcome(checked.error());
  }
  const Result<CachedDocument*> entry = Load(*name, Absent::kCreate);
  if (!entry.ok()) {
    if (entry.error().code() == ErrorCode::kCorruption) {
      return Outcome(entry.error());
    }
    return entry.error();
  }
  MERROW_ASSIGN(Outcome merged, MergeInto(*entry, blob));
  if (!merged.ok() || merged->is_waiting || merged->spans.empty()) {
    if (!merged.ok() || merged->is_waiting || merged->document_id == 0) {
      cache_->Erase(*name);
    }
  }
  cache_->EvictToBudget();
  if (!merged.ok()) {
    return Outcome(merged.error().Within(Describe(*name)));
  }
  return merged;
}

Result<Result<DocumentRows::Merged>> DocumentRows::MergeInto(CachedDocument* entry,
                                                             BytesView blob) {
  using Outcome = Result<Merged>;
  Merged merged;
  merged.before = entry->document.version();
  merged.document_id = entry->id;
  if (merged.before.empty()) {
    const Result<loro::BlobMeta> meta = loro::ReadBlobMeta(blob);
    if (meta.ok() && meta->is_shallow) {
      return Outcome(Unsupported("a shallow snapshot cannot start a row: its history is trimmed"));
    }
  }
  entry->unsaved = true;
  const Result<ImportStatus> status = entry->document.Import(blob);
  if (!status.ok()) {
    return Outcome(status.error());
  }
  if (!status->pending.empty()) {
    merged.is_waiting = true;
    return Outcome(std::move(merged));
  }
  entry->unsaved = false;
  if (status->success.empty()) {
    return Outcome(std::move(merged));
  }
  merged.spans = status->success;
  merged.delta = entry->document.ExportUpdates(merged.before);
  entry->unsaved = true;
  // The row first: it is what may be refused.
  const Status row = WriteRow(entry);
  if (!row.ok()) {
    if (!IsOfTheRow(row.error())) {
      return row.error();
    }
    return Outcome(row.error());
  }
  const Status saved = SaveOps(entry, merged.delta);
  if (!saved.ok()) {
    if (!IsOfTheRow(saved.error())) {
      return saved.error();
    }
    return Outcome(saved.error());
  }
  merged.document_id = entry->id;
  return Outcome(std::move(merged));
}

Result<VersionVector> DocumentRows::Version(std::string_view table, std::string_view key) {
  MERROW_ASSIGN(const DocumentName name, Resolve(table, key));
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, Absent::kFail));
  return entry->document.version();
}

Result<Bytes> DocumentRows::ExportBlob(std::string_view table, std::string_view key,
                                       const std::optional<VersionVector>& from) {
  MERROW_ASSIGN(const DocumentName name, Resolve(table, key));
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, Absent::kFail));
  return from.has_value() ? entry->document.ExportUpdates(*from) : entry->document.ExportSnapshot();
}

Result<std::string> DocumentRows::Json(std::string_view table, std::string_view key) {
  MERROW_ASSIGN(const DocumentName name, Resolve(table, key));
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, Absent::kFail));
  return entry->document.ToJson();
}

// --- For the replica log.

Result<DocumentOpsById> DocumentRows::TakeOps() {
  DocumentOpsById ops = std::exchange(ops_, {});
  folds_ = 0;
  if (!std::exchange(was_undone_, false)) {
    return ops;
  }
  for (auto entry = ops.begin(); entry != ops.end();) {
    const Result<DocumentName> name = NameOf(entry->first);
    if (!name.ok() && name.error().code() != ErrorCode::kNotFound) {
      return name.error();
    }
    if (name.ok()) {
      MERROW_ASSIGN(CachedDocument* const document, Load(*name, Absent::kFail));
      entry->second.spans = Within(std::move(entry->second.spans), document->document.version());
    }
    const bool is_left = name.ok() && !entry->second.spans.empty();
    entry = is_left ? std::next(entry) : ops.erase(entry);
  }
  return ops;
}

Result<VersionVector> DocumentRows::VersionOf(std::string_view table, BytesView packed_key) {
  MERROW_ASSIGN(const auto key, cells::UnpackColumns(packed_key));
  if (key.size() != 1) {
    return InvalidArgument("table " + std::string(table) + ": the key of a document is one text");
  }
  const Result<VersionVector> version = Version(table, key[0].bytes);
  return !version.ok() && version.error().code() == ErrorCode::kNotFound ? VersionVector()
                                                                         : version;
}

Result<Result<ReplicaDocuments::Imported>> DocumentRows::Import(std::string_view table,
                                                                BytesView packed_key,
                                                                BytesView blocks) {
  using Outcome = Result<Imported>;
  const auto key = cells::UnpackColumns(packed_key);
  if (!key.ok() || key->size() != 1 || (*key)[0].type != cells::ValueType::kText) {
    return Outcome(
        InvalidArgument("table " + std::string(table) + ": the key of a document is one text"));
  }
  const Bytes blob = loro::EncodeEnvelope(loro::EncodeMode::kFastUpdates, blocks);
  // Many updates in one, which were taken somewhere: only the document's size is limited.
  MERROW_ASSIGN(const Result<Merged> merged, MergeOfAnySize(table, (*key)[0].bytes, blob));
  if (!merged.ok()) {
    return Outcome(merged.error());
  }
  Imported imported;
  imported.is_waiting = merged->is_waiting;
  imported.ops = {merged->document_id, false, merged->spans};
  imported_ += merged->spans.empty() ? 0 : 1;
  return Outcome(std::move(imported));
}

Result<DocumentName> DocumentRows::NameOf(int64_t document_id) {
  if (names_.empty()) {
    MERROW_ASSIGN(Statement statement,
                  database_.Prepare("SELECT id, table_id, key FROM main._merrow_document"));
    while (true) {
      MERROW_ASSIGN(const bool row, statement.Step());
      if (!row) break;
      const int64_t table_id = statement.Int(1);
      const auto table = std::find_if(tables_.begin(), tables_.end(),
                                      [&](const auto& one) { return one->id == table_id; });
      if (table != tables_.end()) {
        const auto index = static_cast<size_t>(table - tables_.begin());
        names_.emplace(statement.Int(0), DocumentName{index, std::string(statement.Text(2))});
      }
    }
  }
  const auto found = names_.find(document_id);
  if (found == names_.end()) {
    return NotFound("there is no document " + std::to_string(document_id));
  }
  const TableState& table = *tables_[found->second.table];
  return table.is_there ? Result<DocumentName>(found->second) : table.usable.error();
}

Result<bool> DocumentRows::IsReadable(int64_t document_id) {
  const Result<DocumentName> name = NameOf(document_id);
  if (!name.ok()) {
    return name.error().code() == ErrorCode::kIo ? Result<bool>(name.error()) : false;
  }
  const Result<CachedDocument*> entry = Load(*name, Absent::kFail);
  if (entry.ok()) {
    return true;
  }
  const ErrorCode code = entry.error().code();
  if (code == ErrorCode::kCorruption || code == ErrorCode::kNotFound) {
    return false;
  }
  return entry.error();
}

Result<DocumentBlocks> DocumentRows::Export(const DocumentOps& ops) {
  MERROW_ASSIGN(const DocumentName name, NameOf(ops.document_id));
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, Absent::kFail));
  Bytes blob = ExportOps(ops, entry->document);
  MERROW_ASSIGN(loro::Envelope envelope, loro::DecodeEnvelope(blob));
  if (CountBlocks(envelope.body) > kBlocksMax) {
    entry->document.Compact();
    blob = ExportOps(ops, entry->document);
    MERROW_ASSIGN(envelope, loro::DecodeEnvelope(blob));
  }
  const cells::ValueView key = cells::ValueView::Text(name.key);
  DocumentBlocks blocks{tables_[name.table]->name, cells::PackColumns({&key, 1}),
                        Bytes(envelope.body)};
  cache_->EvictToBudget();
  return blocks;
}

Status DocumentRows::ForEach(
    const std::function<Status(int64_t document_id, size_t bytes)>& visit) {
  if (tables_.empty()) {
    return {};
  }
  std::vector<std::pair<int64_t, size_t>> documents;
  {
    MERROW_ASSIGN(Statement statement,
                  database_.Prepare("SELECT id >> 24, sum(length(bytes)) FROM main._merrow_log "
                                    "GROUP BY id >> 24 ORDER BY 1"));
    while (true) {
      MERROW_ASSIGN(const bool row, statement.Step());
      if (!row) break;
      documents.emplace_back(statement.Int(0), static_cast<size_t>(statement.Int(1)));
    }
  }
  // What cannot be read comes last, and as if it was large, so that it does not share a transaction
  // with others: nobody gets that until the document can be read.
  std::vector<int64_t> unreadable;
  for (const auto& [id, bytes] : documents) {
    MERROW_ASSIGN(const bool is_readable, IsReadable(id));
    cache_->EvictToBudget();
    if (is_readable) {
      MERROW_TRY(visit(id, bytes));
    } else {
      unreadable.push_back(id);
    }
  }
  for (const int64_t id : unreadable) {
    MERROW_TRY(visit(id, SIZE_MAX / 2));
  }
  return {};
}

}  // namespace merrow::store
