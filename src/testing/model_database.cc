// SPDX-License-Identifier: Apache-2.0
#include "testing/model_database.h"

#include <algorithm>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "loro/envelope.h"
#include "merrow/check.h"
#include "replication/parts.h"

namespace merrow::testing {
namespace {

using cells::Value;
using cells::ValueView;
using replication::Fate;

constexpr char kNote[] = "note";
constexpr char kItems[] = "items";

loro::ContainerId Items() { return loro::ContainerId::Root(kItems, loro::ContainerKind::kList); }

template <typename T>
uint32_t IndexIn(std::vector<T>* list, const T& item) {
  const auto at = std::find(list->begin(), list->end(), item);
  const auto index = static_cast<uint32_t>(at - list->begin());
  if (at == list->end()) list->push_back(item);
  return index;
}

uint32_t TableIn(Changeset* changeset, const std::string& name) {
  auto& tables = changeset->cells.tables;
  for (uint32_t i = 0; i < tables.size(); ++i) {
    if (tables[i].name == name) return i;
  }
  tables.push_back({name, {}});
  return static_cast<uint32_t>(tables.size() - 1);
}

uint64_t HashBytes(BytesView bytes, uint64_t hash = 0xcbf29ce484222325U) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash ^ (hash >> 29);
}

VersionRange RangeOf(const Changeset& changeset) {
  return {changeset.cells.previous, changeset.cells.version};
}

// Transactions of one site, in order, as one.
SharedChangeset Combine(const std::vector<SharedChangeset>& oldest_first) {
  Changeset whole;
  whole.cells.site = oldest_first.front()->cells.site;
  whole.cells.previous = oldest_first.front()->cells.previous;
  whole.cells.version = oldest_first.back()->cells.version;
  whole.timestamp = oldest_first.back()->timestamp;
  whole.cells.authors = {whole.cells.site};
  std::map<std::pair<uint32_t, Bytes>, cells::RowChange> rows;
  for (const SharedChangeset& one : oldest_first) {
    for (cells::RowChange row : one->cells.rows) {
      const cells::ChangedTable& table = one->cells.tables[row.table];
      row.table = TableIn(&whole, table.name);
      const auto author = [&](uint32_t* index) {
        *index = IndexIn(&whole.cells.authors, one->cells.authors[*index]);
      };
      if (row.sentinel.has_value()) author(&row.sentinel->author);
      for (cells::CellChange& cell : row.cells) {
        author(&cell.clock.author);
        cell.column = IndexIn(&whole.cells.tables[row.table].columns, table.columns[cell.column]);
      }
      const auto [at, is_new] = rows.emplace(std::pair(row.table, row.key), row);
      if (is_new) continue;
      cells::RowChange& kept = at->second;
      if (row.cl != kept.cl) {
        kept = std::move(row);
        continue;
      }
      for (cells::CellChange& cell : row.cells) {
        std::erase_if(kept.cells, [&](const auto& old) { return old.column == cell.column; });
        kept.cells.push_back(std::move(cell));
      }
    }
    for (changeset::DocumentChange document : one->documents) {
      document.table = TableIn(&whole, one->cells.tables[document.table].name);
      const auto same =
          std::find_if(whole.documents.begin(), whole.documents.end(), [&](const auto& other) {
            return other.table == document.table && other.key == document.key;
          });
      if (same == whole.documents.end()) {
        whole.documents.push_back(std::move(document));
      } else {
        same->blocks += document.blocks;
      }
    }
  }
  for (auto& [key, row] : rows) whole.cells.rows.push_back(std::move(row));
  return std::make_shared<const Changeset>(std::move(whole));
}

}  // namespace

Bytes KeyOf(int64_t id) {
  const ValueView value = ValueView::Integer(id);
  return cells::PackColumns({&value, 1});
}

