// SPDX-License-Identifier: Apache-2.0
#include "changeset/changeset.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/bytes.h"
#include "changeset/changeset_format.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

using cells::RowChange;

Status CheckClocks(const cells::Transaction& cells) {
  const auto check = [&cells](const cells::ChangeClock& clock) -> Status {
    if (clock.db_version > cells.previous && clock.db_version <= cells.version) return {};
    return Corruption("db_version " + std::to_string(clock.db_version) + " is outside (" +
                      std::to_string(cells.previous) + ", " + std::to_string(cells.version) + "]");
  };
  for (const RowChange& row : cells.rows) {
    if (row.sentinel.has_value()) MERROW_TRY(check(*row.sentinel));
    for (const cells::CellChange& cell : row.cells) MERROW_TRY(check(cell.clock));
  }
  return {};
}

Status CheckNames(const std::vector<cells::ChangedTable>& tables) {
  std::unordered_set<std::string_view> seen;
  for (const cells::ChangedTable& table : tables) {
    if (!seen.insert(table.name).second) {
      return Corruption("table " + table.name + " is listed twice");
    }
  }
  return {};
}

Status CheckDocuments(const Changeset& changeset) {
  for (const DocumentChange& document : changeset.documents) {
    if (document.table >= changeset.cells.tables.size()) {
      return Corruption("table " + std::to_string(document.table) + " is not listed");
    }
    if (document.key.empty()) return Corruption("a document has no key");
    if (document.blocks.empty()) return Corruption("a changed document has no change blocks");
  }
  return {};
}

Status CheckContinues(const Changeset& changeset) {
  if (!changeset.continues) return {};
  if (changeset.part + 1 >= changeset.parts) {
    return Corruption("the last part of a changeset goes on");
  }
  if (changeset.cells.rows.size() + changeset.documents.size() != 1) {
    return Corruption("a part that goes on has " + std::to_string(changeset.cells.rows.size()) +
                      " rows and " + std::to_string(changeset.documents.size()) + " documents");
  }
  return {};
}

// About how long things are when they are encoded.
size_t EstimatedBytes(const cells::CellChange& cell) { return cell.value.bytes.size() + 4; }

size_t EstimatedBytes(const RowChange& row) {
  size_t bytes = row.key.size() + 2;
  for (const cells::CellChange& cell : row.cells) bytes += EstimatedBytes(cell);
  return bytes;
}

size_t EstimatedBytes(const DocumentChange& document) {
  return document.key.size() + document.blocks.size() + 4;
}

// A part without rows. Tables and authors stay as they are: encoding sends only what a context does
// not have.
Changeset EmptyPart(const Changeset& whole) {
  Changeset part;
  part.cells.site = whole.cells.site;
  part.cells.version = whole.cells.version;
  part.cells.previous = whole.cells.previous;
  part.cells.tables = whole.cells.tables;
  part.cells.authors = whole.cells.authors;
  part.timestamp = whole.timestamp;
  return part;
}

bool AreOfOneChangeset(const Changeset& a, const Changeset& b) {
  return a.cells.site == b.cells.site && a.cells.version == b.cells.version &&
         a.cells.previous == b.cells.previous && a.timestamp == b.timestamp && a.parts == b.parts;
}

// Deals rows and documents out to parts.
class Splitter {
 public:
  Splitter(const Changeset& whole, size_t bytes_target)
      : whole_(whole), bytes_target_(std::max<size_t>(bytes_target, 1)) {}

  void Add(RowChange row) {
    const size_t bytes = EstimatedBytes(row);
    PartFor(bytes, row.cells.size()).cells.rows.push_back(std::move(row));
  }
  void Add(DocumentChange document) {
    const size_t bytes = EstimatedBytes(document);
    PartFor(bytes, 0).documents.push_back(std::move(document));
  }

