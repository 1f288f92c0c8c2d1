// SPDX-License-Identifier: Apache-2.0
//
// Change block: the unit in which ops travel and are stored (docs/format.md, "change block").
//
// A block holds one or more changes of one peer with consecutive counters. It is columnar: tables
// of peers, keys, containers and tree positions, four columns of ops, and the ops' payloads end to
// end. A block's bytes are kept verbatim by the op log; this header is the decoded view of them.
//
// ChangeBlock refers to the bytes that it was decoded from (string views), which must outlive it.

#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

/// What an op does, from its container's kind and its payload tag.
enum class OpKind : uint8_t {
  kTextInsert,     // prop: entity index; payload: UTF-8; length: unicode scalars
  kTextMarkStart,  // prop: start entity index; mark_*: the style; payload: its value
  kTextMarkEnd,    // the op right after its start, always; prop unused
  kListInsert,  // List and MovableList. prop: index; payload: op values, `length` of them, end to
                // end
  kDelete,      // Text, List, MovableList. prop: index; target; signed_length
  kMapSet,      // prop: key index; payload: one op value
  kMapDelete,   // prop: key index
  kMove,        // MovableList. prop: destination; from; element
  kSet,         // MovableList. element; payload: one op value
  kTreeMove,    // Tree. target: the node; parent; position. A create iff target is the op's own id
  kCounterAdd,  // delta
  kUnknown,     // container or payload kind of a later release; payload: its bytes, verbatim
};

/// Where a tree op puts its node.
enum class TreeParent : uint8_t { kRoot, kNode, kDeleted };

/// Documents of a million ops are decoded as a whole, so an op is small: what ops of different
/// kinds have shares its place.
struct Op {
  uint32_t container = 0;  // index into ChangeBlock::containers
  Counter counter = 0;     // of the first atom
  uint32_t length = 1;     // atoms
  OpKind kind = OpKind::kUnknown;
  uint8_t raw_tag = 0;    // the payload tag as it stood on the wire
  uint8_t mark_info = 0;  // kTextMarkStart: 0x80 alive, 0x02 expands before, 0x04 expands after
  TreeParent parent_kind = TreeParent::kRoot;  // kTreeMove
  int32_t prop = 0;                            // as listed at OpKind

  union {
    uint32_t mark_length;   // kTextMarkStart: in entities (unicode scalars and anchors)
    int32_t signed_length;  // kDelete: negative when deleted backwards (format.md, delete spans)
    uint32_t from;          // kMove: the source index
    uint32_t position;      // kTreeMove: index into ChangeBlock::positions, unless a delete
  };
  uint32_t mark_key = 0;  // kTextMarkStart: index into ChangeBlock::keys

  union {
    // Payload, as listed at OpKind; a view into the block's bytes (or the builder's arena).
    BytesView payload;
    Id parent;  // kTreeMove, which has no payload: the parent if it is a node
  };
  union {
    Id target;     // kDelete: the leftmost (smallest counter) deleted atom. kTreeMove: the node
    IdLp element;  // kMove, kSet
    double delta;  // kCounterAdd
  };

  Op() : mark_length(0), payload(), target() {}

  Counter end() const { return counter + static_cast<Counter>(length); }
};
static_assert(sizeof(Op) == 64);

/// One change: a run of ops of one peer that were committed together (or merged later).
struct Change {
  Counter counter = 0;
  uint32_t length = 0;  // atoms, at least 1
  Lamport lamport = 0;
  int64_t timestamp = 0;     // seconds since the Unix epoch, 0 if not recorded
  std::vector<Id> deps;      // sorted; includes (peer, counter - 1) when the change follows its own
  std::string_view message;  // empty if none
  uint32_t first_op = 0;     // ops [first_op, first_op + op_count) of the block
  uint32_t op_count = 0;

  Counter end() const { return counter + static_cast<Counter>(length); }
};

struct ChangeBlock {
  PeerId peer = 0;
  std::vector<PeerId> peers;  // peers[0] == peer
  std::vector<std::string_view> keys;
  std::vector<ContainerId> containers;
  std::vector<Bytes> positions;  // tree: fractional index bytes, in any order
  std::vector<Change> changes;   // consecutive counters
  std::vector<Op> ops;
  bool may_have_marks = true;  // false: no op starts or ends one

  Counter counter() const { return changes.front().counter; }
  Counter end() const { return changes.back().end(); }
};

/// What can be learnt from a block without decoding its ops.
struct ChangeBlockHeader {
  PeerId peer = 0;
  Counter counter = 0;
  Counter end = 0;
  std::vector<Change> changes;  // message, first_op and op_count are not filled in
};

/// Limits of one block, for readers and writers. A few bytes can state any number of ops, and tree
/// positions that share all but a byte. Loro cuts blocks at about 4,000 ops.
inline constexpr size_t kBlockOpsMax = size_t{1} << 18;
/// Timestamps are at most so far from 0, in seconds; so that differences of differences fit 64 bits
/// whatever changes are put together.
inline constexpr int64_t kTimestampMax = int64_t{1} << 60;
inline constexpr size_t kBlockPositionBytesMax = size_t{1} << 22;

