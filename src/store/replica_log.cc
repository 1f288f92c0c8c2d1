// SPDX-License-Identifier: Apache-2.0
#include "store/replica_log.h"

#include <algorithm>
#include <utility>

#include "merrow/check.h"
#include "store/cell_tx_rows.h"
#include "store/replica_applier.h"

namespace merrow::store {
namespace {

constexpr char kTables[] = R"sql(
CREATE TABLE main._merrow_source (
  local INTEGER PRIMARY KEY, first INTEGER NOT NULL, site INTEGER NOT NULL,
  version INTEGER NOT NULL, previous INTEGER NOT NULL, ms INTEGER NOT NULL,
  count INTEGER NOT NULL, documents BLOB);
CREATE INDEX main._merrow_source_site ON _merrow_source (site, version) WHERE site <> 0;
CREATE TABLE main._merrow_waiting (
  id INTEGER PRIMARY KEY, local INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE main._merrow_part (
  id INTEGER PRIMARY KEY, site BLOB NOT NULL, version INTEGER NOT NULL, previous INTEGER NOT NULL,
  whole INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE UNIQUE INDEX main._merrow_part_key
  ON _merrow_part (site, version, previous, whole, parts, part);
)sql";

/// That files of earlier builds may lack.
constexpr char kLaterIndexes[] =
    "CREATE INDEX IF NOT EXISTS main._merrow_waiting_local ON _merrow_waiting (local)";

/// What was written while nobody kept a log becomes transactions of about this size.
constexpr uint64_t kAdoptedKeys = 4096;
constexpr int64_t kAdoptedVersionsMax = 1000;
/// A range of texts counts as this many keys; what is in it is not known.
constexpr uint64_t kKeysOfRange = 1000;
constexpr size_t kAdoptedDocumentBytes = 1 << 18;

/// Rows that a transaction touched, about. Its bytes do not say: a bulk load is a handful.
Result<uint64_t> CountKeys(BytesView rows) {
  uint64_t keys = 0;
  MERROW_TRY(ForEachTxRange(rows, [&keys](const TxRange& range) -> Status {
    uint64_t more = range.is_one_key() ? 1 : kKeysOfRange;
    if (!range.stored_keys) {
      more = static_cast<uint64_t>(range.last.number) - static_cast<uint64_t>(range.first.number);
      more = std::min(more, kAdoptedKeys) + 1;
    }
    keys += more;
    return {};
  }));
  return keys;
}

}  // namespace

const std::string ReplicaLog::kPartBytes =
    "coalesce(sum(length(bytes)), 0) + count(*) * " + std::to_string(kPartRowBytes);

Result<std::unique_ptr<ReplicaLog>> ReplicaLog::Open(CellStore& cells,
                                                     const ReplicaOptions& options) {
  MERROW_CHECK(options.clock != nullptr);
  std::unique_ptr<ReplicaLog> log(new ReplicaLog(cells, options));
  MERROW_ASSIGN(const bool is_new, log->Initialize());
  MERROW_TRY(log->Load());
  MERROW_ASSIGN([[maybe_unused]] const bool adopted, log->Adopt({}));
  if (is_new && options.documents != nullptr) {
    MERROW_TRY(log->AdoptDocuments());
  }
  MERROW_ASSIGN([[maybe_unused]] const bool waited, log->ApplyWaiting());
  return log;
}

Result<std::unique_ptr<ReplicaLog>> ReplicaLog::OpenToRead(CellStore& cells,
                                                           const ReplicaOptions& options) {
  MERROW_CHECK(options.clock != nullptr);
  MERROW_TRY(cells.tables().Refresh());
  if (!cells.tables().initialized() || !cells.tables().has_replica_log()) {
    return std::unique_ptr<ReplicaLog>();
  }
  std::unique_ptr<ReplicaLog> log(new ReplicaLog(cells, options));
  MERROW_ASSIGN(log->memory_.own_site, cells.OwnSite());
  MERROW_TRY(log->Load());
  CellStatement unowned;
  MERROW_TRY(
      unowned.Prepare(cells.db(), "SELECT EXISTS (SELECT 1 FROM main._merrow_tx WHERE id >= ?1)"));
  unowned.BindInt(1, (log->last_local() + 1) << kTxPartBits);
  MERROW_ASSIGN([[maybe_unused]] const bool row, unowned.Step());
  return unowned.Int(0) != 0 ? nullptr : std::move(log);
}

ReplicaLog::~ReplicaLog() = default;

/// True if the tables were made now.
Result<bool> ReplicaLog::Initialize() {
  MERROW_ASSIGN(memory_.own_site, cells_.OwnSite());
  const bool is_new = !cells_.tables().has_replica_log();
  if (is_new) {
    MERROW_TRY(RunSql(cells_.db(), kTables));
  }
  MERROW_TRY(RunSql(cells_.db(), kLaterIndexes));
  if (!is_new) {
    return false;
  }
  cells_.tables().Invalidate();
  MERROW_TRY(cells_.tables().Refresh());
  return true;
}

ReplicaLog::Entry ReplicaLog::ReadEntry(const CellStatement& statement) {
  Entry entry;
  entry.local = statement.Int(0);
  entry.first = statement.Int(1);
  entry.site = static_cast<cells::SiteOrdinal>(statement.Int(2));
  entry.version = statement.Int(3);
  entry.previous = statement.Int(4);
  entry.timestamp.ms = statement.Int(5);
  entry.timestamp.count = static_cast<uint16_t>(statement.Int(6));
  entry.documents = Bytes(statement.Column(7).bytes);
  return entry;
}

Status ReplicaLog::Load() {
  seen_.clear();
  memory_.own_version = 0;
  memory_.last_local = 0;
  waiting_.clear();
  parked_.Clear();
  refused_.clear();
  waiting_before_.clear();
  const int64_t now_ms = NowMs();
  changeset::Timestamp last;
  CellStatement entries;
  MERROW_TRY(entries.Prepare(cells_.db(),
                             "SELECT local, first, site, version, previous, ms, count, NULL FROM "
                             "main._merrow_source ORDER BY local"));
  while (true) {
    MERROW_ASSIGN(const bool more, entries.Step());
    if (!more) {
      break;
    }
    const Entry entry = ReadEntry(entries);
    if (entry.local < 1 || entry.previous < 0 || entry.version <= entry.previous ||
        entry.version > cells::kDbVersionMax) {
      return Corruption("_merrow_source: entry " + std::to_string(entry.local) +
                        " covers impossible versions");
    }
    MERROW_ASSIGN(const cells::SiteId site, cells_.SiteOf(entry.site));
    seen_[site].Add({entry.previous, entry.version});
    // As HybridClock::Observe: one wrong clock must not drag this one along.
    if (entry.site == 0 || entry.timestamp.ms <= now_ms + changeset::kSkewMsMax) {
      last = std::max(last, entry.timestamp);
    }
    memory_.last_local = entry.local;
    if (entry.site == 0) {
      memory_.own_version = entry.version;
    }
  }
  memory_.clock = changeset::HybridClock(last);
  CellStatement waiting;
  MERROW_TRY(waiting.Prepare(cells_.db(), "SELECT DISTINCT local FROM main._merrow_waiting"));
  while (true) {
    MERROW_ASSIGN(const bool more, waiting.Step());
    if (!more) {
      break;
    }
    waiting_.insert(waiting.Int(0));
  }
  CellStatement parts;
  MERROW_TRY(parts.Prepare(cells_.db(), "SELECT " + kPartBytes + " FROM main._merrow_part"));
  MERROW_ASSIGN(const bool any, parts.Step());
  memory_.part_bytes = any ? parts.Int(0) : 0;
  return ReplicaApplier(*this).LoadParked();
}

// --- Local transactions.

void ReplicaLog::NoteDocument(const DocumentOps& ops) { AddOps(ops, &noted_); }

Result<std::optional<cells::DbVersion>> ReplicaLog::NoteLocal() {
  if (cells_.transaction().active()) {
    MERROW_TRY(cells_.transaction().Flush());
  }
  const Bytes documents = EncodeDocumentOps(noted_);
  noted_.clear();
  MERROW_ASSIGN(const bool wrote, Adopt(documents));
  if (!wrote && documents.empty()) {
    return std::optional<cells::DbVersion>();
  }
  if (!wrote) {
    const cells::DbVersion local = memory_.last_local + 1;
    MERROW_TRY(AddOwn(local, local, documents));
  }
  return std::optional<cells::DbVersion>(memory_.own_version);
}

Result<bool> ReplicaLog::Adopt(const Bytes& documents) {
  struct Group {
    cells::DbVersion first, local;
    uint64_t keys;
  };
  std::vector<Group> groups;
  MERROW_TRY(read_unowned_.Prepare(
      cells_.db(), "SELECT id, rows FROM main._merrow_tx WHERE id >= ?1 ORDER BY id"));
  {
    const ResetAtEnd reset(read_unowned_);
    // Nearly always it is one transaction, whose keys nobody has to count.
    bool are_several = false;
    for (const bool counts : {false, true}) {
      read_unowned_.BindInt(1, (memory_.last_local + 1) << kTxPartBits);
      groups.clear();
      while (true) {
        MERROW_ASSIGN(const bool more, read_unowned_.Step());
        if (!more) {
          break;
        }
        const cells::DbVersion version = read_unowned_.Int(0) >> kTxPartBits;
        are_several = are_several || (!groups.empty() && groups.back().local != version);
        if (are_several && !counts) {
          break;
        }
        uint64_t keys = 0;
        if (counts) {
          MERROW_ASSIGN(keys, CountKeys(read_unowned_.Column(1).bytes));
        }
        const bool is_part = !groups.empty() && groups.back().local == version;
        if (groups.empty() ||
            (!is_part && (groups.back().keys + keys > kAdoptedKeys ||
                          version - groups.back().first >= kAdoptedVersionsMax))) {
          groups.push_back({version, version, 0});
        }
        groups.back().local = version;
        groups.back().keys += keys;
      }
      if (!are_several) {
        break;
      }
      read_unowned_.Reset();
    }
  }
  for (const Group& group : groups) {
    const bool is_last = &group == &groups.back();
    MERROW_TRY(AddOwn(group.first, group.local, is_last ? documents : Bytes()));
  }
  return !groups.empty();
}

/// What documents hold when the log begins counts as published by this site, some at a time.
Status ReplicaLog::AdoptDocuments() {
  DocumentOpsById group;
  size_t group_bytes = 0;
  const auto publish = [&]() -> Status {
    const cells::DbVersion local = memory_.last_local + 1;
    MERROW_TRY(AddOwn(local, local, EncodeDocumentOps(group)));
    group.clear();
    group_bytes = 0;
    return {};
  };
  MERROW_TRY(options_.documents->ForEach([&](int64_t document_id, size_t bytes) -> Status {
    // A large one, or one that cannot be read, does not hold up those before it.
    const bool is_alone = bytes >= kAdoptedDocumentBytes && !group.empty();
    if (const Status published = is_alone ? publish() : Status(); !published.ok()) {
      return published;
    }
    DocumentOps ops;
    ops.document_id = document_id;
    ops.all = true;
    AddOps(ops, &group);
    group_bytes += bytes;
    return group_bytes < kAdoptedDocumentBytes ? Status() : publish();
  }));
  return group.empty() ? Status() : publish();
}

Status ReplicaLog::AddOwn(cells::DbVersion first, cells::DbVersion local, const Bytes& documents) {
  Save();
  Entry entry;
  entry.local = local;
  entry.first = first;
  entry.version = local;
  entry.previous = memory_.own_version;
  entry.timestamp = memory_.clock.Next(NowMs());
  entry.documents = documents;
  MERROW_TRY(Insert(entry));
  MarkSeen(memory_.own_site, {entry.previous, entry.version});
  memory_.own_version = entry.version;
  return {};
}

Status ReplicaLog::Insert(const Entry& entry) {
  Save();
  MERROW_TRY(insert_.Prepare(cells_.db(),
                             "INSERT INTO main._merrow_source (local, first, site, version, "
                             "previous, ms, count, documents) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
                             "?8)"));
  const ResetAtEnd reset(insert_);
  insert_.BindInt(1, entry.local);
  insert_.BindInt(2, entry.first);
  insert_.BindInt(3, entry.site);
  insert_.BindInt(4, entry.version);
  insert_.BindInt(5, entry.previous);
  insert_.BindInt(6, entry.timestamp.ms);
  insert_.BindInt(7, entry.timestamp.count);
  insert_.Bind(8, entry.documents.empty() ? cells::ValueView::Null()
                                          : cells::ValueView::Blob(entry.documents));
  MERROW_TRY(insert_.Run());
  memory_.last_local = entry.local;
  return {};
}

// --- Memory.

void ReplicaLog::Save() {
  if (!memory_before_.has_value()) {
    memory_before_ = memory_;
  }
}

void ReplicaLog::MarkSeen(const cells::SiteId& site, const changeset::VersionRange& range) {
  changeset::VersionRanges& ranges = seen_[site];
  seen_before_.try_emplace(site, ranges);
  ranges.Add(range);
}

void ReplicaLog::SaveWaiting(cells::DbVersion local) {
  const auto [before, is_first] = waiting_before_.try_emplace(local);
  if (!is_first) {
    return;
  }
  before->second.waited = waiting_.contains(local);
  before->second.parked = parked_.Find(local);
  if (const auto refused = refused_.find(local); refused != refused_.end()) {
    before->second.refused = refused->second;
  }
}

void ReplicaLog::SetWaiting(cells::DbVersion local, std::shared_ptr<const ParkedChangeset> parked) {
  SaveWaiting(local);
  waiting_.insert(local);
  if (parked != nullptr) {
    parked_.Add(local, std::move(parked));
  }
}

void ReplicaLog::ClearWaiting(cells::DbVersion local) {
  SaveWaiting(local);
  waiting_.erase(local);
  parked_.Remove(local);
  refused_.erase(local);
}

void ReplicaLog::Committed() {
  memory_before_.reset();
  seen_before_.clear();
  waiting_before_.clear();
  noted_.clear();
}

void ReplicaLog::RolledBack() {
  part_counts_.clear();
  marks_.Forget();
  if (memory_before_.has_value()) {
    memory_ = *std::move(memory_before_);
  }
  for (auto& [site, ranges] : seen_before_) {
    if (ranges.empty()) {
      seen_.erase(site);
    } else {
      seen_[site] = std::move(ranges);
    }
  }
  for (auto& [local, before] : std::exchange(waiting_before_, {})) {
    ClearWaiting(local);
    if (before.waited) {
      SetWaiting(local, std::move(before.parked));
    }
    if (before.refused.has_value()) {
      refused_[local] = *std::move(before.refused);
    }
  }
  Committed();
}

void ReplicaLog::CheckInvariants() {
  ReplicaLog disk(cells_, options_);
  const Result<bool> initialized = disk.Initialize();
  MERROW_CHECK(initialized.ok());
  MERROW_CHECK(disk.Load().ok());
  MERROW_CHECK(disk.seen_ == seen_);
  MERROW_CHECK(disk.memory_.own_site == memory_.own_site);
  MERROW_CHECK(disk.memory_.own_version == memory_.own_version);
  MERROW_CHECK(disk.memory_.last_local == memory_.last_local);
  MERROW_CHECK(disk.waiting_ == waiting_);
  MERROW_CHECK(disk.parked_.size() == parked_.size());
  MERROW_CHECK(disk.memory_.part_bytes == memory_.part_bytes);
}

}  // namespace merrow::store
