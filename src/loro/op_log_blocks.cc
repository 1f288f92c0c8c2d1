// SPDX-License-Identifier: Apache-2.0
//
// The op log's blocks: finding, visiting and merging them.
#include "loro/op_log_blocks.h"

#include <algorithm>
#include <utility>

#include "loro/op_log.h"
#include "merrow/check.h"

namespace merrow::loro {

Bytes SliceBlock(const ChangeBlock& block, Counter from, Counter to) {
  ChangeBlockBuilder builder(block.peer);
  for (size_t i = 0; i < block.changes.size(); ++i) {
    const Change& change = block.changes[i];
    const Counter start = std::max(from, change.counter);
    const Counter end = std::min(to, change.end());
    if (start < end) MERROW_CHECK(builder.AppendSlice(block, i, start, end).ok());
  }
  return builder.Encode();
}

ChangeBlock DecodeStored(BytesView bytes) {
  Result<ChangeBlock> block = DecodeChangeBlock(bytes);
  MERROW_CHECK(block.ok());
  return std::move(block).value();
}

void OpLog::Reader::Offer(std::span<const Admitted> admitted) {
  const Incoming* last = nullptr;
  for (const Admitted& item : admitted) {
    if (item.source.get() == last) continue;
    last = item.source.get();
    const ChangeBlock& block = last->block;
    offered_.emplace_back(Id{block.peer, block.counter()}, &block);
  }
  std::sort(offered_.begin(), offered_.end());
}

const ChangeBlock& OpLog::Reader::BlockAt(Id id) {
  const auto holds = [id](const ChangeBlock* block) {
    return block != nullptr && block->peer == id.peer && block->counter() <= id.counter &&
           id.counter < block->end();
  };
  if (holds(last_)) return *last_;
  std::swap(last_, before_last_);
  if (!holds(last_)) last_ = &Find(id);
  return *last_;
}

const ChangeBlock& OpLog::Reader::Find(Id id) {
  if (log_.InOpenBlock(id)) {
    const auto [it, is_new] = decoded_.try_emplace(Id{id.peer, log_.open_start_}, ChangeBlock{});
    if (is_new) it->second = log_.open_->View();
    return it->second;
  }
  const auto found = log_.blocks_.find(id.peer);
  MERROW_CHECK(found != log_.blocks_.end());
  const auto after = std::upper_bound(
      found->second.begin(), found->second.end(), id.counter,
      [](Counter counter, const StoredBlock& block) { return counter < block.start; });
  MERROW_CHECK(after != found->second.begin());
  const StoredBlock& stored = *(after - 1);
  MERROW_CHECK(id.counter < stored.end);
  const Id first{id.peer, stored.start};
  const auto offered = std::lower_bound(
      offered_.begin(), offered_.end(), first,
      [](const std::pair<Id, const ChangeBlock*>& item, Id key) { return item.first < key; });
  // A block that was not new as a whole was stored in part.
  for (auto it = offered; it != offered_.end() && it->first == first; ++it) {
    if (it->second->end() == stored.end) return *it->second;
  }
  const auto [it, is_new] = decoded_.try_emplace(first, ChangeBlock{});
  if (is_new) it->second = DecodeStored(stored.bytes);
  return it->second;
}

void OpLog::ForEachBlockSince(const VersionVector& from,
                              const std::function<void(Id, BytesView)>& visit) const {
  MERROW_CHECK(uncommitted_ == 0);
  for (const VersionVector::Entry& entry : version().entries()) {
    VisitBlocks({entry.peer, from.End(entry.peer), entry.end}, visit);
  }
}

void OpLog::ForEachBlockIn(std::span<const IdSpan> spans,
                           const std::function<void(Id, BytesView)>& visit) const {
  MERROW_CHECK(uncommitted_ == 0);
  std::vector<IdSpan> sorted(spans.begin(), spans.end());
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size();) {
    IdSpan span = sorted[i++];
    while (i < sorted.size() && sorted[i].peer == span.peer && sorted[i].start <= span.end) {
      span.end = std::max(span.end, sorted[i++].end);
    }
    VisitBlocks(span, visit);
  }
}

// Visits what is here of one peer's atoms: whole blocks, and slices at the ends.
void OpLog::VisitBlocks(const IdSpan& span, const std::function<void(Id, BytesView)>& visit) const {
  const auto visit_slice = [&](const ChangeBlock& block, Counter from, Counter to) {
    visit({span.peer, from}, SliceBlock(block, from, to));
  };
  const auto found = blocks_.find(span.peer);
  if (found != blocks_.end()) {
    auto block = std::upper_bound(
        found->second.begin(), found->second.end(), span.start,
        [](Counter counter, const StoredBlock& stored) { return counter < stored.end; });
    for (; block != found->second.end() && block->start < span.end; ++block) {
      if (block->start >= span.start && block->end <= span.end) {
        visit({span.peer, block->start}, block->bytes);
      } else {
        visit_slice(DecodeStored(block->bytes), std::max(block->start, span.start),
                    std::min(block->end, span.end));
      }
    }
  }
  // The open block comes after the stored ones of its peer, which may have none.
  if (open_ == nullptr || span.peer != local_peer_) return;
  const Counter from = std::max(open_start_, span.start);
  const Counter to = std::min(open_->end(), span.end);
  if (from >= to) return;
  if (from == open_start_ && to == open_->end()) {
    visit({span.peer, from}, open_->Encode());
  } else {
    visit_slice(open_->View(), from, to);
  }
}

