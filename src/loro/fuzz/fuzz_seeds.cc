// SPDX-License-Identifier: Apache-2.0
#include "loro/fuzz/fuzz_seeds.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "loro/envelope.h"
#include "loro/fuzz/fuzz_target.h"
#include "loro/lz4_frame.h"
#include "loro/snapshot.h"
#include "loro/state_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

using Seeds = std::map<std::string, std::vector<Bytes>>;

// The oldest and the newest say all; those between differ little.
constexpr const char* kWriters[] = {"1.0.9", "1.17.1"};
constexpr size_t kLz4FramesMax = 4;

FuzzedState FuzzedStateOf(ContainerKind kind) {
  switch (kind) {
    case ContainerKind::kMap:
      return FuzzedState::kMap;
    case ContainerKind::kList:
      return FuzzedState::kList;
    case ContainerKind::kText:
      return FuzzedState::kText;
    case ContainerKind::kMovableList:
      return FuzzedState::kMovableList;
    case ContainerKind::kTree:
      return FuzzedState::kTree;
    case ContainerKind::kCounter:
      return FuzzedState::kCounter;
  }
  MERROW_CHECK(false);
}

Bytes StateInput(FuzzedState which, BytesView state) {
  Bytes input(1, static_cast<char>(which));
  return input.append(state);
}

void AddSnapshot(BytesView body, Seeds* seeds) {
  (*seeds)["snapshot"].emplace_back(body);
  ByteReader reader(body);
  while (!reader.empty()) {
    const BytesView store = reader.Take(reader.U32Le().value()).value();
    if (store.size() > 1) (*seeds)["sstable"].emplace_back(store);
    std::vector<Bytes>& frames = (*seeds)["lz4_frame"];
    if (frames.size() < kLz4FramesMax) frames.push_back(EncodeLz4Frame(store));
  }
  const SnapshotParts parts = DecodeSnapshot(body).value();
  for (const SnapshotParts::State& state : parts.states) {
    const StateWrapper wrapper = DecodeStateWrapper(state.wrapper).value();
    (*seeds)["state"].push_back(StateInput(FuzzedState::kWrapper, state.wrapper));
    (*seeds)["state"].push_back(StateInput(FuzzedStateOf(wrapper.kind), wrapper.state));
  }
  (*seeds)["version"].push_back(parts.version.Encode());
  (*seeds)["version"].push_back(EncodeFrontiers(parts.frontiers));
}

}  // namespace

Seeds LoadFuzzSeeds(const std::string& vectors) {
  Seeds seeds;
  for (const char* writer : kWriters) {
    std::ifstream file(vectors + "/loro/writers/" + writer + ".json");
    const nlohmann::json documents = nlohmann::json::parse(file)["documents"];
    for (const nlohmann::json& document : documents) {
      const Bytes updates = FromBase64(document["updates"].get<std::string>()).value();
      const Bytes snapshot = FromBase64(document["snapshot"].get<std::string>()).value();
      for (const char* target : {"import", "blob_meta"}) {
        seeds[target].push_back(updates);
        seeds[target].push_back(snapshot);
      }
      const Status status =
          ForEachBlock(DecodeEnvelope(updates).value().body, [&](BytesView block) -> Status {
            seeds["change_block"].emplace_back(block);
            return {};
          });
      MERROW_CHECK(status.ok());
      AddSnapshot(DecodeEnvelope(snapshot).value().body, &seeds);
    }
  }
  std::ifstream file(vectors + "/loro/json_updates.json");
  for (const nlohmann::json& document : nlohmann::json::parse(file)) {
    seeds["json_updates"].push_back(document["updates"].get<std::string>());
  }
  return seeds;
}

}  // namespace merrow::loro
