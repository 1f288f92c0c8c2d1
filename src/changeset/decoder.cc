// SPDX-License-Identifier: Apache-2.0
#include "changeset/decoder.h"

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "changeset/changeset_format.h"
#include "changeset/value_code.h"

namespace merrow::changeset {
namespace {

using cells::CellChange;
using cells::ChangeClock;
using cells::RowChange;

constexpr uint32_t kNoColumn = UINT32_MAX;

// What a frame may still hold.
struct Budget {
  size_t rows = kFrameRowsMax;
  size_t cells = kFrameCellsMax;
  size_t names = kFrameNamesMax;

  Status TakeRows(uint64_t count) {
    if (count > rows) return LimitReached("a frame holds too many rows");
    rows -= count;
    return {};
  }
  Status TakeName(size_t bytes) {
    if (bytes + kNameOverhead > names) return LimitReached("a frame holds too many names");
    names -= bytes + kNameOverhead;
    return {};
  }
};

class ChangesetDecoder {
 public:
  ChangesetDecoder(ByteReader& reader, Context* context, Budget* budget, ByteReport* report)
      : reader_(reader), context_(*context), budget_(*budget), report_(*report) {}

  Result<Changeset> Decode() {
    MERROW_TRY(budget_.TakeRows(1));
    MERROW_ASSIGN(const uint32_t site, ReadHeader());
    MERROW_ASSIGN(const uint64_t groups, reader_.Uleb64());
    Count(&report_.headers);
    for (uint64_t i = 0; i < groups; ++i) MERROW_TRY(ReadGroup());
    MERROW_TRY(CheckChangeset(changeset_));
    context_.NoteChangeset(site, changeset_.cells.version, changeset_.timestamp);
    return std::move(changeset_);
  }

 private:
  // Adds what was read since the last call to one line of the report.
  void Count(size_t* line) {
    *line += reader_.offset() - counted_;
    counted_ = reader_.offset();
  }

  // What this release would not know how to read on from.
  Error OfLaterRelease(const std::string& what) const {
    return Unsupported(what + " of a later release before offset " +
                       std::to_string(reader_.offset()));
  }

  Result<uint32_t> ReadSite() {
    MERROW_ASSIGN(const uint64_t reference, reader_.Uleb64());
    if (reference == 0) {
      MERROW_ASSIGN(const BytesView bytes, reader_.Take(cells::kSiteIdBytes));
      MERROW_ASSIGN(const cells::SiteId id, cells::SiteId::FromBytes(bytes));
      return context_.AddSite(id);
    }
    if (reference > context_.sites().size()) return reader_.Fail("a site that was not named");
    return static_cast<uint32_t>(reference - 1);
  }

  Result<int64_t> ReadCount(int64_t max, std::string_view what) {
    MERROW_ASSIGN(const uint64_t count, reader_.Uleb64());
    if (count > static_cast<uint64_t>(max)) {
      return reader_.Fail(std::string(what) + " " + std::to_string(count) + " is too large");
    }
    return static_cast<int64_t>(count);
  }

