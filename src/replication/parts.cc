// SPDX-License-Identifier: Apache-2.0
#include "replication/parts.h"

#include <xxhash.h>

#include "base/bytes.h"

namespace merrow::replication {
namespace {

constexpr size_t kHeaderBytes = 24;
constexpr size_t kRowBytes = 3;
constexpr size_t kCellBytes = 4;

// A hash of everything that was appended since the last Cut and of the hash before, so that large
// changesets are not copied as a whole.
class RunningHash {
 public:
  ByteWriter& writer() { return writer_; }
  void Cut() {
    const Bytes bytes = writer_.Release();
    hash_ = XXH64(bytes.data(), bytes.size(), hash_);
    writer_ = ByteWriter();
  }
  uint64_t hash() const { return hash_; }

 private:
  ByteWriter writer_;
  uint64_t hash_ = 0;
};

void AppendClock(const cells::ChangeClock& clock, ByteWriter& writer) {
  writer.Zigzag(clock.db_version);
  writer.Zigzag(clock.seq);
  writer.Uleb(clock.author);
}

}  // namespace

size_t EstimatedBytes(const changeset::Changeset& changeset) {
  size_t bytes = kHeaderBytes;
  for (const cells::RowChange& row : changeset.cells.rows) {
    bytes += kRowBytes + row.key.size();
    for (const cells::CellChange& cell : row.cells) bytes += kCellBytes + cell.value.bytes.size();
  }
  for (const changeset::DocumentChange& document : changeset.documents) {
    bytes += kRowBytes + document.key.size() + document.blocks.size();
  }
  return bytes;
}

size_t MemoryBytes(const changeset::Changeset& changeset) {
  const cells::Transaction& cells = changeset.cells;
  size_t bytes = sizeof(changeset::Changeset) + cells.authors.size() * sizeof(cells::SiteId);
  for (const cells::ChangedTable& table : cells.tables) {
    bytes += sizeof(table) + table.name.capacity() + table.columns.size() * sizeof(std::string);
  }
  for (const cells::RowChange& row : cells.rows) {
    bytes += sizeof(row) + row.key.capacity() + row.cells.size() * sizeof(cells::CellChange);
    for (const cells::CellChange& cell : row.cells) bytes += cell.value.bytes.capacity();
  }
  for (const changeset::DocumentChange& document : changeset.documents) {
    bytes += sizeof(document) + document.key.capacity() + document.blocks.capacity();
  }
  return bytes;
}

uint64_t NameOfSplit(const changeset::Changeset& changeset, size_t bytes_target) {
  const cells::Transaction& cells = changeset.cells;
  RunningHash hash;
  ByteWriter& writer = hash.writer();
  writer.Uleb(bytes_target);
  writer.Append(cells.site.view());
  writer.Zigzag(cells.previous);
  writer.Zigzag(cells.version);
  writer.Zigzag(changeset.timestamp.ms);
  writer.Uleb(changeset.timestamp.count);
  for (const cells::ChangedTable& table : cells.tables) {
    writer.LengthPrefixed(table.name);
    writer.Uleb(table.columns.size());
    for (const std::string& column : table.columns) writer.LengthPrefixed(column);
  }
  for (const cells::SiteId& author : cells.authors) writer.Append(author.view());
  hash.Cut();
  for (const cells::RowChange& row : cells.rows) {
    writer.Uleb(row.table);
    writer.LengthPrefixed(row.key);
    writer.Zigzag(row.cl);
    writer.U8(row.sentinel.has_value() ? 1 : 0);
    if (row.sentinel.has_value()) AppendClock(*row.sentinel, writer);
    for (const cells::CellChange& cell : row.cells) {
      writer.Uleb(cell.column);
      writer.Zigzag(cell.col_version);
      AppendClock(cell.clock, writer);
      writer.U8(static_cast<uint8_t>(cell.value.type));
      writer.Zigzag(cell.value.integer);
      writer.F64Le(cell.value.real);
      writer.LengthPrefixed(cell.value.bytes);
    }
    hash.Cut();
  }
  for (const changeset::DocumentChange& document : changeset.documents) {
    writer.Uleb(document.table);
    writer.LengthPrefixed(document.key);
    writer.LengthPrefixed(document.blocks);
    hash.Cut();
  }
  return hash.hash() == 0 ? 1 : hash.hash();
}

}  // namespace merrow::replication
