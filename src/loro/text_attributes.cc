// SPDX-License-Identifier: Apache-2.0
#include "loro/text_attributes.h"

#include <algorithm>
#include <map>
#include <unordered_set>

namespace merrow::loro {
namespace {

// The styles between whose anchors a place is. Per key the one with the largest (lamport, peer)
// wins; a null value means that there is no attribute.
class OpenStyles {
 public:
  void Start(const TextStyle* style) { open_.push_back(style); }
  void End(const TextStyle* style) { std::erase(open_, style); }

  AttributeRefs Attributes() const {
    std::map<std::string_view, const TextStyle*> winners;
    for (const TextStyle* style : open_) {
      const TextStyle*& winner = winners[style->key];
      if (winner == nullptr || Order(*winner) < Order(*style)) winner = style;
    }
    AttributeRefs attributes;
    for (const auto& [key, style] : winners) {
      if (!style->value.is_null()) attributes.emplace_back(key, &style->value);
    }
    return attributes;
  }

 private:
  static IdLp Order(const TextStyle& style) { return {style.lamport, style.id.peer}; }

  std::vector<const TextStyle*> open_;
};

// A start whose end is not in the text styles nothing.
std::unordered_set<const TextStyle*> EndedStyles(const TextState& text) {
  std::unordered_set<const TextStyle*> ended;
  if (!text.has_styles()) return ended;
  text.ForEachChunk([&ended](const TextChunk& chunk) {
    if (chunk.kind == TextChunk::Kind::kStyleEnd) ended.insert(chunk.style);
  });
  return ended;
}

}  // namespace

StyledRuns StyledRunsOf(const TextState& text, const std::set<Id>& ignored) {
  StyledRuns styled;
  styled.attributes.emplace_back();
  const std::unordered_set<const TextStyle*> ended = EndedStyles(text);
  OpenStyles open;
  bool has_changed = false;
  text.ForEachChunk([&](const TextChunk& chunk) {
    switch (chunk.kind) {
      case TextChunk::Kind::kStyleStart:
        if (ended.count(chunk.style) == 0 || ignored.count(chunk.style->id) > 0) return;
        open.Start(chunk.style);
        has_changed = true;
        return;
      case TextChunk::Kind::kStyleEnd:
        open.End(chunk.style);
        has_changed = true;
        return;
      case TextChunk::Kind::kText:
        if (has_changed) styled.attributes.push_back(open.Attributes());
        has_changed = false;
        styled.runs.push_back(
            {chunk.run.id, chunk.run.length, static_cast<uint32_t>(styled.attributes.size() - 1)});
        return;
    }
  });
  return styled;
}

Attributes ToAttributes(const AttributeRefs& refs) {
  Attributes attributes;
  attributes.reserve(refs.size());
  for (const auto& [key, value] : refs) attributes.emplace_back(key, *value);
  return attributes;
}

Attributes AttributeChanges(const AttributeRefs& from, const AttributeRefs& to) {
  Attributes changes;
  auto old_entry = from.begin();
  for (const auto& [key, value] : to) {
    for (; old_entry != from.end() && old_entry->first < key; ++old_entry) {
      changes.emplace_back(old_entry->first, Value());
    }
    const bool was_there = old_entry != from.end() && old_entry->first == key;
    if (!was_there || !(*old_entry->second == *value)) changes.emplace_back(key, *value);
    if (was_there) ++old_entry;
  }
  for (; old_entry != from.end(); ++old_entry) changes.emplace_back(old_entry->first, Value());
  return changes;
}

}  // namespace merrow::loro
