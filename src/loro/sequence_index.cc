// SPDX-License-Identifier: Apache-2.0

#include "loro/sequence_index.h"

#include <iterator>

namespace merrow::loro {

SequenceIndex::SequenceIndex() {
  Intern(kNoPeer);
  base_leaves_.emplace(0, 0);
}

void SequenceIndex::Clear() {
  // Peers keep their numbers, which mean nothing.
  constexpr size_t kPeersKept = 8;
  if (peers_.size() > kPeersKept) {
    *this = SequenceIndex();
    return;
  }
  for (Peer& peer : peers_) {
    peer.entries.clear();
    peer.pages.clear();
    peer.last_entry = 0;
  }
  blocks_.clear();
  base_leaves_.erase(std::next(base_leaves_.begin()), base_leaves_.end());
  base_leaves_.begin()->second = 0;  // its key is 0, always
}

PeerIndex SequenceIndex::Intern(PeerId peer) {
  const PeerIndex found = Find(peer);
  if (found != kNoPeerIndex) {
    return found;
  }
  peers_.emplace_back();
  peers_.back().id = peer;
  peer_index_.Added(peers_.size(), [this](uint32_t i) { return Hash(peers_[i].id); });
  return static_cast<PeerIndex>(peers_.size() - 1);
}

bool SequenceIndex::IsInsert(Id id) const {
  const PeerIndex peer = Find(id.peer);
  if (peer == kNoPeerIndex) return false;
  const std::vector<Entry>& entries = peers_[peer].entries;
  const size_t i = EntryAt(peers_[peer], id.counter);
  return i < entries.size() && entries[i].counter <= id.counter && entries[i].kind == Kind::kInsert;
}

PeerIndex SequenceIndex::Find(PeerId peer) const {
  return peer_index_
      .Find(peers_.size(), Hash(peer), [&](uint32_t i) { return peers_[i].id == peer; })
      .value_or(kNoPeerIndex);
}

size_t SequenceIndex::EntryAt(const Peer& peer, Counter counter) {
  const auto ends_after = [&](size_t i) {
    return peer.entries[i].end() > static_cast<uint32_t>(counter);
  };
  const size_t guess = peer.last_entry;
  if (guess < peer.entries.size() && ends_after(guess) && (guess == 0 || !ends_after(guess - 1))) {
    return guess;
  }
  const auto found = std::partition_point(
      peer.entries.begin(), peer.entries.end(),
      [&](const Entry& entry) { return entry.end() <= static_cast<uint32_t>(counter); });
  peer.last_entry = static_cast<size_t>(found - peer.entries.begin());
  return peer.last_entry;
}

bool SequenceIndex::Continues(const Entry& entry, Atom first) {
  return entry.end() == static_cast<uint32_t>(first.counter);
}

SequenceIndex::Entry& SequenceIndex::AddEntry(Atom first, uint32_t length, Kind kind) {
  std::vector<Entry>& entries = peers_[first.peer].entries;
  MERROW_CHECK(entries.empty() || entries.back().end() <= static_cast<uint32_t>(first.counter));
  Entry& entry = entries.emplace_back();
  entry.counter = first.counter;
  entry.length = length;
  entry.kind = kind;
  return entry;
}

void SequenceIndex::RecordInsert(Atom first, uint32_t length, uint32_t leaf) {
  Peer& peer = peers_[first.peer];
  if (!peer.entries.empty() && peer.entries.back().kind == Kind::kInsert &&
      Continues(peer.entries.back(), first)) {
    Entry& entry = peer.entries.back();
    entry.length += length;
    FillPages(peer, entry, entry.length - length, entry.length, leaf);
    return;
  }
  Entry& entry = AddEntry(first, length, Kind::kInsert);
  entry.first_page = static_cast<uint32_t>(peer.pages.size());
  FillPages(peer, entry, 0, length, leaf);
}

void SequenceIndex::RecordMove(Atom op, Atom deleted, uint32_t leaf) {
  Peer& peer = peers_[op.peer];
  Entry& entry = AddEntry(op, 1, Kind::kMove);
  entry.target = deleted;
  entry.first_page = static_cast<uint32_t>(peer.pages.size());
  FillPages(peer, entry, 0, 1, leaf);
}

void SequenceIndex::RecordDelete(Atom first, AtomSpan target, bool backwards) {
  std::vector<Entry>& entries = peers_[first.peer].entries;
  if (!entries.empty() && Continues(entries.back(), first) &&
      entries.back().target.peer == target.first.peer) {
    Entry& last = entries.back();
    const bool last_may_go_on = last.kind == Kind::kDelete && (!backwards || target.length == 1);
    if (last_may_go_on && last.target.Plus(last.length) == target.first) {
      last.length += target.length;
      return;
    }
    const bool last_may_go_back =
        (last.kind == Kind::kDeleteBackwards || (last.kind == Kind::kDelete && last.length == 1)) &&
        (backwards || target.length == 1);
    if (last_may_go_back && target.first.Plus(target.length) == last.target) {
      last.kind = Kind::kDeleteBackwards;
      last.target = target.first;
      last.length += target.length;
      return;
    }
  }
  const bool keeps_order = !backwards || target.length == 1;
  AddEntry(first, target.length, keeps_order ? Kind::kDelete : Kind::kDeleteBackwards).target =
      target.first;
}

uint32_t SequenceIndex::LeafOf(Atom atom) const {
  if (atom.peer == kBasePeer) {
    return std::prev(base_leaves_.upper_bound(static_cast<uint32_t>(atom.counter)))->second;
  }
  const Peer& peer = peers_[atom.peer];
  const Entry& entry = peer.entries[EntryAt(peer, atom.counter)];
  const uint32_t offset = static_cast<uint32_t>(atom.counter - entry.counter);
  const uint32_t page = peer.pages[entry.first_page + offset / kPageAtoms];
  return (page & kSplitPage) == 0 ? page : blocks_[page & ~kSplitPage][offset % kPageAtoms];
}

void SequenceIndex::SetLeaf(AtomSpan span, uint32_t leaf) {
  if (span.first.peer == kBasePeer) {
    const uint32_t from = static_cast<uint32_t>(span.first.counter);
    SetBaseLeaf(from, from + span.length, leaf);
    return;
  }
  Peer& peer = peers_[span.first.peer];
  const Entry& entry = peer.entries[EntryAt(peer, span.first.counter)];
  const uint32_t from = static_cast<uint32_t>(span.first.counter - entry.counter);
  FillPages(peer, entry, from, from + span.length, leaf);
}

void SequenceIndex::SetBaseLeaf(uint32_t from, uint32_t to, uint32_t leaf) {
  const auto after = base_leaves_.lower_bound(to);
  const bool ends_inside = after == base_leaves_.end() || after->first != to;
  const uint32_t leaf_behind = std::prev(base_leaves_.upper_bound(to))->second;
  base_leaves_.erase(base_leaves_.lower_bound(from), after);
  if (ends_inside) {
    base_leaves_.emplace(to, leaf_behind);
  }
  base_leaves_.emplace(from, leaf);
}

void SequenceIndex::FillPages(Peer& peer, const Entry& entry, uint32_t from, uint32_t to,
                              uint32_t leaf) {
  const size_t pages_needed = entry.first_page + (size_t{to} + kPageAtoms - 1) / kPageAtoms;
  if (peer.pages.size() < pages_needed) {
    peer.pages.resize(pages_needed, leaf);  // counters past the last op have no meaning yet
  }
  uint32_t* const pages = peer.pages.data() + entry.first_page;
  while (from < to) {
    const uint32_t page = from / kPageAtoms;
    const uint32_t page_end = page * kPageAtoms + kPageAtoms;
    const uint32_t end = std::min(to, page_end);
    const bool fills = from % kPageAtoms == 0 && (end == page_end || end == entry.length);
    if (fills && (pages[page] & kSplitPage) == 0) {
      pages[page] = leaf;
    } else {
      SetPageRange(&pages[page], from % kPageAtoms, from % kPageAtoms + (end - from), leaf);
    }
    from = end;
  }
}

void SequenceIndex::SetPageRange(uint32_t* page, uint32_t from, uint32_t to, uint32_t leaf) {
  if (*page == leaf) {
    return;
  }
  if ((*page & kSplitPage) == 0) {
    blocks_.emplace_back().fill(*page);
    *page = kSplitPage | static_cast<uint32_t>(blocks_.size() - 1);
  }
  auto& block = blocks_[*page & ~kSplitPage];
  std::fill(block.begin() + from, block.begin() + to, leaf);
}

size_t SequenceIndex::MemoryBytes() const {
  size_t bytes = blocks_.capacity() * sizeof(blocks_[0]) + peers_.capacity() * sizeof(Peer) +
                 peer_index_.MemoryBytes() + base_leaves_.size() * 48;
  for (const Peer& peer : peers_) {
    bytes += peer.entries.capacity() * sizeof(Entry) + peer.pages.capacity() * sizeof(uint32_t);
  }
  return bytes;
}

}  // namespace merrow::loro
