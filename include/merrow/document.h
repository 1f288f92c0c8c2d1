// SPDX-License-Identifier: Apache-2.0
//
// Document: one Loro document, the facade of this layer. It joins the op log (what happened, as
// verbatim change blocks), the DAG of changes (what followed what) and the state (what it looks
// like now), and keeps them in step.
//
// Invariants:
//   (1) The state is that of the op log's version plus the local ops that are not committed yet.
//   (2) Equal sets of ops give equal states, in whatever order and grouping they arrived.
//   (3) An import or edit that fails leaves everything as it was.
//
// Thread-compatible: const methods may run concurrently, except with a non-const one.

#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/bytes.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

/// A blob may hold this many ops, and one more for each of its bytes.
inline constexpr size_t kImportOpsFree = size_t{1} << 18;
/// What else a blob holds (names, dependencies, tree positions) may take this much memory, and this
/// many times its size.
inline constexpr size_t kImportBytesFree = size_t{64} << 20;
inline constexpr size_t kImportBytesFactor = 32;

/// What an import did, by peer.
struct ImportStatus {
  std::vector<IdSpan> success;  // newly part of the document
  std::vector<IdSpan> pending;  // of the blob, what is parked because its dependencies are missing
  std::vector<ContainerId>
      changed;  // containers that ops of `success` belong to, in no special order
};

/// Unit of a text position.
enum class TextUnit { kUnicode, kUtf16 };

/// At which edges a mark takes in what is inserted there.
enum class StyleExpand { kNone, kBefore, kAfter, kBoth };

class Document {
 public:
  /// An empty document whose local edits will be `peer`'s.
  explicit Document(PeerId peer);
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  PeerId peer() const;
  /// Commits, then makes later local edits `peer`'s. Invalid argument if `peer` is kNoPeer.
  Status SetPeer(PeerId peer);

  // --- Exchange ---

  /// Merges a FastUpdates or FastSnapshot blob from anywhere. Of a snapshot only the history is
  /// taken: the state follows from it. Corruption or invalid argument if it is not intact or its
  /// ops do not apply, limit if too much would be parked. Commits local edits first.
  /// A failure leaves the document as it was, except that ops parked before are forgotten, or else
  /// broken.
  Result<ImportStatus> Import(BytesView blob);

  /// Takes over a snapshot that ExportSnapshot made, with its state as it is, which is faster.
  /// Corruption if it does not decode. REQUIRES: the document is empty; the snapshot is trusted.
  Result<ImportStatus> Load(BytesView snapshot);

  /// An import failed and the state before could not be derived again, because an op in the history
  /// does not apply. Nothing can be imported or edited any more; load the document anew.
  bool is_broken() const;

  /// A FastUpdates blob with what `from` lacks. Commits first.
  Bytes ExportUpdates(const VersionVector& from);
  /// A FastSnapshot blob: history and state. Commits first.
  Bytes ExportSnapshot();
  /// Some op was parked because its dependencies are missing.
  bool has_pending() const;
  /// Forgets parked ops.
  void DropPending();

  const VersionVector& version() const;
  Frontiers frontiers() const;
  /// Atoms in the op log.
  uint64_t op_count() const;

  // --- Reading ---

  /// Appends the deep value as JSON: an object with every root container that history touches, keys
  /// sorted. Containers that this release does not know, binary and non-finite numbers:
  /// docs/data-model.md.
  void AppendJson(std::string* out) const;
  /// The same of one container; "null" if it does not exist.
  void AppendJson(const ContainerId& container, std::string* out) const;
  std::string ToJson() const;
  /// Appends a text as a rich text delta: [{"attributes":{...},"insert":"..."},...]; "[]" if it
  /// does not exist.
  void AppendDelta(const ContainerId& text, std::string* out) const;

  bool HasContainer(const ContainerId& container) const;
  /// Root containers that history touches, sorted.
  std::vector<ContainerId> Roots() const;
  /// The value of a map's slot; nothing if absent or not a map.
  std::optional<Value> MapGet(const ContainerId& map, std::string_view key) const;
  /// The plain text of a Text container; empty if it does not exist.
  std::string Text(const ContainerId& text) const;
  /// Sum of a Counter; 0 if it does not exist.
  double CounterValue(const ContainerId& counter) const;
  /// Length in `unit` for Text, in items for lists, in entries for Map; 0 if it does not exist.
  size_t Length(const ContainerId& container, TextUnit unit = TextUnit::kUnicode) const;

  // --- Local edits ---
  // Visible at once, part of the op log from the next commit. Root containers exist without being
  // made. Invalid argument for a wrong kind, an unknown container or a position out of range.

  Status MapSet(const ContainerId& map, std::string_view key, const Value& value);
  Status MapDelete(const ContainerId& map, std::string_view key);
  Result<ContainerId> MapSetContainer(const ContainerId& map, std::string_view key,
                                      ContainerKind kind);
  // `list` is a List or a MovableList.
  Status ListInsert(const ContainerId& list, size_t index, const Value& value);
  Result<ContainerId> ListInsertContainer(const ContainerId& list, size_t index,
                                          ContainerKind kind);
  Status ListDelete(const ContainerId& list, size_t index, size_t count);
  Status MovableListSet(const ContainerId& list, size_t index, const Value& value);
  /// `to` is the index of the item after the move.
  Status MovableListMove(const ContainerId& list, size_t from, size_t to);
  /// Without `parent` the node is a root; without `index` it is the last child. Not found if the
  /// parent does not exist.
  Result<Id> TreeCreate(const ContainerId& tree, std::optional<Id> parent,
                        std::optional<uint32_t> index);
  /// `index` counts the other children of the new parent. Conflict if that is below the node.
  Status TreeMoveNode(const ContainerId& tree, Id node, std::optional<Id> parent,
                      std::optional<uint32_t> index);
  /// Hides the node and all below it.
  Status TreeDelete(const ContainerId& tree, Id node);
  Status TextInsert(const ContainerId& text, size_t position, std::string_view utf8,
                    TextUnit unit = TextUnit::kUnicode);
  Status TextDelete(const ContainerId& text, size_t position, size_t count,
                    TextUnit unit = TextUnit::kUnicode);
  /// Gives the text in [start, end) an attribute. `expand` says whether text inserted at its edges
  /// gets it too; all writers have to agree on it for a key. Nothing if the text has it already.
  Status TextMark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                  const Value& value, StyleExpand expand, TextUnit unit = TextUnit::kUnicode);
  /// Takes an attribute away. `expand` as it was marked. Nothing if no mark with the key is there.
  Status TextUnmark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                    StyleExpand expand, TextUnit unit = TextUnit::kUnicode);
  Status CounterIncrement(const ContainerId& counter, double delta);

  /// Seals the local edits since the last commit as one change. Nothing if there are none.
  void Commit();

  // --- Upkeep ---

  /// Bytes of memory this document holds, about.
  size_t MemoryBytes() const;
  /// Stops the process if an invariant is broken. Cost: the whole document.
  void CheckInvariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a blob holds, read without importing it.
struct BlobMeta {
  bool is_snapshot = false;
  bool is_shallow = false;
  VersionVector start;  // of each peer in it, the first counter
  VersionVector end;
  uint32_t change_count = 0;
};
Result<BlobMeta> ReadBlobMeta(BytesView blob);

}  // namespace merrow::loro
