// SPDX-License-Identifier: Apache-2.0
//
// Random causal graphs against a naive model: for every atom the set of its ancestors.

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "loro/causal_graph.h"

namespace merrow::loro {
namespace {

struct Model {
  std::vector<std::set<Lv>> past;  // of each atom: itself and its ancestors

  std::set<Lv> PastOf(const std::vector<Lv>& heads) const {
    std::set<Lv> all;
    for (const Lv head : heads) all.insert(past[head].begin(), past[head].end());
    return all;
  }
};

// What Append wants as dependencies: a version given by some replica's heads.
struct Built {
  CausalGraph graph;
  Model model;
};

Built BuildRandom(uint64_t seed) {
  SeededRandom random(seed);
  Built built;
  const size_t peers = 1 + random.Below(4);
  std::vector<std::vector<Lv>> heads(peers);
  std::vector<Counter> counters(peers, 0);
  const uint64_t steps = 1 + random.Below(30);
  for (uint64_t step = 0; step < steps; ++step) {
    const size_t peer = random.Below(peers);
    if (random.Below(3) == 0) {  // learn what another peer knows
      const size_t other = random.Below(peers);
      std::vector<Lv> both = heads[peer];
      both.insert(both.end(), heads[other].begin(), heads[other].end());
      std::sort(both.begin(), both.end());
      both.erase(std::unique(both.begin(), both.end()), both.end());
      std::erase_if(both, [&](Lv lv) {
        return std::any_of(both.begin(), both.end(), [&](Lv later) {
          return later != lv && built.model.past[later].count(lv) > 0;
        });
      });
      heads[peer] = both;
    }
    std::vector<Id> deps;
    for (const Lv lv : heads[peer]) deps.push_back(built.graph.IdOf(lv));
    const auto length = static_cast<uint32_t>(1 + random.Below(4));
    std::set<Lv> past = built.model.PastOf(heads[peer]);
    const Lv start = built.graph.Append({peer + 1, counters[peer]}, length, 0, deps);
    for (Lv lv = start; lv < start + length; ++lv) {
      past.insert(lv);
      built.model.past.push_back(past);
    }
    counters[peer] += static_cast<Counter>(length);
    heads[peer] = {start + length - 1};
    built.graph.CheckInvariants();
  }
  return built;
}

std::set<Lv> Flatten(const std::vector<LvSpan>& spans) {
  std::set<Lv> all;
  for (const LvSpan& span : spans) {
    for (Lv lv = span.start; lv < span.end; ++lv) EXPECT_TRUE(all.insert(lv).second);
  }
  return all;
}

std::set<Lv> Minus(const std::set<Lv>& a, const std::set<Lv>& b) {
  std::set<Lv> rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(rest, rest.end()));
  return rest;
}

TEST(CausalGraph, DiffEqualsTheModel) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Built built = BuildRandom(seed);
    SeededRandom random(seed + 1000);
    for (int i = 0; i < 20; ++i) {
      const auto pick = [&] {
        std::vector<Lv> version;
        if (random.Below(8) > 0)
          version.push_back(static_cast<Lv>(random.Below(built.graph.size())));
        const auto other = static_cast<Lv>(random.Below(built.graph.size()));
        if (!version.empty() && built.model.past[version[0]].count(other) == 0 &&
            built.model.past[other].count(version[0]) == 0) {
          version.push_back(other);
        }
        std::sort(version.begin(), version.end());
        return version;
      };
      const std::vector<Lv> a = pick();
      const std::vector<Lv> b = pick();
      const auto difference = built.graph.Diff(a, b);
      const std::set<Lv> past_a = built.model.PastOf(a);
      const std::set<Lv> past_b = built.model.PastOf(b);
      ASSERT_EQ(Flatten(difference.only_a), Minus(past_a, past_b)) << "seed " << seed;
      ASSERT_EQ(Flatten(difference.only_b), Minus(past_b, past_a)) << "seed " << seed;
    }
  }
}

// A random version: its heads, and the atoms it has by the model.
struct Version {
  std::vector<Lv> heads;
  std::set<Lv> atoms;
};

