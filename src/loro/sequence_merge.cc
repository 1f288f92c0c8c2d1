// SPDX-License-Identifier: Apache-2.0
#include "loro/sequence_merge.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "loro/critical_stretches.h"
#include "loro/history.h"
#include "loro/history_base.h"
#include "loro/sequence_tracker.h"

namespace merrow::loro {
namespace {

// How many elements the base version has does not matter to where ops land, so it need not be
// known: the state, which knows, checks the positions that come out.
constexpr uint32_t kUnknownBaseLength = 1U << 30;

// A window is looked at for a later start when it has grown to this size, and to twice the size it
// had when it was looked at last.
constexpr size_t kWindowSizeFirst = 64;
constexpr size_t kAtomsPerRun = 64;

Result<uint32_t> CheckedPosition(int64_t position) {
  if (position < 0 || position > INT32_MAX) {
    return Corruption("op position " + std::to_string(position) + " is out of range");
  }
  return static_cast<uint32_t>(position);
}

// The replay of one container.
struct Replay {
  SequenceTracker tracker;
  std::vector<Lv> version;  // the tracker's current one
};
using Replays = std::unordered_map<ContainerId, Replay, ContainerIdHash>;

}  // namespace

struct MergeWindow::Impl {
  // As if it were new, for the concurrent ops that follow `new_base` and arrived from `new_start`
  // on.
  void Restart(Lv new_start, std::vector<Lv> new_base) {
    start = fed_end = new_start;
    base = std::move(new_base);
    size_to_look = kWindowSizeFirst;
    // Mostly people write in the same few places as before.
    constexpr size_t kReplaysKept = 4;
    if (replays.size() > kReplaysKept) replays.clear();
    for (auto& [container, replay] : replays) {
      replay.tracker.Restart(base_length());
      replay.version = base;
    }
  }
  uint32_t base_length() const { return base.empty() ? 0 : kUnknownBaseLength; }

  Lv start = 0;
  std::vector<Lv> base;  // heads of the critical version of the atoms before `start`
  Lv fed_end = 0;        // the replays know the ops in [start, fed_end)
  Replays replays;
  size_t size_to_look = kWindowSizeFirst;
};

MergeWindow::MergeWindow() = default;
MergeWindow::~MergeWindow() = default;
MergeWindow::MergeWindow(MergeWindow&&) noexcept = default;
MergeWindow& MergeWindow::operator=(MergeWindow&&) noexcept = default;

void MergeWindow::Clear() { impl_.reset(); }

size_t MergeWindow::MemoryBytes() const {
  if (impl_ == nullptr) return 0;
  size_t bytes = sizeof(Impl);
  for (const auto& [container, replay] : impl_->replays) {
    bytes += sizeof(ContainerId) + 32 + replay.tracker.MemoryBytes();
  }
  return bytes;
}

namespace {

using Window = MergeWindow::Impl;

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

  OpLog::Reader& reader() { return reader_; }

  /// `window` may be null before and after.
  Status Run(std::span<const Lv> heads, Lv first_new, std::unique_ptr<Window>* window) {
    MERROW_TRY(RunStretches(heads, first_new, window));
    for (auto& [tree, moves] : tree_moves_) {
      state_->MergeTree(tree, std::move(moves), history_);
    }
    return {};
  }

  // Feeds the ops of one sequence and applies none.
  Result<SequenceTracker> ReplayOne(const ContainerId& id, uint32_t base_length) {
    first_new_ = graph_.size();
    Replay replay{SequenceTracker(base_length), {}};
    for (Lv lv = 0; lv < graph_.start_size(); ++lv) replay.version.push_back(lv);
    MERROW_TRY(ForEachSliceIn(
        {graph_.start_size(), graph_.size()},
        [&](Lv lv, const CausalGraph::Run& run, const OpSlice& slice) -> Status {
          return slice.container() == id ? FeedTo(&replay, lv, run, slice) : Status();
        }));
    return std::move(replay.tracker);
  }