  // The same, but what is larger than a part is cut.
  void Cut(RowChange row) {
    std::vector<RowChange> pieces;
    if (EstimatedBytes(row) > bytes_target_) pieces = PiecesOf(row);
    if (pieces.size() < 2 || !HasRoomFor(pieces.size())) return Add(std::move(row));
    for (size_t i = 0; i < pieces.size(); ++i) {
      Changeset& part = PartOfItsOwn(i + 1 < pieces.size());
      part.cells.rows.push_back(std::move(pieces[i]));
    }
  }
  void Cut(DocumentChange document) {
    const size_t count = (document.blocks.size() + bytes_target_ - 1) / bytes_target_;
    if (count < 2 || !HasRoomFor(count)) return Add(std::move(document));
    for (size_t i = 0; i < count; ++i) {
      Changeset& part = PartOfItsOwn(i + 1 < count);
      part.documents.push_back(
          {document.table, document.key, document.blocks.substr(i * bytes_target_, bytes_target_)});
    }
  }

  std::vector<Changeset> Finish() {
    if (parts_.empty()) parts_.push_back(EmptyPart(whole_));
    for (uint32_t i = 0; i < parts_.size(); ++i) {
      parts_[i].part = i;
      parts_[i].parts = static_cast<uint32_t>(parts_.size());
    }
    return std::move(parts_);
  }

 private:
  // Well below what a frame takes, since a frame has more than one part at times.
  static constexpr size_t kPartRowsMax = kFrameRowsMax / 4;
  static constexpr size_t kPartCellsMax = kFrameCellsMax / 4;

  Changeset& PartFor(size_t bytes, size_t cells) {
    const bool is_full = rows_ > 0 && (bytes_ + bytes > bytes_target_ || rows_ >= kPartRowsMax ||
                                       cells_ + cells > kPartCellsMax);
    if (parts_.empty() || is_closed_ || (is_full && HasRoomFor(1))) NewPart();
    bytes_ += bytes;
    cells_ += cells;
    ++rows_;
    return parts_.back();
  }

  Changeset& PartOfItsOwn(bool continues) {
    NewPart();
    is_closed_ = true;
    parts_.back().continues = continues;
    return parts_.back();
  }

  // One stays for what comes behind pieces.
  bool HasRoomFor(size_t parts) const { return parts_.size() + parts < kPartsMax; }

  void NewPart() {
    parts_.push_back(EmptyPart(whole_));
    is_closed_ = false;
    bytes_ = 0;
    cells_ = 0;
    rows_ = 0;
  }

  // Each is about as large as a part, and has several cells or some bytes of one.
  std::vector<RowChange> PiecesOf(const RowChange& row) const {
    std::vector<RowChange> pieces;
    const auto new_piece = [&] { pieces.push_back({row.table, row.key, row.cl, {}, {}}); };
    new_piece();
    pieces.back().sentinel = row.sentinel;
    size_t bytes = 0;
    bool is_cut = false;
    for (const cells::CellChange& cell : row.cells) {
      const Bytes& value = cell.value.bytes;
      const bool is_first = pieces.size() == 1 && pieces[0].cells.empty();
      if (value.size() <= bytes_target_) {
        bytes += EstimatedBytes(cell);
        if (is_cut || (bytes > bytes_target_ && !is_first)) {
          new_piece();
          bytes = EstimatedBytes(cell);
          is_cut = false;
        }
        pieces.back().cells.push_back(cell);
        continue;
      }
      for (size_t at = 0; at < value.size(); at += bytes_target_) {
        if (at > 0 || !is_first || row.sentinel.has_value()) new_piece();
        cells::CellChange piece{cell.column, cell.col_version, {}, cell.clock};
        piece.value.type = cell.value.type;
        piece.value.bytes = value.substr(at, bytes_target_);
        pieces.back().cells.push_back(std::move(piece));
      }
      is_cut = true;
    }
    return pieces;
  }

  const Changeset& whole_;
  const size_t bytes_target_;
  std::vector<Changeset> parts_;
  bool is_closed_ = false;
  // In the last part:
  size_t bytes_ = 0;
  size_t cells_ = 0;
  size_t rows_ = 0;
};