Version PickVersion(const Built& built, SeededRandom& random) {
  std::set<Lv> atoms;
  for (uint64_t i = random.Below(4); i > 0; --i) {
    const auto& past = built.model.past[random.Below(built.graph.size())];
    atoms.insert(past.begin(), past.end());
  }
  Version version{{}, atoms};
  for (const Lv lv : atoms) {
    const bool is_head = std::none_of(atoms.begin(), atoms.end(), [&](Lv other) {
      return other != lv && built.model.past[other].count(lv) > 0;
    });
    if (is_head) version.heads.push_back(lv);
  }
  return version;
}

TEST(CausalGraph, AtomsOfAVersionEqualTheModel) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Built built = BuildRandom(seed);
    SeededRandom random(seed + 2000);
    for (int i = 0; i < 10; ++i) {
      const Version version = PickVersion(built, random);
      const std::vector<LvSpan> atoms = built.graph.AtomsOf(version.heads);
      ASSERT_EQ(Flatten(atoms), version.atoms) << "seed " << seed;
      for (size_t k = 1; k < atoms.size(); ++k) ASSERT_LT(atoms[k - 1].end, atoms[k].start);
    }
  }
}

TEST(CausalGraph, HeadsEqualTheModel) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Built built = BuildRandom(seed);
    SeededRandom random(seed + 4000);
    for (int i = 0; i < 10; ++i) {
      const Version version = PickVersion(built, random);
      std::vector<Id> ids;
      for (const Lv lv : version.heads) ids.push_back(built.graph.IdOf(lv));
      for (const Lv lv : version.atoms) {
        if (random.Below(3) == 0) ids.push_back(built.graph.IdOf(lv));
      }
      ASSERT_EQ(built.graph.HeadsOf(ids), version.heads) << "seed " << seed;
    }
  }
  EXPECT_FALSE(BuildRandom(1).graph.HeadsOf(std::vector<Id>{{77, 0}}).has_value());
}

TEST(CausalGraph, CriticalAtomsEqualTheModel) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Built built = BuildRandom(seed);
    SeededRandom random(seed + 3000);
    const auto check = [&](const Version& version, Lv from) {
      std::set<Lv> expected;
      std::optional<Lv> before;
      for (const Lv lv : version.atoms) {
        const bool critical =
            std::all_of(version.atoms.begin(), version.atoms.end(), [&](Lv other) {
              return built.model.past[lv].count(other) > 0 || built.model.past[other].count(lv) > 0;
            });
        if (critical && lv >= from) expected.insert(lv);
        if (critical && lv < from) before = lv;
      }
      if (before.has_value()) expected.insert(*before);
      ASSERT_EQ(Flatten(built.graph.CriticalAtoms(version.heads, from)), expected)
          << "seed " << seed << " from " << from;
    };
    std::set<Lv> all;
    for (Lv lv = 0; lv < built.graph.size(); ++lv) all.insert(lv);
    for (Lv from = 0; from <= built.graph.size(); ++from) {
      check({built.graph.heads(), all}, from);
      check(PickVersion(built, random), from);
    }
  }
}

TEST(CausalGraph, VersionOfFrontiersEqualsTheModel) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Built built = BuildRandom(seed);
    for (Lv lv = 0; lv < built.graph.size(); ++lv) {
      VersionVector expected;
      for (const Lv past : built.model.past[lv]) {
        const Id id = built.graph.IdOf(past);
        expected.Extend(id.peer, id.counter + 1);
      }
      const Id head = built.graph.IdOf(lv);
      ASSERT_EQ(built.graph.VersionOf({&head, 1}), expected);
    }
  }
  EXPECT_FALSE(BuildRandom(1).graph.VersionOf(std::vector<Id>{{77, 0}}).has_value());
}

TEST(CausalGraph, LamportsFollowDependencies) {
  CausalGraph graph;
  graph.Append({1, 0}, 10, 0, {});
  const Id dep{1, 9};
  graph.Append({2, 0}, 1, 3, {&dep, 1});
  EXPECT_EQ(graph.LamportOf(10), 10U);  // raised above its dependency's
  EXPECT_EQ(graph.runs().size(), 2U);
  const Id own{2, 0};
  graph.Append({2, 1}, 5, 0, {&own, 1});
  EXPECT_EQ(graph.runs().size(), 2U);  // typing on is the same run
}

}  // namespace
}  // namespace merrow::loro