  Result<uint32_t> ReadHeader() {
    cells::Transaction& cells = changeset_.cells;
    MERROW_ASSIGN(const uint32_t flags, reader_.Uleb32());
    if ((flags & ~kHeaderFlagsMask) != 0) {
      return OfLaterRelease("header flags " + std::to_string(flags));
    }
    changeset_.continues = (flags & kHeaderContinues) != 0;
    MERROW_ASSIGN(const uint32_t site, ReadSite());
    cells.site = context_.sites()[site].id;
    const cells::DbVersion last = context_.sites()[site].last;
    cells.version = last + 1;
    cells.previous = last;
    if ((flags & kHeaderVersion) != 0) {
      MERROW_ASSIGN(cells.version, ReadCount(cells::kDbVersionMax, "version"));
    }
    if ((flags & kHeaderPrevious) != 0) {
      MERROW_ASSIGN(const int64_t step, reader_.Zigzag64());
      if (step < 0 || step >= cells.version) return reader_.Fail("a previous version out of range");
      cells.previous = cells.version - 1 - step;
    }
    MERROW_ASSIGN(const int64_t step, reader_.Zigzag64());
    if (__builtin_add_overflow(context_.last_timestamp().ms, step, &changeset_.timestamp.ms)) {
      return reader_.Fail("a timestamp out of range");
    }
    if ((flags & kHeaderCount) != 0) {
      MERROW_ASSIGN(const int64_t count, ReadCount(UINT16_MAX, "timestamp count"));
      changeset_.timestamp.count = static_cast<uint16_t>(count);
    }
    if ((flags & kHeaderParts) != 0) {
      MERROW_ASSIGN(changeset_.part, reader_.Uleb32());
      MERROW_ASSIGN(changeset_.parts, reader_.Uleb32());
    }
    cells.authors.push_back(cells.site);
    if ((flags & kHeaderAuthors) != 0) {
      MERROW_ASSIGN(const uint64_t count, reader_.Uleb64());
      if (count > reader_.remaining()) return reader_.Fail("more authors than bytes");
      for (uint64_t i = 0; i < count; ++i) {
        MERROW_TRY(budget_.TakeName(cells::kSiteIdBytes));
        MERROW_ASSIGN(const uint32_t author, ReadSite());
        cells.authors.push_back(context_.sites()[author].id);
      }
    }
    return site;
  }

  // The table of the group being read.
  struct Group {
    uint32_t context_table = 0;
    uint32_t key_columns = 0;
    uint32_t table = 0;               // of the changeset
    std::vector<uint32_t> column_of;  // of the changeset, by column of the context
  };

  // A table of the changeset.
  struct NamedTable {
    uint32_t index = 0;
    std::set<uint32_t> key_columns;  // of its groups
  };

  Status ReadColumnNames(uint32_t table) {
    MERROW_ASSIGN(const uint64_t count, reader_.Uleb64());
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const std::string_view column, reader_.Utf8());
      MERROW_TRY(context_.AddColumn(table, column));
    }
    return {};
  }

  Result<Group> ReadTable() {
    Group group;
    MERROW_ASSIGN(const uint64_t reference, reader_.Uleb64());
    if (reference == 0) {
      MERROW_ASSIGN(const std::string_view name, reader_.Utf8());
      MERROW_ASSIGN(const uint32_t key_columns, reader_.Uleb32());
      MERROW_ASSIGN(group.context_table, context_.AddTable(name, key_columns));
      MERROW_TRY(ReadColumnNames(group.context_table));
    } else {
      const uint64_t index = (reference - 1) / 2;
      if (index >= context_.tables().size()) return reader_.Fail("a table that was not named");
      group.context_table = static_cast<uint32_t>(index);
      if (reference % 2 == 0) MERROW_TRY(ReadColumnNames(group.context_table));
    }
    const TableNames& names = context_.tables()[group.context_table].names;
    group.key_columns = names.key_columns;
    group.column_of.assign(names.columns.size(), kNoColumn);
    group.table = static_cast<uint32_t>(changeset_.cells.tables.size());
    MERROW_TRY(budget_.TakeName(names.name.size()));
    const auto [found, is_new] = tables_.try_emplace(names.name);
    if (is_new) {
      found->second.index = group.table;
      changeset_.cells.tables.push_back({names.name, {}});
    }
    if (!found->second.key_columns.insert(group.key_columns).second) {
      return reader_.Fail("table " + names.name + ", for the second time,");
    }
    group.table = found->second.index;
    if (!is_new) MERROW_TRY(AdoptColumns(found->second, &group));
    return group;
  }

  // A table that was there with keys of another length: what of it is known has columns already.
  Status AdoptColumns(const NamedTable& table, Group* group) {
    const std::vector<std::string>& listed = changeset_.cells.tables[table.index].columns;
    const auto& index = context_.tables()[group->context_table].column_index;
    // Paid for again, so that doing this often is not free.
    for (uint32_t i = 0; i < listed.size(); ++i) {
      MERROW_TRY(budget_.TakeName(listed[i].size()));
      const auto found = index.find(listed[i]);
      if (found != index.end()) group->column_of[found->second] = i;
    }
    return {};
  }

