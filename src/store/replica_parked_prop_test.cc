// SPDX-License-Identifier: Apache-2.0
//
// Parked changesets against a model that looks at all of them all the time: random histories of
// documents that several people wrote together, cut into changesets that arrive in any order.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <utility>

#include "store/replica_parked.h"

namespace merrow::store {
namespace {

using cells::DbVersion;

constexpr int kPeers = 3;

/// What the database does with parked changesets.
class World {
 public:
  explicit World(uint32_t seed) : random_(seed) {}

  size_t Pick(size_t below) { return random_() % below; }

  /// Ops of all peers in all documents, cut into changesets.
  std::vector<ParkedChangeset> MakeHistory(size_t count) {
    std::map<DocumentKey, loro::VersionVector> all;
    std::vector<ParkedChangeset> history;
    for (size_t i = 0; i < count; ++i) {
      ParkedChangeset changeset;
      for (size_t n = 1 + Pick(2); n > 0; --n) {
        const DocumentKey document{"note", Pick(2) == 0 ? "k" : "l"};
        const loro::PeerId peer = 1 + Pick(kPeers);
        loro::VersionVector& version = all[document];
        const loro::Counter start = version.End(peer);
        const auto length = static_cast<loro::Counter>(1 + Pick(3));
        BlockSummary& summary = changeset[document];
        if (start > 0) {
          summary.follows.push_back({peer, start - 1});
        }
        const loro::PeerId other = 1 + Pick(kPeers);
        if (version.End(other) > 0) {
          summary.follows.push_back(
              {other, static_cast<loro::Counter>(Pick(static_cast<size_t>(version.End(other))))});
        }
        summary.spans.push_back({peer, start, start + length});
        version.Extend(peer, start + length);
      }
      history.push_back(std::move(changeset));
    }
    // A site publishes what it wrote over some time as one: circles.
    for (size_t n = Pick(count / 2 + 1); n > 0; --n) {
      const size_t into = Pick(history.size());
      const size_t from = Pick(history.size());
      if (into != from) {
        Merge(history[from], &history[into]);
        history.erase(history.begin() + static_cast<ptrdiff_t>(from));
      }
    }
    for (ParkedChangeset& changeset : history) {
      for (auto& [document, summary] : changeset) {
        std::sort(summary.spans.begin(), summary.spans.end());
        std::erase_if(summary.follows, [&, &spans = summary.spans](const loro::Id& id) {
          return std::any_of(spans.begin(), spans.end(), [&](const loro::IdSpan& span) {
            return span.peer == id.peer && span.start <= id.counter && id.counter < span.end;
          });
        });
      }
    }
    return history;
  }

 private:
  static void Merge(const ParkedChangeset& from, ParkedChangeset* into) {
    for (const auto& [document, summary] : from) {
      BlockSummary& all = (*into)[document];
      all.spans.insert(all.spans.end(), summary.spans.begin(), summary.spans.end());
      all.follows.insert(all.follows.end(), summary.follows.begin(), summary.follows.end());
    }
  }