ModelDatabase::ModelDatabase(const SimDatabaseSetup& setup)
    : setup_(setup),
      wall_ms_(setup.wall_ms),
      random_(setup.random),
      has_second_schema_(setup.has_second_schema) {
  for (unsigned char& byte : site_.bytes) byte = static_cast<unsigned char>(random_.Next());
  Crash();
}

void ModelDatabase::Crash() {
  published_.clear();
  confirmed_.clear();
  peer_ = random_.Next() >> 1;
  for (auto& [key, document] : documents_) MERROW_CHECK(document.SetPeer(peer_).ok());
}

bool ModelDatabase::KnowsTable(const std::string& table) const {
  return has_second_schema_ || table != "late";
}

bool ModelDatabase::KnowsColumn(const std::string& table, const std::string& column) const {
  return has_second_schema_ || table != "log" || column != "extra";
}

loro::Document& ModelDatabase::DocumentAt(const Bytes& key) {
  return documents_.try_emplace(key, peer_).first->second;
}

// --- Writing here.

void ModelDatabase::WriteRow(const RowWrite& write, Changeset* into, cells::Seq* seq) {
  const RowKey key{write.table, KeyOf(write.id)};
  Row& row = rows_[key];
  const bool was_alive = cells::IsAlive(row.cl);
  if (write.is_delete && !was_alive) return;
  const cells::DbVersion version = into->cells.version;
  const auto stamp = [&] { return Cell{0, Value(), site_, site_, version, (*seq)++}; };
  if (write.is_delete) {
    row.cells.clear();
    ++row.cl;
    row.sentinel = stamp();
  } else {
    std::map<std::string, Value> values;
    for (const auto& [column, text] : write.texts) values[column] = Value::Text(text);
    if (!was_alive) {
      // All columns of a new row are written.
      std::vector<std::string> columns = {"text"};
      if (write.table == "kv") columns = {"a", "b"};
      if (write.table == "log" && has_second_schema_) columns.emplace_back("extra");
      for (const std::string& column : columns) values.emplace(column, Value::Null());
      // Above the lives whose tombstones are gone here, and may be there elsewhere.
      if (row.cl == 0) row.cl = floors_[write.table];
      if (row.cl > 0 || row.sentinel.has_value()) row.sentinel = stamp();
      ++row.cl;
    }
    for (auto& [column, value] : values) {
      Cell& cell = row.cells[column];
      const cells::ColVersion before = cell.col_version;
      cell = stamp();
      cell.col_version = before + 1;
      cell.value = value;
    }
  }
  cells::RowChange change;
  change.table = TableIn(into, write.table);
  change.key = key.second;
  change.cl = row.cl;
  if (row.sentinel.has_value() && row.sentinel->version == version &&
      row.sentinel->publisher == site_) {
    change.sentinel = cells::ChangeClock{version, row.sentinel->seq, 0};
  }
  for (const auto& [column, cell] : row.cells) {
    if (cell.version != version || cell.publisher != site_) continue;
    auto& columns = into->cells.tables[change.table].columns;
    change.cells.push_back(
        {IndexIn(&columns, column), cell.col_version, cell.value, {version, cell.seq, 0}});
  }
  std::erase_if(into->cells.rows, [&](const cells::RowChange& other) {
    return other.table == change.table && other.key == change.key;
  });
  into->cells.rows.push_back(std::move(change));
}

