// SPDX-License-Identifier: Apache-2.0
#include "store/replica_test_util.h"

#include <map>

#include "base/bytes.h"
#include "cells/row_clock.h"
#include "merrow/check.h"

namespace merrow::store {
namespace {

void Expect(const Status& status) {
  if (!status.ok()) {
    ADD_FAILURE() << status.error().ToString();
  }
}

}  // namespace

ReplicaSite::ReplicaSite(const std::string& schema, const std::string& path, ReplicaLimits limits)
    : limits_(limits) {
  MERROW_CHECK(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
  cells_ = *CellStore::Attach(db_);
  Expect(RunSql(db_, schema));
  CellStatement tables;
  Expect(tables.Prepare(
      db_,
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_merrow%' "
      "ESCAPE '\\' ORDER BY name"));
  std::vector<std::string> names;
  while (*tables.Step()) {
    names.push_back(tables.Text(0));
  }
  tables.Finalize();
  for (const std::string& name : names) {
    Expect(cells_->Track(name));
  }
  OpenLog();
}

ReplicaSite::~ReplicaSite() {
  log_.reset();
  cells_->FinalizeStatements();
  EXPECT_EQ(sqlite3_close(db_), SQLITE_OK);
}

void ReplicaSite::OpenLog() {
  ReplicaOptions options;
  options.clock = &clock;
  options.limits = limits_;
  Expect(RunSql(db_, "BEGIN IMMEDIATE"));
  auto opened = ReplicaLog::Open(*cells_, options);
  if (!opened.ok()) {
    ADD_FAILURE() << opened.error().ToString();
  }
  log_ = *std::move(opened);
  Expect(RunSql(db_, "COMMIT"));
  log_->Committed();
}

void ReplicaSite::Reopen() {
  log_.reset();
  OpenLog();
}

void ReplicaSite::Transact(const std::function<Status()>& work) {
  Expect(RunSql(db_, "BEGIN IMMEDIATE"));
  const Status worked = work();
  Expect(worked);
  if (!worked.ok()) {
    Expect(RunSql(db_, "ROLLBACK"));
    log_->RolledBack();
    return;
  }
  Expect(RunSql(db_, "COMMIT"));
  log_->Committed();
}

cells::DbVersion ReplicaSite::Write(const std::string& sql) {
  cells::DbVersion version = 0;
  Transact([&]() -> Status {
    MERROW_TRY(RunSql(db_, sql));
    MERROW_ASSIGN(const auto noted, log_->NoteLocal());
    version = noted.value_or(0);
    return {};
  });
  return version;
}

std::vector<ReplicaOutcome> ReplicaSite::Apply(const std::vector<SharedChangeset>& changesets) {
  std::vector<IncomingChangeset> incoming;
  for (const SharedChangeset& changeset : changesets) {
    incoming.push_back({changeset, 0});
  }
  std::vector<ReplicaOutcome> outcomes;
  Transact([&]() -> Status {
    MERROW_ASSIGN(outcomes, log_->Apply(incoming));
    return {};
  });
  return outcomes;
}

ReplicaOutcome ReplicaSite::ApplyOne(changeset::Changeset changeset, uint64_t whole) {
  const IncomingChangeset incoming{
      std::make_shared<const changeset::Changeset>(std::move(changeset)), whole};
  ReplicaOutcome outcome;
  Transact([&]() -> Status {
    MERROW_ASSIGN(auto outcomes, log_->Apply({&incoming, 1}));
    outcome = std::move(outcomes[0]);
    return {};
  });
  return outcome;
}

ReplicaPage ReplicaSite::Read(const cells::SiteId& site, changeset::VersionRange range,
                              size_t bytes_target) {
  auto page = log_->Read(site, changeset::VersionRanges(range), bytes_target);
  if (!page.ok()) {
    ADD_FAILURE() << page.error().ToString();
  }
  return *std::move(page);
}

void ReplicaSite::PullFrom(ReplicaSite& from, size_t bytes_target) {
  for (const auto& [site, lacking] : changeset::Difference(from.log().seen(), log_->seen())) {
    changeset::VersionRanges wanted = lacking;
    while (true) {
      auto page = from.log().Read(site, wanted, bytes_target);
      if (!page.ok()) {
        ADD_FAILURE() << page.error().ToString();
      }
      Apply(page->changesets);
      if (!page->more) {
        break;
      }
      EXPECT_FALSE(page->settled.empty());
      wanted.Remove(page->settled);
    }
  }
}

std::string ReplicaSite::Sql(const std::string& sql) {
  std::string text;
  CellStatement statement;
  Expect(statement.Prepare(db_, sql));
  while (true) {
    const auto row = statement.Step();
    if (!row.ok() || !*row) {
      EXPECT_TRUE(row.ok());
      return text;
    }
    for (int i = 0; i < sqlite3_column_count(statement.handle()); ++i) {
      text += (i == 0 ? "" : "|") + cells::Describe(statement.Column(i));
    }
    text += "\n";
  }
}

std::string ReplicaSite::Dump() {
  Expect(cells_->tables().Refresh());
  std::map<std::string, std::string> texts;  // by table
  for (const auto& table : cells_->tables().tables()) {
    texts[table->name] = Sql("SELECT * FROM " + SqlName(table->name) + " ORDER BY 1, 2");
  }
  std::string all;
  for (const auto& [table, text] : texts) {
    all += table + "\n" + text;
  }
  return all;
}

std::string ReplicaSite::DumpClocks() {
  Expect(cells_->tables().Refresh());
  std::map<std::string, std::string> texts;  // by table
  const auto name = [&](cells::SiteOrdinal site) { return ToHex(cells_->SiteOf(site)->view()); };
  for (const auto& table : cells_->tables().tables()) {
    std::string& text = texts[table->name];
    const auto add_row = [&](const cells::ClockKey& key, const cells::RowClock& row) {
      text += table->name + " " +
              cells::Describe(table->int_key ? cells::ValueView::Integer(key.number)
                                             : cells::ValueView::Blob(key.stored));
      if (row.sentinel().has_value()) {
        text += " cl" + std::to_string(row.cl()) + "@" + name(row.sentinel()->stamp.site);
      }
      for (const cells::CellClock& cell : row.cells()) {
        text += " " + std::to_string(cell.column) + ":" + std::to_string(cell.col_version) + "@" +
                name(cell.stamp.site);
      }
      text += "\n";
    };
    Expect(cells_->ForEachClock(*table, add_row));
  }
  std::string all;
  for (const auto& [table, text] : texts) {
    all += text;
  }
  return all;
}

void ReplicaSite::Track(const std::string& table) {
  Transact([&]() -> Status {
    MERROW_TRY(cells_->Track(table));
    MERROW_TRY(log_->ApplyWaiting());
    MERROW_ASSIGN([[maybe_unused]] const auto version, log_->NoteLocal());
    return {};
  });
}

}  // namespace merrow::store
