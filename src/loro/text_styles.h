// SPDX-License-Identifier: Apache-2.0
//
// Text styles: the tables that a text's spans (text_leaf.h) refer to, and which styles hold at a
// place. They know no positions: that is the text's business (text_state.h).

#pragma once

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "loro/hash_index.h"
#include "loro/text_leaf.h"
#include "loro/text_state.h"
#include "loro/tie_break.h"

namespace merrow::loro {

/// The peers that a text's spans name, each by a small number.
class TextPeers {
 public:
  uint32_t Intern(PeerId peer) {
    const auto found =
        index_.Find(peers_.size(), Hash(peer), [&](uint32_t i) { return peers_[i] == peer; });
    if (found.has_value()) {
      return *found;
    }
    peers_.push_back(peer);
    index_.Added(peers_.size(), [&](uint32_t i) { return Hash(peers_[i]); });
    return static_cast<uint32_t>(peers_.size() - 1);
  }
  PeerId operator[](uint32_t index) const { return peers_[index]; }
  size_t MemoryBytes() const { return peers_.capacity() * sizeof(PeerId) + index_.MemoryBytes(); }

 private:
  static size_t Hash(PeerId peer) { return (peer * 0x9e3779b97f4a7c15) >> 32; }

  std::vector<PeerId> peers_;
  HashIndex index_;
};

/// The styles whose anchors are in a text, each by a small number.
class TextStyles {
 public:
  struct Entry {
    TextStyle style;
    bool has_start = false;
    bool has_end = false;
  };

  uint32_t AddStart(TextStyle style) {
    const uint32_t index = NewEntry();
    Entry& entry = entries_[index];
    entry.style = std::move(style);
    entry.has_start = true;
    open_[entry.style.id] = index;
    return index;
  }

  /// `start` is the id of the start anchor, which may be gone.
  uint32_t AddEnd(Id start) {
    const auto open = open_.find(start);
    if (open == open_.end()) {
      const uint32_t index = NewEntry();
      entries_[index].style.id = start;
      entries_[index].has_end = true;
      return index;
    }
    const uint32_t index = open->second;
    open_.erase(open);
    entries_[index].has_end = true;
    return index;
  }

  void RemoveAnchor(bool is_start, uint32_t index) {
    Entry& entry = entries_[index];
    (is_start ? entry.has_start : entry.has_end) = false;
    if (is_start && !entry.has_end) {
      open_.erase(entry.style.id);
    } else if (!is_start && entry.has_start) {
      open_.emplace(entry.style.id, index);
    }
    if (!entry.has_start && !entry.has_end) {
      entry.style = TextStyle();
      free_.push_back(index);
    }
  }

  bool IsOpen(Id start) const { return open_.contains(start); }
  const Entry& operator[](uint32_t index) const { return entries_[index]; }
  size_t size() const { return entries_.size() - free_.size(); }

  size_t MemoryBytes() const {
    size_t bytes = sizeof(*this) + entries_.capacity() * sizeof(Entry) + open_.size() * 64 +
                   free_.capacity() * sizeof(uint32_t);
    for (const Entry& entry : entries_) {
      bytes += entry.style.value.HeapBytes() +
               (entry.style.key.capacity() > 15 ? entry.style.key.capacity() : 0);
    }
    return bytes;
  }

 private:
  uint32_t NewEntry() {
    if (!free_.empty()) {
      const uint32_t index = free_.back();
      free_.pop_back();
      return index;
    }
    entries_.emplace_back();
    return static_cast<uint32_t>(entries_.size() - 1);
  }

  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  std::map<Id, uint32_t> open_;  // starts whose end is not there
};

/// The styles that cover a place, and which of them win.
class ActiveStyles {
 public:
  ActiveStyles(const TextStyles* styles, const TextPeers& peers) : styles_(styles), peers_(peers) {}

  void Pass(const TextSpan& anchor) {
    const TextStyles::Entry& entry = (*styles_)[anchor.value];
    if (!entry.has_start || !entry.has_end) {
      return;
    }
    if (anchor.kind == TextSpan::kStart) {
      active_.push_back({{anchor.lamport, peers_[anchor.peer]}, &entry.style});
    } else {
      std::erase_if(active_, [&](const Active& active) { return active.style == &entry.style; });
    }
  }

  bool empty() const { return active_.empty(); }

  /// The latest style with the key, perhaps one with a null value; null if none is active.
  const TextStyle* Winner(std::string_view key) const {
    const Active* winner = nullptr;
    for (const Active& active : active_) {
      if (active.style->key == key &&
          (winner == nullptr || MarkWins(active.order, winner->order))) {
        winner = &active;
      }
    }
    return winner == nullptr ? nullptr : winner->style;
  }

  /// Per key the value of the latest style, unless that is null; sorted by key.
  std::vector<std::pair<std::string_view, const Value*>> Attributes() const {
    std::map<std::string_view, const Active*> winners;
    for (const Active& active : active_) {
      const Active*& winner = winners[active.style->key];
      if (winner == nullptr || MarkWins(active.order, winner->order)) {
        winner = &active;
      }
    }
    std::vector<std::pair<std::string_view, const Value*>> attributes;
    for (const auto& [key, winner] : winners) {
      if (!winner->style->value.is_null()) {
        attributes.emplace_back(key, &winner->style->value);
      }
    }
    return attributes;
  }

 private:
  struct Active {
    IdLp order;
    const TextStyle* style = nullptr;
  };

  const TextStyles* styles_;
  const TextPeers& peers_;
  std::vector<Active> active_;
};

}  // namespace merrow::loro
