// SPDX-License-Identifier: Apache-2.0
//
// What tests of change blocks share: vectors made by loro-crdt, blocks taken apart into atoms, and
// random blocks.

#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "loro/change_block.h"

namespace merrow::loro {

/// A case of test/vectors/loro/change_blocks.json.
struct BlockVector {
  std::string name;
  bool canonical = false;
  Bytes blob;
  std::vector<Bytes> blocks;
  nlohmann::json changes;
};
std::vector<BlockVector> LoadBlockVectors();

/// The decoded block, or a failed test and an empty one.
ChangeBlock Decoded(BytesView bytes);

/// A change as loro-crdt exports it as JSON, without peer compression.
nlohmann::json ToJson(const ChangeBlock& block, const Change& change);

/// What each atom does, by counter, in words: equal for blocks that mean the same, however their
/// ops and changes are cut. Without deps, which are those of changes.
std::map<Counter, std::string> Atoms(const ChangeBlock& block);

/// The first atom in which the two differ, in words; empty if they do not.
std::string FirstDifference(const ChangeBlock& a, const ChangeBlock& b);
std::string FirstDifference(const std::map<Counter, std::string>& a,
                            const std::map<Counter, std::string>& b);

/// Adds `change_count` changes of random local ops of all kinds to `builder`.
void AddRandomChanges(std::mt19937_64& random, int change_count, ChangeBlockBuilder* builder);

/// Adds the ops of a change to `builder` with its functions for local ops, one atom at a time.
/// True if the bytes must be Loro's own, that is, unless a value holds a map of several entries.
bool AddAsLocal(const ChangeBlock& block, const Change& change, ChangeBlockBuilder* builder);

}  // namespace merrow::loro
