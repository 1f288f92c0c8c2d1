// SPDX-License-Identifier: Apache-2.0
//
// The shortest way from one sequence to another, for row_edit.h: which stretches of the old one are
// replaced by which of the new one.
//
// Myers' greedy algorithm: for d = 0, 1, 2, ... how far along each diagonal can one come with d
// inserts and deletes. The first d that arrives is minimal; the rows that were computed on the way
// give the path back. Cost: (length + d) * d. What is equal at both ends is cut off first, so
// typing costs the length of the text, and no more.
//
// Bounded: two sequences that have little in common would cost the square of their length. After
// `edits_max` edits, or when the budget of steps is spent, what is left counts as replaced whole.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace merrow::store {

/// Items [old_at, old_at + old_count) become the new ones [new_at, new_at + new_count).
struct Hunk {
  size_t old_at = 0;
  size_t old_count = 0;
  size_t new_at = 0;
  size_t new_count = 0;

  friend bool operator==(const Hunk&, const Hunk&) = default;
};

struct DiffLimits {
  /// Twice as many by words. Memory is 8 * edits_max^2 bytes.
  size_t edits_max = 1024;
  /// Of all comparisons of one DiffText.
  size_t steps_max = size_t{1} << 23;
};

/// Hunks from front to back, with something equal between any two.
std::vector<Hunk> DiffItems(std::span<const uint32_t> old_items,
                            std::span<const uint32_t> new_items, const DiffLimits& limits = {});

/// The same of two texts, in Unicode scalars: by scalars, and where they have too little in common
/// for that, by words first. REQUIRES: well-formed UTF-8.
std::vector<Hunk> DiffText(std::string_view old_text, std::string_view new_text,
                           const DiffLimits& limits = {});

}  // namespace merrow::store
