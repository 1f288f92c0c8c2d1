// SPDX-License-Identifier: Apache-2.0
//
// FastSnapshot body: a whole document in one blob, behind the envelope (docs/format.md,
// "snapshot").
//
//   body = u32le + change store | u32le + state store | u32le + shallow root store
//
// Each is a sorted string table (sstable.h) or zero bytes when empty. The state store may also be
// the one byte "E": omitted, to be had by replaying the changes.
//
//   change store       "vv" version, "fr" frontiers, "sv" and "sf" the same of the start if the
//                      history is trimmed; u64be peer + i32be counter -> change block
//   state store        container id -> wrapper (state_codec.h) at the version
//   shallow root store the same at the start, and "fr"; entries of the state store replace its
//
// A snapshot is shallow (its history is trimmed) if and only if the third store is not empty.

#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "loro/envelope.h"
#include "loro/sstable.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

/// The parts of a snapshot. Decoded parts refer to the body that they came from, which must outlive
/// them, and to storage that they own for what was compressed.
struct SnapshotParts {
  struct Block {
    Id first;         // of the block's first atom
    BytesView bytes;  // a change block
  };
  struct State {
    ContainerId container;
    BytesView wrapper;  // see DecodeStateWrapper
  };
  struct Shallow {
    VersionVector start;        // "sv": what is trimmed; ops from here on are in `blocks`
    Frontiers start_frontiers;  // "sf"
    Frontiers state_frontiers;  // "fr" of the root store: the version of `states`
    std::vector<State> states;  // sorted by encoded id
  };

  VersionVector version;
  Frontiers frontiers;
  std::optional<Shallow> shallow;
  std::vector<Block> blocks;  // sorted by peer, then counter; without overlap
  /// The state at `version`: all of it, or if shallow what differs from shallow->states.
  std::vector<State> states;  // sorted by encoded id
  /// `states` is not there; the state follows from shallow->states and the blocks.
  bool state_omitted = false;

  /// Decompressed bytes that the views above refer to.
  std::vector<std::shared_ptr<const void>> storage;
};

struct SnapshotReadOptions {
  /// False: leaves the version, `shallow` and `blocks` empty, for a reader of `states` only.
  /// REQUIRES: not shallow
  bool with_changes = true;
  /// False: leaves `states` and `shallow->states` empty and does not look at their bytes, for an
  /// import into a document that has a state already.
  bool with_states = true;
  /// Limits of the whole snapshot, not of each store.
  SstableLimits limits;
};

/// What can be learnt from a snapshot's body without looking at changes and states.
struct SnapshotSummary {
  VersionVector version;
  Frontiers frontiers;  // sorted
  bool is_shallow = false;
  bool state_omitted = false;
};
/// Checks the frame and what it returns, no more. Cost: next to nothing.
Result<SnapshotSummary> ReadSnapshotSummary(BytesView body);

/// Decodes a snapshot's body (what follows the envelope's mode). Change blocks are checked as far
/// as their headers: that they agree with their keys, follow each other and add up to the version.
/// States are not checked at all.
Result<SnapshotParts> DecodeSnapshot(BytesView body, const SnapshotReadOptions& options = {});

struct SnapshotWriteOptions {
  /// False: larger, and faster to write.
  bool compress = true;
};

// What stands in a snapshot of a whole history, for writers of the stores themselves.
inline constexpr BytesView kSnapshotVersionKey = "vv";
inline constexpr BytesView kSnapshotFrontiersKey = "fr";
/// The key of a change block.
Bytes SnapshotBlockKey(Id first);
/// Bytes of the body with these stores.
size_t SnapshotBytes(BytesView changes, BytesView states);
void AppendSnapshot(BytesView changes, BytesView states, EnvelopeWriter* writer);

/// The body that holds `parts`, whose vectors may be in any order. Invalid argument if a block or a
/// container is there twice, is empty or has too long a name; limit if a store exceeds 4 GiB.
Result<Bytes> EncodeSnapshot(const SnapshotParts& parts, const SnapshotWriteOptions& options = {});

}  // namespace merrow::loro
