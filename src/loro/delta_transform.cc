// SPDX-License-Identifier: Apache-2.0
#include "loro/delta_transform.h"

#include <algorithm>
#include <map>
#include <set>

#include "loro/delta_builder.h"
#include "loro/utf8.h"

namespace merrow::loro {
namespace {

using AnyDelta = decltype(ContainerDelta::delta);

TextEdit Slice(const TextEdit& edit, uint32_t from, uint32_t length) {
  TextEdit slice{edit.kind, length, {}, edit.attributes};
  if (edit.kind == EditKind::kInsert) slice.text = SliceScalars(edit.text, from, length);
  return slice;
}

ListEdit Slice(const ListEdit& edit, uint32_t from, uint32_t length) {
  ListEdit slice{edit.kind, length, {}};
  if (edit.kind == EditKind::kInsert) {
    const auto first = edit.values.begin() + from;
    slice.values.assign(first, first + length);
  }
  return slice;
}

// Takes a sequence's delta in pieces. Behind its end everything is retained.
template <typename Edit>
class Pieces {
 public:
  explicit Pieces(const std::vector<Edit>& delta) : delta_(delta) {}

  bool at_end() const { return index_ == delta_.size(); }
  EditKind kind() const { return at_end() ? EditKind::kRetain : delta_[index_].kind; }
  uint32_t left() const { return at_end() ? UINT32_MAX : delta_[index_].length - offset_; }

  Edit Take(uint32_t length) {
    if (at_end()) {
      Edit retain;
      retain.length = length;
      return retain;
    }
    Edit piece = Slice(delta_[index_], offset_, length);
    offset_ += length;
    if (offset_ == delta_[index_].length) {
      ++index_;
      offset_ = 0;
    }
    return piece;
  }