// Appends the rows of `from` to `into`, whose tables and authors may be numbered otherwise.
class Merger {
 public:
  explicit Merger(Changeset* into) : into_(*into) {
    const cells::Transaction& cells = into_.cells;
    last_is_document_ = !into_.documents.empty();
    for (uint32_t i = 0; i < cells.authors.size(); ++i) authors_.emplace(cells.authors[i], i);
    for (uint32_t i = 0; i < cells.tables.size(); ++i) {
      tables_.emplace(cells.tables[i].name, i);
      columns_.emplace_back();
      for (const std::string& column : cells.tables[i].columns) {
        columns_[i].emplace(column, static_cast<uint32_t>(columns_[i].size()));
      }
    }
  }

  // `goes_on`: what is in it goes on with the last row or document of the part before.
  Status Append(Changeset from, bool goes_on) {
    std::vector<uint32_t> tables;
    std::vector<std::vector<uint32_t>> columns;
    for (const cells::ChangedTable& table : from.cells.tables) {
      const uint32_t into = IndexOfTable(table.name);
      tables.push_back(into);
      columns.emplace_back();
      for (const std::string& column : table.columns) {
        columns.back().push_back(
            IndexOf(column, &columns_[into], &into_.cells.tables[into].columns));
      }
    }
    std::vector<uint32_t> authors;
    for (const cells::SiteId& author : from.cells.authors) {
      authors.push_back(IndexOf(author, &authors_, &into_.cells.authors));
    }
    for (RowChange& row : from.cells.rows) {
      if (row.sentinel.has_value()) row.sentinel->author = authors[row.sentinel->author];
      for (cells::CellChange& cell : row.cells) {
        cell.column = columns[row.table][cell.column];
        cell.clock.author = authors[cell.clock.author];
      }
      row.table = tables[row.table];
    }
    for (DocumentChange& document : from.documents) document.table = tables[document.table];
    if (goes_on) return GoOn(std::move(from));
    last_is_document_ = !from.documents.empty();
    std::move(from.cells.rows.begin(), from.cells.rows.end(), std::back_inserter(into_.cells.rows));
    std::move(from.documents.begin(), from.documents.end(), std::back_inserter(into_.documents));
    return {};
  }

 private:
  // By name or id. Parts come from others and may name very many, so nothing is searched for.
  template <typename T>
  using Index = std::map<T, uint32_t>;

  template <typename T>
  static uint32_t IndexOf(const T& item, Index<T>* index, std::vector<T>* list) {
    const auto [found, is_new] = index->emplace(item, static_cast<uint32_t>(list->size()));
    if (is_new) list->push_back(item);
    return found->second;
  }

  Status GoOn(Changeset from) {
    const Error does_not = Corruption("a part does not go on where the one before ends");
    auto& rows = into_.cells.rows;
    if (from.cells.rows.size() + from.documents.size() != 1) return does_not;
    if (!from.documents.empty()) {
      DocumentChange& more = from.documents[0];
      if (!last_is_document_ || into_.documents.back().table != more.table ||
          into_.documents.back().key != more.key) {
        return does_not;
      }
      into_.documents.back().blocks += more.blocks;
      return {};
    }
    RowChange& more = from.cells.rows[0];
    if (last_is_document_ || rows.back().table != more.table || rows.back().key != more.key ||
        rows.back().cl != more.cl || more.sentinel.has_value()) {
      return does_not;
    }
    return GoOn(std::move(more.cells), &rows.back().cells) ? Status() : does_not;
  }

  static bool GoOn(std::vector<cells::CellChange> more, std::vector<cells::CellChange>* cells) {
    if (more.size() != 1 || cells->empty() || cells->back().column != more[0].column) {
      std::move(more.begin(), more.end(), std::back_inserter(*cells));
      return true;
    }
    cells::CellChange& cell = cells->back();
    const bool has_bytes =
        cell.value.type == cells::ValueType::kText || cell.value.type == cells::ValueType::kBlob;
    if (!has_bytes || cell.value.type != more[0].value.type ||
        cell.col_version != more[0].col_version || cell.clock != more[0].clock) {
      return false;
    }
    cell.value.bytes += more[0].value.bytes;
    return true;
  }

