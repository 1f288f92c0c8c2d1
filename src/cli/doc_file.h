// SPDX-License-Identifier: Apache-2.0
//
// What the `merrow doc` and `merrow changes` tools share: reading blobs from files, opening them as
// far as their change blocks without importing them, and printing what they hold.
//
// Nothing in a file is trusted. What is printed of it is escaped, so that a document cannot drive
// the terminal, and cut, so that a long value stays one line.

#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/envelope.h"
#include "loro/snapshot.h"
#include "merrow/document.h"
#include "merrow/result.h"

namespace merrow::cli {

/// Members stay in the order in which they were added.
using OrderedJson = nlohmann::ordered_json;

/// The streams of one command.
struct DocIo {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

/// Larger files are refused.
inline constexpr size_t kDocFileBytesMax = size_t{4} << 30;
/// Bytes that a preview of a value takes on a line, about.
inline constexpr size_t kPreviewBytes = 60;

// --- Printing ---

/// JSON text with all that could act on a terminal as \u escapes: controls that JSON leaves as they
/// are (DEL, C1) and marks that reorder text. They occur in strings only, so the JSON stays the
/// same. REQUIRES: well-formed UTF-8.
std::string EscapeControls(std::string_view json);
/// `text`, which may be any bytes, without controls and without quotes around it.
std::string Printable(std::string_view text);
/// `text` as a JSON string, cut to about kPreviewBytes. REQUIRES: well-formed UTF-8.
std::string PreviewText(std::string_view text);
/// `json` on one line, cut to about kPreviewBytes, however long or deep it is.
std::string PreviewJson(const nlohmann::json& json);
std::string PreviewValue(const loro::Value& value);
/// The container's id text, printable, a long name cut.
std::string PreviewContainer(const loro::ContainerId& container);
/// "3 ops", "1 op".
std::string Counted(uint64_t count, std::string_view noun);
/// "map set", "text insert", ...
std::string_view OpKindName(loro::OpKind kind);
/// "2026-01-31T12:00:00Z"; the number itself for years that have no four digits.
std::string FormatTimestamp(int64_t unix_seconds);

/// Rows in aligned columns: the first to the left, the others to the right.
class TextTable {
 public:
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Runs a command and flushes what it printed; its error goes to `io.err`. The exit code: 0, or 1
/// after an error.
int RunTool(DocIo& io, const std::function<Status()>& command);

// --- Reading and writing ---

/// `file` as messages name it.
std::string InputName(const std::string& file);

/// The bytes of `file`; of standard input if it is "-".
Result<Bytes> ReadDocFile(const std::string& file, DocIo& io);

/// Writes a file; "-" is standard output. One that exists is replaced when all is written, and not
/// before.
Status WriteDocFile(const std::string& file, BytesView bytes, DocIo& io);

/// Invalid argument if "-" is there twice.
Status CheckInputs(const std::vector<std::string>& files);

/// A blob taken apart.
struct DocFile {
  struct Block {
    BytesView bytes;
    uint64_t offset = 0;  // in the file, of an update's block
    loro::Id first;       // of a snapshot's block
  };

  std::string name;  // printable
  std::shared_ptr<const Bytes> bytes;
  loro::EncodeMode mode = loro::EncodeMode::kFastUpdates;
  std::vector<Block> blocks;
  uint64_t ops_max = loro::kImportOpsFree;  // and one for each byte of the blocks
  loro::SnapshotParts parts;                // empty unless a snapshot
  std::vector<size_t> section_bytes;  // of a snapshot: change store, state store, shallow root

  bool is_snapshot() const { return mode == loro::EncodeMode::kFastSnapshot; }

  /// `error` with the file and the block in front.
  Error Within(const Block& block, const Error& error) const;
  /// Adds the block's ops to `*ops`, the number of those decoded before. Limit if that is more than
  /// an import of such a file takes: few bytes can state many ops.
  Result<loro::ChangeBlock> Decode(const Block& block, uint64_t* ops) const;
};

/// Blocks are not looked into yet. Errors name the file and the place in it.
Result<DocFile> OpenDocFile(const std::string& file, DocIo& io);

/// Imports `files` into `doc`, in order. Of the atoms that stayed parked, the spans.
Result<std::vector<loro::IdSpan>> ImportDocFiles(const std::vector<std::string>& files, DocIo& io,
                                                 loro::Document* doc);
/// "[3, 5) of peer 1, ...", cut.
std::string FormatSpans(const std::vector<loro::IdSpan>& spans);

}  // namespace merrow::cli
