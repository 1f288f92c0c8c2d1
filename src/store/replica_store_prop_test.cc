// SPDX-License-Identifier: Apache-2.0
//
// Replication of stores, property: clients edit documents at random stores, SQL writes rows beside
// them, changesets go about in random pieces and orders, stores are reopened, fold their logs and
// prune. In the end everybody pulls around a ring, and rows, documents, digests and what is seen
// are equal everywhere; no document lost an op.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "store/replica_digest.h"
#include "store/replica_store_test_util.h"

namespace merrow::store {
namespace {

constexpr uint64_t kSeeds = 12;
constexpr int kSteps = 80;
constexpr size_t kDocuments = 3;

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed), seed_(seed) {
    const size_t count = 2 + random_.Below(3);
    for (size_t i = 0; i < count; ++i) {
      auto store = std::make_unique<StoreReplica>(kReplicaStoreSchema, random_.Below(2) == 0);
      store->Close();
      store->options.replicate = false;
      store->options.replica_limits.entries_kept = 4;
      store->options.fold_log_bytes_min = 300;
      store->options.document_memory_bytes_max = size_t{40} << 10;
      store->Open();
      stores_.push_back(std::move(store));
    }
    // Some have edits from before they replicate.
    for (size_t i = 0; i < count; ++i) {
      if (random_.Below(2) == 0) {
        Edit(i);
      }
      stores_[i]->options.replicate = true;
      stores_[i]->Reopen();
    }
  }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      const size_t at = random_.Below(stores_.size());
      StoreReplica& store = *stores_[at];
      store.clock.AdvanceMs(static_cast<int64_t>(random_.Below(3000)));
      switch (random_.Below(9)) {
        case 0:
        case 1:
        case 2:
          Edit(at);
          break;
        case 3:
          store.Run(RandomSql());
          break;
        case 4:
        case 5:
        case 6:
          Exchange(random_.Below(stores_.size()), at);
          break;
        case 7:
          Must(store->RunUpkeep());
          break;
        default:
          if (random_.Below(3) == 0) {
            store.Reopen();
          }
          break;
      }
      store->CheckInvariants();
    }
    for (size_t round = 0; round < 2 * stores_.size(); ++round) {
      for (size_t i = 0; i < stores_.size(); ++i) {
        stores_[i]->PullFrom(*stores_[(i + 1) % stores_.size()], 1 + random_.Below(500));
      }
    }
    Compare();
  }

 private:
  void Compare() {
    const StoreReplica& first = *stores_[0];
    const auto buckets = Must(Must(ReplicaDigest::Open(first.path(), 1000))->ReadBuckets());
    for (const auto& store : stores_) {
      ASSERT_EQ((*store)->seen(), (*stores_[0])->seen());
      ASSERT_EQ((*store)->stats().transactions_waiting, 0U);
      ASSERT_EQ(store->Dump(), stores_[0]->Dump());
      ASSERT_EQ(Must(Must(ReplicaDigest::Open(store->path(), 1000))->ReadBuckets()), buckets);
    }
    for (const auto& [key, version] : made_) {
      ASSERT_TRUE(Must((*stores_[0])->Version("note", key)).Includes(version));
    }
  }

  void Edit(size_t at) {
    StoreReplica& store = *stores_[at];
    const std::string key = "k" + std::to_string(random_.Below(kDocuments));
    Editor editor(seed_ * 10000 + ++peers_);
    const auto snapshot = store->ReadSnapshot("note", key);
    if (snapshot.ok()) {
      editor.Receive(snapshot->bytes);
      editor.Take();
    }
    const uint64_t edits = 1 + random_.Below(4);
    for (uint64_t i = 0; i < edits; ++i) {
      editor.Type("body", 0, std::string(1 + random_.Below(20), 'a'));
      if (random_.Below(3) == 0) {
        editor.Set("title", loro::Value(std::to_string(random_.Next())));
      }
      store.MustApply("note", key, editor.Take());
    }
    made_[key].Merge(editor.document().version());
  }

  std::string RandomSql() {
    const std::string id = std::to_string(random_.Below(5));
    switch (random_.Below(3)) {
      case 0:
        return "INSERT OR REPLACE INTO item VALUES (" + id + ", 'x', " +
               std::to_string(random_.Below(90)) + ")";
      case 1:
        return "UPDATE item SET name = name || 'y' WHERE id = " + id;
      default:
        return "DELETE FROM item WHERE id = " + id;
    }
  }

  void Exchange(size_t from, size_t to) {
    const changeset::SiteVersions& seen = (*stores_[from])->seen();
    if (from == to || seen.empty()) {
      return;
    }
    auto site = seen.begin();
    std::advance(site, static_cast<ptrdiff_t>(random_.Below(seen.size())));
    if (site->first == (*stores_[to])->own_site()) {
      return;
    }
    const auto last = static_cast<uint64_t>(site->second.last());
    const auto after = static_cast<cells::DbVersion>(random_.Below(last));
    const auto until =
        after + 1 +
        static_cast<cells::DbVersion>(random_.Below(last - static_cast<uint64_t>(after)));
    const ReplicaPage page =
        Must((*stores_[from])
                 ->ReadChangesets(site->first, changeset::VersionRanges({after, until}),
                                  1 + random_.Below(400)));
    const ChangesetsApplied applied = stores_[to]->Apply(page.changesets);
    for (const ReplicaOutcome& outcome : applied.outcomes) {
      ASSERT_TRUE(outcome.fate == ReplicaFate::kApplied || outcome.fate == ReplicaFate::kKnown)
          << outcome.error->ToString();
    }
  }

  SeededRandom random_;
  const uint64_t seed_;
  uint64_t peers_ = 0;
  std::vector<std::unique_ptr<StoreReplica>> stores_;
  std::map<std::string, loro::VersionVector> made_;
};

TEST(ReplicaStoreProp, StoresConverge) {
  for (uint64_t seed = 1; seed <= kSeeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Simulation(seed).Run();
  }
}

}  // namespace
}  // namespace merrow::store
