// SPDX-License-Identifier: Apache-2.0
//
// Version vector: for each peer, how many of its atoms a document has.
//
// Invariants:
//   (1) entries_ is sorted by peer and has no duplicates.
//   (2) Every end is positive; absence means 0.
//   (3) Merge is the pointwise maximum, so it is commutative, associative and idempotent.
//
// Encoded (Loro's VersionVector.encode(), also what clients send when they join): a postcard map,
// uleb count, then per entry uleb peer and zigzag end. The order is not canonical; readers accept
// any.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "merrow/ids.h"
#include "merrow/result.h"

#pragma GCC visibility push(default)

namespace merrow {
class ByteReader;
}

namespace merrow::loro {

class VersionVector {
 public:
  struct Entry {
    PeerId peer;
    Counter end;  // exclusive
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const& { return entries_; }
  std::vector<Entry> entries() && { return std::move(entries_); }

  /// The number of atoms of `peer` that are included; 0 if none.
  Counter End(PeerId peer) const;
  bool Includes(Id id) const { return id.counter < End(id.peer); }
  /// True if everything in `other` is in this.
  bool Includes(const VersionVector& other) const;

  /// Sets the end of `peer`; 0 removes it.
  void Set(PeerId peer, Counter end);
  /// Sets the end of `peer` to at least `end`.
  void Extend(PeerId peer, Counter end);
  void Merge(const VersionVector& other);

  /// The spans that are in this and not in `other`, by peer.
  std::vector<IdSpan> SpansNotIn(const VersionVector& other) const;

  Bytes Encode() const;
  static Result<VersionVector> Decode(BytesView bytes);
  static Result<VersionVector> Read(ByteReader& reader);

  /// "{peer: end, ...}", for logs.
  std::string ToString() const;

  friend bool operator==(const VersionVector&, const VersionVector&) = default;

 private:
  std::vector<Entry> entries_;
};

/// The heads of a version: ids that no other id of the version follows, sorted.
using Frontiers = std::vector<Id>;

/// Loro's Frontiers::encode(): a postcard Vec<ID>, uleb count, then per id uleb peer and zigzag
/// counter.
Bytes EncodeFrontiers(const Frontiers& frontiers);
Result<Frontiers> DecodeFrontiers(BytesView bytes);

}  // namespace merrow::loro

#pragma GCC visibility pop
