// SPDX-License-Identifier: Apache-2.0
#include "changeset/changeset_file.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>

#include "base/bytes.h"
#include "changeset/changeset_format.h"

namespace merrow::changeset {
namespace {

constexpr BytesView kMagic = "MERROWCS";
constexpr char kEnd = '\0';

// A frame is closed when it has about this many bytes, so that reading one needs little memory.
constexpr size_t kFrameCellsTarget = 1 << 14;
constexpr size_t kFrameBytesTarget = size_t{1} << 20;
constexpr size_t kFrameNamesTarget = 1 << 18;

// A payload and what is around it.
constexpr size_t kFrameBytesMax = kFramePayloadMax + 64;
constexpr size_t kLengthBytesMax = 10;

}  // namespace

// --- Writing.

Status FileWriter::Add(Changeset changeset) {
  ++cells_;  // so that changesets without rows fill a frame, too
  names_ += changeset.cells.authors.size();
  for (const cells::ChangedTable& table : changeset.cells.tables)
    names_ += 1 + table.columns.size();
  for (const cells::RowChange& row : changeset.cells.rows) {
    cells_ += row.cells.size() + 1;
    bytes_ += row.key.size();
    for (const cells::CellChange& cell : row.cells) bytes_ += cell.value.bytes.size();
  }
  for (const DocumentChange& document : changeset.documents) {
    bytes_ += document.key.size() + document.blocks.size();
  }
  waiting_.push_back(std::move(changeset));
  const bool is_full =
      cells_ >= kFrameCellsTarget || bytes_ >= kFrameBytesTarget || names_ >= kFrameNamesTarget;
  return is_full ? WriteFrame() : Status();
}

Status FileWriter::Finish() {
  MERROW_TRY(WriteFrame());
  return sink_(BytesView(&kEnd, 1));
}

Status FileWriter::Begin() {
  if (has_begun_) return {};
  has_begun_ = true;
  return sink_(kMagic);
}

Status FileWriter::WriteFrame() {
  MERROW_TRY(Begin());
  if (waiting_.empty()) return {};
  MERROW_ASSIGN(const Bytes frame, encoder_.Encode(waiting_));
  ByteWriter writer;
  writer.LengthPrefixed(frame);
  waiting_.clear();
  cells_ = 0;
  bytes_ = 0;
  names_ = 0;
  return sink_(writer.bytes());
}

Result<Bytes> EncodeFile(std::span<const Changeset> changesets, const FrameOptions& options) {
  Bytes file;
  FileWriter writer(
      [&file](BytesView bytes) -> Status {
        file += bytes;
        return {};
      },
      options);
  for (const Changeset& changeset : changesets) MERROW_TRY(writer.Add(changeset));
  MERROW_TRY(writer.Finish());
  return file;
}

// --- Reading.

Result<std::optional<std::vector<Changeset>>> FileReader::Next() {
  if (offset_ == 0) MERROW_TRY(ReadMagic());
  const uint64_t begin = offset_;
  auto changesets = ReadFrame();
  if (changesets.ok()) {
    ++frames_;
    return changesets;
  }
  return changesets.error().Within("frame " + std::to_string(frames_ + 1) + ", at offset " +
                                   std::to_string(begin));
}

Status FileReader::ReadMagic() {
  char magic[kMagic.size()];
  const Status read = ReadExactly(magic, sizeof(magic));
  if (!read.ok() && read.error().code() != ErrorCode::kCorruption) return read;
  if (!read.ok() || BytesView(magic, sizeof(magic)) != kMagic) {
    return Corruption("this is not a changeset file");
  }
  if (report_ != nullptr) report_->framing += kMagic.size();
  return {};
}

Result<std::optional<std::vector<Changeset>>> FileReader::ReadFrame() {
  const uint64_t begin = offset_;
  MERROW_ASSIGN(const uint64_t length, ReadLength());
  if (report_ != nullptr) report_->framing += offset_ - begin;
  if (length == 0) {
    char more = 0;
    MERROW_ASSIGN(const size_t count, source_(&more, 1));
    if (count != 0) return Corruption("there is something behind the end of the file");
    return std::optional<std::vector<Changeset>>();
  }
  if (length > kFrameBytesMax) {
    return LimitReached("it states " + std::to_string(length) + " bytes, above " +
                        std::to_string(kFrameBytesMax));
  }
  frame_.resize(static_cast<size_t>(length));
  MERROW_TRY(ReadExactly(frame_.data(), frame_.size()));
  MERROW_ASSIGN(std::vector<Changeset> changesets, decoder_.Decode(frame_, report_));
  return std::optional(std::move(changesets));
}

Result<uint64_t> FileReader::ReadLength() {
  Bytes bytes;
  do {
    char byte = 0;
    MERROW_TRY(ReadExactly(&byte, 1));
    bytes.push_back(byte);
  } while ((bytes.back() & 0x80) != 0 && bytes.size() < kLengthBytesMax);
  return ByteReader(bytes).Uleb64();
}

Status FileReader::ReadExactly(char* into, size_t size) {
  while (size > 0) {
    MERROW_ASSIGN(const size_t count, source_(into, size));
    if (count == 0) {
      return Corruption("the file is cut off after " + std::to_string(offset_) + " bytes");
    }
    offset_ += count;
    into += count;
    size -= count;
  }
  return {};
}

FileReader::Source SourceOf(BytesView file) {
  return [rest = file](char* into, size_t size) mutable -> Result<size_t> {
    const size_t count = std::min(size, rest.size());
    if (count > 0) std::memcpy(into, rest.data(), count);
    rest.remove_prefix(count);
    return count;
  };
}

Result<std::vector<Changeset>> DecodeFile(BytesView file, const FrameOptions& options,
                                          ByteReport* report) {
  FileReader reader(SourceOf(file), options, report);
  std::vector<Changeset> changesets;
  while (true) {
    MERROW_ASSIGN(auto some, reader.Next());
    if (!some.has_value()) return changesets;
    changesets.insert(changesets.end(), std::make_move_iterator(some->begin()),
                      std::make_move_iterator(some->end()));
  }
}

}  // namespace merrow::changeset