  uint32_t IndexOfTable(const std::string& name) {
    auto& tables = into_.cells.tables;
    const auto [found, is_new] = tables_.emplace(name, static_cast<uint32_t>(tables.size()));
    if (is_new) {
      tables.push_back({name, {}});
      columns_.emplace_back();
    }
    return found->second;
  }

  Changeset& into_;
  bool last_is_document_ = false;  // of what was appended last
  Index<std::string> tables_;
  std::vector<Index<std::string>> columns_;  // by table
  Index<cells::SiteId> authors_;
};

}  // namespace

Status CheckChangeset(const Changeset& changeset) {
  const cells::Transaction& cells = changeset.cells;
  if (cells.version < 1 || cells.version > cells::kDbVersionMax || cells.previous < 0 ||
      cells.previous >= cells.version) {
    return Corruption("the versions (" + std::to_string(cells.previous) + ", " +
                      std::to_string(cells.version) + "] make no sense");
  }
  const int64_t ms = changeset.timestamp.ms;
  if (ms < -kTimestampMsMax || ms > kTimestampMsMax) {
    return Corruption("a timestamp of " + std::to_string(ms) + " ms makes no sense");
  }
  if (changeset.parts < 1 || changeset.parts > kPartsMax || changeset.part >= changeset.parts) {
    return Corruption("part " + std::to_string(changeset.part) + " of " +
                      std::to_string(changeset.parts) + " makes no sense");
  }
  MERROW_TRY(CheckNames(cells.tables));
  MERROW_TRY(cells::CheckTransaction(cells));
  MERROW_TRY(CheckClocks(cells));
  MERROW_TRY(CheckDocuments(changeset));
  return CheckContinues(changeset);
}

std::vector<Changeset> SplitChangeset(Changeset changeset, size_t bytes_target) {
  MERROW_CHECK(changeset.parts == 1);
  Splitter splitter(changeset, bytes_target);
  for (RowChange& row : changeset.cells.rows) splitter.Cut(std::move(row));
  for (DocumentChange& document : changeset.documents) splitter.Cut(std::move(document));
  return splitter.Finish();
}

std::vector<Changeset> SplitBetweenRows(Changeset changeset, size_t bytes_target) {
  MERROW_CHECK(changeset.parts == 1);
  Splitter splitter(changeset, bytes_target);
  for (RowChange& row : changeset.cells.rows) splitter.Add(std::move(row));
  for (DocumentChange& document : changeset.documents) splitter.Add(std::move(document));
  return splitter.Finish();
}

Result<Changeset> JoinParts(std::vector<Changeset> parts) {
  if (parts.empty()) return Corruption("no parts to join");
  std::sort(parts.begin(), parts.end(),
            [](const Changeset& a, const Changeset& b) { return a.part < b.part; });
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!AreOfOneChangeset(parts[i], parts[0])) {
      return Corruption("parts of different changesets cannot be joined");
    }
    if (parts[i].part != i || parts[i].parts != parts.size()) {
      return Corruption("of " + std::to_string(parts[i].parts) + " parts " +
                        std::to_string(parts.size()) + " are there, or one twice");
    }
  }
  Changeset whole = std::move(parts[0]);
  whole.part = 0;
  whole.parts = 1;
  Merger merger(&whole);
  bool goes_on = std::exchange(whole.continues, false);
  for (size_t i = 1; i < parts.size(); ++i) {
    const bool next_goes_on = parts[i].continues;
    MERROW_TRY(merger.Append(std::move(parts[i]), std::exchange(goes_on, next_goes_on)));
  }
  // Cells of one row came apart, and may be there twice.
  MERROW_TRY(cells::CheckTransaction(whole.cells));
  return whole;
}

}  // namespace merrow::changeset
