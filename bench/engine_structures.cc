// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>

#include "engine_workloads.h"

namespace merrow::bench {
namespace {

using loro::ContainerKind;
using loro::Document;

// As in bench/peers/src/gen.rs.
constexpr size_t kMapOps = 1'000'000;
constexpr size_t kMapKeys = 100'000;
constexpr size_t kTreeNodes = 10'000;
constexpr size_t kTreeMoves = 100'000;
constexpr size_t kListItems = 10'000;
constexpr size_t kListMoves = 10'000;

Report MapSets(size_t ops) {
  const auto map = Root("map", ContainerKind::kMap);
  Random random(7);
  const Stopwatch watch;
  Document document(1);
  for (size_t at = 0; at < ops; ++at) {
    const std::string key = "key" + std::to_string(random.Below(kMapKeys));
    MERROW_CHECK(document.MapSet(map, key, static_cast<int64_t>(at)).ok());
    if (at % 1000 == 999) document.Commit();
  }
  document.Commit();
  const int64_t time = watch.Nanoseconds();
  return {{time}, ops, 0, JsonHash(document)};
}

Report TreeMoves(const Data&) {
  const auto tree = Root("tree", ContainerKind::kTree);
  Random random(11);
  const Stopwatch watch;
  Document document(1);
  std::vector<loro::Id> nodes;
  for (size_t at = 0; at < kTreeNodes; ++at) {
    nodes.push_back(*document.TreeCreate(tree, std::nullopt, std::nullopt));
  }
  document.Commit();
  size_t refused = 0;
  for (size_t at = 0; at < kTreeMoves; ++at) {
    const loro::Id node = nodes[random.Below(kTreeNodes)];
    const loro::Id parent = nodes[random.Below(kTreeNodes)];
    if (!document.TreeMoveNode(tree, node, parent, std::nullopt).ok()) ++refused;
    if (at % 1000 == 999) document.Commit();
  }
  const int64_t time = watch.Nanoseconds();
  return {{time}, kTreeMoves, 0, fmt::format("{} refused, {}", refused, JsonHash(document))};
}

Report ListMoves(const Data&) {
  const auto list = Root("list", ContainerKind::kMovableList);
  Random random(13);
  const Stopwatch watch;
  Document document(1);
  for (size_t at = 0; at < kListItems; ++at) {
    MERROW_CHECK(document.ListInsert(list, at, static_cast<int64_t>(at)).ok());
  }
  document.Commit();
  for (size_t at = 0; at < kListMoves; ++at) {
    const uint32_t from = random.Below(kListItems);
    MERROW_CHECK(document.MovableListMove(list, from, random.Below(kListItems)).ok());
    document.Commit();
  }
  const int64_t time = watch.Nanoseconds();
  return {{time}, kListMoves, 0, JsonHash(document)};
}

}  // namespace

Workload FindStructure(std::string_view name) {
  if (const size_t size = SizeAfter(name, "growth-map-")) {
    return [=](const Data&) { return MapSets(size); };
  }
  const auto import = [](const char* blob, size_t operations) {
    return [=](const Data& data) { return MeasureImport(data.Blob(blob), operations, JsonHash); };
  };
  if (name == "map-sets") return [](const Data&) { return MapSets(kMapOps); };
  if (name == "map-import") return import("map.updates", kMapOps);
  if (name == "tree-moves") return TreeMoves;
  if (name == "tree-import") return import("tree.updates", kTreeMoves);
  if (name == "movable-moves") return ListMoves;
  if (name == "movable-import") return import("movable.updates", kListMoves);
  return nullptr;
}

}  // namespace merrow::bench