  Status ReadGroup() {
    MERROW_ASSIGN(Group group, ReadTable());
    Count(&report_.names);
    MERROW_ASSIGN(uint64_t left, reader_.Uleb64());
    if (left == 0) return reader_.Fail("a table without rows");
    MERROW_TRY(budget_.TakeRows(left));
    while (left > 0) {
      MERROW_ASSIGN(const uint32_t shape, reader_.Uleb32());
      if ((shape & ~kShapeFlagsMask) != 0) {
        return OfLaterRelease("a shape of rows " + std::to_string(shape));
      }
      uint64_t run = 1;
      if (left > 1) {
        MERROW_ASSIGN(run, reader_.Uleb64());
        if (run == 0 || run > left) return reader_.Fail("a run of rows that is out of range");
      }
      MERROW_ASSIGN(const std::vector<uint32_t> columns, ReadColumnSet(&group, shape));
      Count(&report_.clocks);
      for (uint64_t i = 0; i < run; ++i) MERROW_TRY(ReadRow(group, shape, columns));
      left -= run;
    }
    return {};
  }

  // Columns of the changeset that the rows of a run have cells in.
  Result<std::vector<uint32_t>> ReadColumnSet(Group* group, uint32_t shape) {
    const uint32_t kind = shape & kShapeKindMask;
    std::vector<uint32_t> columns;
    if (kind == kShapeDocument && shape != kShapeDocument) {
      return reader_.Fail("a shape of documents that makes no sense");
    }
    if (kind == kShapeDeleted || kind == kShapeDocument) return columns;
    const size_t column_count = group->column_of.size();
    if (kind == kShapeAllColumns) {
      for (uint32_t i = 0; i < column_count; ++i) columns.push_back(i);
    } else if (column_count <= kBitmapColumnsMax) {
      MERROW_ASSIGN(const uint64_t bitmap, reader_.Uleb64());
      if ((bitmap >> column_count) != 0) return reader_.Fail("a column that was not named");
      for (uint32_t i = 0; i < column_count; ++i) {
        if ((bitmap >> i & 1) != 0) columns.push_back(i);
      }
    } else {
      MERROW_ASSIGN(const uint64_t count, reader_.Uleb64());
      uint64_t next = 0;
      for (uint64_t i = 0; i < count; ++i) {
        MERROW_ASSIGN(const uint32_t step, reader_.Uleb32());
        if (next + step >= column_count) return reader_.Fail("a column that was not named");
        columns.push_back(static_cast<uint32_t>(next + step));
        next += uint64_t{step} + 1;
      }
    }
    cells::ChangedTable& table = changeset_.cells.tables[group->table];
    for (uint32_t& column : columns) {
      uint32_t& index = group->column_of[column];
      if (index == kNoColumn) {
        index = static_cast<uint32_t>(table.columns.size());
        const std::string& name = context_.tables()[group->context_table].names.columns[column];
        MERROW_TRY(budget_.TakeName(name.size()));
        table.columns.push_back(name);
      }
      column = index;
    }
    return columns;
  }

  Result<Bytes> ReadKey(const Group& group) {
    Bytes key(1, static_cast<char>(group.key_columns));
    for (uint32_t i = 0; i < group.key_columns; ++i) {
      MERROW_ASSIGN(const cells::ValueView value, ReadValue(reader_));
      cells::AppendPackedColumn(value, key);
    }
    Count(&report_.keys);
    return key;
  }

  Result<ChangeClock> ReadClock(uint32_t shape) {
    ChangeClock clock;
    clock.db_version = changeset_.cells.version;
    if ((shape & kShapeRange) != 0) {
      MERROW_ASSIGN(const int64_t age, ReadCount(changeset_.cells.version, "age"));
      clock.db_version -= age;
    }
    if ((shape & kShapeAuthors) != 0) {
      MERROW_ASSIGN(clock.author, reader_.Uleb32());
    }
    clock.seq = next_seq_;
    if ((shape & kShapeSeqs) != 0) {
      MERROW_ASSIGN(const int64_t step, reader_.Zigzag64());
      if (__builtin_add_overflow(next_seq_, step, &clock.seq) || clock.seq < 0 ||
          clock.seq > cells::kCounterMax) {
        return reader_.Fail("a seq out of range");
      }
    }
    next_seq_ = clock.seq + 1;
    return clock;
  }