 private:
  Status RunStretches(std::span<const Lv> heads, Lv first_new, std::unique_ptr<Window>* window) {
    if (first_new >= graph_.size() || heads.empty()) return {};
    std::unique_ptr<Window> kept = std::move(*window);
    if (kept != nullptr && !IsUsable(*kept)) kept.reset();
    const size_t size = kept == nullptr ? 0 : SizeOf(*kept);
    if (kept != nullptr && size < kept->size_to_look) {
      MERROW_TRY(MergeConcurrent(kept.get(), {first_new, graph_.size()}));
      *window = std::move(kept);
      return {};
    }
    std::unique_ptr<Window> spare;
    for (CriticalStretch& stretch : FindCriticalStretches(graph_, heads, first_new)) {
      const LvSpan span{std::max(stretch.span.start, first_new), stretch.span.end};
      if (stretch.is_following) {
        if (kept != nullptr) spare = std::move(kept);
        MERROW_TRY(ApplyFollowing(span));
        continue;
      }
      if (kept != nullptr && stretch.span.start <= kept->start) {
        kept->size_to_look = 2 * size;
      } else {
        if (kept == nullptr) kept = std::move(spare);
        if (kept == nullptr) kept = std::make_unique<Window>();
        kept->Restart(stretch.span.start, std::move(stretch.base));
      }
      MERROW_TRY(MergeConcurrent(kept.get(), span));
    }
    *window = std::move(kept);
    return {};
  }

  // Whether all ops that the window does not know follow its base, as those do that it knows.
  bool IsUsable(const Window& window) const {
    const std::vector<CausalGraph::Run>& runs = graph_.runs();
    for (size_t i = graph_.RunIndexOf(window.fed_end); i < runs.size(); ++i) {
      if (runs[i].start < window.fed_end) continue;
      const std::vector<Lv>& parents = runs[i].parents;
      const bool follows =
          parents == window.base || (!parents.empty() && parents.back() >= window.start);
      if (!follows) return false;
    }
    return true;
  }

  size_t SizeOf(const Window& window) const {
    return graph_.runs().size() - graph_.RunIndexOf(window.start) +
           (graph_.size() - window.start) / kAtomsPerRun;
  }

  // Visits the atoms of the version that lie in `range`.
  template <typename Visit>
  Status ForEachSliceIn(LvSpan range, Visit&& visit) {
    if (range.start >= range.end) return {};
    auto span = std::upper_bound(atoms_.begin(), atoms_.end(), range.start,
                                 [](Lv lv, const LvSpan& other) { return lv < other.end; });
    for (; span != atoms_.end() && span->start < range.end; ++span) {
      MERROW_TRY(ForEachSlice(log_, reader_,
                              {std::max(span->start, range.start), std::min(span->end, range.end)},
                              visit, &joiner_));
    }
    return {};
  }

  // Each op of `range` follows everything before it.
  Status ApplyFollowing(LvSpan range) {
    return ForEachSliceIn(range, [this](Lv, const CausalGraph::Run&, const OpSlice& slice) {
      return ApplyUnlessTree(slice, state_, history_, &tree_moves_);
    });
  }

  // Applies the ops of `range`, which follow the base of the window. The window then knows them.
  Status MergeConcurrent(Window* window, LvSpan range) {
    window_start_ = window->start;
    first_new_ = range.start;
    if (range.start > window->start) MERROW_TRY(CatchUp(window, range));
    MERROW_TRY(Feed(&window->replays, range, window));
    window->fed_end = range.end;
    return {};
  }

  // Replays what the ops of `range` are about, up to there.
  Status CatchUp(Window* window, LvSpan range) {
    last_block_ = nullptr;
    Replays added;
    MERROW_TRY(ForEachSliceIn(range, [&](Lv, const CausalGraph::Run&, const OpSlice& slice) {
      const bool is_next = slice.block == last_block_ && slice.op->container == last_container_;
      last_block_ = slice.block;
      last_container_ = slice.op->container;
      if (is_next || !IsSequence(slice.container().kind())) return Status();
      if (!window->replays.contains(slice.container())) {
        added.try_emplace(slice.container(), NewReplay(*window));
      }
      return Status();
    }));
    if (!added.empty()) MERROW_TRY(Feed(&added, {window->start, window->fed_end}));
    window->replays.merge(added);
    // An op that is known in part is cut where the new one starts.
    if (!window->replays.empty()) {
      MERROW_TRY(Feed(&window->replays, {window->fed_end, range.start}));
    }
    return {};
  }

  static Replay NewReplay(const Window& window) {
    return {SequenceTracker(window.base_length()), window.base};
  }

  // Feeds the ops of `range` to those of `replays` that they concern. Adds to these if they are all
  // of `window`, which has no op of the other sequences in front of `range`.
  Status Feed(Replays* replays, LvSpan range, const Window* window = nullptr) {
    last_block_ = nullptr;
    return ForEachSliceIn(range, [&](Lv lv, const CausalGraph::Run& run, const OpSlice& slice) {
      // Neighbouring ops are mostly about one container.
      if (slice.block != last_block_ || slice.op->container != last_container_) {
        auto found = replays->find(slice.container());
        if (found == replays->end() && window != nullptr && IsSequence(slice.container().kind())) {
          found = replays->try_emplace(slice.container(), NewReplay(*window)).first;
        }
        last_replay_ = found == replays->end() ? nullptr : &found->second;
        last_block_ = slice.block;
        last_container_ = slice.op->container;
      }
      if (last_replay_ != nullptr) return FeedTo(last_replay_, lv, run, slice);
      return lv < first_new_ ? Status() : ApplyUnlessTree(slice, state_, history_, &tree_moves_);
    });
  }