Status ModelDatabase::Commit(const Write& write) {
  Changeset changeset;
  changeset.cells.site = site_;
  changeset.cells.authors = {site_};
  changeset.cells.version = counter_ + 1;
  changeset.cells.previous = seen_.contains(site_) ? seen_.at(site_).last() : 0;
  cells::Seq seq = 0;
  for (const RowWrite& row : write.rows) WriteRow(row, &changeset, &seq);
  for (const DocumentWrite& document : write.documents) {
    const Bytes key = KeyOf(document.id);
    loro::Document& target = DocumentAt(key);
    const loro::VersionVector before = target.version();
    const size_t length = target.Length(Items());
    MERROW_TRY(target.ListInsert(Items(), length == 0 ? 0 : random_.Next() % (length + 1),
                                 loro::Value(document.marker)));
    target.Commit();
    const Bytes update = target.ExportUpdates(before);
    const uint32_t table = TableIn(&changeset, kNote);
    changeset.documents.push_back({table, key, update.substr(loro::kEnvelopeBytes)});
  }
  if (changeset.cells.rows.empty() && changeset.documents.empty()) return {};
  changeset.timestamp = clock_.Next(wall_ms_());
  ++counter_;
  seen_[site_].Add(RangeOf(changeset));
  auto shared = std::make_shared<const Changeset>(std::move(changeset));
  log_[site_].emplace(counter_, shared);
  published_.push_back(std::move(shared));
  return {};
}

// --- Merging.

void ModelDatabase::MergeRow(const Changeset& changeset, const cells::RowChange& change) {
  const cells::ChangedTable& table = changeset.cells.tables[change.table];
  if (!KnowsTable(table.name)) return;
  Row& row = rows_[{table.name, change.key}];
  const auto cell_of = [&](const cells::ChangeClock& clock) {
    return Cell{0,
                Value(),
                changeset.cells.authors[clock.author],
                changeset.cells.site,
                clock.db_version,
                clock.seq};
  };
  const auto collected = collected_.find({table.name, change.key});
  if (collected != collected_.end() && change.cl < collected->second && cells::IsAlive(change.cl) &&
      row.cl < change.cl) {
    broken_ = "a row comes back whose tombstone was collected: " + table.name + " " +
              ToHex(change.key) + " cl " + std::to_string(change.cl) + " of " +
              ToHex(changeset.cells.site.view()).substr(0, 8);
  }
  if (change.cl < row.cl) return;
  bool first_wins = false;
  if (change.cl > row.cl) {
    const bool is_first_life = row.cl == 0 && change.cl == 1 && !change.sentinel.has_value();
    row.cl = change.cl;
    if (!cells::IsAlive(change.cl)) {
      row.cells.clear();
      row.sentinel = cell_of(*change.sentinel);
      return;
    }
    if (!is_first_life) {
      for (auto& [column, cell] : row.cells) cell.col_version = 0;
      row.sentinel =
          cell_of(change.sentinel.has_value() ? *change.sentinel : change.cells[0].clock);
      first_wins = !change.sentinel.has_value();
    }
  } else if (change.sentinel.has_value()) {
    const Cell sentinel = cell_of(*change.sentinel);
    if (!row.sentinel.has_value() || sentinel.author > row.sentinel->author) {
      row.sentinel = sentinel;
    }
  }
  for (size_t i = 0; i < change.cells.size(); ++i) {
    const cells::CellChange& incoming = change.cells[i];
    const std::string& column = table.columns[incoming.column];
    if (!KnowsColumn(table.name, column)) continue;
    const auto at = row.cells.find(column);
    if (at != row.cells.end() && !(first_wins && i == 0)) {
      const Cell& local = at->second;
      const int order = cells::CompareForMerge(incoming.value.view(), local.value.view());
      const auto theirs =
          std::tuple(incoming.col_version, order, changeset.cells.authors[incoming.clock.author]);
      if (theirs <= std::tuple(local.col_version, 0, local.author)) continue;
    }
    Cell cell = cell_of(incoming.clock);
    cell.col_version = incoming.col_version;
    cell.value = incoming.value;
    row.cells[column] = std::move(cell);
  }
}

void ModelDatabase::MergeRows(const Changeset& changeset) {
  for (const cells::RowChange& row : changeset.cells.rows) {
    MergeRow(changeset, row);
  }
}

