// SPDX-License-Identifier: Apache-2.0
#include "store/cell_clocks.h"

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

Status CellClocks::Prepare(CellStatement& statement, const char* before, const char* after) {
  return statement.prepared() ? Status()
                              : statement.Prepare(db_, before + TableName(table_id_) + after);
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
  MERROW_TRY(
      Prepare(read_bound_, "SELECT first FROM main.", " WHERE first > ?1 ORDER BY first LIMIT 1"));
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
  MERROW_TRY(Prepare(read_, "SELECT first, block FROM main.",
                     " WHERE first <= ?1 ORDER BY first DESC LIMIT 1"));
  const ResetAtEnd reset(read_);
  read_.Bind(1, ValueOf(key));
  MERROW_ASSIGN(exists_, read_.Step());
  CellStatement* from = &read_;
  if (!exists_) {
    // Keys below all blocks belong to the first one.
    MERROW_TRY(Prepare(read_first_, "SELECT first, block FROM main.", " ORDER BY first LIMIT 1"));
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

cells::ClockRun RunOf(const PendingTable::Entry& entry) {
  cells::ClockRun run;
  run.key = entry.key;
  run.fresh = entry.fresh;
  run.clock = entry.clock;
  return run;
}

}  // namespace

Result<const cells::ClockRun*> CellClocks::Find(const cells::ClockKey& key) {
  if (pending_ != nullptr) {
    MERROW_TRY(pending_->Ensure());
    const PendingTable* const table = pending_->Find(table_id_);
    const PendingTable::Entry* const entry = table == nullptr ? nullptr : table->Find(key);
    if (entry != nullptr) {
      found_ = RunOf(*entry);
      return &found_;
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
  const bool is_behind = in_front && reader_.done() && !(bound_known_ && !bounded_);
  if (status.ok() && is_behind && !(bound_known_ && key < bound_.view())) {
    MERROW_TRY(Load(key));
    status = reader_.SkipTo(key);
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
                           const Each& each) {
  const PendingTable* pending = nullptr;
  if (pending_ != nullptr) {
    MERROW_TRY(pending_->Ensure());
    pending = pending_->Find(table_id_);
  }
  if (pending == nullptr) {
    MERROW_TRY(ForEachInBlocks(from, until, each));
    return {};
  }
  const PendingTable::InOrder& in_order = pending->in_order();
  auto next = from == nullptr ? in_order.begin() : in_order.lower_bound(*from);
  const auto each_in_blocks = [&](const cells::ClockRun& run) -> Result<bool> {
    cells::ClockRun rest = run;
    while (next != in_order.end()) {
      const cells::ClockKey key = next->first;
      const cells::ClockKey last =
          stored_keys_ ? rest.key : cells::ClockKey{rest.last_number(), {}};
      if (last < key) {
        break;
      }
      if (key < rest.key) {
        MERROW_ASSIGN(const bool more, each(RunOf(*(next++)->second)));
        if (!more) {
          return false;
        }
        continue;
      }
      // It stands for one of these rows.
      const auto before = static_cast<uint64_t>(key.number - rest.key.number);
      if (before > 0) {
        cells::ClockRun head = rest;
        head.count = before;
        MERROW_ASSIGN(const bool more, each(head));
        if (!more) {
          return false;
        }
      }
      MERROW_ASSIGN(const bool more, each(RunOf(*(next++)->second)));
      if (!more || before + 1 == rest.count) {
        return more;
      }
      rest.Drop(before + 1);
    }
    return each(rest);
  };
  MERROW_ASSIGN(bool more, ForEachInBlocks(from, until, each_in_blocks));
  for (; more && next != in_order.end() && (until == nullptr || !(*until < next->first)); ++next) {
    MERROW_ASSIGN(more, each(RunOf(*next->second)));
  }
  return {};
}

Result<bool> CellClocks::ForEachInBlocks(const cells::ClockKey* from, const cells::ClockKey* until,
                                         const Each& each) {
  OwnKey at;
  bool begin = from == nullptr;
  if (!begin) {
    at = *from;
  }
  cells::ClockBlockReader reader;
  while (true) {
    // A block at a time, copied, since `each` may write.
    Forget();
    MERROW_TRY(Prepare(read_first_, "SELECT first, block FROM main.", " ORDER BY first LIMIT 1"));
    if (begin) {
      const ResetAtEnd reset(read_first_);
      MERROW_ASSIGN(const bool any, read_first_.Step());
      if (!any) {
        return true;
      }
      at = KeyOf(read_first_);
    }
    MERROW_TRY(Load(at.view()));
    if (!exists_) {
      return true;
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
        return true;
      }
      if (until != nullptr && run.count > 1 && until->number < run.last_number()) {
        run.count = static_cast<uint64_t>(until->number - run.key.number) + 1;
      }
      MERROW_ASSIGN(const bool go_on, each(run));
      if (!go_on) {
        return false;
      }
      status = reader.Next();
    }
    if (!status.ok()) {
      return Within(status.error());
    }
    if (!more) {
      return true;
    }
  }
}

// --- Writing.

Status CellClocks::WriteBlock(const cells::ClockKey& first, BytesView block) {
  MERROW_TRY(Prepare(write_, "INSERT OR REPLACE INTO main.", " (first, block) VALUES (?1, ?2)"));
  write_.Bind(1, ValueOf(first));
  write_.Bind(2, cells::ValueView::Blob(block));
  return write_.Run();
}

Status CellClocks::DropBlock() {
  MERROW_TRY(Prepare(drop_, "DELETE FROM main.", " WHERE first = ?1"));
  drop_.Bind(1, ValueOf(first_.view()));
  return drop_.Run();
}

Status CellClocks::Splice(const std::vector<ClockChange>& changes, size_t at, size_t& count,
                          uint64_t* rows) {
  count = 0;
  spliced_.clear();
  size_t copied = 0;
  const auto copy_until = [&](size_t until) {
    spliced_.append(block_, copied, until - copied);
    copied = until;
  };
  for (; at + count < changes.size(); ++count) {
    const ClockChange& change = changes[at + count];
    const bool is_fresh = change.fresh.columns > 0;
    MERROW_TRY(reader_.SkipTo(change.key));
    if (reader_.done()) {
      break;  // not in this block, or behind all of it
    }
    const cells::ClockRun& run = reader_.run();
    const bool replaces = run.key == change.key && !run.clock.empty() &&
                          (is_fresh ? stored_keys_ : !change.clock.empty());
    if (!replaces) {
      count = 0;
      return {};
    }
    copy_until(reader_.clock_offset());
    if (is_fresh) {
      Bytes clock;
      cells::RowClock::AppendFresh(change.fresh, clock);
      cells::AppendBlockClock(clock, spliced_);
    } else {
      cells::AppendBlockClock(change.clock, spliced_);
    }
    copied = reader_.end_offset();
  }
  while (rows != nullptr && !reader_.done()) {
    MERROW_TRY(reader_.Next());
  }
  if (rows != nullptr) {
    *rows = reader_.rows();
  }
  copy_until(block_.size());
  if (spliced_.size() > kSplicedBytesMax) {
    count = 0;
  }
  return count == 0 ? Status() : WriteBlock(first_.view(), spliced_);
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

Status CellClocks::Rewrite(const std::vector<ClockChange>& changes, size_t& at, uint64_t& rows) {
  MERROW_TRY(LoadBound());
  MERROW_TRY(reader_.Reset(first_.view(), stored_keys_, block_));
  const size_t begin = at;
  runs_.clear();
  keys_.Clear();
  rows = 0;
  bool is_append = true;
  const auto add = [&](const cells::ClockRun& run) {
    rows += run.count;
    if (stored_keys_ || runs_.empty() || !cells::Extend(runs_.back(), run)) {
      runs_.push_back(run);
    }
  };
  while (true) {
    const bool has_change = at < changes.size() && (!bounded_ || changes[at].key < bound_.view());
    if (!has_change && reader_.done()) {
      break;
    }
    if (reader_.done() || (has_change && !(reader_.run().key < changes[at].key))) {
      const ClockChange& change = changes[at++];
      cells::ClockRun run;
      run.key = change.key;
      run.fresh = change.fresh;
      run.clock = change.clock;
      if (run.is_fresh() || !run.clock.empty()) {
        add(run);
      }
      if (!reader_.done() && reader_.run().key == change.key) {
        is_append = false;
        const bool is_last = stored_keys_ || reader_.run().count == 1;
        MERROW_TRY(is_last ? reader_.Next() : reader_.SkipTo({change.key.number + 1, {}}));
      }
      continue;
    }
    cells::ClockRun run = reader_.run();
    is_append = is_append && at == begin;
    if (has_change && run.count > 1 && !(run.last_number() < changes[at].key.number)) {
      run.count = static_cast<uint64_t>(changes[at].key.number - run.key.number);
      add(run);
      MERROW_TRY(reader_.SkipTo(changes[at].key));
      continue;
    }
    if (stored_keys_) {
      run.key.stored = keys_.Add(run.key.stored);
    }
    add(run);
    MERROW_TRY(reader_.Next());
  }
  return WriteRuns(runs_, is_append);
}

Status CellClocks::Write(const std::vector<ClockChange>& changes, std::vector<ClockSpan>* spans) {
  OwnKey last_bound;
  bool follows = false;  // the block before this one ended where it begins
  for (size_t i = 0; i < changes.size();) {
    const size_t begin = i;
    uint64_t rows = 0;
    MERROW_TRY(Load(changes[i].key));
    size_t spliced = 0;
    Status status =
        exists_ ? Splice(changes, i, spliced, spans == nullptr ? nullptr : &rows) : Status();
    if (spliced > 0) {
      i += spliced;
      if (spans != nullptr) {
        MERROW_TRY(LoadBound());
      }
    } else if (status.ok()) {
      status = Rewrite(changes, i, rows);
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
    Forget();
  }
  return {};
}

}  // namespace merrow::store
