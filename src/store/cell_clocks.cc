// SPDX-License-Identifier: Apache-2.0
#include "store/cell_clocks.h"

#include <deque>
#include <utility>

namespace merrow::store {

std::string CellClocks::CreateSql(int64_t table_id, bool stored_keys) {
  return "CREATE TABLE IF NOT EXISTS main." + TableName(table_id) +
         (stored_keys ? " (first BLOB PRIMARY KEY, block BLOB NOT NULL) WITHOUT ROWID"
                      : " (first INTEGER PRIMARY KEY, block BLOB NOT NULL)");
}

void CellClocks::FinalizeStatements() {
  Forget();
  for (CellStatement* statement : {&read_, &read_first_, &read_bound_, &write_, &drop_}) {
    statement->Finalize();
  }
}

cells::ValueView CellClocks::ValueOf(const cells::ClockKey& key) const {
  return stored_keys_ ? cells::ValueView::Blob(key.stored) : cells::ValueView::Integer(key.number);
}

cells::ClockKey CellClocks::KeyOf(const CellStatement& statement) const {
  if (stored_keys_) {
    return {0, statement.Column(0).bytes};
  }
  return {statement.Int(0), {}};
}

Error CellClocks::Within(const Error& error) const {
  return error.Within("clocks in " + TableName(table_id_));
}

// --- Reading.

bool CellClocks::IsLoaded(const cells::ClockKey& key) {
  return loaded_ && (!exists_ || !(key < first_.view())) && bound_known_ &&
         (!bounded_ || key < bound_.view());
}

Status CellClocks::LoadBound() {
  if (bound_known_) {
    return {};
  }
  MERROW_TRY(read_bound_.Prepare(db_, "SELECT first FROM main." + TableName(table_id_) +
                                          " WHERE first > ?1 ORDER BY first LIMIT 1"));
  const ResetAtEnd reset(read_bound_);
  read_bound_.Bind(1, ValueOf(first_.view()));
  MERROW_ASSIGN(bounded_, read_bound_.Step());
  if (bounded_) {
    bound_ = KeyOf(read_bound_);
  }
  bound_known_ = true;
  return {};
}

Status CellClocks::Load(const cells::ClockKey& key) {
  loaded_ = false;
  bound_known_ = false;
  bounded_ = false;
  MERROW_TRY(read_.Prepare(db_, "SELECT first, block FROM main." + TableName(table_id_) +
                                    " WHERE first <= ?1 ORDER BY first DESC LIMIT 1"));
  const ResetAtEnd reset(read_);
  read_.Bind(1, ValueOf(key));
  MERROW_ASSIGN(exists_, read_.Step());
  CellStatement* from = &read_;
  if (!exists_) {
    // Keys below all blocks belong to the first one.
    MERROW_TRY(read_first_.Prepare(
        db_, "SELECT first, block FROM main." + TableName(table_id_) + " ORDER BY first LIMIT 1"));
    MERROW_ASSIGN(exists_, read_first_.Step());
    from = &read_first_;
  }
  block_.clear();
  if (exists_) {
    first_ = KeyOf(*from);
    block_.assign(from->Column(1).bytes);
    if (from == &read_first_) {
      read_first_.Reset();
    }
  } else {
    bound_known_ = true;
    first_ = key;
  }
  const Status status = reader_.Reset(first_.view(), stored_keys_, block_);
  if (!status.ok()) {
    return Within(status.error());
  }
  loaded_ = true;
  return {};
}

namespace {

cells::ClockRun RunOf(const PendingClocks::Table::value_type& entry) {
  cells::ClockRun run;
  run.key = entry.first.view();
  run.fresh = entry.second.fresh;
  run.clock = entry.second.clock;
  return run;
}

}  // namespace

Result<const cells::ClockRun*> CellClocks::Find(const cells::ClockKey& key) {
  if (pending_ != nullptr) {
    MERROW_TRY(pending_->Ensure());
    const PendingClocks::Table* const table = pending_->Find(table_id_);
    if (table != nullptr) {
      const auto entry = table->find(key);
      if (entry != table->end()) {
        found_ = RunOf(*entry);
        return &found_;
      }
    }
  }
  return FindInBlocks(key);
}

Result<const cells::ClockRun*> CellClocks::FindInBlocks(const cells::ClockKey& key) {
  // Nearly always the key is in the block at hand, in front of the reader.
  const bool in_front = loaded_ && !reader_.done() && !(key < reader_.run().key);
  if (!in_front && !IsLoaded(key)) {
    MERROW_TRY(Load(key));
  } else if (!in_front && exists_ && reader_.done() && reader_.last_key() < key) {
    return nullptr;
  } else if (!in_front && exists_) {
    MERROW_TRY(reader_.Reset(first_.view(), stored_keys_, block_));
  }
  Status status = reader_.SkipTo(key);
  if (status.ok() && reader_.done() && in_front) {
    // It is behind this block, or in none.
    MERROW_TRY(LoadBound());
    if (bounded_ && !(key < bound_.view())) {
      MERROW_TRY(Load(key));
      status = reader_.SkipTo(key);
    }
  }
  if (!status.ok()) {
    loaded_ = false;
    return Within(status.error());
  }
  if (reader_.done()) {
    MERROW_TRY(LoadBound());
    return nullptr;
  }
  return reader_.run().key == key ? &reader_.run() : nullptr;
}

Status CellClocks::ForEach(const cells::ClockKey* from, const cells::ClockKey* until,
                           const std::function<Status(const cells::ClockRun&)>& each) {
  const PendingClocks::Table* table = nullptr;
  if (pending_ != nullptr) {
    MERROW_TRY(pending_->Ensure());
    table = pending_->Find(table_id_);
  }
  if (table == nullptr) {
    return ForEachInBlocks(from, until, each);
  }
  auto next = from == nullptr ? table->begin() : table->lower_bound(*from);
  const auto each_in_blocks = [&](const cells::ClockRun& run) -> Status {
    cells::ClockRun rest = run;
    while (next != table->end()) {
      const cells::ClockKey key = next->first.view();
      const cells::ClockKey last =
          stored_keys_ ? rest.key : cells::ClockKey{rest.last_number(), {}};
      if (last < key) {
        break;
      }
      if (key < rest.key) {
        MERROW_TRY(each(RunOf(*next++)));
        continue;
      }
      // It stands for one of these rows.
      const auto before = static_cast<uint64_t>(key.number - rest.key.number);
      if (before > 0) {
        cells::ClockRun head = rest;
        head.count = before;
        MERROW_TRY(each(head));
      }
      MERROW_TRY(each(RunOf(*next++)));
      if (before + 1 == rest.count) {
        return {};
      }
      rest.Drop(before + 1);
    }
    return each(rest);
  };
  MERROW_TRY(ForEachInBlocks(from, until, each_in_blocks));
  for (; next != table->end() && (until == nullptr || !(*until < next->first.view())); ++next) {
    MERROW_TRY(each(RunOf(*next)));
  }
  return {};
}

Status CellClocks::ForEachInBlocks(const cells::ClockKey* from, const cells::ClockKey* until,
                                   const std::function<Status(const cells::ClockRun&)>& each) {
  OwnKey at;
  bool begin = from == nullptr;
  if (!begin) {
    at = *from;
  }
  cells::ClockBlockReader reader;
  while (true) {
    // A block at a time, copied, since `each` may write.
    Forget();
    MERROW_TRY(read_first_.Prepare(
        db_, "SELECT first, block FROM main." + TableName(table_id_) + " ORDER BY first LIMIT 1"));
    if (begin) {
      const ResetAtEnd reset(read_first_);
      MERROW_ASSIGN(const bool any, read_first_.Step());
      if (!any) {
        return {};
      }
      at = KeyOf(read_first_);
    }
    MERROW_TRY(Load(at.view()));
    if (!exists_) {
      return {};
    }
    MERROW_TRY(LoadBound());
    const Bytes block = std::move(block_);
    const bool more = bounded_;
    Forget();
    Status status = reader.Reset(first_.view(), stored_keys_, block);
    if (status.ok() && !begin) {
      status = reader.SkipTo(at.view());
    }
    begin = false;
    if (more) {
      at = bound_.view();
    }
    while (status.ok() && !reader.done()) {
      cells::ClockRun run = reader.run();
      if (until != nullptr && *until < run.key) {
        return {};
      }
      if (until != nullptr && run.count > 1 && until->number < run.last_number()) {
        run.count = static_cast<uint64_t>(until->number - run.key.number) + 1;
      }
      MERROW_TRY(each(run));
      status = reader.Next();
    }
    if (!status.ok()) {
      return Within(status.error());
    }
    if (!more) {
      return {};
    }
  }
}

// --- Writing.

Status CellClocks::WriteBlock(const cells::ClockKey& first, BytesView block) {
  MERROW_TRY(write_.Prepare(db_, "INSERT OR REPLACE INTO main." + TableName(table_id_) +
                                     " (first, block) VALUES (?1, ?2)"));
  write_.Bind(1, ValueOf(first));
  write_.Bind(2, cells::ValueView::Blob(block));
  return write_.Run();
}

Status CellClocks::DropBlock() {
  MERROW_TRY(drop_.Prepare(db_, "DELETE FROM main." + TableName(table_id_) + " WHERE first = ?1"));
  drop_.Bind(1, ValueOf(first_.view()));
  return drop_.Run();
}

/// Replaces the block at hand by one or more with `runs`. An append fills blocks to the brim, since
/// what follows will be appended too; else they get room to grow.
Status CellClocks::WriteRuns(const std::vector<cells::ClockRun>& runs, bool is_append) {
  const bool keeps_first = exists_ && !runs.empty() && !(runs[0].key < first_.view());
  if (exists_ && !keeps_first) {
    MERROW_TRY(DropBlock());
  }
  size_t bytes = 0;
  for (const cells::ClockRun& run : runs) {
    bytes += cells::BlockBytes(run);
  }
  const size_t blocks = (bytes + kBlockBytesMax - 1) / kBlockBytesMax;
  const size_t bytes_each = is_append || blocks < 2 ? kBlockBytesMax : bytes / blocks + 1;
  cells::ClockBlockWriter writer;
  OwnKey first;
  bool open = false;
  for (const cells::ClockRun& run : runs) {
    if (open &&
        (writer.bytes().size() + cells::BlockBytes(run) > bytes_each || !writer.CanAdd(run))) {
      MERROW_TRY(WriteBlock(first.view(), writer.bytes()));
      open = false;
    }
    if (!open) {
      const bool is_first = &run == runs.data();
      first = is_first && keeps_first ? first_.view() : run.key;
      writer.Begin(first.view(), stored_keys_);
      if (!writer.CanAdd(run)) {
        // Its block began far below it.
        MERROW_TRY(DropBlock());
        first = run.key;
        writer.Begin(first.view(), stored_keys_);
      }
      open = true;
    }
    writer.Add(run);
  }
  return open ? WriteBlock(first.view(), writer.bytes()) : Status();
}

Status CellClocks::Write(const std::vector<ClockChange>& changes, std::vector<ClockSpan>* spans) {
  std::vector<cells::ClockRun> runs;
  std::deque<Bytes> keys;  // of rows that were in the block already
  OwnKey last_bound;
  bool follows = false;  // the block before this one ended where it begins
  for (size_t i = 0; i < changes.size();) {
    MERROW_TRY(Load(changes[i].key));
    MERROW_TRY(LoadBound());
    runs.clear();
    keys.clear();
    uint64_t rows = 0;
    bool is_append = true;
    const auto add = [&](const cells::ClockRun& run) {
      rows += run.count;
      if (stored_keys_ || runs.empty() || !cells::Extend(runs.back(), run)) {
        runs.push_back(run);
      }
    };
    const size_t begin = i;
    Status status;
    while (status.ok()) {
      const bool has_change = i < changes.size() && (!bounded_ || changes[i].key < bound_.view());
      if (!has_change && reader_.done()) {
        break;
      }
      if (reader_.done() || (has_change && !(reader_.run().key < changes[i].key))) {
        const ClockChange& change = changes[i++];
        cells::ClockRun run;
        run.key = change.key;
        run.fresh = change.fresh;
        run.clock = change.clock;
        if (run.is_fresh() || !run.clock.empty()) {
          add(run);
        }
        if (!reader_.done() && reader_.run().key == change.key) {
          is_append = false;
          if (stored_keys_) {
            status = reader_.Next();
          } else if (reader_.run().count == 1) {
            status = reader_.Next();
          } else {
            status = reader_.SkipTo({change.key.number + 1, {}});
          }
        }
        continue;
      }
      cells::ClockRun run = reader_.run();
      is_append = is_append && i == begin;
      if (has_change && run.count > 1 && !(run.last_number() < changes[i].key.number)) {
        run.count = static_cast<uint64_t>(changes[i].key.number - run.key.number);
        add(run);
        status = reader_.SkipTo(changes[i].key);
        continue;
      }
      if (stored_keys_) {
        run.key.stored = keys.emplace_back(run.key.stored);
      }
      add(run);
      status = reader_.Next();
    }
    if (!status.ok()) {
      loaded_ = false;
      return Within(status.error());
    }
    if (spans != nullptr) {
      if (follows && last_bound.view() == first_.view()) {
        spans->back().end = i;
        spans->back().rows += rows;
      } else {
        spans->push_back({begin, i, rows});
      }
      follows = bounded_;
      last_bound = bound_.view();
    }
    MERROW_TRY(WriteRuns(runs, is_append));
    Forget();
  }
  return {};
}

}  // namespace merrow::store
