// SPDX-License-Identifier: Apache-2.0
//
// Sequence model: what the sequence tracker must compute, written the slow and plain way. One
// element per item of a vector, every version a version vector, every question a walk over all
// elements. Linked by tests only.
//
// The model also makes up histories: peers that edit their own version and now and then merge
// another's. Each op is integrated when it is made, so the model's order is that of a full replay.

#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "merrow/ids.h"

namespace merrow::loro {

/// How many ops of each peer a version has; absent means 0.
using ModelVersion = std::map<PeerId, Counter>;

inline bool Has(const ModelVersion& version, Id id) {
  const auto found = version.find(id.peer);
  return found != version.end() && id.counter < found->second;
}

inline void Merge(ModelVersion* into, const ModelVersion& from) {
  for (const auto& [peer, end] : from) {
    Counter& mine = (*into)[peer];
    mine = std::max(mine, end);
  }
}

struct ModelOp {
  enum class Kind { kInsert, kDelete, kMove };
  Kind kind = Kind::kInsert;
  Id id;
  uint32_t position = 0;      // kMove: from
  uint32_t length = 0;        // kInsert
  int32_t signed_length = 0;  // kDelete
  uint32_t to = 0;            // kMove
  ModelVersion version;       // made at

  Counter atoms() const {
    switch (kind) {
      case Kind::kInsert:
        return static_cast<Counter>(length);
      case Kind::kDelete:
        return std::abs(signed_length);
      case Kind::kMove:
        return 1;
    }
    return 0;
  }
};

class SequenceModel {
 public:
  struct Item {
    Id id;
    std::optional<Id> left;
    std::optional<Id> right;
    std::vector<Id> deleted_by;
  };

  const std::vector<Item>& items() const { return items_; }

  static bool Visible(const Item& item, const ModelVersion& version) {
    return Has(version, item.id) && std::none_of(item.deleted_by.begin(), item.deleted_by.end(),
                                                 [&](Id op) { return Has(version, op); });
  }

  /// Ids of the elements visible at `version`, in order.
  std::vector<Id> VisibleIds(const ModelVersion& version) const {
    std::vector<Id> ids;
    for (const Item& item : items_) {
      if (Visible(item, version)) {
        ids.push_back(item.id);
      }
    }
    return ids;
  }

  void Integrate(const ModelOp& op) {
    switch (op.kind) {
      case ModelOp::Kind::kInsert:
        Insert(op.id, op.length, op.position, op.version);
        break;
      case ModelOp::Kind::kDelete:
        for (Counter k = 0; k < op.atoms(); ++k) {
          // Forwards, each deletes at the same position, as the one before it is gone.
          ModelVersion version = op.version;
          version[op.id.peer] = op.id.counter + k;
          const uint32_t back = op.signed_length < 0 ? static_cast<uint32_t>(k) : 0;
          DeleteOne(op.id.Plus(k), op.position - back, version);
        }
        break;
      case ModelOp::Kind::kMove: {
        DeleteOne(op.id, op.position, op.version);
        ModelVersion version = op.version;
        version[op.id.peer] = op.id.counter + 1;
        Insert(op.id, 1, op.to, version);
        break;
      }
    }
  }

 private:
  size_t IndexOf(Id id) const {
    for (size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].id == id) {
        return i;
      }
    }
    return items_.size();
  }

  size_t VisibleAt(uint32_t position, const ModelVersion& version) const {
    for (size_t i = 0; i < items_.size(); ++i) {
      if (Visible(items_[i], version) && position-- == 0) {
        return i;
      }
    }
    return items_.size();
  }

  void DeleteOne(Id op, uint32_t position, const ModelVersion& version) {
    items_[VisibleAt(position, version)].deleted_by.push_back(op);
  }

  /// Where the sibling bound of an element with these origins is; the end if it has none.
  size_t ParentRight(const std::optional<Id>& left, const std::optional<Id>& right) const {
    if (!right) {
      return items_.size();
    }
    const size_t i = IndexOf(*right);
    return items_[i].left == left ? i : items_.size();
  }

  void Insert(Id id, uint32_t length, uint32_t position, const ModelVersion& version) {
    std::optional<Id> left;
    size_t start = 0;
    if (position > 0) {
      const size_t i = VisibleAt(position - 1, version);
      left = items_[i].id;
      start = i + 1;
    }
    size_t end = start;
    while (end < items_.size() && !Has(version, items_[end].id)) {
      ++end;
    }
    std::optional<Id> right;
    if (end < items_.size()) {
      right = items_[end].id;
    }
    size_t place = start;
    bool scanning = false;
    std::set<Id> visited;
    for (size_t i = start; i < end; ++i) {
      const Item& other = items_[i];
      if (other.left != left && !(other.left && visited.contains(*other.left))) {
        break;
      }
      visited.insert(other.id);
      if (other.left == left) {
        const size_t theirs = ParentRight(other.left, other.right);
        const size_t ours = ParentRight(left, right);
        const bool equal = other.right == right || theirs == ours;
        if (equal && other.id.peer > id.peer) {
          break;
        }
        scanning = !equal && theirs < ours;
      }
      if (!scanning) {
        place = i + 1;
      }
    }
    std::vector<Item> fresh;
    for (uint32_t k = 0; k < length; ++k) {
      fresh.push_back({id.Plus(static_cast<Counter>(k)), left, right, {}});
      left = fresh.back().id;
    }
    items_.insert(items_.begin() + static_cast<ptrdiff_t>(place), fresh.begin(), fresh.end());
  }

  std::vector<Item> items_;
};

