// SPDX-License-Identifier: Apache-2.0
//
// Parked changesets: those whose document ops follow ops that are not here yet. They are kept whole
// in _merrow_waiting and count as seen; their rows and ops become visible together when what they
// follow is there.
//
// What they follow may be parked too, even in turn: of two sites whose users wrote in one document
// together, each one's changeset of all that time follows the other's. So parked changesets are
// applied one by one where that works, and else as a set that follows nothing outside of it: a
// circle.
//
// There may be very many, for as long as an op is nowhere to be had, so nothing is looked at
// without a reason. Each changeset watches one op that it follows and that is not here, and is
// looked at again when that arrives. A circle can only have come to be around a changeset that was
// looked at just now. The search for one stops at changesets that are known to be blocked: what
// they follow leads, from one to the next, to an op that no parked changeset brings. That op is
// their root; they share it, and it is dead as soon as the op arrives or comes to be parked.
//
// Invariants, between two calls:
//   (1) The op that a changeset watches is not here, or the changeset is among those to look at.
//   (2) A live root is of an op that is neither here nor brought by a parked changeset, but for
//       those that are set aside.

#pragma once

#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cells/row_change.h"
#include "changeset/changeset.h"
#include "merrow/ids.h"
#include "merrow/version_vector.h"

namespace merrow::store {

/// Names a document: table and packed key.
using DocumentKey = std::pair<std::string, Bytes>;

/// What change blocks bring to a document, and the ops outside of them that they follow.
struct BlockSummary {
  std::vector<loro::IdSpan> spans;  // by peer and counter, neither overlapping nor touching
  std::vector<loro::Id> follows;    // by peer and counter, each once
};

/// Corruption if `blocks` do not decode. `fully`: nothing in them is left unchecked.
Result<BlockSummary> SummarizeBlocks(BytesView blocks, bool fully);

/// Documents of a changeset: several changes of one put together.
using DocumentBlocksByKey = std::map<DocumentKey, Bytes>;
using ParkedChangeset = std::map<DocumentKey, BlockSummary>;

/// What is here of a document.
using VersionOfDocument = std::function<Result<loro::VersionVector>(const DocumentKey&)>;

/// An op that a changeset follows.
struct DocumentOp {
  DocumentKey document;
  loro::Id id;
};

/// The first op that it follows and that is not here.
Result<std::optional<DocumentOp>> FindMissing(const ParkedChangeset& changeset,
                                              const VersionOfDocument& version_of);

/// By the local versions of their entries.
class Parked {
 public:
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  bool Contains(cells::DbVersion local) const { return items_.contains(local); }
  std::shared_ptr<const ParkedChangeset> Find(cells::DbVersion local) const;

  void Add(cells::DbVersion local, std::shared_ptr<const ParkedChangeset> changeset);
  void Remove(cells::DbVersion local);
  void Clear() { *this = Parked(); }
  /// There is a reason to call Next().
  bool has_work() const { return !to_look_at_.empty() || !to_circle_.empty(); }

  /// These ops of a document arrived.
  void OnOps(const DocumentKey& document, const std::vector<loro::IdSpan>& spans);
  /// It cannot be applied although nothing is missing; as if it was not there until Retry() or
  /// LookAtAll().
  void SetAside(cells::DbVersion local);
  void Retry(cells::DbVersion local);
  void LookAt(cells::DbVersion local);
  void LookAtAll();

  /// Changesets that can be applied now: one, or a circle. Empty if there are none. Afterwards each
  /// must be removed, set aside or looked at again.
  Result<std::vector<cells::DbVersion>> Next(const VersionOfDocument& version_of);

 private:
  /// Of one peer in one document.
  using OpsOf = std::pair<DocumentKey, loro::PeerId>;
  struct Root {
    cells::DbVersion owner = 0;  // which watches the op itself
    bool is_live = true;
  };
  struct Item {
    std::shared_ptr<const ParkedChangeset> changeset;
    std::optional<DocumentOp> watched;
    std::shared_ptr<Root> root;  // null or dead: not known to be blocked
    bool is_aside = false;

    bool is_blocked() const { return root != nullptr && root->is_live; }
  };
  struct Brought {
    loro::Counter end = 0;
    cells::DbVersion local = 0;
  };
  struct BroughtByPeer {
    std::multimap<loro::Counter, Brought> by_start;
    loro::Counter longest = 0;
  };
  struct Step {
    cells::DbVersion local = 0;
    std::vector<DocumentOp> missing;
    size_t next = 0;
  };

  void Watch(cells::DbVersion local, Item& item, const DocumentOp& op);
  void Unwatch(cells::DbVersion local, Item& item);
  template <typename Visit>
  void ForEachWatcher(const DocumentKey& document, const loro::IdSpan& span, Visit visit);
  /// A changeset that brings the op: best one of `in`, else one that is not blocked, else any.
  std::optional<cells::DbVersion> FindBringer(const DocumentOp& op,
                                              const std::set<cells::DbVersion>& in) const;
  Result<std::vector<cells::DbVersion>> FindCircle(cells::DbVersion around,
                                                   const VersionOfDocument& version_of);
  /// `op`, which the last of the path follows, cannot come from those who are here.
  void Block(const std::vector<Step>& path, const DocumentOp& op);

  std::map<cells::DbVersion, Item> items_;
  std::map<OpsOf, std::map<loro::Counter, std::set<cells::DbVersion>>> watchers_;
  std::map<OpsOf, BroughtByPeer> brought_;
  std::set<cells::DbVersion> to_look_at_;
  /// What was looked at: circles may have come to be around these.
  std::set<cells::DbVersion> to_circle_;
};

}  // namespace merrow::store
