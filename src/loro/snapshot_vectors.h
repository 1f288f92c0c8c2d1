// SPDX-License-Identifier: Apache-2.0
//
// For tests: the snapshots of test/vectors/loro/snapshots.json, made by loro-crdt.

#pragma once

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "loro/envelope.h"
#include "merrow/check.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

struct SnapshotVector {
  std::string name;
  VersionVector version;
  Frontiers frontiers;
  nlohmann::json json;  // the document's deep value
  Bytes blob;

  BytesView body() const { return BytesView(blob).substr(kEnvelopeBytes); }
};

inline std::vector<SnapshotVector> LoadSnapshotVectors() {
  std::ifstream file(MERROW_VECTORS "/loro/snapshots.json");
  const nlohmann::json list = nlohmann::json::parse(file);
  std::vector<SnapshotVector> vectors;
  for (const auto& item : list) {
    SnapshotVector vector;
    vector.name = item["name"];
    for (const auto& [peer, end] : item["version"].items()) {
      vector.version.Set(std::stoull(peer), end);
    }
    for (const auto& id : item["frontiers"]) {
      vector.frontiers.push_back(ParseId(id.get<std::string>()).value());
    }
    std::sort(vector.frontiers.begin(), vector.frontiers.end());
    vector.json = item["json"];
    vector.blob = FromBase64(item["snapshot"].get<std::string>()).value();
    MERROW_CHECK(DecodeEnvelope(vector.blob).ok());
    vectors.push_back(std::move(vector));
  }
  MERROW_CHECK(!vectors.empty());
  return vectors;
}

inline SnapshotVector LoadSnapshotVector(std::string_view name) {
  for (SnapshotVector& vector : LoadSnapshotVectors()) {
    if (vector.name == name) return std::move(vector);
  }
  MERROW_CHECK(false);
  return {};
}

}  // namespace merrow::loro
