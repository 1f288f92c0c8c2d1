// SPDX-License-Identifier: Apache-2.0
//
// Critical stretches: how a history falls apart into pieces that can be replayed by themselves.
//
// A cut is a place in the order of arrival such that all atoms behind it follow all atoms in front
// of it: the version in front, however many heads it has, is critical. (Whatever is critical is a
// cut: atoms that follow a version arrive after it.) Between two cuts, a stretch is either
// following, which is to say that each of its atoms follows everything before it, or concurrent.
//
// Cuts are found walking back from the heads. The walk knows the atoms that are parents of visited
// ones and not visited themselves, and the visited atoms without a visited parent. If the parents
// of each of the latter are all of the former, everything visited follows everything else.

#pragma once

#include <span>
#include <vector>

#include "loro/causal_graph.h"

namespace merrow::loro {

struct CriticalStretch {
  LvSpan span;
  std::vector<Lv> base;  // heads, ascending, of the critical version in front of it
  bool is_following = false;
};

/// The stretches of the version with these heads (ascending, not empty), ascending, that end after
/// `from`. There may be more cuts than are found: where very many atoms are concurrent, and where
/// dependencies name atoms that others of them follow. Cost: the runs in these stretches.
std::vector<CriticalStretch> FindCriticalStretches(const CausalGraph& graph,
                                                   std::span<const Lv> heads, Lv from);

}  // namespace merrow::loro
