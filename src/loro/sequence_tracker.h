// SPDX-License-Identifier: Apache-2.0
//
// Sequence tracker: replays the ops of one sequence container (Text, List, the positions of a
// MovableList) and says what each of them does to the container as it looks now.
//
// The position in an op means something only at the version the op was made at. The tracker holds
// every element that it has seen, in document order and with tombstones, at two versions at once:
// the current version, which the caller moves with Retreat and Advance and at which the next op's
// position is read, and the effect, which is the version after all ops that were fed. Feeding an op
// at the version it was made at turns its position into one in the effect. Where an insert lands
// among concurrent ones is Fugue's rule (docs/data-model.md).
//
// The replay starts at a critical version, one that every op to be fed follows. The elements that
// are visible there are one run without ids. The empty version is always critical.
//
// How it is stored: runs of elements with consecutive ids and equal status, in the leaves of a
// LeafTree that sums visible lengths; and per peer the list of its ops, which maps an id to the
// leaf that holds the element or to the ids it deleted.
//
// Cost: O(log n) per op and per run that it or a version change touches, plus the runs that were
// inserted concurrently at the same place.
//
// Thread-compatible.

#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "merrow/ids.h"
#include "merrow/result.h"

namespace merrow::loro {

/// Most elements, alive or dead, that one tracker holds.
inline constexpr uint32_t kTrackerElementsMax = 0x7fffffff;

class SequenceTracker {
 public:
  /// A range of the effect that an op removed.
  struct Deleted {
    uint32_t position = 0;
    uint32_t length = 0;

    friend bool operator==(const Deleted&, const Deleted&) = default;
  };
  /// What a move does to the effect: first `deleted` if `was_visible`, then one new element at
  /// `to`.
  struct Moved {
    bool was_visible = false;
    uint32_t from = 0;  // if was_visible
    uint32_t to = 0;    // counted after the removal
  };

  /// `base_length`: elements (Text: entities) that are visible at the base version.
  /// REQUIRES: at most kTrackerElementsMax
  explicit SequenceTracker(uint32_t base_length);
  ~SequenceTracker();
  /// Becomes what the constructor makes, and keeps its memory if that is little.
  void Restart(uint32_t base_length);
  SequenceTracker(SequenceTracker&&) noexcept;
  SequenceTracker& operator=(SequenceTracker&&) noexcept;

  // --- Feeding ops ---
  //
  // Each op once, after the ops it follows, while the current version is the one it was made at.
  // It is part of the current version afterwards. The counters of one peer are fed in ascending
  // order. An op that does not fit its version is an invalid argument and changes nothing.

  /// Inserts `length` elements with ids from `id` on in front of the `position`-th visible one.
  /// Returns their position in the effect. REQUIRES: length > 0
  Result<uint32_t> Insert(Id id, uint32_t length, uint32_t position);

  /// Deletes |signed_length| visible elements: `position` and those after it, or if negative
  /// `position` and those before it, one op atom each, starting at `position`. Appends the ranges
  /// that this removes from the effect, to be removed one after another. Elements that a concurrent
  /// op removed already are not among them. REQUIRES: signed_length != 0
  Status Delete(Id id, uint32_t position, int32_t signed_length, std::vector<Deleted>* deleted);

  /// Deletes the visible element `from`, then inserts one with the op's id in front of the `to`-th
  /// of the rest.
  Result<Moved> Move(Id id, uint32_t from, uint32_t to);

  // --- Moving the current version ---
  //
  // Spans of ops that were fed and are (Retreat) or are not (Advance) part of the current version.
  // They may cover counters that were never fed here; these are ignored.

  void Retreat(IdSpan span);
  void Advance(IdSpan span);

  /// Whether `id` inserted an element, other than by a move, and is part of the current version.
  bool HasInsert(Id id) const;

  /// Elements visible at the current version.
  uint32_t current_length() const;
  /// Elements visible in the effect.
  uint32_t effect_length() const;

  /// One run of the effect, as tests and rebuilding callers see it.
  struct EffectRun {
    bool is_base = false;
    uint32_t base_offset = 0;  // if is_base: offset in the base version
    Id id;                     // otherwise
    uint32_t length = 0;
  };
  /// The visible elements of the effect in order.
  std::vector<EffectRun> EffectRuns() const;

  /// How many elements are visible in the effect in front of an element that was fed, whether or
  /// not it is visible itself; nothing if it was not fed. Cost: the runs held.
  std::optional<uint32_t> EffectPositionOf(Id id) const;
  /// The same of an element of the base, by its offset there.
  std::optional<uint32_t> EffectPositionOfBase(uint32_t offset) const;

  /// Runs held, for tests and figures.
  size_t run_count() const;
  /// Bytes on the heap.
  size_t MemoryBytes() const;

  /// Ends the process if an invariant does not hold.
  void CheckInvariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::loro
