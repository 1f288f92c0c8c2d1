// SPDX-License-Identifier: Apache-2.0
//
// Op log: everything that happened in a document, as verbatim change blocks, with the causal graph
// over them. It decides what is new, what must wait and what may be stored; it knows no state.
//
// Blocks are validated once, when they are admitted, and kept as they came: exporting what a peer
// lacks copies blocks and hashes, and decodes only where a block has to be cut. Local edits grow
// one open block, which is sealed when it is large enough or when another block of its peer must
// follow.
//
// The log of a shallow document starts with a base (history_base.h) in the place of what is
// trimmed. The ops that the base's version ends with are in the log, too, though the base shows
// them.
//
// Invariants:
//   (1) For each peer, stored blocks cover [0, End(peer)) in order and without gaps, except for
//       what is trimmed and the part that the open block holds.
//   (2) The graph has exactly the atoms of stored blocks plus the committed ones of the open block.
//   (3) No parked change is admissible.
//   (4) The atom before the end of a mark is its start. (No released writer leaves a start without
//       its end, but what says so merges: it styles nothing.)

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "loro/causal_graph.h"
#include "loro/change_block.h"

namespace merrow::loro {

/// Changes parked because their dependencies are missing may hold this much memory in all.
inline constexpr size_t kPendingBytesMax = size_t{16} << 20;

/// Largest lamport of an op on the wire. (Loro reads them as signed.)
inline constexpr Lamport kLamportMax = 0x7FFFFFFF;
/// Atoms of one document. With both limits, lamports that are raised above their dependencies' on
/// import still fit 32 bits.
inline constexpr size_t kAtomsMax = 0x7FFFFFFF;

/// An open block is sealed when its encoding would pass this size. (Loro's own split target.)
inline constexpr size_t kBlockBytesTarget = 4096;

/// Blocks are compacted if there are this many more than full ones.
inline constexpr size_t kSpareBlocksMax = 8;

/// Bytes of memory that a decoded block takes besides its ops and changes, and that the tree
/// positions of its ops will take in the state. A few encoded bytes can stand for many of these.
size_t TableBytes(const ChangeBlock& block);

class HistoryBase;

class OpLog {
 public:
  explicit OpLog(PeerId local_peer) : local_peer_(local_peer) {}

  const CausalGraph& graph() const { return graph_; }
  const VersionVector& version() const { return graph_.version(); }

  // --- Trimmed history ---

  /// Starts from `base`. Its starting ops are the first to be admitted. REQUIRES: the log is empty
  void StartFrom(std::shared_ptr<const HistoryBase> base);
  /// Null if nothing is trimmed.
  const HistoryBase* base() const { return base_.get(); }
  std::shared_ptr<const HistoryBase> shared_base() const { return base_; }

  // --- Changes from elsewhere ---

  /// A decoded block on its way in. `block` refers to `bytes`.
  struct Incoming {
    BytesView bytes;
    std::shared_ptr<const Bytes> owner;  // null while the bytes are the caller's
    ChangeBlock block;
  };
  /// A slice of a change that became part of the log.
  struct Admitted {
    std::shared_ptr<const Incoming> source;
    uint32_t change;  // index into source->block.changes
    Counter from;
    Counter to;
    Lv lv;  // of `from`
  };
  struct Admission {
    std::vector<Admitted> admitted;  // in causal order; Lvs are consecutive
    std::vector<IdSpan> success;     // the same, sorted
    std::vector<IdSpan> pending;     // of `blocks`, what is parked
  };
  /// Admits every change of `blocks`, and of those parked before, whose dependencies are here;
  /// parks the rest; ignores what is known. Limit if too much would be parked or the document would
  /// have too many atoms; corruption if a change does not follow its peer's one before, or the
  /// end of a mark not its start; conflict if a change depends on trimmed history, or its block has
  /// other ops where it overlaps what is here or comes along. What contradicts parked changes makes
  /// these forgotten, since nobody knows which are right. After an error nothing has changed.
  Result<Admission> Admit(std::vector<std::shared_ptr<const Incoming>> blocks);

  /// Forgets all atoms but the first `size`, and all that is parked. REQUIRES: nothing is
  /// uncommitted; what goes was admitted in whole blocks, as by the last Admit.
  void RollBack(Lv size);

  bool has_pending() const { return !pending_.empty(); }
  void DropPending();

  // --- Local changes ---

  PeerId local_peer() const { return local_peer_; }
  /// REQUIRES: no local change is open
  void SetLocalPeer(PeerId peer);

  /// The builder to add local ops to. Opens a change after the current heads if none is open.
  ChangeBlockBuilder& Builder();
  bool HasUncommitted() const { return uncommitted_ > 0; }
  /// Id and lamport that the next local atom will have.
  Id NextId() const;
  Lamport NextLamport() const;
  /// REQUIRES: that many atoms were just added to Builder()
  void CountUncommitted(uint32_t atoms) { uncommitted_ += atoms; }
  /// Makes the open change part of the log. Nothing if there is none. Its timestamp is at least
  /// that of the changes it follows. REQUIRES: `message` is UTF-8.
  void Commit(int64_t timestamp = 0, std::string_view message = {});

