// SPDX-License-Identifier: Apache-2.0
#include "store/document_log.h"

namespace merrow::store {

// A document always has a base or a log entry, so the end of the log has the largest id.
Status DocumentLog::Initialize() {
  MERROW_ASSIGN(const int64_t last,
                database_->QueryInt("SELECT coalesce(max(id), 0) FROM _merrow_log"));
  next_document_id_ = (last >> kSeqBits) + 1;
  return {};
}

Result<std::optional<DocumentRecord>> DocumentLog::Find(int64_t table_id, std::string_view key) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("SELECT id, quarantine IS NOT NULL FROM _merrow_document "
                                   "WHERE table_id = ?1 AND key = ?2"));
  statement.BindInt(1, table_id);
  statement.BindText(2, key);
  MERROW_ASSIGN(const bool row, statement.Step());
  if (!row) {
    return std::optional<DocumentRecord>();
  }
  return std::optional(DocumentRecord{statement.Int(0), statement.Int(1) != 0});
}

Result<int64_t> DocumentLog::Create(int64_t table_id, std::string_view key) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("INSERT INTO _merrow_document (table_id, key, id) "
                                   "VALUES (?1, ?2, ?3)"));
  const int64_t id = next_document_id_++;
  statement.BindInt(1, table_id);
  statement.BindText(2, key);
  statement.BindInt(3, id);
  MERROW_TRY(statement.Run());
  return id;
}

Result<std::vector<std::string>> DocumentLog::Keys(int64_t table_id, std::string_view after,
                                                   int64_t count) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("SELECT key FROM _merrow_document "
                                   "WHERE table_id = ?1 AND key > ?2 ORDER BY key LIMIT ?3"));
  statement.BindInt(1, table_id);
  statement.BindText(2, after);
  statement.BindInt(3, count);
  std::vector<std::string> keys;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return keys;
    }
    keys.emplace_back(statement.Text(0));
  }
}

Status DocumentLog::Read(int64_t document_id,
                         const std::function<bool(int64_t seq, BytesView)>& blob) {
  MERROW_ASSIGN(Statement statement, database_->Prepare("SELECT id, bytes FROM _merrow_log "
                                                        "WHERE id BETWEEN ?1 AND ?2 ORDER BY id"));
  statement.BindInt(1, LogId(document_id, 0));
  statement.BindInt(2, LogId(document_id, kSeqMax));
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row || !blob(statement.Int(0) & kSeqMax, statement.Blob(1))) {
      return {};
    }
  }
}

Status DocumentLog::Append(int64_t document_id, int64_t seq, BytesView update) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("INSERT INTO _merrow_log (id, bytes) VALUES (?1, ?2)"));
  statement.BindInt(1, LogId(document_id, seq));
  statement.BindBlob(2, update);
  return statement.Run();
}

Status DocumentLog::ReplaceAll(int64_t document_id, BytesView base) {
  {
    MERROW_ASSIGN(Statement statement,
                  database_->Prepare("DELETE FROM _merrow_log WHERE id BETWEEN ?1 AND ?2"));
    statement.BindInt(1, LogId(document_id, 0));
    statement.BindInt(2, LogId(document_id, kSeqMax));
    MERROW_TRY(statement.Run());
  }
  return Append(document_id, 0, base);
}

Status DocumentLog::SetQuarantine(int64_t table_id, std::string_view key, const std::string* why) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("UPDATE _merrow_document SET quarantine = ?3 "
                                   "WHERE table_id = ?1 AND key = ?2"));
  statement.BindInt(1, table_id);
  statement.BindText(2, key);
  if (why == nullptr) {
    statement.BindNull(3);
  } else {
    statement.BindText(3, *why);
  }
  return statement.Run();
}

Status DocumentLog::MarkStale(const StaleRecord& stale) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("INSERT OR IGNORE INTO _merrow_stale "
                                   "(document_id, table_id, key) VALUES (?1, ?2, ?3)"));
  statement.BindInt(1, stale.document_id);
  statement.BindInt(2, stale.table_id);
  statement.BindText(3, stale.key);
  return statement.Run();
}

Status DocumentLog::ClearStale(int64_t document_id) {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("DELETE FROM _merrow_stale WHERE document_id = ?1"));
  statement.BindInt(1, document_id);
  return statement.Run();
}

Result<std::vector<StaleRecord>> DocumentLog::ReadStale() {
  MERROW_ASSIGN(Statement statement,
                database_->Prepare("SELECT document_id, table_id, key FROM _merrow_stale "
                                   "ORDER BY document_id"));
  std::vector<StaleRecord> stale;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return stale;
    }
    stale.push_back({statement.Int(0), statement.Int(1), std::string(statement.Text(2))});
  }
}

}  // namespace merrow::store