  // Moves the replay to the version that the op at `lv` was made at.
  void MoveTo(Replay* replay, Lv lv, const CausalGraph::Run& run) {
    const Lv before = lv - 1;
    const std::span<const Lv> parents =
        lv > run.start ? std::span(&before, 1) : std::span<const Lv>(run.parents);
    if (std::equal(parents.begin(), parents.end(), replay->version.begin(),
                   replay->version.end())) {
      return;
    }
    const size_t near = graph_.IndexOf(run);
    graph_.Diff(replay->version, parents, near, &difference_);
    for (const LvSpan& span : difference_.only_a) {
      ForEachIdSpan(span, near, [replay](IdSpan ids) { replay->tracker.Retreat(ids); });
    }
    for (const LvSpan& span : difference_.only_b) {
      ForEachIdSpan(span, near, [replay](IdSpan ids) { replay->tracker.Advance(ids); });
    }
  }

  template <typename Visit>
  void ForEachIdSpan(LvSpan span, size_t near, Visit&& visit) {
    for (size_t i = graph_.RunIndexNear(span.start, near);
         i < graph_.runs().size() && graph_.runs()[i].start < span.end; ++i) {
      const CausalGraph::Run& run = graph_.runs()[i];
      const Lv start = std::max(span.start, run.start);
      const Lv end = std::min(span.end, run.end);
      const Id id = run.IdAt(start, graph_);
      visit(IdSpan{id.peer, id.counter, id.counter + static_cast<Counter>(end - start)});
    }
  }

  Status FeedTo(Replay* replay, Lv lv, const CausalGraph::Run& run, const OpSlice& slice) {
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
        MERROW_TRY(CheckElement(tracker, slice));
        const auto from = moved.was_visible ? std::optional(moved.from) : std::nullopt;
        return state_->MoveAt(slice, from, moved.to, history_);
      }
      case OpKind::kSet:
        if (!is_new) return {};
        MERROW_TRY(CheckElement(tracker, slice));
        return state_->Apply(slice, history_);
      default:
        return {};
    }
  }

  // What a set or move is about must be in its own past, not only in the state.
  Status CheckElement(const SequenceTracker& tracker, const OpSlice& slice) const {
    const std::optional<Lv> lv = graph_.LvOf(slice.op->element);
    const bool is_concurrent =
        lv.has_value() && *lv >= window_start_ && !tracker.HasInsert(graph_.IdOf(*lv));
    return is_concurrent ? NoSuchElement(slice) : Status();
  }

  const OpLog& log_;
  const CausalGraph& graph_;
  const std::vector<LvSpan> atoms_;
  OpLog::Reader reader_;
  TextJoiner joiner_;
  History history_;
  State* const state_;

  // Of all ops, merged at the end, so that each tree's are sorted once:
  TreeMoves tree_moves_;
  // Of one stretch of concurrent ops:
  Lv window_start_ = 0;
  Lv first_new_ = 0;
  CausalGraph::Difference difference_;
  std::vector<SequenceTracker::Deleted> deleted_;
  // What the op before was about.
  const ChangeBlock* last_block_ = nullptr;
  uint32_t last_container_ = 0;
  Replay* last_replay_ = nullptr;
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

Status MergeInto(const OpLog& log, Lv first_new, State* state, MergeHelp help) {
  const CausalGraph& graph = log.graph();
  std::unique_ptr<Window> replay;
  if (help.window != nullptr) replay = std::move(help.window->impl_);
  Merger merger(log, {{0, graph.size()}}, state, std::move(help.aside));
  merger.reader().Offer(help.admitted);
  MERROW_TRY(merger.Run(graph.heads(), first_new, &replay));
  if (help.window == nullptr) return {};
  help.window->impl_ = std::move(replay);
  if (help.window->MemoryBytes() > kMergeWindowBytesMax) help.window->Clear();
  return {};
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
  std::unique_ptr<Window> window;
  Merger merger(log, log.graph().AtomsOf(heads), &state);
  MERROW_TRY(merger.Run(heads, log.graph().start_size(), &window));
  return state;
}

}  // namespace merrow::loro
