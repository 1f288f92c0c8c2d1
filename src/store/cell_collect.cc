// SPDX-License-Identifier: Apache-2.0
//
// What column rows leave behind, and how it goes: tombstones and outdated log rows.
//
// A tombstone is the clock of a deleted row. It says that what other sites still hold of the row is
// old, so it must stay until no site holds that any more. Sites report how far they have merged
// (ConfirmPeer); a tombstone is dropped when each site that this database has ever heard of, as
// author or as peer, has confirmed a version at or after it. A site that was never heard of, or has
// not confirmed, keeps all tombstones in place, so it is never contradicted; one that is gone for
// good is taken out by ForgetPeer.
//
// Other sites may keep their tombstone longer. So that a new row under the key of a dropped one
// wins against it there too, the table remembers the longest life that was dropped (life_floor),
// and new rows begin above it.
#include <algorithm>

#include "cells/packed_key.h"
#include "store/cell_store.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {

Status CellStore::ConfirmPeer(const cells::SiteId& site, cells::DbVersion version) {
  if (version < 0 || version > cells::kDbVersionMax) {
    return InvalidArgument("db_version " + std::to_string(version) + " is out of range");
  }
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  MERROW_TRY(tables_.Initialize());
  MERROW_ASSIGN(const cells::SiteId own, OwnSite());
  if (site == own) {
    return InvalidArgument("a site does not confirm to itself");
  }
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db_,
                               "INSERT INTO main._merrow_cell_peer (id, confirmed) VALUES (?1, ?2) "
                               "ON CONFLICT DO UPDATE SET "
                               "confirmed = max(confirmed, excluded.confirmed)"));
  statement.Bind(1, cells::ValueView::Blob(site.view()));
  statement.BindInt(2, version);
  MERROW_TRY(statement.Run());
  statement.Finalize();
  return savepoint.Release();
}

Status CellStore::ForgetPeer(const cells::SiteId& site) {
  // A version that is always enough, rather than no row: the site stays known as an author.
  return ConfirmPeer(site, cells::kDbVersionMax);
}

Result<int64_t> CellStore::CollectTombstones() {
  MERROW_TRY(tables_.Refresh());
  if (!tables_.initialized()) {
    return 0;
  }
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  CellStatement statement;
  MERROW_TRY(statement.Prepare(
      db_,
      "SELECT min(coalesce(p.confirmed, 0)) FROM (SELECT id FROM main._merrow_site WHERE ordinal "
      "<> "
      "0 UNION SELECT id FROM main._merrow_cell_peer) s LEFT JOIN main._merrow_cell_peer p USING "
      "(id)"));
  MERROW_ASSIGN(const bool any, statement.Step());
  const cells::DbVersion confirmed = any ? statement.Int(0) : 0;
  statement.Finalize();
  const auto may_go = [confirmed](const cells::Stamp& sentinel) -> Result<bool> {
    return sentinel.db_version <= confirmed;
  };
  ClockPlace place;
  MERROW_ASSIGN(const int64_t collected, CollectTombstones(may_go, SIZE_MAX, &place));
  MERROW_TRY(savepoint.Release());
  return collected;
}

Result<int64_t> CellStore::CollectTombstones(const MayGo& may_go, size_t clocks_max,
                                             ClockPlace* place) {
  int64_t collected = 0;
  size_t looked_at = 0;
  cells::RowClock clock;
  MERROW_TRY(Join());
  MERROW_TRY(transaction_.Flush());
  std::vector<std::shared_ptr<CellTable>> tables = tables_.tables();
  std::sort(tables.begin(), tables.end(),
            [](const auto& a, const auto& b) { return a->id < b->id; });
  place->at_end = true;
  for (const std::shared_ptr<CellTable>& table : tables) {
    if (table->id < place->table_id) {
      continue;
    }
    CellClocks clocks(db_, table->id, !table->int_key, &tables_.pending());
    cells::CausalLength floor = table->life_floor;
    const auto collect = [&](const cells::ClockRun& run) -> Result<bool> {
      if (looked_at == clocks_max) {
        *place = {table->id, run.key.number, Bytes(run.key.stored), false};
        return false;
      }
      ++looked_at;
      if (run.is_fresh()) {
        return true;
      }
      MERROW_TRY(clock.DecodeFrom(run.clock));
      if (cells::IsAlive(clock.cl()) || clock.cl() == 0) {
        return true;
      }
      MERROW_ASSIGN(const bool goes, may_go(clock.sentinel()->stamp));
      if (!goes) {
        return true;
      }
      floor = std::max(floor, clock.cl());
      MERROW_ASSIGN(CellTransaction::Row* const row, transaction_.FindStored(*table, run.key));
      transaction_.WillChange(*row, transaction_.version());
      row->clock.Clear();
      ++collected;
      return true;
    };
    const Bytes stored = place->stored;
    const cells::ClockKey key{place->number.value_or(0), stored};
    const bool begins = table->id > place->table_id || !place->number.has_value();
    MERROW_TRY(clocks.ForEach(begins ? nullptr : &key, nullptr, collect));
    if (floor != table->life_floor) {
      MERROW_TRY(
          RunSql(db_, "UPDATE main._merrow_cell_table SET life_floor = " + std::to_string(floor) +
                          " WHERE id = " + std::to_string(table->id)));
      table->life_floor = floor;
    }
    if (!place->at_end) {
      break;
    }
  }
  MERROW_TRY(transaction_.Flush());
  return collected;
}

}  // namespace merrow::store
