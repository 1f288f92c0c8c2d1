// SPDX-License-Identifier: Apache-2.0
//
// Sequence index: what each op of one sequence did, by op id. Part of the sequence tracker, which
// looks up here where in its tree an inserted element is and which elements a delete op hit.
//
// Per peer there is a list of entries in ascending counters: inserts that follow each other are one
// entry, and so are deletes that walk forwards or backwards over consecutive ids. Where the
// elements of an insert entry are is kept in pages of 16 counters: a page names the leaf that holds
// all of them, or else a block with one leaf for each.
//
// Elements that are visible at the tracker's base version have no ids; they are those of kBasePeer,
// with their offset as counter. There may be very many of them and ops touch few, so where they are
// is kept as a map of stretches.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "loro/hash_index.h"
#include "merrow/check.h"
#include "merrow/ids.h"

namespace merrow::loro {

/// Index of a peer in one tracker's table.
using PeerIndex = uint32_t;
inline constexpr PeerIndex kBasePeer = 0;
inline constexpr PeerIndex kNoPeerIndex = UINT32_MAX;

/// An id in short, or none (in front of or behind everything).
struct Atom {
  PeerIndex peer = kNoPeerIndex;
  Counter counter = 0;

  bool none() const { return peer == kNoPeerIndex; }
  Atom Plus(uint32_t delta) const {
    return {peer, static_cast<Counter>(static_cast<uint32_t>(counter) + delta)};
  }
  friend bool operator==(const Atom&, const Atom&) = default;
};

/// Consecutive atoms.
struct AtomSpan {
  Atom first;
  uint32_t length = 0;
};

class SequenceIndex {
 public:
  /// All elements of the base are in leaf 0.
  SequenceIndex();
  /// Forgets everything, but keeps the memory of a small index.
  void Clear();

  PeerIndex Intern(PeerId peer);
  /// kNoPeerIndex if no op of this peer was recorded.
  PeerIndex Find(PeerId peer) const;
  PeerId peer_id(PeerIndex peer) const { return peers_[peer].id; }

  // --- Recording. Counters of a peer ascend. ---

  void RecordInsert(Atom first, uint32_t length, uint32_t leaf);
  /// Ops first, first + 1, ... deleted the atoms of `target`, the last atom first if `backwards`.
  void RecordDelete(Atom first, AtomSpan target, bool backwards);
  void RecordMove(Atom op, Atom deleted, uint32_t leaf);

  /// Whether this op was recorded as an insert, or as one of its atoms.
  bool IsInsert(Id id) const;

  // --- Where elements are ---

  uint32_t LeafOf(Atom atom) const;
  void SetLeaf(AtomSpan span, uint32_t leaf);

  /// Calls inserted(AtomSpan) and deleted(AtomSpan) for what the ops of `span` did.
  template <typename Inserted, typename Deleted>
  void ForEachEffect(const IdSpan& span, Inserted inserted, Deleted deleted) const {
    const PeerIndex index = Find(span.peer);
    if (index == kNoPeerIndex) {
      return;
    }
    const std::vector<Entry>& entries = peers_[index].entries;
    for (size_t i = EntryAt(peers_[index], span.start); i < entries.size(); ++i) {
      const Entry& entry = entries[i];
      if (entry.counter >= span.end) {
        return;
      }
      const uint32_t from = static_cast<uint32_t>(std::max(span.start - entry.counter, 0));
      const uint32_t to = std::min(static_cast<uint32_t>(span.end - entry.counter), entry.length);
      if (from >= to) {
        continue;
      }
      if (entry.kind == Kind::kInsert || entry.kind == Kind::kMove) {
        inserted(AtomSpan{{index, entry.counter + static_cast<Counter>(from)}, to - from});
      }
      if (entry.kind == Kind::kDeleteBackwards) {
        deleted(AtomSpan{entry.target.Plus(entry.length - to), to - from});
      } else if (entry.kind != Kind::kInsert) {
        deleted(AtomSpan{entry.target.Plus(from), to - from});
      }
    }
  }

  size_t MemoryBytes() const;

 private:
  enum class Kind : uint32_t { kInsert, kDelete, kDeleteBackwards, kMove };

  struct Entry {
    Counter counter = 0;
    uint32_t length = 0;
    Kind kind = Kind::kInsert;
    uint32_t first_page = 0;  // kInsert, kMove
    Atom target;              // kDelete, kDeleteBackwards, kMove: the lowest id deleted

    uint32_t end() const { return static_cast<uint32_t>(counter) + length; }
  };

  struct Peer {
    PeerId id = 0;
    std::vector<Entry> entries;
    std::vector<uint32_t> pages;    // a leaf, or kSplitPage | index into blocks_
    mutable size_t last_entry = 0;  // found last; a guess where to look next
  };

  static constexpr uint32_t kPageAtoms = 16;
  static constexpr uint32_t kSplitPage = 0x80000000;

  /// The first entry that ends after `counter`, or one past the last entry.
  static size_t EntryAt(const Peer& peer, Counter counter);
  static bool Continues(const Entry& entry, Atom first);
  Entry& AddEntry(Atom first, uint32_t length, Kind kind);
  void SetPageRange(uint32_t* page, uint32_t from, uint32_t to, uint32_t leaf);
  void FillPages(Peer& peer, const Entry& entry, uint32_t from, uint32_t to, uint32_t leaf);
  void SetBaseLeaf(uint32_t from, uint32_t to, uint32_t leaf);

  static size_t Hash(PeerId peer) { return (peer * 0x9e3779b97f4a7c15) >> 32; }

  std::vector<Peer> peers_;  // kBasePeer first
  HashIndex peer_index_;
  std::vector<std::array<uint32_t, kPageAtoms>> blocks_;
  std::map<uint32_t, uint32_t> base_leaves_;  // first offset of each stretch -> leaf
};

}  // namespace merrow::loro
