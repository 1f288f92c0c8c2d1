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
// A document at rest is one short buffer. Whatever needs more wakes it, const methods too.
//
// Not thread-safe: one thread at a time, const methods included.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "merrow/bytes.h"
#include "merrow/delta.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"
#include "merrow/version_vector.h"

#pragma GCC visibility push(default)

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

/// How two versions relate.
enum class VersionOrder { kEqual, kBefore, kAfter, kConcurrent };

/// A change: a run of one peer's ops that were committed together, or merged later.
struct ChangeInfo {
  Id id;                // of its first op
  uint32_t length = 0;  // in atoms
  Lamport lamport = 0;
  int64_t timestamp = 0;  // seconds since the Unix epoch; 0 if not recorded
  std::string_view message;
  std::span<const Id> deps;  // sorted
};

struct CommitOptions {
  /// Seconds since the Unix epoch, at most 2^60 from it; 0: none. What is recorded is at least that
  /// of the changes before.
  int64_t timestamp = 0;
  std::string_view message;  // UTF-8
};

/// What changed what is shown, once.
struct DocumentEvent {
  enum class Cause { kLocal, kImport, kCheckout };
  Cause cause = Cause::kLocal;
  Frontiers from;
  Frontiers to;
  const DocumentDelta& delta;  // what turns `from` into `to`
};

/// Which neighbour a cursor sticks to.
enum class CursorSide : int8_t { kLeft = -1, kMiddle = 0, kRight = 1 };

/// A place in a sequence, by the element next to it.
struct Cursor {
  ContainerId container;
  std::optional<Id> element;  // nothing: the start (side left) or the end (side right)
  CursorSide side = CursorSide::kMiddle;
  uint32_t position = 0;  // where it was when it was made, in scalars or items

  /// The bytes are those of loro-crdt's cursors (docs/format.md).
  Bytes Encode() const;
  static Result<Cursor> Decode(BytesView bytes);
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// Ends a subscription when it goes.
class Subscription {
 public:
  Subscription() = default;
  explicit Subscription(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  Subscription(Subscription&& other) noexcept : cancel_(std::exchange(other.cancel_, nullptr)) {}
  Subscription& operator=(Subscription&& other) noexcept {
    std::swap(cancel_, other.cancel_);
    return *this;
  }
  ~Subscription() {
    if (cancel_) cancel_();
  }

 private:
  std::function<void()> cancel_;
};

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
  /// taken: the state follows from it. But an empty document becomes shallow by a shallow snapshot.
  /// Corruption or invalid argument if it is not intact or its ops do not apply, limit if too much
  /// would be parked, conflict if an op depends on trimmed history or its id is another op's here.
  /// Commits local edits first.
  /// A failure leaves the document as it was, except that ops parked before are forgotten, or else
  /// broken.
  Result<ImportStatus> Import(BytesView blob);

  /// Merges several blobs as if they were one: all of them, or after an error none. Blobs may
  /// depend on each other in any order.
  Result<ImportStatus> ImportBatch(std::span<const BytesView> blobs);
  /// Merges JSON updates (docs/format.md). Invalid argument with the place if they do not parse or
  /// are not of the schema; otherwise as Import. Cost: memory of about 40 times the text, besides.
  Result<ImportStatus> ImportJson(std::string_view json_updates);

  /// Takes over a snapshot that ExportSnapshot made, with its state as it is. Corruption if its
  /// checksum, frame or version is not right. What is inside is decoded when it is needed first,
  /// and damage is found only then: the document is_broken() from then on. Wake() tells at once.
  /// Everything changes, so `changed` is left empty. REQUIRES: the document is empty; the snapshot
  /// is trusted.
  Result<ImportStatus> Load(BytesView snapshot);

  /// An import failed and the state before could not be derived again, because an op in the history
  /// does not apply; or a loaded snapshot turned out to be damaged, and then the document looks
  /// empty. Nothing can be imported or edited any more; load the document anew.
  bool is_broken() const;

