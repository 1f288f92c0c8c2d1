// SPDX-License-Identifier: Apache-2.0
#include "store/replica_parked.h"

#include <algorithm>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/envelope.h"
#include "store/document_ops.h"

namespace merrow::store {
namespace {

/// REQUIRES: spans by peer and counter, none overlapping
bool Contains(const std::vector<loro::IdSpan>& spans, const loro::Id& id) {
  auto behind =
      std::upper_bound(spans.begin(), spans.end(), id, [](const loro::Id& a, const auto& span) {
        return std::pair(a.peer, a.counter) < std::pair(span.peer, span.start);
      });
  return behind != spans.begin() && (--behind)->peer == id.peer && id.counter < behind->end;
}

void AddBlock(loro::PeerId peer, loro::Counter counter, loro::Counter end,
              const std::vector<loro::Change>& changes, BlockSummary* summary) {
  summary->spans.push_back({peer, counter, end});
  // A peer's ops follow each other.
  if (counter > 0) {
    summary->follows.push_back({peer, counter - 1});
  }
  for (const loro::Change& change : changes) {
    summary->follows.insert(summary->follows.end(), change.deps.begin(), change.deps.end());
  }
}

void Normalize(BlockSummary* summary) {
  NormalizeSpans(&summary->spans);
  std::vector<loro::Id>& follows = summary->follows;
  std::erase_if(follows, [&](const loro::Id& id) { return Contains(summary->spans, id); });
  std::sort(follows.begin(), follows.end());
  follows.erase(std::unique(follows.begin(), follows.end()), follows.end());
}

/// Calls `visit` with each op that is not here until it says false.
template <typename Visit>
Status ForEachMissing(const ParkedChangeset& changeset, const VersionOfDocument& version_of,
                      Visit visit) {
  for (const auto& [document, summary] : changeset) {
    if (summary.follows.empty()) {
      continue;
    }
    MERROW_ASSIGN(const loro::VersionVector here, version_of(document));
    for (const loro::Id& id : summary.follows) {
      if (!here.Includes(id) && !visit(DocumentOp{document, id})) {
        return {};
      }
    }
  }
  return {};
}

}  // namespace

Result<BlockSummary> SummarizeBlocks(BytesView blocks, bool fully) {
  BlockSummary summary;
  MERROW_TRY(loro::ForEachBlock(blocks, [&](BytesView bytes) -> Status {
    if (fully) {
      MERROW_ASSIGN(const loro::ChangeBlock block, loro::DecodeChangeBlock(bytes));
      AddBlock(block.peer, block.counter(), block.end(), block.changes, &summary);
    } else {
      MERROW_ASSIGN(const loro::ChangeBlockHeader block, loro::DecodeChangeBlockHeader(bytes));
      AddBlock(block.peer, block.counter, block.end, block.changes, &summary);
    }
    return {};
  }));
  Normalize(&summary);
  return summary;
}

Result<std::optional<DocumentOp>> FindMissing(const ParkedChangeset& changeset,
                                              const VersionOfDocument& version_of) {
  std::optional<DocumentOp> missing;
  MERROW_TRY(ForEachMissing(changeset, version_of, [&](DocumentOp op) {
    missing = std::move(op);
    return false;
  }));
  return missing;
}

// --- Who is there, who watches and who brings what.

std::shared_ptr<const ParkedChangeset> Parked::Find(cells::DbVersion local) const {
  const auto found = items_.find(local);
  return found == items_.end() ? nullptr : found->second.changeset;
}

void Parked::Add(cells::DbVersion local, std::shared_ptr<const ParkedChangeset> changeset) {
  Remove(local);
  for (const auto& [document, summary] : *changeset) {
    for (const loro::IdSpan& span : summary.spans) {
      BroughtByPeer& brought = brought_[{document, span.peer}];
      brought.by_start.emplace(span.start, Brought{span.end, local});
      brought.longest = std::max(brought.longest, span.end - span.start);
      ForEachWatcher(document, span, [&](cells::DbVersion watcher) {
        Item& item = items_.at(watcher);
        if (item.root != nullptr && item.root->owner == watcher) {
          item.root->is_live = false;
        }
      });
    }
  }
  items_[local].changeset = std::move(changeset);
  to_look_at_.insert(local);
}

void Parked::Remove(cells::DbVersion local) {
  const auto found = items_.find(local);
  if (found == items_.end()) {
    return;
  }
  Item& item = found->second;
  Unwatch(local, item);
  for (const auto& [document, summary] : *item.changeset) {
    for (const loro::IdSpan& span : summary.spans) {
      const auto of_peer = brought_.find({document, span.peer});
      auto& by_start = of_peer->second.by_start;
      const auto [first, last] = by_start.equal_range(span.start);
      by_start.erase(std::find_if(first, last,
                                  [&](const auto& entry) { return entry.second.local == local; }));
      if (by_start.empty()) {
        brought_.erase(of_peer);
      }
    }
  }
  to_look_at_.erase(local);
  to_circle_.erase(local);
  items_.erase(found);
}

void Parked::Watch(cells::DbVersion local, Item& item, const DocumentOp& op) {
  Unwatch(local, item);
  item.watched = op;
  watchers_[{op.document, op.id.peer}][op.id.counter].insert(local);
}

void Parked::Unwatch(cells::DbVersion local, Item& item) {
  if (item.root != nullptr && item.root->owner == local) {
    item.root->is_live = false;
  }
  item.root.reset();
  if (!item.watched.has_value()) {
    return;
  }
  const auto of_peer = watchers_.find({item.watched->document, item.watched->id.peer});
  const auto of_op = of_peer->second.find(item.watched->id.counter);
  of_op->second.erase(local);
  if (of_op->second.empty()) {
    of_peer->second.erase(of_op);
  }
  if (of_peer->second.empty()) {
    watchers_.erase(of_peer);
  }
  item.watched.reset();
}

template <typename Visit>
void Parked::ForEachWatcher(const DocumentKey& document, const loro::IdSpan& span, Visit visit) {
  const auto of_peer = watchers_.find({document, span.peer});
  if (of_peer == watchers_.end()) {
    return;
  }
  const auto until = of_peer->second.lower_bound(span.end);
  for (auto op = of_peer->second.lower_bound(span.start); op != until; ++op) {
    std::for_each(op->second.begin(), op->second.end(), visit);
  }
}

void Parked::OnOps(const DocumentKey& document, const std::vector<loro::IdSpan>& spans) {
  for (const loro::IdSpan& span : spans) {
    ForEachWatcher(document, span, [&](cells::DbVersion watcher) { LookAt(watcher); });
  }
}

void Parked::SetAside(cells::DbVersion local) {
  Item& item = items_.at(local);
  Unwatch(local, item);
  item.is_aside = true;
  to_look_at_.erase(local);
  to_circle_.erase(local);
}

void Parked::Retry(cells::DbVersion local) {
  Item& item = items_.at(local);
  item.is_aside = false;
  // Others may be blocked because they follow it.
  for (const auto& [document, summary] : *item.changeset) {
    OnOps(document, summary.spans);
  }
  LookAt(local);
}

void Parked::LookAt(cells::DbVersion local) {
  Item& item = items_.at(local);
  if (item.root != nullptr && item.root->owner == local) {
    item.root->is_live = false;
  }
  if (!item.is_aside) {
    to_look_at_.insert(local);
  }
}

void Parked::LookAtAll() {
  for (auto& [local, item] : items_) {
    item.is_aside = false;
    Unwatch(local, item);
    to_look_at_.insert(local);
  }
}

// --- What can be applied.

Result<std::vector<cells::DbVersion>> Parked::Next(const VersionOfDocument& version_of) {
  while (!to_look_at_.empty()) {
    const cells::DbVersion local = *to_look_at_.begin();
    Item& item = items_.at(local);
    MERROW_ASSIGN(const auto missing, FindMissing(*item.changeset, version_of));
    to_look_at_.erase(local);
    if (!missing.has_value()) {
      return std::vector<cells::DbVersion>{local};
    }
    Watch(local, item, *missing);
    to_circle_.insert(local);
  }
  while (!to_circle_.empty()) {
    const cells::DbVersion local = *to_circle_.begin();
    MERROW_ASSIGN(std::vector<cells::DbVersion> circle, FindCircle(local, version_of));
    to_circle_.erase(local);
    if (!circle.empty()) {
      return circle;
    }
  }
  return std::vector<cells::DbVersion>();
}

std::optional<cells::DbVersion> Parked::FindBringer(const DocumentOp& op,
                                                    const std::set<cells::DbVersion>& in) const {
  const auto of_peer = brought_.find({op.document, op.id.peer});
  if (of_peer == brought_.end()) {
    return std::nullopt;
  }
  std::optional<cells::DbVersion> best;
  const auto& by_start = of_peer->second.by_start;
  for (auto at = by_start.upper_bound(op.id.counter); at != by_start.begin();) {
    --at;
    if (op.id.counter - at->first >= of_peer->second.longest) {
      break;
    }
    const Item& item = items_.at(at->second.local);
    if (at->second.end <= op.id.counter || item.is_aside) {
      continue;
    }
    if (in.contains(at->second.local)) {
      return at->second.local;
    }
    if (!best.has_value() || items_.at(*best).is_blocked()) {
      best = at->second.local;
    }
  }
  return best;
}

/// Goes from what `around` follows to what that follows, and so on. If that ends, those that were
/// met follow nothing outside of them. If it leads to a blocked one, it begins again without that.
Result<std::vector<cells::DbVersion>> Parked::FindCircle(cells::DbVersion around,
                                                         const VersionOfDocument& version_of) {
  while (!items_.at(around).is_blocked()) {
    std::set<cells::DbVersion> met;
    std::vector<Step> path;
    const auto go_to = [&](cells::DbVersion local) -> Status {
      met.insert(local);
      path.push_back({local, {}, 0});
      return ForEachMissing(*items_.at(local).changeset, version_of, [&](DocumentOp op) {
        path.back().missing.push_back(std::move(op));
        return true;
      });
    };
    MERROW_TRY(go_to(around));
    bool is_blocked = false;
    while (!path.empty() && !is_blocked) {
      Step& step = path.back();
      if (step.next == step.missing.size()) {
        path.pop_back();
        continue;
      }
      const DocumentOp& op = step.missing[step.next++];
      const auto bringer = FindBringer(op, met);
      if (!bringer.has_value() || items_.at(*bringer).is_blocked()) {
        is_blocked = true;
        Block(path, op);
      } else if (!met.contains(*bringer)) {
        MERROW_TRY(go_to(*bringer));
      }
    }
    if (!is_blocked) {
      return std::vector<cells::DbVersion>(met.begin(), met.end());
    }
  }
  return std::vector<cells::DbVersion>();
}

void Parked::Block(const std::vector<Step>& path, const DocumentOp& op) {
  // From the end: who follows a blocked one is blocked too, unless somebody else brings the same.
  const DocumentOp* missing = &op;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    if (step != path.rbegin()) {
      missing = &step->missing[step->next - 1];
    }
    const auto bringer = FindBringer(*missing, {});
    if (bringer.has_value() && !items_.at(*bringer).is_blocked()) {
      return;
    }
    Item& item = items_.at(step->local);
    Watch(step->local, item, *missing);
    item.root = bringer.has_value() ? items_.at(*bringer).root
                                    : std::make_shared<Root>(Root{step->local, true});
  }
}

}  // namespace merrow::store
