// SPDX-License-Identifier: Apache-2.0
//
// Full replay model: what a document is, computed from its ops alone, the slow and plain way. It
// shares the codec and the spelling of JSON scalars with the engine and nothing else: no causal
// graph, no tracker, no state. Linked by tests only.
//
// Everything is computed anew for each question: ops are sorted by (lamport, peer), which is an
// order in which each follows all it has seen; the version an op was made at is gathered from the
// dependencies of its change; sequences are vectors that every op walks (sequence_model.h), trees
// maps to which all ops are applied (tree_model.h), and a register holds the largest of its writes.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "loro/change_block.h"
#include "loro/sequence_model.h"
#include "loro/tree_model.h"

namespace merrow::loro {

class FullReplayModel {
 public:
  /// From a FastUpdates blob. REQUIRES: it starts at the empty version and lacks no dependencies.
  static Result<FullReplayModel> Of(BytesView updates);

  /// All ops.
  ModelVersion Everything() const;
  /// The op and all that it has seen. REQUIRES: it is here.
  ModelVersion VersionAfter(Id id) const;
  /// A version that some ops and all they have seen make up, chosen by `random`.
  ModelVersion SomeVersion(SeededRandom* random) const;
  /// The ops of a version that no other op of it has seen.
  Frontiers FrontiersOf(const ModelVersion& version) const;

  /// The deep value at `version`, as Document::AppendJson writes it. REQUIRES: there are no values
  /// but null, truth values, integers, strings and containers, and no two roots with one name.
  std::string Json(const ModelVersion& version) const;
  /// A Text at `version`, as Document::AppendDelta writes it.
  std::string Delta(const ContainerId& text, const ModelVersion& version) const;

 private:
  struct ReplayChange {
    uint32_t length = 0;
    Lamport lamport = 0;
    std::vector<Id> deps;
  };
  struct ReplayOp {
    Id id;
    Id change;
    Lamport lamport = 0;
    Op op;                      // its views and indexes are void; what they refer to follows
    std::vector<Value> values;  // kListInsert, kMapSet, kSet, kTextMarkStart
    std::string text;           // kTextInsert: the text; kMapSet, kMapDelete, marks: the key
    Bytes position;             // kTreeMove

    IdLp key() const { return {lamport, id.peer}; }
  };
  using Ops = std::vector<const ReplayOp*>;  // by key
  /// Characters with equal attributes, these as a JSON object, empty if there are none.
  struct Piece {
    std::string text;
    std::string attributes;
  };

  Status AddBlock(const ChangeBlock& block);
  /// The change that an op is part of.
  Id ChangeOf(Id id) const;
  /// What a change's first op has seen.
  const ModelVersion& MadeAt(Id change) const;

  /// A container's ops in `version`.
  Ops OpsOf(const ContainerId& container, const ModelVersion& version) const;
  /// The elements that are visible at `version`, in order.
  std::vector<Id> ReplaySequence(const Ops& ops, const ModelVersion& version) const;
  std::vector<Piece> Pieces(const Ops& ops, const ModelVersion& version) const;

  std::string ContainerJson(const ContainerId& container, const ModelVersion& version) const;
  std::string ValueJson(const Value& value, const ModelVersion& version) const;
  std::string MapJson(const ContainerId& map, const Ops& ops, const ModelVersion& version) const;
  std::string ListJson(const Ops& ops, const ModelVersion& version) const;
  std::string MovableListJson(const Ops& ops, const ModelVersion& version) const;
  std::string TextJson(const Ops& ops, const ModelVersion& version) const;
  std::string TreeJson(const Ops& ops, const ModelVersion& version) const;

  std::map<Id, ReplayChange> changes_;
  std::map<ContainerId, std::vector<ReplayOp>> ops_;
  mutable std::map<Id, ModelVersion> versions_;  // of MadeAt, as far as they were asked for
};

}  // namespace merrow::loro
