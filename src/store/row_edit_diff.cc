// SPDX-License-Identifier: Apache-2.0
#include "store/row_edit_diff.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "merrow/check.h"

namespace merrow::store {
namespace {

using Items = std::span<const uint32_t>;

/// A pair of sequences, cut down to where they differ.
struct Middle {
  Items old_items;
  Items new_items;
  size_t prefix = 0;
};

Middle CutEnds(Items old_items, Items new_items) {
  const size_t shorter = std::min(old_items.size(), new_items.size());
  size_t prefix = 0;
  while (prefix < shorter && old_items[prefix] == new_items[prefix]) {
    ++prefix;
  }
  size_t suffix = 0;
  while (suffix < shorter - prefix &&
         old_items[old_items.size() - 1 - suffix] == new_items[new_items.size() - 1 - suffix]) {
    ++suffix;
  }
  return {old_items.subspan(prefix, old_items.size() - prefix - suffix),
          new_items.subspan(prefix, new_items.size() - prefix - suffix), prefix};
}

class Myers {
 public:
  Myers(Items old_items, Items new_items) : old_(old_items), new_(new_items) {}

  /// Nothing if a limit was reached. Takes what it did from `*steps_left`.
  std::optional<std::vector<Hunk>> Run(size_t edits_max, size_t* steps_left) {
    const auto end = static_cast<ptrdiff_t>(old_.size()) - static_cast<ptrdiff_t>(new_.size());
    std::vector<uint32_t> row;
    for (size_t d = 0; d <= edits_max; ++d) {
      row = NextRow(row, d);
      if (steps_ > *steps_left) {
        *steps_left = 0;
        return std::nullopt;
      }
      rows_.push_back(row);
      const bool reaches = static_cast<size_t>(end < 0 ? -end : end) <= d &&
                           (static_cast<ptrdiff_t>(d) - end) % 2 == 0;
      if (reaches && row[IndexOf(end, d)] == old_.size()) {
        *steps_left -= steps_;
        return PathBack(end, d);
      }
    }
    *steps_left -= std::min(*steps_left, steps_);
    return std::nullopt;
  }

 private:
  /// Row d has the diagonals -d, -d + 2, ... d. What is stored is x + 1; 0: out of bounds.
  static size_t IndexOf(ptrdiff_t diagonal, size_t d) {
    return static_cast<size_t>(diagonal + static_cast<ptrdiff_t>(d)) / 2;
  }

  /// Where diagonal k is entered with d edits: from above by an insert, or from the left by a
  /// delete, whichever is further.
  static bool ComesByInsert(const std::vector<uint32_t>& before, ptrdiff_t k, size_t d) {
    const auto edits = static_cast<ptrdiff_t>(d);
    return k == -edits ||
           (k != edits && before[IndexOf(k - 1, d - 1)] < before[IndexOf(k + 1, d - 1)]);
  }

  std::vector<uint32_t> NextRow(const std::vector<uint32_t>& before, size_t d) {
    std::vector<uint32_t> row(d + 1);
    const auto edits = static_cast<ptrdiff_t>(d);
    for (ptrdiff_t k = -edits; k <= edits; k += 2) {
      size_t x = 0;
      if (d > 0) {
        x = ComesByInsert(before, k, d) ? before[IndexOf(k + 1, d - 1)]
                                        : before[IndexOf(k - 1, d - 1)] + size_t{1};
      }
      const ptrdiff_t y_signed = static_cast<ptrdiff_t>(x) - k;
      auto y = static_cast<size_t>(std::max<ptrdiff_t>(y_signed, 0));
      const size_t from = x;
      while (x < old_.size() && y < new_.size() && old_[x] == new_[y]) {
        ++x;
        ++y;
      }
      steps_ += x - from + 1;
      // Past an end the path cannot go on; the bound keeps it from counting as further.
      row[IndexOf(k, d)] = static_cast<uint32_t>(x);
    }
    return row;
  }

  std::vector<Hunk> PathBack(ptrdiff_t k, size_t d) const {
    std::vector<Hunk> hunks;
    for (; d > 0; --d) {
      const std::vector<uint32_t>& before = rows_[d - 1];
      const bool by_insert = ComesByInsert(before, k, d);
      k += by_insert ? 1 : -1;
      const size_t x = before[IndexOf(k, d - 1)];
      const auto y = static_cast<size_t>(static_cast<ptrdiff_t>(x) - k);
      const Hunk edit{x, by_insert ? size_t{0} : size_t{1}, y, by_insert ? size_t{1} : size_t{0}};
      const bool joins = !hunks.empty() && edit.old_at + edit.old_count == hunks.back().old_at &&
                         edit.new_at + edit.new_count == hunks.back().new_at;
      if (!joins) {
        hunks.push_back(edit);
        continue;
      }
      hunks.back() = {x, hunks.back().old_count + edit.old_count, y,
                      hunks.back().new_count + edit.new_count};
    }
    std::reverse(hunks.begin(), hunks.end());
    return hunks;
  }

