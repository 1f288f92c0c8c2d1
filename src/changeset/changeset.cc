// SPDX-License-Identifier: Apache-2.0
#include "changeset/changeset.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_set>

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

// About how long a row is when it is encoded.
size_t EstimatedBytes(const RowChange& row) {
  size_t bytes = row.key.size() + 2;
  for (const cells::CellChange& cell : row.cells) bytes += cell.value.bytes.size() + 4;
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

// Appends the rows of `from` to `into`, whose tables and authors may be numbered otherwise.
class Merger {
 public:
  explicit Merger(Changeset* into) : into_(*into) {
    const cells::Transaction& cells = into_.cells;
    for (uint32_t i = 0; i < cells.authors.size(); ++i) authors_.emplace(cells.authors[i], i);
    for (uint32_t i = 0; i < cells.tables.size(); ++i) {
      tables_.emplace(cells.tables[i].name, i);
      columns_.emplace_back();
      for (const std::string& column : cells.tables[i].columns) {
        columns_[i].emplace(column, static_cast<uint32_t>(columns_[i].size()));
      }
    }
  }

  void Append(Changeset from) {
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
      into_.cells.rows.push_back(std::move(row));
    }
    for (DocumentChange& document : from.documents) {
      document.table = tables[document.table];
      into_.documents.push_back(std::move(document));
    }
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
  return CheckDocuments(changeset);
}

std::vector<Changeset> SplitChangeset(Changeset changeset, size_t bytes_target) {
  MERROW_CHECK(changeset.parts == 1);
  std::vector<Changeset> parts;
  size_t bytes = 0;
  // The part that takes an item of `size` bytes.
  const auto part_for = [&](size_t size) -> Changeset& {
    const bool is_full = bytes > 0 && bytes + size > bytes_target && parts.size() < kPartsMax;
    if (parts.empty() || is_full) {
      parts.push_back(EmptyPart(changeset));
      bytes = 0;
    }
    bytes += size;
    return parts.back();
  };
  for (RowChange& row : changeset.cells.rows) {
    part_for(EstimatedBytes(row)).cells.rows.push_back(std::move(row));
  }
  for (DocumentChange& document : changeset.documents) {
    part_for(EstimatedBytes(document)).documents.push_back(std::move(document));
  }
  if (parts.empty()) parts.push_back(EmptyPart(changeset));
  for (uint32_t i = 0; i < parts.size(); ++i) {
    parts[i].part = i;
    parts[i].parts = static_cast<uint32_t>(parts.size());
  }
  return parts;
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
  for (size_t i = 1; i < parts.size(); ++i) merger.Append(std::move(parts[i]));
  return whole;
}

}  // namespace merrow::changeset
