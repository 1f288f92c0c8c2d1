// SPDX-License-Identifier: Apache-2.0
//
// Element walk: how two versions of one sequence differ, by the ids of their elements. The order of
// two elements is the same in every version that has both, so one walk over both versions finds
// what only one of them has.

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "merrow/ids.h"

namespace merrow::loro {

/// Elements with consecutive ids.
struct ElementRun {
  Id id;
  uint32_t length = 0;
};

/// A set of ids that is asked about runs.
class IdRunSet {
 public:
  explicit IdRunSet(std::span<const ElementRun> runs) : runs_(runs.begin(), runs.end()) {
    std::sort(runs_.begin(), runs_.end(),
              [](const ElementRun& a, const ElementRun& b) { return a.id < b.id; });
  }

  /// Whether `id` is in the set, and how many of the `length` ids from it on are alike in that.
  std::pair<bool, uint32_t> Cover(Id id, uint32_t length) const {
    const auto after =
        std::upper_bound(runs_.begin(), runs_.end(), id,
                         [](const Id& at, const ElementRun& run) { return at < run.id; });
    if (after != runs_.begin()) {
      const ElementRun& run = *(after - 1);
      const int64_t offset = int64_t{id.counter} - run.id.counter;
      if (run.id.peer == id.peer && offset < int64_t{run.length}) {
        const auto rest = static_cast<uint32_t>(run.length - offset);
        return {true, std::min(length, rest)};
      }
    }
    if (after != runs_.end() && after->id.peer == id.peer) {
      const int64_t gap = int64_t{after->id.counter} - id.counter;
      if (gap < int64_t{length}) return {false, static_cast<uint32_t>(gap)};
    }
    return {false, length};
  }

 private:
  std::vector<ElementRun> runs_;
};

/// Calls removed(i, offset, n), added(j, offset, n) and kept(i, offset_i, j, offset_j, n) in
/// document order: n elements of run i of `from` or run j of `to`, from an offset in it on.
template <typename Removed, typename Added, typename Kept>
void WalkElements(std::span<const ElementRun> from, std::span<const ElementRun> to, Removed removed,
                  Added added, Kept kept) {
  const IdRunSet in_from(from);
  const IdRunSet in_to(to);
  struct Cursor {
    std::span<const ElementRun> runs;
    size_t index = 0;
    uint32_t offset = 0;

    bool at_end() const { return index == runs.size(); }
    Id id() const { return runs[index].id.Plus(static_cast<Counter>(offset)); }
    uint32_t left() const { return runs[index].length - offset; }
    void Advance(uint32_t count) {
      offset += count;
      if (offset < runs[index].length) return;
      ++index;
      offset = 0;
    }
  };
  Cursor a{from};
  Cursor b{to};
  while (!a.at_end() || !b.at_end()) {
    uint32_t kept_a = 0;
    if (!a.at_end()) {
      const auto [stays, count] = in_to.Cover(a.id(), a.left());
      // Elements out of order, which no honest history has, are removed and added.
      const bool cannot_meet = b.at_end();
      if (!stays || cannot_meet) {
        removed(a.index, a.offset, count);
        a.Advance(count);
        continue;
      }
      kept_a = count;
    }
    const auto [was_there, count] = in_from.Cover(b.id(), b.left());
    if (!was_there || a.at_end()) {
      added(b.index, b.offset, count);
      b.Advance(count);
      continue;
    }
    if (a.id() != b.id()) {
      removed(a.index, a.offset, kept_a);
      a.Advance(kept_a);
      continue;
    }
    const uint32_t both = std::min(kept_a, count);
    kept(a.index, a.offset, b.index, b.offset, both);
    a.Advance(both);
    b.Advance(both);
  }
}

}  // namespace merrow::loro