bool ModelDatabase::ImportDocuments(const Changeset& changeset) {
  bool fits = true;
  for (const changeset::DocumentChange& change : changeset.documents) {
    loro::Document& document = DocumentAt(change.key);
    const Bytes blob = loro::EncodeEnvelope(loro::EncodeMode::kFastUpdates, change.blocks);
    MERROW_CHECK(document.Import(blob).ok());
    if (document.has_pending()) {
      document.DropPending();
      fits = false;
    }
  }
  return fits;
}

ApplyOutcome ModelDatabase::ApplyWhole(const SharedChangeset& changeset, const Incoming& incoming) {
  ApplyOutcome outcome;
  outcome.site = changeset->cells.site;
  outcome.range = RangeOf(*changeset);
  if (is_strict_ && IsPoisoned(*changeset)) {
    outcome.fate = Fate::kRefused;
    outcome.error = Corruption("poison");
    return outcome;
  }
  if (!ImportDocuments(*changeset)) {
    outcome.fate = Fate::kWaiting;
    return outcome;
  }
  MergeRows(*changeset);
  clock_.Observe(changeset->timestamp, wall_ms_());
  ++counter_;
  seen_[outcome.site].Add(outcome.range);
  SharedChangeset& entry = log_[outcome.site][outcome.range.until];
  if (entry == nullptr || entry->cells.previous > outcome.range.after) entry = changeset;
  if (changeset != incoming.changeset) outcome.whole = changeset;
  return outcome;
}

ApplyOutcome ModelDatabase::ApplyOne(const Incoming& incoming) {
  const Changeset& changeset = *incoming.changeset;
  ApplyOutcome outcome;
  outcome.site = changeset.cells.site;
  outcome.range = RangeOf(changeset);
  if (outcome.site == site_) {
    outcome.fate = Fate::kRefused;
    outcome.error = Conflict("of this site");
    return outcome;
  }
  if (seen_.contains(outcome.site) && seen_.at(outcome.site).Includes(outcome.range)) {
    outcome.fate = Fate::kKnown;
    return outcome;
  }
  if (changeset.parts == 1) return ApplyWhole(incoming.changeset, incoming);
  const PartsKey key{outcome.site, outcome.range.until, outcome.range.after, incoming.whole};
  auto& parts = parts_[key];
  parts.insert_or_assign(changeset.part, changeset);
  if (parts.size() < changeset.parts) {
    outcome.fate = Fate::kBuffered;
    return outcome;
  }
  std::vector<Changeset> all;
  for (const auto& [number, part] : parts) all.push_back(part);
  Result<Changeset> whole = changeset::JoinParts(std::move(all));
  if (!whole.ok()) {
    parts_.erase(key);
    outcome.fate = Fate::kRefused;
    outcome.error = whole.error();
    return outcome;
  }
  outcome = ApplyWhole(std::make_shared<const Changeset>(std::move(*whole)), incoming);
  if (outcome.fate == Fate::kWaiting) {
    parts.erase(changeset.part);  // it will be handed in again
  } else {
    parts_.erase(key);
  }
  return outcome;
}

Result<std::vector<ApplyOutcome>> ModelDatabase::Apply(const std::vector<Incoming>& changesets) {
  std::vector<ApplyOutcome> outcomes;
  for (const Incoming& incoming : changesets) outcomes.push_back(ApplyOne(incoming));
  return outcomes;
}

void ModelDatabase::TakeSecondSchema() {
  if (has_second_schema_) return;
  has_second_schema_ = true;
  // Merging is idempotent: what was merged before stays as it is.
  for (const auto& [site, changesets] : log_) {
    for (const auto& [version, changeset] : changesets) MergeRows(*WithoutOldLives(changeset));
  }
}

// --- Reading.