 private:
  const std::vector<Edit>& delta_;
  size_t index_ = 0;
  uint32_t offset_ = 0;
};

TextDeltaBuilder BuilderOf(const TextEdit&) { return {}; }
ListDeltaBuilder BuilderOf(const ListEdit&) { return {}; }

void Add(TextEdit edit, TextDeltaBuilder* delta) {
  switch (edit.kind) {
    case EditKind::kRetain:
      return delta->Retain(edit.length, std::move(edit.attributes));
    case EditKind::kInsert:
      return delta->Insert(edit.length, edit.text, std::move(edit.attributes));
    case EditKind::kDelete:
      return delta->Delete(edit.length);
  }
}

void Add(ListEdit edit, ListDeltaBuilder* delta) {
  switch (edit.kind) {
    case EditKind::kRetain:
      return delta->Retain(edit.length);
    case EditKind::kInsert:
      return delta->Insert(std::move(edit.values));
    case EditKind::kDelete:
      return delta->Delete(edit.length);
  }
}

// What both say about kept elements: `then` after `first`.
void Merge(TextEdit* first, const TextEdit& then) {
  std::map<std::string, Value> attributes(first->attributes.begin(), first->attributes.end());
  for (const auto& [key, value] : then.attributes) attributes[key] = value;
  if (first->kind == EditKind::kInsert) {
    std::erase_if(attributes, [](const auto& entry) { return entry.second.is_null(); });
  }
  first->attributes.assign(attributes.begin(), attributes.end());
}
void Merge(ListEdit*, const ListEdit&) {}

void Yield(TextEdit* edit, const TextEdit& to) {
  std::erase_if(edit->attributes, [&to](const auto& entry) {
    return std::any_of(to.attributes.begin(), to.attributes.end(),
                       [&entry](const auto& other) { return other.first == entry.first; });
  });
}
void Yield(ListEdit*, const ListEdit&) {}

template <typename Edit>
std::vector<Edit> ComposeSteps(const std::vector<Edit>& a, const std::vector<Edit>& b) {
  Pieces<Edit> first(a);
  Pieces<Edit> then(b);
  auto delta = BuilderOf(Edit());
  while (!first.at_end() || !then.at_end()) {
    if (then.kind() == EditKind::kInsert) {
      Add(then.Take(then.left()), &delta);
      continue;
    }
    if (first.kind() == EditKind::kDelete) {
      Add(first.Take(first.left()), &delta);
      continue;
    }
    const uint32_t length = std::min(first.left(), then.left());
    Edit kept = first.Take(length);
    Edit after = then.Take(length);
    if (after.kind == EditKind::kRetain) {
      Merge(&kept, after);
      Add(std::move(kept), &delta);
    } else if (kept.kind == EditKind::kRetain) {
      Add(std::move(after), &delta);
    }
  }
  return delta.Finish();
}

template <typename Edit>
std::vector<Edit> TransformSteps(const std::vector<Edit>& a, const std::vector<Edit>& b,
                                 bool a_wins) {
  Pieces<Edit> mine(a);
  Pieces<Edit> other(b);
  auto delta = BuilderOf(Edit());
  const auto skip = [&delta](uint32_t length) {
    Edit retain;
    retain.length = length;
    Add(std::move(retain), &delta);
  };
  while (!mine.at_end()) {
    if (mine.kind() == EditKind::kInsert && (a_wins || other.kind() != EditKind::kInsert)) {
      Add(mine.Take(mine.left()), &delta);
      continue;
    }
    if (other.kind() == EditKind::kInsert) {
      skip(other.Take(other.left()).length);
      continue;
    }
    const uint32_t length = std::min(mine.left(), other.left());
    Edit step = mine.Take(length);
    const Edit beside = other.Take(length);
    if (beside.kind == EditKind::kDelete) continue;
    if (step.kind == EditKind::kRetain && !a_wins) Yield(&step, beside);
    Add(std::move(step), &delta);
  }
  return delta.Finish();
}

// --- One container ---

TextDelta ComposeOne(TextDelta a, const TextDelta& b) { return ComposeSteps(a, b); }
ListDelta ComposeOne(ListDelta a, const ListDelta& b) { return ComposeSteps(a, b); }
MapDelta ComposeOne(MapDelta a, const MapDelta& b) {
  std::map<std::string, std::optional<Value>> edits;
  for (MapEdit& edit : a) edits[edit.key] = std::move(edit.value);
  for (const MapEdit& edit : b) edits[edit.key] = edit.value;
  MapDelta delta;
  for (auto& [key, value] : edits) delta.push_back({key, std::move(value)});
  return delta;
}
TreeDelta ComposeOne(TreeDelta a, const TreeDelta& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
CounterDelta ComposeOne(CounterDelta a, const CounterDelta& b) { return a + b; }

TextDelta TransformOne(TextDelta a, const TextDelta& b, bool a_wins) {
  return TransformSteps(a, b, a_wins);
}
ListDelta TransformOne(ListDelta a, const ListDelta& b, bool a_wins) {
  return TransformSteps(a, b, a_wins);
}
MapDelta TransformOne(MapDelta a, const MapDelta& b, bool a_wins) {
  if (a_wins) return a;
  std::set<std::string_view> taken;
  for (const MapEdit& edit : b) taken.insert(edit.key);
  std::erase_if(a, [&taken](const MapEdit& edit) { return taken.count(edit.key) > 0; });
  return a;
}
TreeDelta TransformOne(TreeDelta a, const TreeDelta& b, bool a_wins) {
  if (a_wins) return a;
  std::set<Id> taken;
  for (const TreeEdit& edit : b) taken.insert(edit.node);
  std::erase_if(a, [&taken](const TreeEdit& edit) { return taken.count(edit.node) > 0; });
  return a;
}
CounterDelta TransformOne(CounterDelta a, const CounterDelta&, bool) { return a; }

}  // namespace

DocumentDelta Compose(DocumentDelta a, const DocumentDelta& b) {
  std::map<ContainerId, size_t> index;
  for (size_t i = 0; i < a.size(); ++i) index.emplace(a[i].container, i);
  for (const ContainerDelta& item : b) {
    const auto found = index.find(item.container);
    // A container has one kind, so both are alike.
    if (found == index.end() || a[found->second].delta.index() != item.delta.index()) {
      a.push_back(item);
      continue;
    }
    std::visit(
        [&](const auto& then) {
          using Delta = std::decay_t<decltype(then)>;
          AnyDelta& first = a[found->second].delta;
          first = ComposeOne(std::get<Delta>(std::move(first)), then);
        },
        item.delta);
  }
  return a;
}

DocumentDelta Transform(DocumentDelta a, const DocumentDelta& b, bool a_wins) {
  if (b.empty()) return a;
  std::map<ContainerId, const AnyDelta*> beside;
  for (const ContainerDelta& item : b) beside.emplace(item.container, &item.delta);
  for (ContainerDelta& item : a) {
    const auto found = beside.find(item.container);
    if (found == beside.end() || found->second->index() != item.delta.index()) continue;
    std::visit(
        [&](const auto& other) {
          using Delta = std::decay_t<decltype(other)>;
          item.delta = TransformOne(std::get<Delta>(std::move(item.delta)), other, a_wins);
        },
        *found->second);
  }
  return a;
}

}  // namespace merrow::loro