struct HistoryOptions {
  size_t peers = 3;
  size_t steps = 40;
  uint32_t insert_length_max = 4;
  bool moves = false;
  double merge_chance = 0.25;
  double delete_chance = 0.35;
};

/// A made-up history and its model.
class ModelHistory {
 public:
  ModelHistory(uint64_t seed, const HistoryOptions& options) : random_(seed), options_(options) {
    // Peers on both sides of the sign bit, in no special order.
    std::vector<PeerId> ids = {3, 0x8000000000000001, 0xfffffffffffffff0, 7, 0x7fffffffffffffff};
    std::shuffle(ids.begin(), ids.end(), random_);
    for (size_t i = 0; i < options.peers; ++i) {
      peers_.push_back(ids[i]);
      versions_[ids[i]] = {};
    }
    Run();
  }

  /// Further steps.
  void Run() {
    for (size_t i = 0; i < options_.steps; ++i) {
      Step();
    }
  }

  /// Everybody merges everything: a critical version.
  void Synchronise() {
    const ModelVersion all = Everything();
    for (auto& [peer, version] : versions_) {
      version = all;
    }
  }

  ModelVersion Everything() const {
    ModelVersion all;
    for (const auto& [peer, version] : versions_) {
      Merge(&all, version);
    }
    return all;
  }

  const std::vector<ModelOp>& ops() const { return ops_; }
  const SequenceModel& model() const { return model_; }

 private:
  uint32_t Below(uint64_t end) { return static_cast<uint32_t>(random_() % end); }
  bool Chance(double chance) { return std::uniform_real_distribution<>(0, 1)(random_) < chance; }

  void Step() {
    const PeerId peer = peers_[Below(peers_.size())];
    ModelVersion& version = versions_[peer];
    if (Chance(options_.merge_chance)) {
      Merge(&version, versions_[peers_[Below(peers_.size())]]);
      return;
    }
    ModelOp op = MakeOp(peer, version);
    model_.Integrate(op);
    version[peer] = op.id.counter + op.atoms();
    // Another container's ops take counters as well.
    if (Chance(0.1)) {
      version[peer] += static_cast<Counter>(1 + Below(3));
    }
    ops_.push_back(std::move(op));
  }

  ModelOp MakeOp(PeerId peer, const ModelVersion& version) {
    const uint32_t length = static_cast<uint32_t>(model_.VisibleIds(version).size());
    const auto mine = version.find(peer);
    ModelOp op;
    op.id = {peer, mine == version.end() ? 0 : mine->second};
    op.version = version;
    if (length > 0 && options_.moves && Chance(0.3)) {
      op.kind = ModelOp::Kind::kMove;
      op.position = Below(length);
      op.to = Below(length);
    } else if (length > 0 && Chance(options_.delete_chance)) {
      op.kind = ModelOp::Kind::kDelete;
      const uint32_t start = Below(length);
      const uint32_t count = 1 + Below(std::min<uint32_t>(length - start, 5));
      const bool backwards = Chance(0.5);
      op.position = backwards ? start + count - 1 : start;
      op.signed_length = static_cast<int32_t>(count) * (backwards ? -1 : 1);
    } else {
      op.length = 1 + Below(options_.insert_length_max);
      // Often at the front, at the end or where others type, for conflicts.
      const uint32_t where = Below(4);
      op.position = where == 0 ? 0 : where == 1 ? length : Below(length + uint64_t{1});
    }
    return op;
  }

  std::mt19937_64 random_;
  HistoryOptions options_;
  std::vector<PeerId> peers_;
  std::map<PeerId, ModelVersion> versions_;
  std::vector<ModelOp> ops_;
  SequenceModel model_;
};

}  // namespace merrow::loro