  std::mt19937 random_;
};

using Here = std::map<DocumentKey, std::set<loro::Id>>;

void AddTo(Here* here, const ParkedChangeset& changeset) {
  for (const auto& [document, summary] : changeset) {
    for (const loro::IdSpan& span : summary.spans) {
      for (loro::Counter at = span.start; at < span.end; ++at) {
        (*here)[document].insert({span.peer, at});
      }
    }
  }
}

bool HasAll(const Here& here, const ParkedChangeset& changeset) {
  for (const auto& [document, summary] : changeset) {
    for (const loro::Id& id : summary.follows) {
      if (here.find(document) == here.end() || !here.at(document).contains(id)) {
        return false;
      }
    }
  }
  return true;
}

/// The largest set of `waiting` that can be applied.
std::set<DbVersion> LargestSet(const std::map<DbVersion, ParkedChangeset>& waiting,
                               const Here& here) {
  std::set<DbVersion> in;
  for (const auto& [local, changeset] : waiting) {
    in.insert(local);
  }
  while (true) {
    Here with = here;
    for (const DbVersion local : in) {
      AddTo(&with, waiting.at(local));
    }
    if (std::erase_if(in, [&](DbVersion local) { return !HasAll(with, waiting.at(local)); }) == 0) {
      return in;
    }
  }
}

/// One random history. `refuses`: some changesets are refused for a while.
void RunHistory(uint32_t seed, bool refuses) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  World world(seed);
  std::vector<ParkedChangeset> history = world.MakeHistory(2 + world.Pick(12));
  std::shuffle(history.begin(), history.end(), std::mt19937(seed));
  std::set<DbVersion> bad;
  std::set<DbVersion> lost;
  for (size_t i = 0; i < history.size(); ++i) {
    if (refuses && world.Pick(6) == 0) {
      bad.insert(static_cast<DbVersion>(i + 1));
    }
    if (world.Pick(8) == 0) {
      lost.insert(static_cast<DbVersion>(i + 1));
    }
  }
  Parked parked;
  std::map<DbVersion, ParkedChangeset> waiting;  // of the model
  Here here, here_in_model;
  const auto version_of = [&](const DocumentKey& document) -> Result<loro::VersionVector> {
    loro::VersionVector version;
    for (const loro::Id& id : here[document]) {
      version.Extend(id.peer, id.counter + 1);
    }
    return version;
  };
  const auto apply_all = [&] {
    while (true) {
      const auto next = parked.Next(version_of);
      ASSERT_TRUE(next.ok());
      if (next->empty()) {
        return;
      }
      const auto odd =
          std::find_if(next->begin(), next->end(), [&](DbVersion l) { return bad.contains(l); });
      if (odd != next->end()) {
        for (const DbVersion local : *next) {
          parked.LookAt(local);
        }
        parked.SetAside(*odd);
        continue;
      }
      Here with = here;
      for (const DbVersion local : *next) {
        AddTo(&with, *parked.Find(local));
      }
      for (const DbVersion local : *next) {
        ASSERT_TRUE(HasAll(with, *parked.Find(local))) << "applied before what it follows";
      }
      here = with;
      for (const DbVersion local : *next) {
        const auto changeset = parked.Find(local);
        parked.Remove(local);
        for (const auto& [document, summary] : *changeset) {
          parked.OnOps(document, summary.spans);
        }
      }
    }
  };
  const auto model_applies_all = [&] {
    while (true) {
      std::map<DbVersion, ParkedChangeset> good = waiting;
      std::erase_if(good, [&](const auto& entry) { return bad.contains(entry.first); });
      const std::set<DbVersion> set = LargestSet(good, here_in_model);
      if (set.empty()) {
        return;
      }
      for (const DbVersion local : set) {
        AddTo(&here_in_model, waiting.at(local));
        waiting.erase(local);
      }
    }
  };
  const auto check = [&] {
    apply_all();
    model_applies_all();
    ASSERT_EQ(parked.size(), waiting.size());
    for (const auto& [local, changeset] : waiting) {
      ASSERT_TRUE(parked.Contains(local)) << local;
    }
    ASSERT_FALSE(parked.has_work());
  };
  for (size_t i = 0; i < history.size(); ++i) {
    const auto local = static_cast<DbVersion>(i + 1);
    if (lost.contains(local)) {
      continue;
    }
    // Now and then what was added is undone with its transaction, and comes again.
    if (world.Pick(4) == 0) {
      parked.Add(local, std::make_shared<const ParkedChangeset>(history[i]));
      if (world.Pick(2) == 0) {
        apply_all();
        if (!parked.Contains(local)) {
          waiting[local] = history[i];
          check();
          continue;
        }
      }
      parked.Remove(local);
    }
    parked.Add(local, std::make_shared<const ParkedChangeset>(history[i]));
    waiting[local] = history[i];
    check();
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
  // What was lost comes from a client after all, and what was refused fits now.
  for (const DbVersion local : lost) {
    const ParkedChangeset& changeset = history[static_cast<size_t>(local - 1)];
    if (!HasAll(here, changeset)) {
      continue;
    }
    AddTo(&here, changeset);
    AddTo(&here_in_model, changeset);
    for (const auto& [document, summary] : changeset) {
      parked.OnOps(document, summary.spans);
    }
    check();
  }
  for (const DbVersion local : std::exchange(bad, {})) {
    if (parked.Contains(local)) {
      parked.Retry(local);
    }
  }
  check();
}

TEST(ParkedProp, AppliesExactlyWhatFollowsNothingElse) {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    RunHistory(seed, /*refuses=*/false);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST(ParkedProp, WhatIsRefusedHoldsUpOnlyWhatFollowsIt) {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    RunHistory(seed, /*refuses=*/true);
    if (HasFatalFailure()) {
      return;
    }
  }
}

/// Counts how often somebody asks for the version of a document.
size_t CountQuestions(const std::function<void(Parked&, size_t, size_t)>& arrive, size_t count) {
  Parked parked;
  size_t questions = 0;
  for (size_t i = 0; i < count; ++i) {
    arrive(parked, i, count);
    const auto next = parked.Next([&](const DocumentKey&) -> Result<loro::VersionVector> {
      ++questions;
      return loro::VersionVector();
    });
    EXPECT_TRUE(next.ok() && next->empty());
  }
  return questions;
}

TEST(ParkedCost, WhatFollowsALostOpIsLookedAtOnce) {
  // Each follows the one before; the first follows what is nowhere.
  const auto add = [](Parked& parked, size_t i) {
    const auto at = static_cast<loro::Counter>(i + 1);
    ParkedChangeset changeset;
    changeset[{"note", "k"}] = {{{1, at, at + 1}}, {{1, at - 1}}};
    parked.Add(static_cast<DbVersion>(i + 1),
               std::make_shared<const ParkedChangeset>(std::move(changeset)));
  };
  constexpr size_t kCount = 20'000;
  EXPECT_LE(CountQuestions([&](Parked& parked, size_t i, size_t) { add(parked, i); }, kCount),
            3 * kCount);
  EXPECT_LE(
      CountQuestions([&](Parked& parked, size_t i, size_t count) { add(parked, count - 1 - i); },
                     kCount),
      3 * kCount)
      << "the newest first";
}

}  // namespace
}  // namespace merrow::store
