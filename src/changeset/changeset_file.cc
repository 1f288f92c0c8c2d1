// SPDX-License-Identifier: Apache-2.0
#include "changeset/changeset_file.h"

#include <iterator>

#include "base/bytes.h"
#include "changeset/changeset_format.h"

namespace merrow::changeset {
namespace {

constexpr BytesView kMagic = "MERROWCS";

// A frame is closed when it has about this many bytes, so that reading one needs little memory.
constexpr size_t kFrameCellsTarget = 1 << 14;
constexpr size_t kFrameBytesTarget = size_t{1} << 20;
constexpr size_t kFrameNamesTarget = 1 << 18;

// How many of `changesets` go into the next frame.
size_t TakeForFrame(std::span<const Changeset> changesets) {
  size_t cells = 0;
  size_t bytes = 0;
  size_t names = 0;
  size_t count = 0;
  while (count < changesets.size() && cells < kFrameCellsTarget && bytes < kFrameBytesTarget &&
         names < kFrameNamesTarget) {
    ++cells;  // so that changesets without rows fill a frame, too
    names += changesets[count].cells.authors.size();
    for (const cells::ChangedTable& table : changesets[count].cells.tables) {
      names += 1 + table.columns.size();
    }
    for (const cells::RowChange& row : changesets[count].cells.rows) {
      cells += row.cells.size() + 1;
      bytes += row.key.size();
      for (const cells::CellChange& cell : row.cells) bytes += cell.value.bytes.size();
    }
    for (const DocumentChange& document : changesets[count].documents) {
      bytes += document.key.size() + document.blocks.size();
    }
    ++count;
  }
  return count;
}

}  // namespace

Result<Bytes> EncodeFile(std::span<const Changeset> changesets, const FrameOptions& options) {
  Encoder encoder({}, options);
  ByteWriter writer;
  writer.Append(kMagic);
  while (!changesets.empty()) {
    const size_t count = TakeForFrame(changesets);
    MERROW_ASSIGN(const Bytes frame, encoder.Encode(changesets.first(count)));
    writer.LengthPrefixed(frame);
    changesets = changesets.subspan(count);
  }
  return writer.Release();
}

Result<std::vector<Changeset>> DecodeFile(BytesView file, const FrameOptions& options,
                                          ByteReport* report) {
  if (file.substr(0, kMagic.size()) != kMagic) return Corruption("this is not a changeset file");
  ByteReader reader(file.substr(kMagic.size()));
  Decoder decoder({}, options);
  std::vector<Changeset> changesets;
  while (!reader.empty()) {
    MERROW_ASSIGN(const BytesView frame, reader.LengthPrefixed());
    MERROW_ASSIGN(std::vector<Changeset> some, decoder.Decode(frame, report));
    changesets.insert(changesets.end(), std::make_move_iterator(some.begin()),
                      std::make_move_iterator(some.end()));
  }
  return changesets;
}

}  // namespace merrow::changeset
