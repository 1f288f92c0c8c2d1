// SPDX-License-Identifier: Apache-2.0
#include "loro/state_image.h"

#include <algorithm>

#include "base/bytes.h"
#include "loro/mergeable.h"
#include "loro/state_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

MapState MapFromImage(MapImage image) {
  std::vector<MapState::Entry> entries;
  entries.reserve(image.entries.size());
  for (MapImage::Entry& entry : image.entries) {
    entries.push_back({std::move(entry.key), std::move(entry.value), {entry.lamport, entry.peer}});
  }
  return MapState::FromEntries(std::move(entries));
}

Bytes EncodeMap(const MapState& map) {
  std::vector<MapEntryView> entries;
  entries.reserve(map.entries().size());
  for (const MapState::Entry& entry : map.entries()) {
    const Value* value = entry.value.has_value() ? &*entry.value : nullptr;
    entries.push_back({entry.key, value, entry.writer.peer, entry.writer.lamport});
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  return EncodeMapEntries(entries);
}

Result<ListState> ListFromImage(ListImage image) {
  ListState list;
  size_t at = 0;
  for (const AtomRun& run : image.runs) {
    for (uint32_t i = 0; i < run.length; ++i) {
      MERROW_TRY(list.Append(run.id.Plus(static_cast<Counter>(i)), run.lamport + i,
                             std::move(image.values[at++])));
    }
  }
  return list;
}

ListImage ImageOfList(const ListState& list) {
  ListImage image;
  image.values.reserve(list.length());
  list.ForEach([&image](const IdRun& run, const Value& value) {
    image.values.push_back(value);
    if (!image.runs.empty()) {
      AtomRun& last = image.runs.back();
      const auto length = static_cast<Counter>(last.length);
      if (last.id.Plus(length) == run.id && last.lamport + last.length == run.lamport) {
        ++last.length;
        return;
      }
    }
    image.runs.push_back({run.id, run.lamport, 1});
  });
  return image;
}

Result<TextState> TextFromImage(TextImage image) {
  TextState::Loader loader(image.text);
  size_t mark = 0;
  for (const TextImage::Span& span : image.spans) {
    if (span.length == TextImage::kStyleStart) {
      TextImage::Mark& style = image.marks[mark++];
      MERROW_TRY(loader.AddStyleStart(span.id, span.lamport, style.key, std::move(style.value),
                                      style.info));
    } else if (span.length == TextImage::kStyleEnd) {
      MERROW_TRY(loader.AddStyleEnd(span.id, span.lamport));
    } else {
      MERROW_TRY(loader.AddText(span.id, span.lamport, static_cast<uint32_t>(span.length)));
    }
  }
  return loader.Finish();
}

TextImage ImageOfText(const TextState& text) {
  TextImage image;
  text.AppendText(&image.text);
  text.ForEachChunk([&image](const TextChunk& chunk) {
    int32_t length = static_cast<int32_t>(chunk.run.length);
    if (chunk.kind == TextChunk::Kind::kStyleStart) {
      length = TextImage::kStyleStart;
      image.marks.push_back({chunk.style->key, chunk.style->value, chunk.style->info});
    } else if (chunk.kind == TextChunk::Kind::kStyleEnd) {
      length = TextImage::kStyleEnd;
    }
    image.spans.push_back({chunk.run.id, chunk.run.lamport, length});
  });
  return image;
}

Result<Container::AnyState> DecodeState(ContainerKind kind, BytesView bytes, Lamport lamport_max) {
  switch (kind) {
    case ContainerKind::kMap: {
      MERROW_ASSIGN(MapImage image, DecodeMapState(bytes));
      return Container::AnyState(MapFromImage(std::move(image)));
    }
    case ContainerKind::kList: {
      MERROW_ASSIGN(ListImage image, DecodeListState(bytes));
      MERROW_ASSIGN(ListState list, ListFromImage(std::move(image)));
      return Container::AnyState(std::move(list));
    }
    case ContainerKind::kText: {
      MERROW_ASSIGN(TextImage image, DecodeTextState(bytes));
      MERROW_ASSIGN(TextState text, TextFromImage(std::move(image)));
      return Container::AnyState(std::move(text));
    }
    case ContainerKind::kMovableList: {
      MERROW_ASSIGN(MovableListImage image, DecodeMovableListState(bytes));
      MERROW_ASSIGN(MovableListState list, MovableListState::FromImage(std::move(image)));
      return Container::AnyState(std::move(list));
    }
    case ContainerKind::kTree: {
      MERROW_ASSIGN(TreeImage image, DecodeTreeState(bytes));
      MERROW_ASSIGN(TreeState tree, TreeState::FromImage(std::move(image), lamport_max));
      return Container::AnyState(std::move(tree));
    }
    case ContainerKind::kCounter: {
      MERROW_ASSIGN(const double sum, DecodeCounterState(bytes));
      return Container::AnyState(CounterState{sum});
    }
    default:
      return Container::AnyState(OpaqueState());
  }
}

Bytes EncodeState(const Container::AnyState& state) {
  if (const auto* map = std::get_if<MapState>(&state)) return EncodeMap(*map);
  if (const auto* list = std::get_if<ListState>(&state)) return EncodeListState(ImageOfList(*list));
  if (const auto* text = std::get_if<TextState>(&state)) return EncodeTextState(ImageOfText(*text));
  if (const auto* list = std::get_if<MovableListState>(&state)) {
    return EncodeMovableListState(list->ToImage());
  }
  if (const auto* tree = std::get_if<TreeState>(&state)) return EncodeTreeState(tree->ToImage());
  if (const auto* counter = std::get_if<CounterState>(&state)) {
    return EncodeCounterState(counter->sum);
  }
  return {};  // as loro-crdt, of kinds that it does not know
}

// The data of a tree node exists with the node; snapshots leave out what is empty.
void AdoptAllNodes(State* state) {
  std::vector<std::pair<Id, ContainerId>> nodes;
  for (const Container& container : state->containers()) {
    const auto* tree = std::get_if<TreeState>(&container.state);
    if (tree == nullptr) continue;
    for (const TreeImage::Node& node : tree->ToImage().nodes) {
      nodes.emplace_back(node.id, container.id);
    }
  }
  for (const auto& [node, tree] : nodes) state->AdoptNode(node, tree);
}

// A mergeable child has no parent in the state, but its name says which one loro-crdt wants to find
// in a snapshot.
std::optional<ContainerId> ParentInImage(const Container& container) {
  std::optional<MergeablePlace> place = PlaceOfMergeable(container.id);
  return place.has_value() ? std::optional(std::move(place->map)) : container.parent;
}

}  // namespace

