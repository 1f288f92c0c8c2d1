// SPDX-License-Identifier: Apache-2.0
#include "loro/sequence_merge.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "loro/history.h"
#include "loro/history_base.h"
#include "loro/sequence_tracker.h"

namespace merrow::loro {
namespace {

// How many elements the base version has does not matter to where ops land, so it need not be
// known: the state, which knows, checks the positions that come out.
constexpr uint32_t kUnknownBaseLength = 1U << 30;

Result<uint32_t> CheckedPosition(int64_t position) {
  if (position < 0 || position > INT32_MAX) {
    return Corruption("op position " + std::to_string(position) + " is out of range");
  }
  return static_cast<uint32_t>(position);
}

// The replay of one container.
struct Replay {
  explicit Replay(uint32_t base_length) : tracker(base_length) {}

  SequenceTracker tracker;
  std::vector<Lv> version;  // the tracker's current one
};

class Merger {
 public:
  /// `atoms`: of the version to be reached, ascending.
  Merger(const OpLog& log, std::vector<LvSpan> atoms, State* state, TreeMoves moves = {})
      : log_(log),
        graph_(log.graph()),
        atoms_(std::move(atoms)),
        reader_(log),
        history_(log, atoms_),
        state_(state),
        tree_moves_(std::move(moves)) {}

  Status Run(std::span<const Lv> heads, Lv first_new) {
    // What is critical from the start on: nothing, or what a trimmed history ends with.
    std::vector<Lv> base(graph_.start_size());
    std::iota(base.begin(), base.end(), Lv{0});
    Lv done = first_new;
    for (const LvSpan& critical : graph_.CriticalAtoms(heads, first_new)) {
      if (done < critical.start) MERROW_TRY(MergeConcurrent(base, {done, critical.start}));
      done = std::max(done, critical.start);
      MERROW_TRY(ApplyFollowing({done, critical.end}));
      done = std::max(done, critical.end);
      base.assign(1, critical.end - 1);
    }
    MERROW_TRY(MergeConcurrent(base, {done, graph_.size()}));
    for (auto& [tree, moves] : tree_moves_) {
      state_->MergeTree(tree, std::move(moves), history_);
    }
    return {};
  }

  // Feeds the ops of one sequence and applies none.
  Result<SequenceTracker> ReplayOne(const ContainerId& id, uint32_t base_length) {
    first_new_ = graph_.size();
    Replay replay(base_length);
    for (Lv lv = 0; lv < graph_.start_size(); ++lv) replay.version.push_back(lv);
    MERROW_TRY(
        ForEachSliceIn({graph_.start_size(), graph_.size()},
                       [&](Lv lv, const CausalGraph::Run& run, const OpSlice& slice) -> Status {
                         return slice.container() == id ? Feed(&replay, lv, run, slice) : Status();
                       }));
    return std::move(replay.tracker);
  }

 private:
  // Visits the atoms of the version that lie in `range`.
  template <typename Visit>
  Status ForEachSliceIn(LvSpan range, Visit&& visit) {
    auto span = std::upper_bound(atoms_.begin(), atoms_.end(), range.start,
                                 [](Lv lv, const LvSpan& other) { return lv < other.end; });
    for (; span != atoms_.end() && span->start < range.end; ++span) {
      MERROW_TRY(ForEachSlice(log_, reader_,
                              {std::max(span->start, range.start), std::min(span->end, range.end)},
                              visit));
    }
    return {};
  }

  // Each op of `range` follows everything before it.
  Status ApplyFollowing(LvSpan range) {
    return ForEachSliceIn(range, [this](Lv, const CausalGraph::Run&, const OpSlice& slice) {
      return ApplyUnlessTree(slice, state_, history_, &tree_moves_);
    });
  }

  // Applies the ops of `range`. They and all others after the version `base` follow it.
  Status MergeConcurrent(const std::vector<Lv>& base, LvSpan range) {
    first_new_ = range.start;
    replays_.clear();
    MERROW_TRY(ForEachSliceIn(range, [this](Lv, const CausalGraph::Run&, const OpSlice& slice) {
      if (IsSequence(slice.container().kind())) replays_.try_emplace(slice.container());
      return Status();
    }));
    if (!replays_.empty()) range.start = base.empty() ? 0 : base.back() + 1;
    for (auto& [container, replay] : replays_) {
      replay.emplace(base.empty() ? 0 : kUnknownBaseLength);
      replay->version = base;
    }
    // An op that is known in part is cut where the new one starts.
    const auto apply = [this](Lv lv, const CausalGraph::Run& run, const OpSlice& slice) {
      return ApplyConcurrent(lv, run, slice);
    };
    MERROW_TRY(ForEachSliceIn({range.start, first_new_}, apply));
    return ForEachSliceIn({first_new_, range.end}, apply);
  }

  Status ApplyConcurrent(Lv lv, const CausalGraph::Run& run, const OpSlice& slice) {
    const auto found = replays_.find(slice.container());
    if (found != replays_.end()) return Feed(&*found->second, lv, run, slice);
    if (lv < first_new_) return {};
    return ApplyUnlessTree(slice, state_, history_, &tree_moves_);
  }

