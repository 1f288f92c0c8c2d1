// SPDX-License-Identifier: Apache-2.0
//
// Critical stretches of random histories against a model that knows the ancestors of every atom.

#include "loro/critical_stretches.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace merrow::loro {
namespace {

// A history of a few peers who see each other's atoms now and then.
struct History {
  CausalGraph graph;
  std::vector<std::set<Lv>> ancestors;  // of each atom
};

class Writer {
 public:
  explicit Writer(uint32_t seed) : random_(seed) {}

  History Write(size_t steps, size_t peers, int meet_percent) {
    std::vector<std::vector<Lv>> heads(peers);
    for (size_t step = 0; step < steps; ++step) {
      const size_t peer = random_() % peers;
      if (static_cast<int>(random_() % 100) < meet_percent) {
        const size_t other = random_() % peers;
        heads[peer] = Join(heads[peer], heads[other]);
        if (random_() % 2 == 0) heads[other] = heads[peer];
      }
      heads[peer] = {Append(peer, heads[peer], static_cast<uint32_t>(1 + random_() % 3))};
    }
    return std::move(history_);
  }

 private:
  bool Follows(Lv later, Lv earlier) const { return history_.ancestors[later].contains(earlier); }

  std::vector<Lv> Join(const std::vector<Lv>& a, const std::vector<Lv>& b) const {
    std::set<Lv> all(a.begin(), a.end());
    all.insert(b.begin(), b.end());
    std::vector<Lv> heads;
    for (const Lv lv : all) {
      if (std::none_of(all.begin(), all.end(), [&](Lv other) { return Follows(other, lv); })) {
        heads.push_back(lv);
      }
    }
    return heads;
  }

  Lv Append(size_t peer, const std::vector<Lv>& parents, uint32_t length) {
    CausalGraph& graph = history_.graph;
    const auto id = static_cast<PeerId>(peer + 1);
    std::vector<Id> deps;
    std::set<Lv> before;
    for (const Lv parent : parents) {
      deps.push_back(graph.IdOf(parent));
      before.insert(parent);
      before.insert(history_.ancestors[parent].begin(), history_.ancestors[parent].end());
    }
    std::sort(deps.begin(), deps.end());
    const Lv first = graph.Append({id, graph.version().End(id)}, length, 0, deps);
    for (Lv lv = first; lv < first + length; ++lv) {
      history_.ancestors.push_back(before);
      before.insert(lv);
    }
    return first + length - 1;
  }

  std::mt19937 random_;
  History history_;
};

// Whether every atom from `at` on follows every one before.
bool IsCut(const History& history, Lv at) {
  for (Lv lv = at; lv < history.ancestors.size(); ++lv) {
    const std::set<Lv>& ancestors = history.ancestors[lv];
    if (static_cast<Lv>(std::distance(ancestors.begin(), ancestors.lower_bound(at))) != at) {
      return false;
    }
  }
  return true;
}

void Check(const History& history, Lv from) {
  const auto size = static_cast<Lv>(history.ancestors.size());
  const std::vector<CriticalStretch> stretches =
      FindCriticalStretches(history.graph, history.graph.heads(), from);
  ASSERT_FALSE(stretches.empty());
  EXPECT_EQ(stretches.back().span.end, size);
  EXPECT_LE(stretches.front().span.start, from);
  std::set<Lv> cuts;
  for (size_t i = 0; i < stretches.size(); ++i) {
    const CriticalStretch& stretch = stretches[i];
    ASSERT_LT(stretch.span.start, stretch.span.end);
    EXPECT_GT(stretch.span.end, from);
    if (i > 0) {
      EXPECT_EQ(stretch.span.start, stretches[i - 1].span.end);
    }
    cuts.insert(stretch.span.start);
    if (stretch.is_following) {
      for (Lv lv = stretch.span.start; lv < stretch.span.end; ++lv) cuts.insert(lv);
    }
    std::set<Lv> base;
    for (const Lv head : stretch.base) {
      base.insert(head);
      base.insert(history.ancestors[head].begin(), history.ancestors[head].end());
    }
    EXPECT_EQ(base.size(), stretch.span.start);
  }
  // All cuts are found that there are, and no others.
  for (Lv at = std::max(from, Lv{1}); at < size; ++at) {
    EXPECT_EQ(cuts.contains(at), IsCut(history, at)) << at;
  }
  for (const Lv cut : cuts) EXPECT_TRUE(IsCut(history, cut)) << cut;
  // No stretch starts earlier than it must.
  for (Lv at = stretches.front().span.start + 1; at <= from && !stretches.front().is_following;
       ++at) {
    EXPECT_FALSE(at < size && IsCut(history, at)) << at;
  }
}

TEST(CriticalStretchesProp, EqualTheModel) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const int meet_percent = seed % 3 == 0 ? 20 : seed % 3 == 1 ? 50 : 90;
    const History history = Writer(seed).Write(20, size_t{1} + seed % 4, meet_percent);
    const auto size = static_cast<Lv>(history.ancestors.size());
    for (Lv from = 0; from < size; from += 3) Check(history, from);
    if (HasFailure()) return;
  }
}

// Pairs of concurrent edits that both sides have seen before the next pair.
TEST(CriticalStretches, AVersionWithTwoHeadsIsCritical) {
  CausalGraph graph;
  for (Counter i = 0; i < 3; ++i) {
    const std::vector<Id> deps = graph.frontiers();
    graph.Append({1, i}, 1, 0, deps);
    graph.Append({2, i}, 1, 0, deps);
  }
  const std::vector<CriticalStretch> stretches = FindCriticalStretches(graph, graph.heads(), 5);
  ASSERT_EQ(stretches.size(), 1u);
  EXPECT_EQ(stretches[0].span, (LvSpan{4, 6}));
  EXPECT_EQ(stretches[0].base, (std::vector<Lv>{2, 3}));
  EXPECT_FALSE(stretches[0].is_following);
}

}  // namespace
}  // namespace merrow::loro
