// SPDX-License-Identifier: Apache-2.0
//
// Changeset file: changesets on disk, to be sent by mail, kept as a backup or put in an object
// store.
//
//   file = "MERROWCS" | ( uleb length | frame ) * | 00
//
// The frames are one stream with a context of its own (changeset_format.h), so a file stands alone.
// The length 0 at the end shows that nothing was cut off. DO NOT CHANGE: in files.
//
// Files are as large as databases, so neither end holds more than a frame in memory. The parts of a
// changeset follow each other, so that whoever reads a file has to keep those of one at a time.

#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "changeset/decoder.h"
#include "changeset/encoder.h"

namespace merrow::changeset {

class FileWriter {
 public:
  /// Takes the bytes of the file, in order.
  using Sink = std::function<Status(BytesView)>;

  explicit FileWriter(Sink sink, FrameOptions options = {})
      : sink_(std::move(sink)), encoder_({}, options) {}

  /// The next changeset. Errors are the sink's or as Encoder::Encode; then the file is no good.
  Status Add(Changeset changeset);
  /// After the last one.
  Status Finish();

 private:
  Status Begin();
  Status WriteFrame();

  const Sink sink_;
  Encoder encoder_;
  bool has_begun_ = false;
  std::vector<Changeset> waiting_;  // for their frame to be full
  size_t cells_ = 0;                // in it
  size_t bytes_ = 0;
  size_t names_ = 0;
};

class FileReader {
 public:
  /// Puts the next bytes of the file there, at most `size`. How many; 0 only at its end.
  using Source = std::function<Result<size_t>(char* into, size_t size)>;

  /// Adds where the bytes go to `report`, if there is one.
  explicit FileReader(Source source, FrameOptions options = {}, ByteReport* report = nullptr)
      : source_(std::move(source)), decoder_({}, options), report_(report) {}

  /// The changesets of the next frame, which may be none. Nothing at the end of the file. Errors
  /// are the source's or as Decoder::Decode, and name the frame and where it stands.
  Result<std::optional<std::vector<Changeset>>> Next();

  /// How many bytes were read.
  uint64_t offset() const { return offset_; }

 private:
  Result<std::optional<std::vector<Changeset>>> ReadFrame();
  Status ReadMagic();
  Result<uint64_t> ReadLength();
  Status ReadExactly(char* into, size_t size);

  const Source source_;
  Decoder decoder_;
  ByteReport* const report_;
  uint64_t offset_ = 0;
  uint64_t frames_ = 0;
  Bytes frame_;
};

/// The changesets as a file. Errors as Encoder::Encode.
Result<Bytes> EncodeFile(std::span<const Changeset> changesets, const FrameOptions& options = {});

/// A file that lies in memory, which must outlive what reads it.
FileReader::Source SourceOf(BytesView file);

/// All changesets of a file. Errors as Decoder::Decode; nothing of a damaged file is returned.
Result<std::vector<Changeset>> DecodeFile(BytesView file, const FrameOptions& options = {},
                                          ByteReport* report = nullptr);

}  // namespace merrow::changeset