  Items old_;
  Items new_;
  std::vector<std::vector<uint32_t>> rows_;
  size_t steps_ = 0;
};

/// Hunks of the two, `edits_max` and the budget permitting.
std::optional<std::vector<Hunk>> TryDiff(Items old_items, Items new_items, size_t edits_max,
                                         size_t* steps_left) {
  const Middle middle = CutEnds(old_items, new_items);
  if (middle.old_items.empty() && middle.new_items.empty()) {
    return std::vector<Hunk>();
  }
  std::vector<Hunk> hunks;
  if (middle.old_items.empty() || middle.new_items.empty()) {
    hunks.push_back({0, middle.old_items.size(), 0, middle.new_items.size()});
  } else {
    auto found = Myers(middle.old_items, middle.new_items).Run(edits_max, steps_left);
    if (!found.has_value()) {
      return std::nullopt;
    }
    hunks = *std::move(found);
  }
  for (Hunk& hunk : hunks) {
    hunk.old_at += middle.prefix;
    hunk.new_at += middle.prefix;
  }
  return hunks;
}

std::vector<Hunk> Whole(Items old_items, Items new_items) {
  const Middle middle = CutEnds(old_items, new_items);
  return {{middle.prefix, middle.old_items.size(), middle.prefix, middle.new_items.size()}};
}

std::vector<uint32_t> ScalarsOf(std::string_view text) {
  std::vector<uint32_t> scalars;
  scalars.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) {
      scalars.back() = scalars.back() << 6 | (byte & 0x3FU);
    } else {
      const uint32_t mask = byte < 0x80 ? 0x7F : byte < 0xE0 ? 0x1F : byte < 0xF0 ? 0x0F : 0x07;
      scalars.push_back(byte & mask);
    }
  }
  return scalars;
}

bool IsWordScalar(uint32_t scalar) {
  return scalar >= 0x80 || (scalar >= '0' && scalar <= '9') || (scalar >= 'a' && scalar <= 'z') ||
         (scalar >= 'A' && scalar <= 'Z') || scalar == '_';
}

/// A sequence as words, numbered; any other scalar is a word of its own.
struct Words {
  std::vector<uint32_t> ids;
  std::vector<size_t> starts;  // of each word, and the end
};

class WordNumbers {
 public:
  Words Split(Items scalars) {
    Words words;
    for (size_t at = 0; at < scalars.size();) {
      size_t end = at + 1;
      while (IsWordScalar(scalars[at]) && end < scalars.size() && IsWordScalar(scalars[end])) {
        ++end;
      }
      const std::string_view bytes(reinterpret_cast<const char*>(scalars.data() + at),
                                   (end - at) * sizeof(uint32_t));
      const auto next = static_cast<uint32_t>(numbers_.size());
      words.ids.push_back(numbers_.try_emplace(bytes, next).first->second);
      words.starts.push_back(at);
      at = end;
    }
    words.starts.push_back(scalars.size());
    return words;
  }

 private:
  std::unordered_map<std::string_view, uint32_t> numbers_;
};

/// By words, and then inside each stretch of words that was replaced.
std::vector<Hunk> DiffByWords(Items old_items, Items new_items, const DiffLimits& limits,
                              size_t* steps_left) {
  WordNumbers numbers;
  const Words old_words = numbers.Split(old_items);
  const Words new_words = numbers.Split(new_items);
  const auto by_words = TryDiff(old_words.ids, new_words.ids, 2 * limits.edits_max, steps_left);
  if (!by_words.has_value()) {
    return Whole(old_items, new_items);
  }
  std::vector<Hunk> hunks;
  for (const Hunk& hunk : *by_words) {
    const size_t old_at = old_words.starts[hunk.old_at];
    const size_t new_at = new_words.starts[hunk.new_at];
    const Items old_part =
        old_items.subspan(old_at, old_words.starts[hunk.old_at + hunk.old_count] - old_at);
    const Items new_part =
        new_items.subspan(new_at, new_words.starts[hunk.new_at + hunk.new_count] - new_at);
    const auto fine = TryDiff(old_part, new_part, limits.edits_max / 4, steps_left);
    for (Hunk part : fine.value_or(Whole(old_part, new_part))) {
      part.old_at += old_at;
      part.new_at += new_at;
      hunks.push_back(part);
    }
  }
  return hunks;
}

}  // namespace

std::vector<Hunk> DiffItems(Items old_items, Items new_items, const DiffLimits& limits) {
  size_t steps_left = limits.steps_max;
  return TryDiff(old_items, new_items, limits.edits_max, &steps_left)
      .value_or(Whole(old_items, new_items));
}

std::vector<Hunk> DiffText(std::string_view old_text, std::string_view new_text,
                           const DiffLimits& limits) {
  const std::vector<uint32_t> old_items = ScalarsOf(old_text);
  const std::vector<uint32_t> new_items = ScalarsOf(new_text);
  size_t steps_left = limits.steps_max;
  const auto hunks = TryDiff(old_items, new_items, limits.edits_max, &steps_left);
  return hunks.has_value() ? *hunks : DiffByWords(old_items, new_items, limits, &steps_left);
}

}  // namespace merrow::store
