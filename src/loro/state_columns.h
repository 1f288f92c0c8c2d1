// SPDX-License-Identifier: Apache-2.0
//
// What the states of all kinds share, private to the state codecs: the table of peers in front of
// the columns, and ids in columns.
//
//   peers = uleb count | u64le peer ...
//
// A full id takes three columns: index of its peer, counter, and lamport minus counter, which stays
// the same along a run of ops and so costs next to nothing.

#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "loro/columns.h"
#include "merrow/ids.h"
#include "merrow/result.h"

namespace merrow::loro {

class PeerTable {
 public:
  static Result<PeerTable> Read(ByteReader& reader);

  /// False if there is no such peer.
  bool Get(uint64_t index, PeerId* peer) const {
    if (index >= peers_.size()) return false;
    *peer = peers_[index];
    return true;
  }

 private:
  std::vector<PeerId> peers_;
};

/// Numbers peers in the order in which they are first asked for.
class PeerRegister {
 public:
  uint64_t Index(PeerId peer);
  void Write(ByteWriter& writer) const;

 private:
  static constexpr size_t kScanMax = 16;

  std::vector<PeerId> peers_;
  std::unordered_map<PeerId, uint64_t> indexes_;  // empty up to kScanMax peers
  uint64_t last_ = 0;                             // peers come in runs
};

struct FullId {
  Id id;
  Lamport lamport = 0;
};

/// Three columns of ids.
class FullIdDecoder {
 public:
  FullIdDecoder(BytesView peer, BytesView counter, BytesView lamport)
      : peer_(peer), counter_(counter), lamport_(lamport) {}

  /// False if there is no further id, or it is malformed.
  bool Next(const PeerTable& peers, FullId* out);
  bool AtEnd() const { return peer_.AtEnd() && counter_.AtEnd() && lamport_.AtEnd(); }

 private:
  DeltaRleDecoder<uint64_t> peer_;
  DeltaRleDecoder<int32_t> counter_;
  DeltaRleDecoder<int32_t> lamport_;  // minus counter
};

class FullIdEncoder {
 public:
  void Append(PeerRegister& peers, Id id, Lamport lamport);
  /// The three columns.
  void Finish(Bytes* peer, Bytes* counter, Bytes* lamport);

 private:
  DeltaRleEncoder<uint64_t> peer_;
  DeltaRleEncoder<int32_t> counter_;
  DeltaRleEncoder<int32_t> lamport_;
};

/// The number in front of a columnar object or one of its rows: how many fields it has.
bool ExpectFields(Cursor& cursor, uint64_t count);

}  // namespace merrow::loro
