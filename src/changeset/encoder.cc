// SPDX-License-Identifier: Apache-2.0
#include "changeset/encoder.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "changeset/changeset_format.h"
#include "changeset/value_code.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

using cells::CellChange;
using cells::ChangeClock;
using cells::RowChange;

// A row as it will be written: what is predictable about it, and its cells by column of the
// context.
struct Shape {
  uint32_t bits = 0;
  std::vector<uint32_t> columns;  // of the context, ascending; for kShapeColumns

  friend bool operator==(const Shape&, const Shape&) = default;
};

struct PlannedRow {
  const RowChange* row = nullptr;  // null: a document
  const DocumentChange* document = nullptr;
  std::vector<const CellChange*> cells;  // by column of the context
  Shape shape;
};

class ChangesetEncoder {
 public:
  ChangesetEncoder(const Changeset& changeset, Context* context, ByteWriter* writer)
      : changeset_(changeset), context_(*context), writer_(*writer) {}

  Status Encode() {
    MERROW_TRY(WriteHeader());
    // By table, in order of first appearance. One that was made anew with a longer or shorter key
    // can be there with both.
    using TableAndKey = std::pair<uint32_t, unsigned char>;
    std::vector<TableAndKey> order;
    std::map<TableAndKey, std::vector<PlannedRow>> groups;
    const auto group_of = [&](uint32_t table, BytesView key) -> std::vector<PlannedRow>& {
      const TableAndKey name(table, key.empty() ? '\0' : static_cast<unsigned char>(key[0]));
      auto& group = groups[name];
      if (group.empty()) order.push_back(name);
      return group;
    };
    for (const RowChange& row : changeset_.cells.rows) {
      group_of(row.table, row.key).push_back({&row, {}, {}, {}});
    }
    for (const DocumentChange& document : changeset_.documents) {
      group_of(document.table, document.key).push_back({nullptr, &document, {}, {}});
    }
    writer_.Uleb(order.size());
    for (const TableAndKey& name : order) {
      MERROW_TRY(WriteGroup(name.first, name.second, &groups[name]));
    }
    const auto site = context_.FindSite(changeset_.cells.site);
    context_.NoteChangeset(*site, changeset_.cells.version, changeset_.timestamp);
    return {};
  }

 private:
  Status WriteHeader() {
    const cells::Transaction& cells = changeset_.cells;
    const auto known = context_.FindSite(cells.site);
    const cells::DbVersion last = known.has_value() ? context_.sites()[*known].last : 0;
    uint32_t flags = 0;
    if (cells.version != last + 1) flags |= kHeaderVersion;
    if (cells.previous != last) flags |= kHeaderPrevious;
    if (changeset_.timestamp.count != 0) flags |= kHeaderCount;
    if (changeset_.parts != 1) flags |= kHeaderParts;
    if (changeset_.continues) flags |= kHeaderContinues;
    if (cells.authors.size() > 1) flags |= kHeaderAuthors;
    writer_.Uleb(flags);
    MERROW_TRY(WriteSite(cells.site));
    if ((flags & kHeaderVersion) != 0) writer_.Uleb(static_cast<uint64_t>(cells.version));
    if ((flags & kHeaderPrevious) != 0) writer_.Zigzag(cells.version - 1 - cells.previous);
    writer_.Zigzag(changeset_.timestamp.ms - context_.last_timestamp().ms);
    if ((flags & kHeaderCount) != 0) writer_.Uleb(changeset_.timestamp.count);
    if ((flags & kHeaderParts) != 0) {
      writer_.Uleb(changeset_.part);
      writer_.Uleb(changeset_.parts);
    }
    if ((flags & kHeaderAuthors) != 0) {
      writer_.Uleb(cells.authors.size() - 1);
      for (size_t i = 1; i < cells.authors.size(); ++i) MERROW_TRY(WriteSite(cells.authors[i]));
    }
    return {};
  }

  Status WriteSite(const cells::SiteId& site) {
    const auto known = context_.FindSite(site);
    if (known.has_value()) {
      writer_.Uleb(*known + 1);
      return {};
    }
    MERROW_TRY(context_.AddSite(site));
    writer_.Uleb(0);
    writer_.Append(site.view());
    return {};
  }

  // Columns of a group's cells by index of the changeset and of the context.
  struct TablePlan {
    uint32_t context_table = 0;
    uint32_t key_columns = 0;
    std::vector<uint32_t> column_of;  // by column of the changeset
  };

