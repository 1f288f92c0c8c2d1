// SPDX-License-Identifier: Apache-2.0
#include "loro/delta_mirror_test_util.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "loro/fractional_index.h"
#include "loro/mergeable.h"
#include "loro/state_diff.h"
#include "loro/utf8.h"

namespace merrow::loro {
namespace {

using nlohmann::json;

// A delta may say that it keeps what is not there; without this the test would crash.
bool Fits(size_t position, size_t length, size_t size) {
  EXPECT_LE(position + length, size);
  return position + length <= size;
}

bool IsEmpty(const json& value) {
  return value.is_null() || value == 0 ||
         ((value.is_array() || value.is_object() || value.is_string()) && value.size() == 0) ||
         value == "";
}

}  // namespace

void DeltaMirror::Apply(const DocumentDelta& delta) {
  for (const ContainerDelta& item : delta) {
    Content* const content = &containers_[item.container];
    std::visit([&](const auto& steps) { Apply(steps, content); }, item.delta);
  }
  ForgetUnseen();
}

void DeltaMirror::Apply(const TextDelta& delta, Content* content) {
  std::vector<Scalar>& text = content->text;
  size_t at = 0;
  for (const TextEdit& edit : delta) {
    if (edit.kind == EditKind::kInsert) {
      EXPECT_EQ(CountScalars(edit.text), edit.length);
      for (uint32_t i = 0; i < edit.length; ++i, ++at) {
        Scalar scalar{std::string(SliceScalars(edit.text, i, 1)), {}};
        for (const auto& [key, value] : edit.attributes) scalar.attributes[key] = value;
        text.insert(text.begin() + static_cast<std::ptrdiff_t>(at), scalar);
      }
      continue;
    }
    if (!Fits(at, edit.length, text.size())) return;
    if (edit.kind == EditKind::kDelete) {
      const auto first = text.begin() + static_cast<std::ptrdiff_t>(at);
      text.erase(first, first + edit.length);
      continue;
    }
    for (uint32_t i = 0; i < edit.length; ++i, ++at) {
      for (const auto& [key, value] : edit.attributes) {
        if (value.is_null()) {
          EXPECT_EQ(text[at].attributes.erase(key), 1u) << key;
        } else {
          text[at].attributes[key] = value;
        }
      }
    }
  }
}

void DeltaMirror::Apply(const ListDelta& delta, Content* content) {
  std::vector<Value>& list = content->list;
  size_t at = 0;
  for (const ListEdit& edit : delta) {
    if (edit.kind == EditKind::kInsert) {
      EXPECT_EQ(edit.values.size(), edit.length);
      list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), edit.values.begin(),
                  edit.values.end());
      at += edit.length;
      continue;
    }
    if (!Fits(at, edit.length, list.size())) return;
    if (edit.kind == EditKind::kDelete) {
      const auto first = list.begin() + static_cast<std::ptrdiff_t>(at);
      list.erase(first, first + edit.length);
    } else {
      at += edit.length;
    }
  }
}

void DeltaMirror::Apply(const MapDelta& delta, Content* content) {
  for (const MapEdit& edit : delta) {
    if (edit.value.has_value()) {
      content->map[edit.key] = *edit.value;
    } else {
      EXPECT_EQ(content->map.erase(edit.key), 1u) << edit.key;
    }
  }
}

std::vector<Id>* DeltaMirror::ChildrenOf(Content* content, const std::optional<Id>& parent) {
  if (!parent.has_value()) return &content->roots;
  const auto found = content->nodes.find(*parent);
  return found == content->nodes.end() ? nullptr : &found->second.children;
}

void DeltaMirror::Apply(const TreeDelta& delta, Content* content) {
  for (const TreeEdit& edit : delta) {
    const auto found = content->nodes.find(edit.node);
    const bool exists = found != content->nodes.end();
    EXPECT_EQ(exists, edit.kind != TreeEdit::Kind::kCreate) << ToString(edit.node);
    if (exists) {
      std::vector<Id>* const siblings = ChildrenOf(content, found->second.parent);
      ASSERT_NE(siblings, nullptr);
      std::erase(*siblings, edit.node);
    }
    if (edit.kind == TreeEdit::Kind::kDelete) {
      std::vector<Id> gone = {edit.node};
      while (!gone.empty()) {
        const Id node = gone.back();
        gone.pop_back();
        for (const Id& child : content->nodes[node].children) gone.push_back(child);
        content->nodes.erase(node);
      }
      continue;
    }
    for (std::optional<Id> above = edit.parent; above.has_value();
         above = content->nodes[*above].parent) {
      ASSERT_NE(*above, edit.node) << "below itself";
    }
    std::vector<Id>* const siblings = ChildrenOf(content, edit.parent);
    ASSERT_NE(siblings, nullptr) << ToString(edit.node);
    ASSERT_LE(edit.index, siblings->size());
    siblings->insert(siblings->begin() + edit.index, edit.node);
    Node& node = content->nodes[edit.node];
    node.parent = edit.parent;
    node.position = edit.position;
  }
}

