// SPDX-License-Identifier: Apache-2.0
//
// Tie-breaks: who wins, or stands in front, when nothing else decides (docs/data-model.md). Each
// rule is here once and is used by one source, so that a canary build can get exactly one of them
// wrong: compiled with MERROW_CANARY_RULE, that source breaks the rule and the property tests must
// notice (docs/testing.md). Nothing that ships is compiled that way.

#pragma once

#include "merrow/ids.h"

namespace merrow::loro {

/// Sequences: of two concurrent siblings with the same bounds, the one whose peer is smaller stands
/// in front.
inline bool SiblingStandsBefore(PeerId a, PeerId b) {
#ifdef MERROW_CANARY_SEQUENCE
  return a > b;
#else
  return a < b;
#endif
}

/// Maps: the write with the larger (lamport, peer) holds the slot.
inline bool SlotWriteWins(IdLp write, IdLp holder) {
#ifdef MERROW_CANARY_MAP
  return write.lamport != holder.lamport ? write.lamport < holder.lamport
                                         : write.peer >= holder.peer;
#else
  return write >= holder;
#endif
}

/// Text: of two marks with one key, the one with the larger (lamport, peer) is shown.
inline bool MarkWins(IdLp mark, IdLp other) {
#ifdef MERROW_CANARY_MARK
  return mark.lamport != other.lamport ? mark.lamport > other.lamport : mark.peer < other.peer;
#else
  return mark > other;
#endif
}

/// Movable lists: the set with the larger (lamport, peer) gives an element its value.
inline bool ElementSetWins(IdLp set, IdLp holder) {
#ifdef MERROW_CANARY_MOVABLE
  return set.peer >= holder.peer;
#else
  return set >= holder;
#endif
}

/// Trees: ops are applied in the order of (lamport, peer).
inline bool TreeOpAppliesBefore(IdLp a, IdLp b) {
#ifdef MERROW_CANARY_TREE
  return a.peer != b.peer ? a.peer < b.peer : a.lamport < b.lamport;
#else
  return a < b;
#endif
}

}  // namespace merrow::loro