/// Decodes and fully validates one block: every index in range, op lengths partition the changes
/// exactly, every column and payload consumed to its end, values well-formed. Corruption if not.
/// What decodes can be sliced anywhere, and any slice of it encodes to what decodes.
Result<ChangeBlock> DecodeChangeBlock(BytesView bytes);
Result<ChangeBlockHeader> DecodeChangeBlockHeader(BytesView bytes);

/// Decodes the op value at the reader, an item of a list insert: `id` is the op's id plus the
/// item's index, which names the child container if the value is one. Map keys are indexes into
/// `keys`. For ops that hold one value there is OpValue.
Result<Value> ReadOpValue(ByteReader& reader, std::span<const std::string_view> keys, Id id);

/// The value of a kMapSet, kSet or kTextMarkStart op.
Result<Value> OpValue(const ChangeBlock& block, const Op& op);
/// The values of a kListInsert op, `op.length` of them.
Result<std::vector<Value>> OpValues(const ChangeBlock& block, const Op& op);

/// What AppendSlice does with a change that continues the builder's last one.
enum class ChangeMerge {
  kKeep,  // it stays a change of its own, and its ops stay as they are
  // It becomes part of the last change if Loro's rule for merging remote changes allows that: it
  // depends on exactly the op before it, lamports go on without a gap, message and timestamp are
  // equal. Ops are merged into runs, too. What the ops do, their ids and lamports stay the same.
  kMerge,
};

/// Builds a block. It is filled either with local ops, which it merges into runs as Loro does
/// (typing forwards, deleting backwards or forwards), or with (slices of) changes of decoded blocks
/// of the same peer, or both. Everything it is given is copied.
class ChangeBlockBuilder {
 public:
  explicit ChangeBlockBuilder(PeerId peer);
  ~ChangeBlockBuilder();
  ChangeBlockBuilder(ChangeBlockBuilder&&) noexcept;
  ChangeBlockBuilder& operator=(ChangeBlockBuilder&&) noexcept;

  bool empty() const;
  /// No room for further local ops. Blocks should end long before that: Loro's do at about 4 KiB.
  bool full() const;
  /// Counter after the last op. REQUIRES: !empty()
  Counter end() const;
  /// An estimate of Encode().size(), cheap.
  size_t EstimatedBytes() const;

  // --- Local changes ---

  /// Starts a change, which is there from its first op on. REQUIRES: its counter is end() unless
  /// empty(), and its lamport above that of the op before.
  void BeginChange(Counter counter, Lamport lamport, std::vector<Id> deps, int64_t timestamp,
                   std::string_view message);
  // Each adds one op to the change begun last (not of length 0; REQUIRES: !full()), or grows the
  // last op of that change when the two form one run. Positions are as listed at OpKind.
  // `unicode_length` is the number of scalars in `text`.
  void AddTextInsert(const ContainerId& container, uint32_t entity_index, std::string_view text,
                     uint32_t unicode_length);
  void AddListInsert(const ContainerId& container, uint32_t index, std::span<const Value> values);
  /// Deletes `count` atoms whose ids are consecutive from `target`, the first of them at `index`.
  void AddDelete(const ContainerId& container, uint32_t index, Id target, uint32_t count);
  void AddMapSet(const ContainerId& container, std::string_view key, const Value& value);
  void AddMapDelete(const ContainerId& container, std::string_view key);
  void AddCounter(const ContainerId& container, double delta);
  /// Adds the start op and the end op.
  void AddMark(const ContainerId& container, uint32_t entity_start, uint32_t entity_length,
               std::string_view key, const Value& value, uint8_t info);
  void AddMove(const ContainerId& container, uint32_t from, uint32_t to, IdLp element);
  void AddSet(const ContainerId& container, IdLp element, const Value& value);
  void AddTreeMove(const ContainerId& container, Id node, TreeParent parent_kind, Id parent,
                   BytesView position);

  // --- Existing changes ---

  /// Appends the atoms [from, to) of `block.changes[index]`, re-encoding what refers to the block's
  /// tables. The lamport and deps of a slice that starts inside the change follow from it. A
  /// lamport that is not above that of the op before is raised to be, as importers do with it.
  /// Limit, and nothing is appended, if the block would exceed a limit above or the lamports 32
  /// bits; of one block's changes alone, no builder exceeds the former. REQUIRES: same peer; from
  /// is end() unless empty(); the change covers [from, to), which is not empty.
  Status AppendSlice(const ChangeBlock& block, size_t index, Counter from, Counter to,
                     ChangeMerge merge = ChangeMerge::kKeep);

  /// The block's bytes, as Loro would write them. The builder stays as it is and may grow further.
  /// REQUIRES: !empty()
  Bytes Encode() const;

  // Of the last change. REQUIRES: !empty()
  std::string_view LastMessage() const;
  int64_t LastTimestamp() const;
  void SetLastMeta(int64_t timestamp, std::string_view message);
  /// Makes what the last change has from `at` on a change of its own, with the same timestamp and
  /// message; nothing if that is where it starts. Cost: the whole block.
  void SplitLastChange(Counter at);

  /// A decoded view of what was added so far; valid until the next call that adds.
  ChangeBlock View() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::loro