Result<ReadPage> ModelDatabase::Read(const cells::SiteId& site, const VersionRanges& wanted,
                                     size_t bytes_target) {
  ReadPage page;
  const auto found = log_.find(site);
  if (found == log_.end()) return page;
  const VersionRanges have = wanted.Intersection(seen_[site]);
  size_t bytes = 0;
  std::vector<SharedChangeset> run;  // newest first
  size_t run_bytes = 0;
  const auto flush = [&] {
    if (run.empty()) return;
    std::reverse(run.begin(), run.end());
    page.settled.Add(VersionRange{run.front()->cells.previous, run.back()->cells.version});
    page.changesets.push_back(WithoutOldLives(run.size() == 1 ? run[0] : Combine(run)));
    run.clear();
    run_bytes = 0;
  };
  for (auto at = found->second.rbegin(); at != found->second.rend(); ++at) {
    const SharedChangeset& changeset = at->second;
    if (!have.Intersects(RangeOf(*changeset))) continue;
    if (bytes >= bytes_target) {
      page.more = true;
      break;
    }
    const size_t size = replication::EstimatedBytes(*changeset);
    const bool continues = !run.empty() && bytes_target > 1 && run_bytes + size <= bytes_target &&
                           run.back()->cells.previous == changeset->cells.version;
    if (!continues) flush();
    run.push_back(changeset);
    run_bytes += size;
    bytes += size;
  }
  flush();
  return page;
}

Result<std::vector<VersionProof>> ModelDatabase::ReadProofs(const cells::SiteId& site) {
  std::vector<VersionProof> proofs;
  if (forgotten_.contains(site)) return Conflict("forgotten");
  const auto found = log_.find(site);
  if (found == log_.end()) return proofs;
  size_t behind = 0;
  size_t next = 0;
  for (auto at = found->second.rbegin(); at != found->second.rend(); ++at, ++behind) {
    if (behind != next) continue;
    proofs.push_back({at->first, at->second->timestamp});
    next = next == 0 ? 1 : next * 2;
    if (proofs.size() == 64) break;
  }
  return proofs;
}

Result<std::optional<cells::DbVersion>> ModelDatabase::CheckProofs(
    const std::vector<VersionProof>& proofs) {
  const auto& own = log_[site_];
  bool fits = true;
  for (const VersionProof& proof : proofs) {
    const auto at = own.find(proof.version);
    if (at != own.end() && at->second->timestamp == proof.timestamp) {
      if (fits) return std::optional<cells::DbVersion>();
      return std::optional(proof.version);
    }
    fits = false;
  }
  if (fits) return std::optional<cells::DbVersion>();
  return std::optional<cells::DbVersion>(0);
}

Result<cells::SiteId> ModelDatabase::TakeNewIdentity(cells::DbVersion agreed) {
  const cells::SiteId old = site_;
  for (unsigned char& byte : site_.bytes) byte = static_cast<unsigned char>(random_.Next());
  const auto renames = [&](const cells::SiteId& publisher, cells::DbVersion version) {
    return publisher == old && version > agreed;
  };
  for (auto& [key, row] : rows_) {
    const auto rename = [&](Cell& cell) {
      if (!renames(cell.publisher, cell.version)) return;
      if (cell.author == old) cell.author = site_;
      cell.publisher = site_;
    };
    if (row.sentinel.has_value()) rename(*row.sentinel);
    for (auto& [column, cell] : row.cells) rename(cell);
  }
  auto& mine = log_[old];
  cells::DbVersion previous = 0;
  for (auto at = mine.upper_bound(agreed); at != mine.end(); at = mine.erase(at)) {
    Changeset changeset = *at->second;
    changeset.cells.site = site_;
    changeset.cells.authors[0] = site_;
    changeset.cells.previous = previous;
    previous = changeset.cells.version;
    seen_[site_].Add(RangeOf(changeset));
    log_[site_].emplace(previous, std::make_shared<const Changeset>(std::move(changeset)));
  }
  seen_[old].Remove(VersionRange{agreed, cells::kDbVersionMax});
  if (seen_[old].empty()) seen_.erase(old);
  known_.insert(old);  // a copy may go on under it
  return site_;
}

// --- Digests.