  /// A FastUpdates blob with what `from` lacks. Commits first.
  Bytes ExportUpdates(const VersionVector& from);
  /// A FastSnapshot blob: history and state. Commits first.
  Bytes ExportSnapshot();
  /// A FastUpdates blob with exactly the ops of `spans`, as far as they are here. Commits first.
  Bytes ExportUpdatesInRange(std::span<const IdSpan> spans);
  /// Merges neighbouring small blocks of ops, so that what is exported gets shorter: a thousand
  /// keystrokes that came one by one become a few blocks. Nothing else changes. Commits first.
  /// Cost: that of the history.
  void Compact();
  /// A FastSnapshot blob whose history starts at `at` or, if that is not critical (some later op
  /// does not follow it), at the latest critical version before; but never inside a mark. What is
  /// older is not in it, and neither are containers that nothing refers to any more.
  /// Commits first. Not found if `at` is not in the history.
  Result<Bytes> ExportShallowSnapshot(const Frontiers& at);
  /// The ops that `to` has and `from` lacks as JSON updates. Commits first.
  std::string ExportJson(const VersionVector& from, const VersionVector& to);
  std::string ExportJson() { return ExportJson({}, version()); }
  /// Some op was parked because its dependencies are missing.
  bool has_pending() const;
  /// Forgets parked ops.
  void DropPending();

  // --- Versions ---

  /// The version of the op log: all that was imported or committed, whatever is looked at.
  VersionVector version() const;
  Frontiers frontiers() const;
  /// Atoms in the op log.
  uint64_t op_count() const;

  /// The history before `shallow_start` is trimmed: it cannot be looked at, and updates that depend
  /// on it are refused. Both are empty if nothing is trimmed.
  bool is_shallow() const;
  VersionVector shallow_start() const;
  Frontiers shallow_frontiers() const;

  /// The ops that `frontiers` and all before them make up; nothing if one of them is unknown or in
  /// trimmed history.
  std::optional<VersionVector> VersionOf(const Frontiers& frontiers) const;
  /// The heads of `version`, as far as it is in the history.
  Frontiers FrontiersOf(const VersionVector& version) const;
  /// Nothing if one of them is unknown or in trimmed history.
  std::optional<VersionOrder> Compare(const Frontiers& a, const Frontiers& b) const;

  /// Shows an earlier version to all that reads, until CheckoutToLatest. Imports go on and stay
  /// unseen; edits are a conflict. Nothing if `frontiers` are the latest and so shown. Commits
  /// first. Not found if `frontiers` are not in the history.
  /// Cost: replays the history, from the nearest version that is at hand.
  Status Checkout(const Frontiers& frontiers);
  /// Nothing if the latest version is shown, and in an event callback.
  void CheckoutToLatest();
  bool is_checked_out() const;
  /// The version that is shown.
  Frontiers shown_frontiers() const;

  /// How containers differ: what turns version `a` into version `b`. Not found as in Checkout.
  /// Cost: that of looking at both versions, of which the latest is at hand, and the length of
  /// both.
  Result<DocumentDelta> Diff(const Frontiers& a, const Frontiers& b) const;
  /// Makes `delta` as local edits. New child containers get ids of their own; deltas of containers
  /// that the delta itself brings along go to those. Attributes expand as marks of that key in the
  /// text do, or else after. Changes nothing if it does not fit (invalid argument, not found,
  /// conflict); only a limit may be reached half-way.
  Status ApplyDelta(const DocumentDelta& delta);
  /// Local edits after which the document looks as it did at `frontiers`; what comes back is a
  /// copy. Commits first. Not found as in Checkout. Cost: as Diff and ApplyDelta.
  Status RevertTo(const Frontiers& frontiers);
  /// A document of `peer` with the history up to `frontiers`. Not found as in Checkout.
  Result<Document> ForkAt(const Frontiers& frontiers, PeerId peer);
  Result<Document> Fork(PeerId peer);