  Result<TablePlan> WriteTable(uint32_t table, uint32_t key_columns) {
    const cells::ChangedTable& names = changeset_.cells.tables[table];
    TablePlan plan;
    plan.key_columns = key_columns;
    const auto known = context_.FindTable(names.name, key_columns);
    if (known.has_value()) {
      plan.context_table = *known;
    } else {
      MERROW_ASSIGN(plan.context_table, context_.AddTable(names.name, key_columns));
    }
    std::vector<std::string_view> added;
    for (const std::string& column : names.columns) {
      const auto& index = context_.tables()[plan.context_table].column_index;
      const auto found = index.find(column);
      if (found != index.end()) {
        plan.column_of.push_back(found->second);
        continue;
      }
      MERROW_ASSIGN(const uint32_t at, context_.AddColumn(plan.context_table, column));
      plan.column_of.push_back(at);
      added.push_back(column);
    }
    if (!known.has_value()) {
      writer_.Uleb(0);
      writer_.LengthPrefixed(names.name);
      writer_.Uleb(key_columns);
    } else {
      writer_.Uleb(2 * uint64_t{plan.context_table} + (added.empty() ? 1 : 2));
      if (added.empty()) return plan;
    }
    writer_.Uleb(added.size());
    for (const std::string_view column : added) writer_.LengthPrefixed(column);
    return plan;
  }

  Status WriteGroup(uint32_t table, uint32_t key_columns, std::vector<PlannedRow>* rows) {
    MERROW_ASSIGN(const TablePlan plan, WriteTable(table, key_columns));
    for (PlannedRow& row : *rows) PlanRow(plan, &row);
    writer_.Uleb(rows->size());
    for (size_t at = 0; at < rows->size();) {
      size_t end = at + 1;
      while (end < rows->size() && (*rows)[end].shape == (*rows)[at].shape) ++end;
      WriteShape(plan, (*rows)[at].shape, rows->size() - at > 1 ? end - at : 0);
      for (; at < end; ++at) MERROW_TRY(WriteRow(plan, (*rows)[at]));
    }
    return {};
  }

  void PlanRow(const TablePlan& plan, PlannedRow* planned) {
    if (planned->document != nullptr) {
      planned->shape.bits = kShapeDocument;
      return;
    }
    const RowChange& row = *planned->row;
    Shape& shape = planned->shape;
    for (const CellChange& cell : row.cells) planned->cells.push_back(&cell);
    std::sort(planned->cells.begin(), planned->cells.end(),
              [&plan](const CellChange* a, const CellChange* b) {
                return plan.column_of[a->column] < plan.column_of[b->column];
              });
    const bool is_alive = cells::IsAlive(row.cl);
    const size_t column_count = context_.tables()[plan.context_table].names.columns.size();
    if (!is_alive) {
      shape.bits = kShapeDeleted;
    } else if (planned->cells.size() != column_count) {
      shape.bits = kShapeColumns;
      for (const CellChange* cell : planned->cells) {
        shape.columns.push_back(plan.column_of[cell->column]);
      }
    }
    if (row.cl != (is_alive ? 1 : 2)) shape.bits |= kShapeCl;
    if (is_alive && row.sentinel.has_value()) shape.bits |= kShapeSentinel;
    const auto note_clock = [&](const ChangeClock& clock) {
      if (clock.seq != next_seq_) shape.bits |= kShapeSeqs;
      if (clock.author != 0) shape.bits |= kShapeAuthors;
      if (clock.db_version != changeset_.cells.version) shape.bits |= kShapeRange;
      next_seq_ = clock.seq + 1;
    };
    if (row.sentinel.has_value()) note_clock(*row.sentinel);
    for (const CellChange* cell : planned->cells) {
      if (cell->col_version != 1) shape.bits |= kShapeVersions;
      note_clock(cell->clock);
    }
  }

  void WriteShape(const TablePlan& plan, const Shape& shape, size_t run) {
    writer_.Uleb(shape.bits);
    if (run > 0) writer_.Uleb(run);
    if ((shape.bits & kShapeKindMask) != kShapeColumns) return;
    const size_t column_count = context_.tables()[plan.context_table].names.columns.size();
    if (column_count <= kBitmapColumnsMax) {
      uint64_t bitmap = 0;
      for (const uint32_t column : shape.columns) bitmap |= uint64_t{1} << column;
      writer_.Uleb(bitmap);
      return;
    }
    writer_.Uleb(shape.columns.size());
    uint32_t next = 0;
    for (const uint32_t column : shape.columns) {
      writer_.Uleb(column - next);
      next = column + 1;
    }
  }