uint64_t ModelDatabase::HashOf(const Row& row) const {
  ByteWriter writer;
  // Who began this life of the row depends on what was heard first, and means nothing.
  writer.Zigzag(row.cl);
  for (const auto& [column, cell] : row.cells) {
    writer.LengthPrefixed(column);
    writer.Zigzag(cell.col_version);
    writer.Append(cell.author.view());
    writer.U8(static_cast<uint8_t>(cell.value.type));
    writer.LengthPrefixed(cell.value.bytes);
  }
  return HashBytes(writer.bytes());
}

std::map<uint64_t, std::pair<uint32_t, uint64_t>> ModelDatabase::HashRows(bool with_tombstones) {
  std::map<uint64_t, std::pair<uint32_t, uint64_t>> hashes;
  const auto add = [&](const std::string& table, const Bytes& key, uint64_t hash) {
    const uint64_t name = HashBytes(key, HashBytes(table));
    hashes[name] = {static_cast<uint32_t>(name % replication::kDigestBuckets), hash};
  };
  for (const auto& [key, row] : rows_) {
    const bool is_in = with_tombstones ? row.cl > 0 : cells::IsAlive(row.cl);
    if (is_in) add(key.first, key.second, HashOf(row));
  }
  for (auto& [key, document] : documents_) {
    const std::string version = document.version().ToString();
    if (document.op_count() > 0) add(kNote, key, HashBytes(version));
  }
  return hashes;
}

Result<std::vector<uint64_t>> ModelDatabase::ReadDigest() {
  std::vector<uint64_t> buckets(replication::kDigestBuckets);
  for (const auto& [key, row] : HashRows(/*with_tombstones=*/false)) {
    const auto& [bucket, hash] = row;
    buckets[bucket] += (key ^ hash) * 0x9E3779B97F4A7C15U;
  }
  return buckets;
}

Result<std::vector<RowDigest>> ModelDatabase::ReadRowDigests(uint32_t bucket) {
  std::vector<RowDigest> digests;
  for (const auto& [key, row] : HashRows(/*with_tombstones=*/true)) {
    if (row.first == bucket) digests.push_back({key, row.second});
  }
  return digests;
}

void ModelDatabase::AddRowState(const RowKey& key, const Row& row, Changeset* into) const {
  cells::RowChange change;
  change.table = TableIn(into, key.first);
  change.key = key.second;
  change.cl = row.cl;
  const auto clock_of = [&](const Cell& cell) {
    return cells::ChangeClock{1, cell.seq, IndexIn(&into->cells.authors, cell.author)};
  };
  if (row.sentinel.has_value()) change.sentinel = clock_of(*row.sentinel);
  for (const auto& [column, cell] : row.cells) {
    auto& columns = into->cells.tables[change.table].columns;
    change.cells.push_back(
        {IndexIn(&columns, column), cell.col_version, cell.value, clock_of(cell)});
  }
  into->cells.rows.push_back(std::move(change));
}

Result<std::vector<SharedChangeset>> ModelDatabase::ReadRows(uint32_t bucket,
                                                             const std::vector<uint64_t>& keys) {
  const std::set<uint64_t> wanted(keys.begin(), keys.end());
  Changeset changeset;
  changeset.cells.site = site_;
  changeset.cells.authors = {site_};
  changeset.cells.version = 1;
  const auto is_wanted = [&](const std::string& table, const Bytes& key) {
    const uint64_t name = HashBytes(key, HashBytes(table));
    return name % replication::kDigestBuckets == bucket && wanted.contains(name);
  };
  for (const auto& [key, row] : rows_) {
    if (row.cl > 0 && is_wanted(key.first, key.second)) AddRowState(key, row, &changeset);
  }
  for (auto& [key, document] : documents_) {
    if (document.op_count() == 0 || !is_wanted(kNote, key)) continue;
    const uint32_t table = TableIn(&changeset, kNote);
    changeset.documents.push_back(
        {table, key, document.ExportUpdates({}).substr(loro::kEnvelopeBytes)});
  }
  std::vector<SharedChangeset> changesets;
  changesets.push_back(std::make_shared<const Changeset>(std::move(changeset)));
  return changesets;
}

