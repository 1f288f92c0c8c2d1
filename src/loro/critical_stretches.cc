// SPDX-License-Identifier: Apache-2.0
#include "loro/critical_stretches.h"

#include <algorithm>
#include <numeric>

namespace merrow::loro {
namespace {

// More atoms without visited parents than this are not compared.
constexpr size_t kOpenMax = 16;

class Walk {
 public:
  Walk(const CausalGraph& graph, std::span<const Lv> heads)
      : graph_(graph), unvisited_(heads.begin(), heads.end()), end_(heads.back() + 1) {}

  std::vector<CriticalStretch> Run(Lv from) {
    const Lv start = graph_.start_size();
    while (end_ > from && !unvisited_.empty() && unvisited_.back() >= start) {
      if (!IsCut()) {
        Visit();
        continue;
      }
      Close(unvisited_.back() + 1, unvisited_, false);
      if (end_ <= from) break;
      // A single atom precedes all that was visited and follows all else, and so does what precedes
      // it on its run.
      const bool is_alone = unvisited_.size() == 1;
      const Lv first = Visit();
      if (is_alone) Close(first, unvisited_, true);
    }
    if (end_ > from) {
      std::vector<Lv> base(start);
      std::iota(base.begin(), base.end(), Lv{0});
      Close(start, std::move(base), false);
    }
    std::reverse(stretches_.begin(), stretches_.end());
    return std::move(stretches_);
  }

 private:
  // A visited atom without a visited parent, by its parents.
  struct Open {
    const std::vector<Lv>* parents;  // null: only parent_max
    Lv parent_max;
  };

  // Whether all that was visited follows all that was not.
  bool IsCut() const {
    return open_.size() <= kOpenMax && std::all_of(open_.begin(), open_.end(), [&](const Open& o) {
             return o.parents != nullptr ? *o.parents == unvisited_
                                         : unvisited_.size() == 1 && unvisited_[0] == o.parent_max;
           });
  }

  // Ends the stretch from `first` on, in front of which `base` is critical.
  void Close(Lv first, std::vector<Lv> base, bool is_following) {
    if (first >= end_) return;
    stretches_.push_back({{first, end_}, std::move(base), is_following});
    end_ = first;
  }

  // Visits the last unvisited atom, and of its run what follows all other unvisited ones. Returns
  // the first atom visited.
  Lv Visit() {
    run_ = graph_.RunIndexNear(unvisited_.back(), run_);
    const CausalGraph::Run& run = graph_.runs()[run_];
    unvisited_.pop_back();
    Lv first = std::max(run.start, graph_.start_size());
    if (!unvisited_.empty()) first = std::max(first, unvisited_.back() + 1);
    std::erase_if(open_, [first](const Open& open) {
      return open.parents == nullptr ? open.parent_max >= first
                                     : !open.parents->empty() && open.parents->back() >= first;
    });
    if (first > run.start) {
      open_.push_back({nullptr, first - 1});
      AddUnvisited(first - 1);
    } else {
      open_.push_back({&run.parents, 0});
      for (const Lv parent : run.parents) AddUnvisited(parent);
    }
    return first;
  }

  void AddUnvisited(Lv lv) {
    const auto at = std::lower_bound(unvisited_.begin(), unvisited_.end(), lv);
    if (at == unvisited_.end() || *at != lv) unvisited_.insert(at, lv);
  }

  const CausalGraph& graph_;
  size_t run_ = graph_.runs().size() - 1;  // visited last
  std::vector<Lv> unvisited_;              // ascending
  std::vector<Open> open_;
  Lv end_;                                  // of the stretch that is being walked
  std::vector<CriticalStretch> stretches_;  // descending
};

}  // namespace

std::vector<CriticalStretch> FindCriticalStretches(const CausalGraph& graph,
                                                   std::span<const Lv> heads, Lv from) {
  return Walk(graph, heads).Run(from);
}

}  // namespace merrow::loro
