// SPDX-License-Identifier: Apache-2.0
#include "loro/edit_rope.h"

#include <algorithm>

namespace merrow::loro {
namespace {

constexpr size_t kLeafMax = 64;

// More than any sequence has; with what can be inserted it still fits 32 bits.
constexpr uint32_t kEverything = uint32_t{1} << 31;

bool CanJoin(const EditRope::Segment& a, const EditRope::Segment& b) {
  return a.kind == b.kind && !a.is_touched && !b.is_touched;
}

}  // namespace

EditRope::EditRope() {
  auto leaf = std::make_unique<Leaf>();
  leaf->segments.push_back({.kind = EditKind::kRetain, .length = kEverything});
  tree_.InsertAfter(nullptr, std::move(leaf));
}

EditRope::Spot EditRope::Find(uint32_t position) const {
  Spot spot;
  spot.leaf = tree_.Find([](const Sum& sum) { return sum.now; }, &position);
  while (position >= Now(spot.leaf->segments[spot.index])) {
    position -= Now(spot.leaf->segments[spot.index++]);
  }
  spot.offset = position;
  return spot;
}

void EditRope::Replace(const Spot& spot, const std::vector<Segment>& fresh) {
  Leaf* const leaf = spot.leaf;
  const Sum before = leaf->sum();
  std::vector<Segment>& segments = leaf->segments;
  const auto at = segments.begin() + static_cast<std::ptrdiff_t>(spot.index);
  std::vector<Segment> joined(segments.begin(), at);
  const auto add = [&joined](const Segment& segment) {
    if (segment.length == 0) return;
    if (!joined.empty() && CanJoin(joined.back(), segment)) {
      joined.back().length += segment.length;
    } else {
      joined.push_back(segment);
    }
  };
  for (const Segment& segment : fresh) add(segment);
  std::for_each(at + 1, segments.end(), add);
  segments = std::move(joined);
  if (segments.empty()) {
    // Never the last leaf, which has the end.
    tree_.Remove(leaf, before);
    return;
  }
  tree_.Update(leaf, before);
  if (segments.size() <= kLeafMax) return;
  const Sum whole = leaf->sum();
  auto right = std::make_unique<Leaf>();
  const auto middle = segments.begin() + static_cast<std::ptrdiff_t>(segments.size() / 2);
  right->segments.assign(middle, segments.end());
  segments.erase(middle, segments.end());
  tree_.Update(leaf, whole);
  tree_.InsertAfter(leaf, std::move(right));
}

void EditRope::Insert(uint32_t position, uint32_t length) {
  if (length == 0) return;
  const Spot spot = Find(position);
  const Segment segment = spot.leaf->segments[spot.index];
  if (segment.kind == EditKind::kInsert) {
    spot.leaf->segments[spot.index].length += length;
    tree_.Add(spot.leaf, {length});
    return;
  }
  Segment left = segment;
  Segment right = segment;
  left.length = spot.offset;
  right.length -= spot.offset;
  Replace(spot, {left, {.kind = EditKind::kInsert, .length = length}, right});
}

void EditRope::Erase(uint32_t position, uint32_t length, bool was_shown) {
  while (length > 0) {
    const Spot spot = Find(position);
    const Segment segment = spot.leaf->segments[spot.index];
    const uint32_t here = std::min(length, segment.length - spot.offset);
    Segment left = segment;
    Segment right = segment;
    left.length = spot.offset;
    right.length -= spot.offset + here;
    Segment deleted{.kind = EditKind::kDelete, .length = here};
    const bool counts = segment.is_touched ? segment.was_shown : was_shown;
    if (segment.kind == EditKind::kInsert || !counts) deleted.length = 0;
    Replace(spot, {left, deleted, right});
    length -= here;
  }
}

void EditRope::Touch(uint32_t position, bool was_shown, bool has_new_value) {
  const Spot spot = Find(position);
  Segment& segment = spot.leaf->segments[spot.index];
  if (segment.kind == EditKind::kInsert) return;
  if (segment.is_touched) {
    segment.has_new_value = segment.has_new_value || has_new_value;
    return;
  }
  Segment left = segment;
  Segment right = segment;
  left.length = spot.offset;
  right.length -= spot.offset + 1;
  Replace(spot, {left,
                 {.kind = EditKind::kRetain,
                  .length = 1,
                  .is_touched = true,
                  .was_shown = was_shown,
                  .has_new_value = has_new_value},
                 right});
}

}  // namespace merrow::loro