Status ModelDatabase::Repair(const std::vector<SharedChangeset>& rows) {
  for (const SharedChangeset& changeset : rows) {
    MergeRows(AsOwn(*changeset));
    if (!ImportDocuments(*changeset)) return Conflict("a document without its past");
  }
  return {};
}

// Row states have no versions; a store makes them a transaction of its own. Here they count to the
// last one, which others have or will get.
Changeset ModelDatabase::AsOwn(Changeset rows) const {
  const auto own = seen_.find(site_);
  if (own == seen_.end()) return rows;
  const cells::DbVersion version = own->second.last();
  rows.cells.site = site_;
  for (cells::RowChange& row : rows.cells.rows) {
    if (row.sentinel.has_value()) row.sentinel->db_version = version;
    for (cells::CellChange& cell : row.cells) cell.clock.db_version = version;
  }
  return rows;
}

// --- Tombstones.

bool ModelDatabase::Has(const SiteVersions& versions, const Cell& cell) {
  const auto at = versions.find(cell.publisher);
  return at != versions.end() && at->second.Contains(cell.version);
}

void ModelDatabase::Confirm(const cells::SiteId& site, const SiteVersions& has) {
  known_.insert(site);
  const bool is_first = confirmed_.insert_or_assign(site, has).second;
  if (is_first || forgotten_.contains(site)) return;
  std::erase_if(all_have_since_, [&](const auto& entry) {
    const auto row = rows_.find(entry.first);
    return row == rows_.end() || !row->second.sentinel.has_value() ||
           !Has(has, *row->second.sentinel);
  });
}

std::vector<cells::SiteId> ModelDatabase::KnownSites() {
  std::set<cells::SiteId> sites = known_;
  for (const auto& [site, changesets] : log_) sites.insert(site);
  std::erase_if(sites,
                [this](const auto& site) { return site == site_ || forgotten_.contains(site); });
  return {sites.begin(), sites.end()};
}

void ModelDatabase::ForgetSite(const cells::SiteId& site) { forgotten_.insert(site); }

Status ModelDatabase::RunUpkeep() {
  const std::vector<cells::SiteId> sites = KnownSites();
  const int64_t now_ms = wall_ms_();
  for (auto at = rows_.begin(); at != rows_.end();) {
    const auto& [key, row] = *at;
    const bool all_have =
        row.cl > 0 && !cells::IsAlive(row.cl) &&
        std::all_of(sites.begin(), sites.end(), [&, &tombstone = row](const auto& site) {
          return Has(confirmed_[site], *tombstone.sentinel);
        });
    Since& since = all_have_since_[key];
    if (!all_have || since.cl != row.cl) since = {row.cl, now_ms};
    if (!all_have || now_ms - since.ms < setup_.tombstone_keep_ms) {
      ++at;
      continue;
    }
    all_have_since_.erase(key);
    cells::CausalLength& floor = floors_[key.first];
    floor = std::max(floor, row.cl);
    collected_[key] = row.cl;
    at = rows_.erase(at);
  }
  return {};
}

size_t ModelDatabase::CountTombstones() {
  return static_cast<size_t>(std::count_if(rows_.begin(), rows_.end(), [](const auto& entry) {
    return entry.second.cl > 0 && !cells::IsAlive(entry.second.cl);
  }));
}