  // Moves the replay to the version that the op at `lv` was made at.
  void MoveTo(Replay* replay, Lv lv, const CausalGraph::Run& run) {
    const Lv before = lv - 1;
    const std::span<const Lv> parents =
        lv > run.start ? std::span(&before, 1) : std::span<const Lv>(run.parents);
    const CausalGraph::Difference difference = graph_.Diff(replay->version, parents);
    for (const LvSpan& span : difference.only_a) {
      ForEachIdSpan(span, [replay](IdSpan ids) { replay->tracker.Retreat(ids); });
    }
    for (const LvSpan& span : difference.only_b) {
      ForEachIdSpan(span, [replay](IdSpan ids) { replay->tracker.Advance(ids); });
    }
  }

  template <typename Visit>
  void ForEachIdSpan(LvSpan span, Visit&& visit) {
    for (size_t i = graph_.RunIndexOf(span.start);
         i < graph_.runs().size() && graph_.runs()[i].start < span.end; ++i) {
      const CausalGraph::Run& run = graph_.runs()[i];
      const Lv start = std::max(span.start, run.start);
      const Lv end = std::min(span.end, run.end);
      const Id id = run.IdAt(start, graph_);
      visit(IdSpan{id.peer, id.counter, id.counter + static_cast<Counter>(end - start)});
    }
  }

  Status Feed(Replay* replay, Lv lv, const CausalGraph::Run& run, const OpSlice& slice) {
    MoveTo(replay, lv, run);
    replay->version.assign(1, lv + slice.length - 1);
    const bool is_new = lv >= first_new_;
    MERROW_ASSIGN(const uint32_t position, CheckedPosition(slice.position()));
    SequenceTracker& tracker = replay->tracker;
    switch (slice.op->kind) {
      case OpKind::kTextInsert:
      case OpKind::kListInsert:
      case OpKind::kTextMarkStart: {
        MERROW_ASSIGN(const uint32_t at, tracker.Insert(slice.id(), slice.length, position));
        return is_new ? state_->ApplyInsertAt(slice, at) : Status();
      }
      case OpKind::kTextMarkEnd: {
        MERROW_ASSIGN(const std::optional<int64_t> wire_end, history_.EndOfMark(slice));
        if (!wire_end.has_value()) return {};
        MERROW_ASSIGN(const uint32_t end, CheckedPosition(*wire_end));
        MERROW_ASSIGN(const uint32_t at, tracker.Insert(slice.id(), 1, end));
        return is_new ? state_->ApplyMarkEndAt(slice, at) : Status();
      }
      case OpKind::kDelete: {
        deleted_.clear();
        const auto length = static_cast<int32_t>(slice.length);
        MERROW_TRY(tracker.Delete(slice.id(), position,
                                  slice.op->signed_length < 0 ? -length : length, &deleted_));
        if (!is_new) return {};
        for (const SequenceTracker::Deleted& range : deleted_) {
          MERROW_TRY(state_->DeleteAt(slice.container(), range.position, range.length));
        }
        return {};
      }
      case OpKind::kMove: {
        MERROW_ASSIGN(const SequenceTracker::Moved moved,
                      tracker.Move(slice.id(), slice.op->from, position));
        if (!is_new) return {};
        const auto from = moved.was_visible ? std::optional(moved.from) : std::nullopt;
        return state_->MoveAt(slice, from, moved.to, history_);
      }
      case OpKind::kSet:
        return is_new ? state_->Apply(slice, history_) : Status();
      default:
        return {};
    }
  }

  const OpLog& log_;
  const CausalGraph& graph_;
  const std::vector<LvSpan> atoms_;
  OpLog::Reader reader_;
  History history_;
  State* const state_;

  // Of all ops, merged at the end, so that each tree's are sorted once:
  TreeMoves tree_moves_;
  // Of one stretch of concurrent ops:
  Lv first_new_ = 0;
  std::unordered_map<ContainerId, std::optional<Replay>, ContainerIdHash> replays_;
  std::vector<SequenceTracker::Deleted> deleted_;
};

}  // namespace

Status ApplyUnlessTree(const OpSlice& slice, State* state, History& history, TreeMoves* aside) {
  if (slice.op->kind != OpKind::kTreeMove) return state->Apply(slice, history);
  const ContainerId& tree = slice.container();
  const TreeMove& move = (*aside)[tree].emplace_back(TreeMoveOf(slice));
  // Now, because later ops write to the node's data.
  const bool is_create = move.node == move.id;
  if (is_create && state->OpenAs<TreeState>(tree)) state->AdoptNode(move.node, tree);
  return {};
}

Status MergeInto(const OpLog& log, Lv first_new, State* state, TreeMoves aside) {
  const CausalGraph& graph = log.graph();
  return Merger(log, {{0, graph.size()}}, state, std::move(aside)).Run(graph.heads(), first_new);
}

Result<SequenceTracker> ReplaySequence(const OpLog& log, std::span<const Lv> heads,
                                       const ContainerId& id, uint32_t base_length) {
  return Merger(log, log.graph().AtomsOf(heads), nullptr).ReplayOne(id, base_length);
}

Result<State> DeriveState(const OpLog& log, std::span<const Lv> heads) {
  State state;
  if (log.base() != nullptr) {
    MERROW_ASSIGN(state, log.base()->DecodeState());
  }
  MERROW_TRY(Merger(log, log.graph().AtomsOf(heads), &state).Run(heads, log.graph().start_size()));
  return state;
}

}  // namespace merrow::loro