  // --- Reading ---

  /// Decodes blocks as they are asked for and keeps them while it lives. The log must not change
  /// meanwhile. Admitted blocks are valid, so decoding cannot fail.
  class Reader {
   public:
    explicit Reader(const OpLog& log) : log_(log) {}
    /// Blocks of ops that are part of the log now, which need not be decoded again. They must
    /// outlive this.
    void Offer(std::span<const Admitted> admitted);
    /// The block that holds `id`. REQUIRES: `id` is in the log.
    const ChangeBlock& BlockAt(Id id);

   private:
    const ChangeBlock& Find(Id id);

    const OpLog& log_;
    std::map<Id, ChangeBlock> decoded_;                       // by first id
    std::vector<std::pair<Id, const ChangeBlock*>> offered_;  // the same, sorted
    // What was asked for last: mostly one or two peers take turns.
    const ChangeBlock* last_ = nullptr;
    const ChangeBlock* before_last_ = nullptr;
  };

  /// Calls visit(first id, block bytes) for blocks that together hold exactly the atoms that `from`
  /// lacks, by peer and counter. REQUIRES: nothing is uncommitted.
  void ForEachBlockSince(const VersionVector& from,
                         const std::function<void(Id, BytesView)>& visit) const;

  /// The same for the atoms of `spans` that are here.
  void ForEachBlockIn(std::span<const IdSpan> spans,
                      const std::function<void(Id, BytesView)>& visit) const;

  /// Calls visit(block, change, length, lamport) for every change in the order of (lamport, peer),
  /// which has dependencies first. `length` is what of it is committed. The block is gone
  /// afterwards.
  void ForEachChange(
      const std::function<void(const ChangeBlock&, const Change&, uint32_t, Lamport)>& visit) const;

  /// Merges neighbouring small blocks of each peer. The bytes shrink; what they mean stays. No block
  /// is open afterwards. REQUIRES: nothing is uncommitted.
  void Compact();
  /// The same, but merges only if that makes some blocks less.
  void CompactIfWorth();

  /// Calls visit(first id, block bytes, token) for every block. A token names bytes that stay as
  /// they are while this log lives, whatever is done to it. REQUIRES: no block is open.
  void ForEachStoredBlock(const std::function<void(Id, BytesView, uint64_t)>& visit) const;

  size_t MemoryBytes() const;
  void CheckInvariants() const;

 private:
  struct StoredBlock {
    Counter start;
    Counter end;
    Bytes bytes;
    uint64_t token;  // no other block of this log has or had it
  };
  using PeerBlocks = std::vector<StoredBlock>;  // ascending, without gaps
  struct Pending {
    std::shared_ptr<const Incoming> source;
    uint32_t change;
  };

  /// What Admit would do, worked out before anything changes.
  struct Plan {
    struct Item {
      Pending change;
      Counter from;
    };
    std::vector<Item> admitted;  // in causal order
    std::vector<Pending> waiting;
    std::vector<Pending> repeated;  // all of it is admitted, some of it from elsewhere
  };
  Plan PlanAdmission(std::vector<Pending> candidates) const;
  Status CheckOverlaps(const Plan& plan) const;
  Result<std::vector<Pending>> Park(const std::vector<Pending>& waiting) const;
  Result<Lv> AppendToGraph(const Pending& item, Counter from);
  Status CheckFollowsStart(Id id, std::span<const Id> deps) const;
  Status CheckMarks(const Pending& item, Counter from);
  void RollBackGraph(Lv size);
  void StoreAdmitted(const std::vector<Admitted>& admitted);
  bool IsWorthCompacting() const;
  void MergeBlocks(PeerId peer, std::span<const StoredBlock> blocks, PeerBlocks* merged);
  void VisitBlocks(const IdSpan& span, const std::function<void(Id, BytesView)>& visit) const;
  void SealOpenBlock();
  bool InOpenBlock(Id id) const;
  int64_t TimestampOfHeads();

  PeerId local_peer_;
  CausalGraph graph_;
  std::shared_ptr<const HistoryBase> base_;
  std::map<PeerId, PeerBlocks> blocks_;
  uint64_t next_token_ = 1;

  std::vector<Pending> pending_;
  /// The text, for each peer whose last atom starts a mark.
  std::map<PeerId, ContainerId> open_marks_;

  std::unique_ptr<ChangeBlockBuilder> open_;
  Counter open_start_ = 0;    // counter of the open block's first atom
  uint32_t uncommitted_ = 0;  // atoms of the open change
  Lamport uncommitted_lamport_ = 0;
  std::vector<Id> uncommitted_deps_;
  int64_t timestamp_max_ = 0;  // of all changes
  /// The latest timestamp of the changes at the heads; nothing if not known at the moment.
  std::optional<int64_t> heads_timestamp_ = 0;
};

}  // namespace merrow::loro