// Changesets are made from what is there: of a row that was deleted since, or whose tombstone was
// collected, nothing older is in them.
SharedChangeset ModelDatabase::WithoutOldLives(const SharedChangeset& changeset) const {
  const auto is_old = [&](const cells::RowChange& row) {
    const RowKey key{changeset->cells.tables[row.table].name, row.key};
    const auto collected = collected_.find(key);
    if (collected != collected_.end() && row.cl <= collected->second) return true;
    const auto now = rows_.find(key);
    return now != rows_.end() && row.cl < now->second.cl;
  };
  const auto& rows = changeset->cells.rows;
  if (std::none_of(rows.begin(), rows.end(), is_old)) return changeset;
  auto rest = std::make_shared<Changeset>(*changeset);
  std::erase_if(rest->cells.rows, is_old);
  return rest;
}

// --- The test's own questions.

std::unique_ptr<SimDatabase> ModelDatabase::Backup() {
  SimDatabaseSetup setup = setup_;
  setup.has_second_schema = has_second_schema_;
  auto copy = std::make_unique<ModelDatabase>(setup);
  copy->site_ = site_;
  copy->counter_ = counter_;
  copy->clock_ = clock_;
  copy->seen_ = seen_;
  copy->log_ = log_;
  copy->parts_ = parts_;
  copy->known_ = known_;
  copy->forgotten_ = forgotten_;
  copy->all_have_since_ = all_have_since_;
  copy->collected_ = collected_;
  copy->floors_ = floors_;
  copy->rows_ = rows_;
  for (auto& [key, document] : documents_) {
    loro::Document& same = copy->DocumentAt(key);
    if (document.op_count() > 0) MERROW_CHECK(same.Load(document.ExportSnapshot()).ok());
  }
  return copy;
}

bool ModelDatabase::LoseRow() {
  std::vector<RowKey> alive;
  for (const auto& [key, row] : rows_) {
    if (key.first == "kv" && cells::IsAlive(row.cl)) alive.push_back(key);
  }
  if (alive.empty()) return false;
  rows_.erase(alive[random_.Next() % alive.size()]);
  return true;
}

bool ModelDatabase::HasRow(const std::string& table, int64_t id) {
  const auto at = rows_.find({table, KeyOf(id)});
  return at != rows_.end() && cells::IsAlive(at->second.cl);
}

std::string ModelDatabase::TextOf(int64_t id) {
  const auto at = rows_.find({"kv", KeyOf(id)});
  if (at == rows_.end() || !cells::IsAlive(at->second.cl)) return {};
  return at->second.cells["b"].value.bytes;
}

bool ModelDatabase::HasMarker(int64_t document, const std::string& marker) {
  const auto at = documents_.find(KeyOf(document));
  return at != documents_.end() &&
         at->second.ToJson().find('"' + marker + '"') != std::string::npos;
}

std::string ModelDatabase::DumpClocks() {
  std::string text;
  const auto append = [&text](const std::string& name, const Cell& cell) {
    text += " " + name + " " + std::to_string(cell.col_version) + " " +
            cells::Describe(cell.value.view()) + " by " + ToHex(cell.author.view()).substr(0, 8);
  };
  for (const auto& [key, row] : rows_) {
    text += key.first + " " + ToHex(key.second) + " cl " + std::to_string(row.cl);
    if (row.sentinel.has_value()) append("sentinel", *row.sentinel);
    for (const auto& [column, cell] : row.cells) append(column, cell);
    text += "\n";
  }
  for (auto& [key, document] : documents_) {
    text += "note " + ToHex(key) + " " + document.version().ToString() + "\n";
  }
  return text;
}

std::string ModelDatabase::Dump() {
  std::string text;
  for (const auto& [key, row] : rows_) {
    if (!cells::IsAlive(row.cl)) continue;
    text += key.first + " " + ToHex(key.second);
    for (const auto& [column, cell] : row.cells) {
      if (cell.value.type != cells::ValueType::kNull) text += " " + column + "=" + cell.value.bytes;
    }
    text += "\n";
  }
  for (auto& [key, document] : documents_) {
    if (document.op_count() > 0) text += "note " + ToHex(key) + " " + document.ToJson() + "\n";
  }
  return text;
}

}  // namespace merrow::testing
