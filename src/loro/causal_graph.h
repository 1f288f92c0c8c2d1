// SPDX-License-Identifier: Apache-2.0
//
// Causal graph: what followed what. Part of the op log; knows ids and dependencies, no content.
//
// Every atom gets a local version (Lv) when it is appended: 0, 1, 2, ... in order of arrival.
// Arrival is causal (an atom is appended after its dependencies), so an Lv is larger than those of
// all its ancestors, and a version is a short list of Lvs. Lvs never leave the document: they
// differ between replicas.
//
// Atoms are kept in runs: consecutive Lvs of one peer, each the only dependency of the next. A
// document that one peer typed is one run, however long.
//
// The history may be trimmed: then the graph starts with a few ids, which everything later follows,
// and knows of what is before them only how many atoms each peer has there. The starting atoms come
// first and have no parents, because these are trimmed.
//
// Invariants:
//   (1) runs_ covers [0, size()) without gaps, in order.
//   (2) Every parent of a run is less than the run's first Lv.
//   (3) heads_ holds the Lvs that are no ancestor of another, ascending.
//   (4) Lamports grow along every edge.
//   (5) The atoms of one peer are a chain: each precedes the next. (Import refuses what is not, so
//       that a version has one head per peer, and a lamport and a peer name one atom.)
//   (6) If trimmed, the first start_size() atoms are the starting ones, and all others follow all
//       of these.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "merrow/ids.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

using Lv = uint32_t;

/// Half-open range of local versions.
struct LvSpan {
  Lv start = 0;
  Lv end = 0;
  friend bool operator==(const LvSpan&, const LvSpan&) = default;
};

class CausalGraph {
 public:
  struct Run {
    Lv start;
    Lv end;
    uint32_t peer;  // index into peers()
    Counter counter;
    Lamport lamport;
    std::vector<Lv> parents;  // ascending; of the first atom

    Id IdAt(Lv lv, const CausalGraph& graph) const {
      return {graph.peers_[peer], counter + static_cast<Counter>(lv - start)};
    }
    Lamport LamportAt(Lv lv) const { return lamport + (lv - start); }
  };

  Lv size() const { return runs_.empty() ? 0 : runs_.back().end; }
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<PeerId>& peers() const { return peers_; }
  const std::vector<Lv>& heads() const { return heads_; }

  const VersionVector& version() const { return version_; }
  Frontiers frontiers() const;

  /// Where trimmed history ends.
  struct Start {
    VersionVector trimmed;  // what is before the starting atoms, which it does not include
    Frontiers frontiers;    // the starting atoms
  };
  /// Trims everything before `start`. REQUIRES: nothing was appended; `trimmed` ends at the counter
  /// of each starting atom.
  void StartAt(Start start);
  /// Null if nothing is trimmed.
  const Start* start() const { return start_.get(); }
  Lv start_size() const {
    return start_ == nullptr ? 0 : static_cast<Lv>(start_->frontiers.size());
  }
  bool IsTrimmed(Id id) const { return start_ != nullptr && start_->trimmed.Includes(id); }
  bool IsStart(Id id) const;
  /// False if `ids` do not follow all that is trimmed. REQUIRES: all of them are present.
  bool FollowsStart(std::span<const Id> ids) const;

  /// Appends `length` atoms of `id.peer`. Their lamports start at `lamport`, or later if a
  /// dependency's is not smaller (the rule of import). Returns the first Lv. REQUIRES: id.counter
  /// == version().End(id.peer); all `deps` are present (of a starting atom: none); length > 0.
  Lv Append(Id id, uint32_t length, Lamport lamport, std::span<const Id> deps);

  /// Forgets every atom but the first `size`. Cost: all runs.
  void RollBack(Lv size);

  /// True if `id` is one of `deps` or precedes one. REQUIRES: all of them are present.
  bool Precedes(Id id, std::span<const Id> deps) const;

  /// Whether `id` is the only head.
  bool IsOnlyHead(Id id) const {
    return heads_.size() == 1 && version_.End(id.peer) == id.counter + 1 && IdOf(heads_[0]) == id;
  }
  /// The lamport of an atom that would follow all heads.
  Lamport LamportAfterHeads() const;
  /// The lamport of an atom that would follow `deps`.
  Lamport LamportAfter(std::span<const Id> deps) const;

  std::optional<Lv> LvOf(Id id) const;
  /// The same by peer and lamport.
  std::optional<Lv> LvOf(const IdLp& id) const;
  Id IdOf(Lv lv) const;
  Lamport LamportOf(Lv lv) const { return RunOf(lv).LamportAt(lv); }
  const Run& RunOf(Lv lv) const { return runs_[RunIndexOf(lv)]; }
  size_t RunIndexOf(Lv lv) const;
  /// The same. Cost: O(log d) if it is d runs from the `near`-th.
  size_t RunIndexNear(Lv lv, size_t near) const;
  size_t IndexOf(const Run& run) const { return static_cast<size_t>(&run - runs_.data()); }

  /// The atoms that only one of two versions has, each a list of spans in descending order.
  struct Difference {
    std::vector<LvSpan> only_a;
    std::vector<LvSpan> only_b;
  };
  Difference Diff(std::span<const Lv> a, std::span<const Lv> b) const {
    Difference difference;
    Diff(a, b, runs_.size() - 1, &difference);
    return difference;
  }
  /// The same, for many of them: `difference` is overwritten, and the latest atom is about at the
  /// `near`-th run.
  void Diff(std::span<const Lv> a, std::span<const Lv> b, size_t near,
            Difference* difference) const;

  /// The heads, ascending, of the version that consists of `ids` and all before them; nothing if
  /// one is unknown, or the version is before the start.
  std::optional<std::vector<Lv>> HeadsOf(std::span<const Id> ids) const;

  /// The atoms that a version consists of, ascending. REQUIRES: `heads` are its heads, ascending.
  std::vector<LvSpan> AtomsOf(std::span<const Lv> heads) const;

  /// Critical atoms of a version: each other atom of it either precedes or follows them. Ascending
  /// spans of all that are not less than `from`, and the latest one that is less, if there is one.
  /// Cost: the runs after that one.
  std::vector<LvSpan> CriticalAtoms(std::span<const Lv> heads, Lv from) const;

  /// The same as a vector, with what is trimmed.
  VersionVector VersionOf(std::span<const Lv> heads) const;
  /// The version that the ids in `frontiers` and all their ancestors make up; nothing as in
  /// HeadsOf.
  std::optional<VersionVector> VersionOf(std::span<const Id> frontiers) const;
  /// The heads, sorted, of what is here of a version; at least the start.
  Frontiers FrontiersOf(const VersionVector& version) const;

  size_t MemoryBytes() const;
  void CheckInvariants() const;

 private:
  // A stretch of one peer's counters whose Lvs are consecutive.
  struct PeerRun {
    Counter counter;
    Lv lv;
  };

  uint32_t InternPeer(PeerId peer);
  const std::vector<PeerRun>* RunsOfPeer(PeerId peer) const;

  std::vector<Run> runs_;
  std::vector<PeerId> peers_;
  std::vector<uint32_t> peer_order_;             // indexes into peers_, sorted by peer id
  std::vector<std::vector<PeerRun>> peer_runs_;  // by peer index; ascending
  std::vector<Lv> heads_;
  VersionVector version_;
  std::shared_ptr<const Start> start_;
};

}  // namespace merrow::loro