  Status ReadRow(const Group& group, uint32_t shape, const std::vector<uint32_t>& columns) {
    const uint32_t kind = shape & kShapeKindMask;
    if (kind == kShapeDocument) return ReadDocument(group);
    RowChange row;
    row.table = group.table;
    MERROW_ASSIGN(row.key, ReadKey(group));
    row.cl = kind == kShapeDeleted ? 2 : 1;
    if ((shape & kShapeCl) != 0) {
      MERROW_ASSIGN(row.cl, ReadCount(cells::kCounterMax, "causal length"));
    }
    if (kind == kShapeDeleted || (shape & kShapeSentinel) != 0) {
      MERROW_ASSIGN(row.sentinel, ReadClock(shape));
    }
    Count(&report_.clocks);
    if (columns.size() > budget_.cells) return LimitReached("a frame holds too many cells");
    budget_.cells -= columns.size();
    row.cells.reserve(columns.size());
    for (const uint32_t column : columns) {
      CellChange& cell = row.cells.emplace_back();
      cell.column = column;
      cell.col_version = 1;
      if ((shape & kShapeVersions) != 0) {
        MERROW_ASSIGN(cell.col_version, ReadCount(cells::kCounterMax, "column version"));
      }
      MERROW_ASSIGN(cell.clock, ReadClock(shape));
      Count(&report_.clocks);
      MERROW_ASSIGN(const cells::ValueView value, ReadValue(reader_));
      cell.value = cells::Value(value);
      Count(&report_.values);
    }
    changeset_.cells.rows.push_back(std::move(row));
    return {};
  }

  Status ReadDocument(const Group& group) {
    DocumentChange document;
    document.table = group.table;
    MERROW_ASSIGN(document.key, ReadKey(group));
    MERROW_ASSIGN(const BytesView blocks, reader_.LengthPrefixed());
    document.blocks = blocks;
    Count(&report_.documents);
    changeset_.documents.push_back(std::move(document));
    return {};
  }

  ByteReader& reader_;
  Context& context_;
  Budget& budget_;
  ByteReport& report_;
  Changeset changeset_;
  std::map<std::string, NamedTable, std::less<>> tables_;
  cells::Seq next_seq_ = 0;
  size_t counted_ = reader_.offset();
};

}  // namespace

Result<std::vector<Changeset>> Decoder::Decode(BytesView frame, ByteReport* report) {
  context_.Begin();
  ByteReport bytes;
  Result<std::vector<Changeset>> changesets = DecodeAll(frame, &bytes);
  if (!changesets.ok()) {
    context_.RollBack();
  } else if (report != nullptr) {
    report->framing += bytes.framing;
    report->headers += bytes.headers;
    report->names += bytes.names;
    report->keys += bytes.keys;
    report->clocks += bytes.clocks;
    report->values += bytes.values;
    report->documents += bytes.documents;
  }
  return changesets;
}

Result<std::vector<Changeset>> Decoder::DecodeAll(BytesView bytes, ByteReport* report) {
  MERROW_ASSIGN(const Frame frame, DecodeFrame(bytes, options_));
  if (frame.is_first != context_.sites().empty()) {
    return Corruption(frame.is_first ? "a stream of changesets that starts in the middle"
                                     : "a stream of changesets whose start is missing");
  }
  report->framing = frame.framing_bytes;
  ByteReader reader(frame.payload);
  Budget budget;
  std::vector<Changeset> changesets;
  while (!reader.empty()) {
    MERROW_ASSIGN(Changeset changeset,
                  ChangesetDecoder(reader, &context_, &budget, report).Decode());
    changesets.push_back(std::move(changeset));
  }
  return changesets;
}

}  // namespace merrow::changeset