  Status WriteKey(const TablePlan& plan, BytesView key) {
    MERROW_ASSIGN(const std::vector<cells::ValueView> columns, cells::UnpackColumns(key));
    if (columns.size() != plan.key_columns) {
      return InvalidArgument("a key of " + std::to_string(columns.size()) +
                             " columns among some of " + std::to_string(plan.key_columns));
    }
    for (const cells::ValueView& column : columns) WriteValue(column, &writer_);
    return {};
  }

  void WriteClock(uint32_t shape, const ChangeClock& clock) {
    if ((shape & kShapeRange) != 0) {
      writer_.Uleb(static_cast<uint64_t>(changeset_.cells.version - clock.db_version));
    }
    if ((shape & kShapeAuthors) != 0) writer_.Uleb(clock.author);
    if ((shape & kShapeSeqs) != 0) writer_.Zigzag(clock.seq - written_seq_);
    written_seq_ = clock.seq + 1;
  }

  Status WriteRow(const TablePlan& plan, const PlannedRow& planned) {
    if (planned.document != nullptr) {
      MERROW_TRY(WriteKey(plan, planned.document->key));
      writer_.LengthPrefixed(planned.document->blocks);
      return {};
    }
    const RowChange& row = *planned.row;
    const uint32_t shape = planned.shape.bits;
    MERROW_TRY(WriteKey(plan, row.key));
    if ((shape & kShapeCl) != 0) writer_.Uleb(static_cast<uint64_t>(row.cl));
    if (row.sentinel.has_value()) WriteClock(shape, *row.sentinel);
    for (const CellChange* cell : planned.cells) {
      if ((shape & kShapeVersions) != 0) writer_.Uleb(static_cast<uint64_t>(cell->col_version));
      WriteClock(shape, cell->clock);
      WriteValue(cell->value.view(), &writer_);
    }
    return {};
  }

  const Changeset& changeset_;
  Context& context_;
  ByteWriter& writer_;
  cells::Seq next_seq_ = 0;     // expected while planning
  cells::Seq written_seq_ = 0;  // expected while writing
};

// At least what a decoder counts.
size_t NameBytes(const cells::Transaction& cells) {
  size_t bytes = (cells.authors.size() - 1) * (cells::kSiteIdBytes + kNameOverhead);
  for (const cells::ChangedTable& table : cells.tables) {
    bytes += table.name.size() + kNameOverhead;
    for (const std::string& column : table.columns) bytes += column.size() + kNameOverhead;
  }
  return bytes;
}

}  // namespace

Result<Bytes> Encoder::EncodeAll(std::span<const Changeset* const> changesets) {
  const bool is_first = context_.sites().empty();
  ByteWriter writer;
  for (const Changeset* const changeset : changesets) {
    MERROW_TRY(ChangesetEncoder(*changeset, &context_, &writer).Encode());
  }
  return EncodeFrame(writer.bytes(), is_first, options_);
}

Result<Bytes> Encoder::Encode(std::span<const Changeset> changesets) {
  std::vector<const Changeset*> pointers;
  pointers.reserve(changesets.size());
  for (const Changeset& changeset : changesets) pointers.push_back(&changeset);
  return Encode(pointers);
}

Result<Bytes> Encoder::Encode(std::span<const Changeset* const> changesets) {
  size_t rows = 0;
  size_t cells = 0;
  size_t names = 0;
  for (const Changeset* const changeset : changesets) {
    const Status valid = CheckChangeset(*changeset);
    if (!valid.ok()) return InvalidArgument(valid.error().message());
    rows += 1 + changeset->cells.rows.size() + changeset->documents.size();
    for (const RowChange& row : changeset->cells.rows) cells += row.cells.size();
    names += NameBytes(changeset->cells);
  }
  if (rows > kFrameRowsMax || cells > kFrameCellsMax || names > kFrameNamesMax) {
    return LimitReached("a frame of " + std::to_string(rows) + " rows, " + std::to_string(cells) +
                        " cells and " + std::to_string(names) + " bytes of names");
  }
  context_.Begin();
  Result<Bytes> frame = EncodeAll(changesets);
  if (!frame.ok()) context_.RollBack();
  return frame;
}

}  // namespace merrow::changeset