void DeltaMirror::ForgetUnseen() {
  std::set<ContainerId> seen;
  std::vector<ContainerId> queue;
  const auto add = [&](const ContainerId& id) {
    if (seen.insert(id).second) queue.push_back(id);
  };
  for (const auto& [id, content] : containers_) {
    if (id.is_root() && !IsMergeable(id)) add(id);
  }
  while (!queue.empty()) {
    const auto found = containers_.find(queue.back());
    queue.pop_back();
    if (found == containers_.end()) continue;
    for (const Value& value : found->second.list) ForEachContainerIn(value, add);
    for (const auto& [key, value] : found->second.map) ForEachContainerIn(value, add);
    for (const auto& [node, place] : found->second.nodes) {
      add(ContainerId::Normal(node, ContainerKind::kMap));
    }
  }
  std::erase_if(containers_, [&](const auto& entry) { return seen.count(entry.first) == 0; });
}

json DeltaMirror::Json() const {
  json roots = json::object();
  for (const auto& [id, content] : containers_) {
    if (!id.is_root() || IsMergeable(id)) continue;
    json value = JsonOf(id);
    if (!IsEmpty(value)) roots[id.name()] = std::move(value);
  }
  return roots;
}

json DeltaMirror::JsonOf(const ContainerId& id) const {
  const auto found = containers_.find(id);
  const Content empty;
  const Content& content = found == containers_.end() ? empty : found->second;
  switch (id.kind()) {
    case ContainerKind::kText: {
      std::string text;
      for (const Scalar& scalar : content.text) text += scalar.utf8;
      return text;
    }
    case ContainerKind::kList:
    case ContainerKind::kMovableList: {
      json items = json::array();
      for (const Value& value : content.list) items.push_back(PlainJson(value, this));
      return items;
    }
    case ContainerKind::kMap: {
      json entries = json::object();
      for (const auto& [key, value] : content.map) entries[key] = PlainJson(value, this);
      return entries;
    }
    case ContainerKind::kTree:
      return NodesJson(content, content.roots, std::nullopt);
    default:
      if (content.sum == static_cast<double>(static_cast<int64_t>(content.sum))) {
        return static_cast<int64_t>(content.sum);
      }
      return content.sum;
  }
}

json DeltaMirror::NodesJson(const Content& content, const std::vector<Id>& nodes,
                            const std::optional<Id>& parent) const {
  json array = json::array();
  for (const Id& id : nodes) {
    const Node& node = content.nodes.at(id);
    std::string position;
    AppendFractionalIndexHex(node.position, &position);
    array.push_back({{"id", ToString(id)},
                     {"parent", parent.has_value() ? json(ToString(*parent)) : json()},
                     {"index", array.size()},
                     {"fractional_index", position},
                     {"meta", JsonOf(ContainerId::Normal(id, ContainerKind::kMap))},
                     {"children", NodesJson(content, node.children, id)}});
  }
  return array;
}

json DeltaMirror::PlainJson(const Value& value, const DeltaMirror* mirror) {
  if (const auto* child = value.If<ContainerId>()) return mirror->JsonOf(*child);
  if (const auto* flag = value.If<bool>()) return *flag;
  if (const auto* integer = value.If<int64_t>()) return *integer;
  if (const auto* number = value.If<double>()) return *number;
  if (const auto* text = value.If<std::string>()) return *text;
  if (const auto* list = value.If<Value::List>()) {
    json items = json::array();
    for (const Value& item : *list) items.push_back(PlainJson(item, mirror));
    return items;
  }
  if (const auto* map = value.If<Value::Map>()) {
    json entries = json::object();
    for (const auto& [key, item] : *map) entries[key] = PlainJson(item, mirror);
    return entries;
  }
  EXPECT_TRUE(value.is_null());
  return nullptr;
}

json DeltaMirror::RichText(const Content& content) {
  json segments = json::array();
  for (const Scalar& scalar : content.text) {
    json attributes = json::object();
    for (const auto& [key, value] : scalar.attributes) {
      attributes[key] = PlainJson(value, nullptr);
    }
    const bool goes_on =
        !segments.empty() && segments.back().value("attributes", json::object()) == attributes;
    if (goes_on) {
      segments.back()["insert"] = segments.back()["insert"].get<std::string>() + scalar.utf8;
      continue;
    }
    json segment = {{"insert", scalar.utf8}};
    if (!attributes.empty()) segment["attributes"] = attributes;
    segments.push_back(std::move(segment));
  }
  return segments;
}

json DeltaMirror::JsonWithoutEmptyRoots(const Document& document) {
  json roots = json::parse(document.ToJson());
  for (auto root = roots.begin(); root != roots.end();) {
    root = IsEmpty(*root) ? roots.erase(root) : std::next(root);
  }
  return roots;
}

std::string DeltaMirror::LookOf(const Document& document) {
  const std::function<void(json*)> strip = [&strip](json* value) {
    if (value->is_object() && value->contains("fractional_index")) {
      for (const char* key : {"fractional_index", "id", "parent"}) value->erase(key);
    }
    for (auto& item : *value) {
      if (item.is_structured()) strip(&item);
    }
  };
  json look = JsonWithoutEmptyRoots(document);
  strip(&look);
  return look.dump(1);
}

void DeltaMirror::ExpectShows(const Document& document) const {
  EXPECT_EQ(Json().dump(1), JsonWithoutEmptyRoots(document).dump(1));
  for (const auto& [id, content] : containers_) {
    if (id.kind() != ContainerKind::kText) continue;
    std::string delta;
    document.AppendDelta(id, &delta);
    EXPECT_EQ(RichText(content).dump(), json::parse(delta).dump()) << id.ToString();
  }
}

}  // namespace merrow::loro
