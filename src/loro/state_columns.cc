// SPDX-License-Identifier: Apache-2.0
#include "loro/state_columns.h"

#include <algorithm>

namespace merrow::loro {

Result<PeerTable> PeerTable::Read(ByteReader& reader) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > reader.remaining() / sizeof(PeerId)) return reader.Fail("peer count is past the end");
  PeerTable table;
  table.peers_.resize(count);
  for (PeerId& peer : table.peers_) {
    MERROW_ASSIGN(peer, reader.U64Le());
  }
  return table;
}

uint64_t PeerRegister::Index(PeerId peer) {
  if (last_ < peers_.size() && peers_[last_] == peer) return last_;
  if (peers_.size() < kScanMax) {
    const auto found = std::find(peers_.begin(), peers_.end(), peer);
    last_ = static_cast<uint64_t>(found - peers_.begin());
    if (found == peers_.end()) peers_.push_back(peer);
    return last_;
  }
  if (indexes_.empty()) {
    for (const PeerId known : peers_) indexes_.emplace(known, indexes_.size());
  }
  const auto [it, is_new] = indexes_.emplace(peer, peers_.size());
  if (is_new) peers_.push_back(peer);
  last_ = it->second;
  return last_;
}

void PeerRegister::Write(ByteWriter& writer) const {
  writer.Uleb(peers_.size());
  for (const PeerId peer : peers_) writer.U64Le(peer);
}

// Loro computes the lamport column with wrapping 32-bit integers; so do both sides here.
bool FullIdDecoder::Next(const PeerTable& peers, FullId* out) {
  uint64_t peer_index = 0;
  int32_t lamport_minus_counter = 0;
  if (!peer_.Next(&peer_index) || !counter_.Next(&out->id.counter) ||
      !lamport_.Next(&lamport_minus_counter) || !peers.Get(peer_index, &out->id.peer)) {
    return false;
  }
  out->lamport =
      static_cast<uint32_t>(out->id.counter) + static_cast<uint32_t>(lamport_minus_counter);
  return out->id.counter >= 0;
}

void FullIdEncoder::Append(PeerRegister& peers, Id id, Lamport lamport) {
  peer_.Append(peers.Index(id.peer));
  counter_.Append(id.counter);
  lamport_.Append(static_cast<int32_t>(lamport - static_cast<uint32_t>(id.counter)));
}

void FullIdEncoder::Finish(Bytes* peer, Bytes* counter, Bytes* lamport) {
  *peer = peer_.Finish();
  *counter = counter_.Finish();
  *lamport = lamport_.Finish();
}

bool ExpectFields(Cursor& cursor, uint64_t count) {
  uint64_t found = 0;
  return cursor.Uleb(&found) && found == count;
}

}  // namespace merrow::loro