  /// Calls visit for every change, dependencies first; of concurrent ones the order is that of
  /// (lamport, peer).
  void ForEachChange(const std::function<void(const ChangeInfo&)>& visit) const;

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
  /// The keys of a map's slots, sorted; empty if it is not a map.
  std::vector<std::string> MapKeys(const ContainerId& map) const;
  /// An item of a List or MovableList; nothing if out of range or not a list.
  std::optional<Value> ListGet(const ContainerId& list, size_t index) const;
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
  /// A null value takes the attribute away, as TextUnmark does.
  Status TextMark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                  const Value& value, StyleExpand expand, TextUnit unit = TextUnit::kUnicode);
  /// Takes an attribute away. `expand` as it was marked. Nothing if no mark with the key is there.
  Status TextUnmark(const ContainerId& text, size_t start, size_t end, std::string_view key,
                    StyleExpand expand, TextUnit unit = TextUnit::kUnicode);
  Status CounterIncrement(const ContainerId& counter, double delta);

  /// Seals the local edits since the last commit as one change. Nothing if there are none.
  void Commit();
  /// The same with a timestamp and a message. Invalid argument if one of them is not as above.
  Status Commit(const CommitOptions& options);

  // --- Mergeable children ---

  /// A child container of `map` at `key` that two sides may create concurrently: both get the same
  /// one. It is made unless it is there; one of another kind is hidden, and keeps what it holds.
  /// Invalid argument if something else is at the key, other than null.
  Result<ContainerId> MapEnsureMergeable(const ContainerId& map, std::string_view key,
                                         ContainerKind kind);

  // --- Events ---

  /// Called after each import, commit, checkout or undo step that changed what is shown, until the
  /// subscription goes. Each event starts at the version where the one before ended. A callback
  /// may read the document, export from it, subscribe and end subscriptions. What would change it
  /// (edits, imports, checkouts, undo, SetPeer) is refused as busy and changes nothing. Callbacks
  /// must not move or destroy the document. Subscribing commits first.
  /// Cost: nothing without subscribers; otherwise what changed, and once the document; of a text
  /// with marks that changed, its runs; of a checkout, both versions.
  using EventCallback = std::function<void(const DocumentEvent&)>;
  Subscription Subscribe(EventCallback callback);

  // --- Cursors ---

  /// A place in a Text, List or MovableList that stays with the element behind it, or at the end.
  /// `side` is kept for the caller: on which side of the element a caret is meant to be. Invalid
  /// argument for a wrong kind or a position out of range. Cost: the runs of the container.
  Result<Cursor> CursorAt(const ContainerId& container, size_t position, CursorSide side,
                          TextUnit unit = TextUnit::kUnicode) const;
  /// Where a cursor is now; if its element was deleted, where that was. A moved item of a
  /// MovableList is followed. Not found if the container does not exist or nothing is known of the
  /// element, as of those that went in trimmed history. Cost: the runs of the container; of a
  /// deleted element, the history, and it commits first.
  Result<size_t> PositionOf(const Cursor& cursor, TextUnit unit = TextUnit::kUnicode) const;

  // --- Upkeep ---

  /// Packs the document into one buffer, about as large as its history, until it is used again.
  /// Commits first. Nothing if an update is pending, an earlier version is shown, someone is
  /// subscribed, or it is broken. Cost: that of writing a snapshot; waking costs as loading one.
  void Rest();
  /// All of it rests; version(), frontiers(), op_count() and Rest() leave it so.
  bool is_resting() const;
  /// Decodes all that rests. Corruption if the document is broken.
  Status Wake();

  /// Bytes of memory this document holds, about.
  size_t MemoryBytes() const;
  /// Stops the process if an invariant is broken. Cost: the whole document.
  void CheckInvariants() const;

 private:
  friend class UndoManager;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a blob holds, read without importing it.
struct BlobMeta {
  bool is_snapshot = false;
  bool is_shallow = false;  // its history is trimmed
  VersionVector start;  // of each peer in it, the first counter
  VersionVector end;
  uint32_t change_count = 0;
};
Result<BlobMeta> ReadBlobMeta(BytesView blob);

}  // namespace merrow::loro

#pragma GCC visibility pop
