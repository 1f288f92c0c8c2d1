// SPDX-License-Identifier: Apache-2.0
#include "store/replica_digest.h"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <unordered_set>
#include <utility>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "cells/stored_key.h"
#include "loro/envelope.h"
#include "merrow/document.h"
#include "store/cell_store.h"
#include "store/database_file.h"
#include "store/replica_builder.h"
#include "store/sqlite.h"

namespace merrow::store {
namespace {

std::string Lower(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

/// The table's name is in the seed.
uint64_t KeyHash(uint64_t table_hash, BytesView packed_key) {
  return XXH3_64bits_withSeed(packed_key.data(), packed_key.size(), table_hash);
}

uint64_t HashOf(BytesView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint32_t BucketOf(uint64_t key_hash) { return static_cast<uint32_t>(key_hash % kDigestBuckets); }

/// -0.0 and 0.0 are the same to merging.
void AppendValue(const cells::ValueView& value, ByteWriter& out) {
  out.U8(static_cast<uint8_t>(value.type));
  switch (value.type) {
    case cells::ValueType::kInteger:
      out.U64Le(static_cast<uint64_t>(value.integer));
      break;
    case cells::ValueType::kReal:
      out.F64Le(value.real == 0 ? 0 : value.real);
      break;
    case cells::ValueType::kText:
    case cells::ValueType::kBlob:
      out.LengthPrefixed(value.bytes);
      break;
    case cells::ValueType::kNull:
      break;
  }
}

/// The rows of one tracked table.
class TableRows {
 public:
  TableRows(CellStore& cells, std::shared_ptr<CellTable> table)
      : cells_(cells), table_(std::move(table)), hash_(HashOf(Lower(table_->name))) {
    for (size_t i = 0; i < table_->columns.size(); ++i) {
      columns_.push_back({Lower(table_->columns[i].name), i});
    }
    std::sort(columns_.begin(), columns_.end());
  }

  const CellTable& table() const { return *table_; }

  /// Calls `each` with the hash of the row's key, the packed key and the clock.
  Status ForEach(const std::function<Status(uint64_t, BytesView, const cells::RowClock&)>& each) {
    Status status;
    Bytes key;
    MERROW_TRY(cells_.ForEachClock(
        *table_, [&](const cells::ClockKey& stored, const cells::RowClock& clock) {
          if (!status.ok()) {
            return;
          }
          key.clear();
          if (table_->int_key) {
            const cells::ValueView number = cells::ValueView::Integer(stored.number);
            key = cells::PackColumns({&number, 1});
          } else {
            status = cells::AppendPackedKey(stored.stored, key);
          }
          if (status.ok()) {
            status = each(KeyHash(hash_, key), key, clock);
          }
        }));
    return status;
  }

  Result<uint64_t> RowHash(BytesView key, const cells::RowClock& clock) {
    ByteWriter out;
    out.Uleb(static_cast<uint64_t>(clock.cl()));
    if (clock.sentinel().has_value()) {
      MERROW_TRY(AppendSite(clock.sentinel()->stamp.site, out));
    }
    if (cells::IsAlive(clock.cl())) {
      MERROW_ASSIGN(const CellStatement* const values, ReadValues(key));
      for (const auto& [name, index] : columns_) {
        const cells::CellClock* const cell = clock.Find(table_->columns[index].id);
        // Version 0: of an earlier life, for sites that knew that one.
        if (cell == nullptr || cell->col_version == 0) {
          continue;
        }
        out.LengthPrefixed(name);
        out.Uleb(static_cast<uint64_t>(cell->col_version));
        MERROW_TRY(AppendSite(cell->stamp.site, out));
        AppendValue(
            values == nullptr ? cells::ValueView::Null() : values->Column(static_cast<int>(index)),
            out);
      }
    }
    return HashOf(out.bytes());
  }

  /// The columns of the row in their order; null if it is gone. Valid until the next call.
  Result<const CellStatement*> ReadValues(BytesView key) {
    if (!read_.prepared()) {
      std::string columns;
      for (const CellColumn& column : table_->columns) {
        columns += (columns.empty() ? "" : ", ") + SqlName(column.name);
      }
      MERROW_TRY(read_.Prepare(cells_.db(), "SELECT " + (columns.empty() ? "1" : columns) +
                                                " FROM main." + SqlName(table_->name) +
                                                table_->WhereKey()));
    }
    read_.Reset();
    MERROW_ASSIGN(const auto values, cells::UnpackColumns(key));
    for (size_t i = 0; i < values.size(); ++i) {
      read_.Bind(static_cast<int>(i) + 1, values[i]);
    }
    MERROW_ASSIGN(const bool found, read_.Step());
    return found ? &read_ : nullptr;
  }

 private:
  Status AppendSite(cells::SiteOrdinal site, ByteWriter& out) {
    MERROW_ASSIGN(const cells::SiteId id, cells_.SiteOf(site));
    out.Append(id.view());
    return {};
  }

  CellStore& cells_;
  std::shared_ptr<CellTable> table_;
  const uint64_t hash_;
  std::vector<std::pair<std::string, size_t>> columns_;  // by name
  CellStatement read_;
};

/// A document as it lies on disk.
struct StoredDocument {
  std::string table;
  Bytes key;  // packed
  uint64_t key_hash = 0;
  int64_t id = 0;
};

}  // namespace

class ReplicaDigest::Impl {
 public:
  explicit Impl(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  ~Impl() {
    if (cells_ != nullptr) {
      cells_->FinalizeStatements();
    }
  }

  Status Attach() {
    MERROW_ASSIGN(cells_, CellStore::Attach(database_->handle()));
    return {};
  }

  Result<std::vector<uint64_t>> ReadBuckets() {
    std::vector<uint64_t> buckets(kDigestBuckets);
    const auto add_row = [&](TableRows& rows, uint64_t key_hash, BytesView key,
                             const cells::RowClock& clock) -> Status {
      // Tombstones go at different times.
      if (cells::IsAlive(clock.cl())) {
        MERROW_ASSIGN(const uint64_t row, rows.RowHash(key, clock));
        Add({key_hash, row}, buckets);
      }
      return {};
    };
    const auto add_document = [&](const StoredDocument& document) -> Status {
      MERROW_ASSIGN(const uint64_t row, DocumentHash(document.id));
      Add({document.key_hash, row}, buckets);
      return {};
    };
    MERROW_TRY(InSnapshot([&] { return ForEach(add_row, add_document); }));
    return buckets;
  }

  Result<std::vector<RowDigest>> ReadRowDigests(uint32_t bucket) {
    std::vector<RowDigest> digests;
    const auto add_row = [&](TableRows& rows, uint64_t key_hash, BytesView key,
                             const cells::RowClock& clock) -> Status {
      if (BucketOf(key_hash) == bucket) {
        MERROW_ASSIGN(const uint64_t row, rows.RowHash(key, clock));
        digests.push_back({key_hash, row});
      }
      return {};
    };
    const auto add_document = [&](const StoredDocument& document) -> Status {
      if (BucketOf(document.key_hash) == bucket) {
        MERROW_ASSIGN(const uint64_t row, DocumentHash(document.id));
        digests.push_back({document.key_hash, row});
      }
      return {};
    };
    MERROW_TRY(InSnapshot([&] { return ForEach(add_row, add_document); }));
    std::sort(digests.begin(), digests.end(),
              [](const RowDigest& a, const RowDigest& b) { return a.key < b.key; });
    return digests;
  }

  Result<std::vector<SharedChangeset>> ReadRows(uint32_t bucket, std::span<const uint64_t> keys,
                                                size_t bytes_target) {
    std::unordered_set<uint64_t> wanted;
    for (const uint64_t key : keys) {
      if (BucketOf(key) == bucket) {
        wanted.insert(key);
      }
    }
    MERROW_ASSIGN(const cells::SiteId own, cells_->OwnSite());
    ReplicaBuilder builder(own);
    std::vector<SharedChangeset> changesets;
    const auto finish_above = [&](size_t bytes) {
      if (!builder.empty() && builder.bytes() >= bytes) {
        changesets.push_back(
            std::make_shared<const changeset::Changeset>(builder.Finish({0, 1}, {})));
        builder = ReplicaBuilder(own);
      }
    };
    const auto add_row = [&](TableRows& rows, uint64_t key_hash, BytesView key,
                             const cells::RowClock& clock) -> Status {
      if (wanted.contains(key_hash)) {
        MERROW_ASSIGN(const CellStatement* const values, rows.ReadValues(key));
        MERROW_TRY(builder.AddRow(rows.table(), key, clock, values, *cells_));
        finish_above(bytes_target);
      }
      return {};
    };
    const auto add_document = [&](const StoredDocument& document) -> Status {
      if (wanted.contains(document.key_hash)) {
        MERROW_ASSIGN(Bytes blocks, ReadBlocks(document.id));
        builder.AddDocument(document.table, document.key, std::move(blocks));
        finish_above(bytes_target);
      }
      return {};
    };
    MERROW_TRY(InSnapshot([&] { return ForEach(add_row, add_document); }));
    finish_above(0);
    return changesets;
  }

  void Interrupt() {
    interrupted_ = true;
    sqlite3_interrupt(database_->handle());
  }

 private:
  using VisitRow =
      std::function<Status(TableRows&, uint64_t key_hash, BytesView key, const cells::RowClock&)>;
  using VisitDocument = std::function<Status(const StoredDocument&)>;

  static void Add(const RowDigest& row, std::vector<uint64_t>& buckets) {
    const uint64_t both[] = {row.key, row.row};
    buckets[BucketOf(row.key)] += XXH3_64bits(both, sizeof(both));
  }

  Status InSnapshot(const std::function<Status()>& work) {
    interrupted_ = false;
    MERROW_TRY(database_->Execute("BEGIN"));
    Status status = work();
    const Status ended = database_->Execute("ROLLBACK");
    return status.ok() ? ended : status;
  }

  Status ForEach(const VisitRow& visit_row, const VisitDocument& visit_document) {
    MERROW_TRY(cells_->tables().Refresh());
    const std::vector<std::shared_ptr<CellTable>> tables = cells_->tables().tables();
    for (const std::shared_ptr<CellTable>& table : tables) {
      TableRows rows(*cells_, table);
      const auto visit = [&](uint64_t key_hash, BytesView key, const cells::RowClock& clock) {
        return interrupted_ ? Status(Cancelled("the digest was interrupted"))
                            : visit_row(rows, key_hash, key, clock);
      };
      MERROW_TRY(rows.ForEach(visit));
    }
    return ForEachDocument(visit_document);
  }

  /// Documents that cannot be read are left out.
  Status ForEachDocument(const VisitDocument& visit) {
    MERROW_ASSIGN(const int64_t has_documents,
                  database_->QueryInt("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = "
                                      "'_merrow_document')"));
    if (has_documents == 0) {
      return {};  // made by merrow.so
    }
    MERROW_ASSIGN(
        Statement documents,
        database_->Prepare("SELECT t.name, d.key, d.id FROM _merrow_document d JOIN _merrow_table "
                           "t ON t.id = d.table_id WHERE d.quarantine IS NULL"));
    while (true) {
      MERROW_ASSIGN(const bool more, documents.Step());
      if (!more) {
        return {};
      }
      if (interrupted_) {
        return Cancelled("the digest was interrupted");
      }
      StoredDocument document;
      document.table = std::string(documents.Text(0));
      const cells::ValueView key = cells::ValueView::Text(documents.Text(1));
      document.key = cells::PackColumns({&key, 1});
      document.key_hash = KeyHash(HashOf(Lower(document.table)), document.key);
      document.id = documents.Int(2);
      MERROW_TRY(visit(document));
    }
  }

  Status ForEachBlob(int64_t document_id, const std::function<Status(BytesView)>& visit) {
    MERROW_ASSIGN(Statement blobs, database_->Prepare("SELECT bytes FROM _merrow_log WHERE id "
                                                      "BETWEEN ?1 AND ?2 ORDER BY id"));
    blobs.BindInt(1, LogId(document_id, 0));
    blobs.BindInt(2, LogId(document_id, kSeqMax));
    while (true) {
      MERROW_ASSIGN(const bool more, blobs.Step());
      if (!more) {
        return {};
      }
      MERROW_TRY(visit(blobs.Blob(0)));
    }
  }

  /// Of the version vector, which the headers of base and log say.
  Result<uint64_t> DocumentHash(int64_t document_id) {
    loro::VersionVector version;
    const auto merge = [&](BytesView blob) -> Status {
      MERROW_ASSIGN(const loro::BlobMeta meta, loro::ReadBlobMeta(blob));
      version.Merge(meta.end);
      return {};
    };
    MERROW_TRY(ForEachBlob(document_id, merge));
    ByteWriter out;
    for (const loro::VersionVector::Entry& entry : version.entries()) {
      out.U64Le(entry.peer);
      out.Uleb(static_cast<uint64_t>(entry.end));
    }
    return HashOf(out.bytes());
  }

  Result<Bytes> ReadBlocks(int64_t document_id) {
    loro::Document document(0);
    const auto import = [&](BytesView blob) -> Status {
      MERROW_TRY(document.Import(blob));
      return {};
    };
    MERROW_TRY(ForEachBlob(document_id, import));
    document.Compact();
    return Bytes(
        BytesView(document.ExportUpdates(loro::VersionVector())).substr(loro::kEnvelopeBytes));
  }

  std::unique_ptr<Database> database_;
  CellStore* cells_ = nullptr;  // belongs to the connection
  std::atomic<bool> interrupted_ = false;
};

Result<std::unique_ptr<ReplicaDigest>> ReplicaDigest::Open(const std::string& path,
                                                           int busy_timeout_ms) {
  MERROW_ASSIGN(auto database, Database::Open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX));
  sqlite3_busy_timeout(database->handle(), busy_timeout_ms);
  MERROW_ASSIGN(const int64_t has_log,
                database->QueryInt("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = "
                                   "'_merrow_source')"));
  if (has_log == 0) {
    return NotFound(path + " has no replica log");
  }
  auto impl = std::make_unique<Impl>(std::move(database));
  MERROW_TRY(impl->Attach());
  return std::unique_ptr<ReplicaDigest>(new ReplicaDigest(std::move(impl)));
}

ReplicaDigest::ReplicaDigest(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReplicaDigest::~ReplicaDigest() = default;

Result<std::vector<uint64_t>> ReplicaDigest::ReadBuckets() { return impl_->ReadBuckets(); }

Result<std::vector<RowDigest>> ReplicaDigest::ReadRowDigests(uint32_t bucket) {
  return impl_->ReadRowDigests(bucket);
}

Result<std::vector<SharedChangeset>> ReplicaDigest::ReadRows(uint32_t bucket,
                                                             std::span<const uint64_t> keys,
                                                             size_t bytes_target) {
  return impl_->ReadRows(bucket, keys, bytes_target);
}

void ReplicaDigest::Interrupt() { impl_->Interrupt(); }

}  // namespace merrow::store