Result<Container> ContainerFromImage(const SnapshotParts::State& entry, Lamport lamport_max) {
  const auto within = [&entry](const Error& error) {
    return error.Within("state of " + Clip(entry.container.ToString()));
  };
  const Result<StateWrapper> wrapper = DecodeStateWrapper(entry.wrapper);
  if (!wrapper.ok()) return within(wrapper.error());
  if (wrapper->kind != entry.container.kind()) return within(Corruption("it is of another kind"));
  Result<Container::AnyState> decoded = DecodeState(wrapper->kind, wrapper->state, lamport_max);
  if (!decoded.ok()) return within(decoded.error());
  return Container{entry.container, wrapper->parent, std::move(decoded).value()};
}

Result<State> StateFromImage(const std::vector<SnapshotParts::State>& entries,
                             Lamport lamport_max) {
  State state;
  for (const SnapshotParts::State& entry : entries) {
    MERROW_ASSIGN(Container container, ContainerFromImage(entry, lamport_max));
    if (state.Find(container.id) != nullptr) {
      return Corruption("state of " + Clip(container.id.ToString()) + " is there twice");
    }
    state.Add(container.id, container.parent).state = std::move(container.state);
  }
  AdoptAllNodes(&state);
  return state;
}

bool IsInImage(const Container& container) {
  return !std::holds_alternative<OpaqueState>(container.state) || !IsKnown(container.id.kind());
}

ImageEncoder::ImageEncoder(const State& state)
    : state_(state), depths_(state.containers().size()) {}

Bytes ImageEncoder::Encode(const Container& container) {
  return EncodeStateWrapper({.kind = container.id.kind(),
                             .depth = DepthOf(container),
                             .parent = ParentInImage(container),
                             .state = EncodeState(container.state)});
}

uint32_t ImageEncoder::DepthOf(const Container& container) {
  // Up to the first ancestor whose depth is known, then down again, without recursion.
  path_.clear();
  const Container* at = &container;
  uint32_t depth = kRootDepth;
  while (true) {
    depth = Known(at);
    if (depth != 0) break;
    path_.push_back(at);
    const std::optional<ContainerId> parent = ParentInImage(*at);
    at = parent.has_value() ? state_.Find(*parent) : nullptr;
    misses_parent_ = misses_parent_ || (parent.has_value() && at == nullptr);
    // A snapshot that was loaded may hold parents that go in a circle.
    if (at == nullptr || path_.size() > state_.containers().size()) {
      depth = kRootDepth - 1;
      break;
    }
  }
  for (auto it = path_.rbegin(); it != path_.rend(); ++it) Known(*it) = ++depth;
  return depth;
}

uint32_t& ImageEncoder::Known(const Container* container) {
  return depths_[static_cast<size_t>(container - state_.containers().data())];
}

std::vector<SnapshotParts::State> ImageOfState(const State& state, std::deque<Bytes>* storage) {
  std::vector<SnapshotParts::State> entries;
  ImageEncoder encoder(state);
  for (const Container& container : state.containers()) {
    if (!IsInImage(container)) continue;
    storage->push_back(encoder.Encode(container));
    entries.push_back({container.id, storage->back()});
  }
  return entries;
}

}  // namespace merrow::loro