void OpLog::ForEachChange(
    const std::function<void(const ChangeBlock&, const Change&, uint32_t, Lamport)>& visit) const {
  // The changes of one peer are in that order already, so one block per peer is decoded at a time.
  struct Cursor {
    IdLp key;
    PeerId peer;
    size_t next_block = 0;
    ChangeBlock block;
    size_t change = 0;
    bool operator<(const Cursor& other) const { return key > other.key; }
  };
  std::vector<Cursor> heap;
  // False at the end.
  const auto load = [&](Cursor& cursor) {
    const auto found = blocks_.find(cursor.peer);
    const size_t stored = found == blocks_.end() ? 0 : found->second.size();
    if (cursor.next_block < stored) {
      cursor.block = DecodeStored(found->second[cursor.next_block].bytes);
    } else if (cursor.next_block == stored && open_ != nullptr && cursor.peer == local_peer_) {
      cursor.block = open_->View();
    } else {
      return false;
    }
    ++cursor.next_block;
    cursor.change = 0;
    return true;
  };
  const auto push = [&](Cursor cursor) {
    const Id id{cursor.peer, cursor.block.changes[cursor.change].counter};
    if (!version().Includes(id)) return;  // not committed
    cursor.key = {graph_.LamportOf(*graph_.LvOf(id)), cursor.peer};
    heap.push_back(std::move(cursor));
    std::push_heap(heap.begin(), heap.end());
  };
  for (const VersionVector::Entry& entry : version().entries()) {
    Cursor cursor{.key = {}, .peer = entry.peer, .block = {}};
    if (load(cursor)) push(std::move(cursor));
  }
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    Cursor cursor = std::move(heap.back());
    heap.pop_back();
    const Change& change = cursor.block.changes[cursor.change];
    const Counter end = std::min(change.end(), version().End(cursor.peer));
    visit(cursor.block, change, static_cast<uint32_t>(end - change.counter), cursor.key.lamport);
    if (++cursor.change < cursor.block.changes.size() || load(cursor)) push(std::move(cursor));
  }
}

// Appends blocks of one peer as fewer. Several, if one would hold more than a block may.
void OpLog::MergeBlocks(PeerId peer, std::span<const StoredBlock> blocks, PeerBlocks* merged) {
  ChangeBlockBuilder builder(peer);
  Counter start = blocks.front().start;
  const auto flush = [&] {
    merged->push_back({start, builder.end(), builder.Encode(), next_token_++});
    start = builder.end();
    builder = ChangeBlockBuilder(peer);
  };
  for (const StoredBlock& stored : blocks) {
    const ChangeBlock block = DecodeStored(stored.bytes);
    for (size_t i = 0; i < block.changes.size(); ++i) {
      const Change& change = block.changes[i];
      const auto append = [&] {
        return builder.AppendSlice(block, i, change.counter, change.end(), ChangeMerge::kMerge);
      };
      if (append().ok()) continue;
      flush();
      // A change that came in one block fits one block.
      MERROW_CHECK(append().ok());
    }
  }
  flush();
}

bool OpLog::IsWorthCompacting() const {
  size_t count = 0;
  size_t bytes = 0;
  for (const auto& [peer, blocks] : blocks_) {
    count += blocks.size();
    for (const StoredBlock& block : blocks) bytes += block.bytes.size();
  }
  return count > bytes / kBlockBytesTarget + blocks_.size() + kSpareBlocksMax;
}

void OpLog::ForEachStoredBlock(const std::function<void(Id, BytesView, uint64_t)>& visit) const {
  MERROW_CHECK(open_ == nullptr);
  for (const auto& [peer, blocks] : blocks_) {
    for (const StoredBlock& block : blocks) visit({peer, block.start}, block.bytes, block.token);
  }
}

void OpLog::CompactIfWorth() {
  MERROW_CHECK(uncommitted_ == 0);
  SealOpenBlock();
  if (IsWorthCompacting()) Compact();
}

void OpLog::Compact() {
  MERROW_CHECK(uncommitted_ == 0);
  SealOpenBlock();
  for (auto& [peer, blocks] : blocks_) {
    PeerBlocks merged;
    for (size_t i = 0; i < blocks.size();) {
      size_t j = i;
      size_t bytes = 0;
      while (j < blocks.size() && (j == i || bytes + blocks[j].bytes.size() <= kBlockBytesTarget)) {
        bytes += blocks[j].bytes.size();
        ++j;
      }
      if (j == i + 1) {
        merged.push_back(std::move(blocks[i]));
      } else {
        MergeBlocks(peer, std::span(blocks).subspan(i, j - i), &merged);
      }
      i = j;
    }
    merged.shrink_to_fit();
    blocks = std::move(merged);
  }
}

}  // namespace merrow::loro
