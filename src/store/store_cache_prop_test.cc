// SPDX-License-Identifier: Apache-2.0
//
// Ten thousand documents under a budget of 4 MiB, edited at random by their editors, with folding
// in between and the store opened anew now and then. After every step the cache is within its
// budget; in the end every document and every row is what its editor has.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <fstream>

#include "store/document_cache.h"
#include "store/store_test_util.h"
#include "store/test_vfs.h"

namespace merrow::store {
namespace {

constexpr size_t kDocuments = 10'000;
constexpr size_t kBudget = size_t{4} << 20;

/// What one editor did, without a Loro document of its own: ten thousand of those would hide what
/// the store needs. An edit starts from what the store has.
struct Model {
  std::string body;
  int64_t rank = -1;
  int64_t votes = 0;
  bool exists = false;
};

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

std::string Key(size_t document) { return "doc-" + std::to_string(document); }

class CacheProp : public ::testing::Test {
 protected:
  CacheProp() {
    store.options.document_memory_bytes_max = kBudget;
    store.options.fold_log_bytes_min = 600;
    store.Open();
  }

  /// Edits `count` random documents in one batch.
  void EditSome(size_t count) {
    std::vector<size_t> documents;
    std::vector<std::string> keys;
    std::vector<Bytes> updates;
    for (size_t i = 0; i < count; ++i) {
      const size_t document = random.Below(kDocuments);
      if (std::find(documents.begin(), documents.end(), document) != documents.end()) {
        continue;
      }
      documents.push_back(document);
      keys.push_back(Key(document));
      updates.push_back(Edit(document));
    }
    std::vector<Write> writes;
    for (size_t i = 0; i < documents.size(); ++i) {
      writes.push_back({"note", keys[i], updates[i]});
    }
    for (const WriteResult& result : store->ApplyBatch(writes)) {
      ASSERT_TRUE(std::holds_alternative<Applied>(result));
    }
  }

  Bytes Edit(size_t document) {
    Model& model = models[document];
    Editor editor(next_peer++);
    if (model.exists) {
      editor.Receive(Must(store->ReadSnapshot("note", Key(document))).bytes);
      editor.Take();
    }
    model.exists = true;
    const std::string text = std::to_string(random.Below(1000)) + ",";
    const size_t position = random.Below(model.body.size() + 1);
    editor.Type("body", position, text);
    model.body.insert(position, text);
    if (random.Below(2) == 0) {
      model.rank = static_cast<int64_t>(random.Below(100));
      editor.Set("rank", model.rank);
    }
    Must(editor.document().CounterIncrement(RootCounter("votes"), 1));
    ++model.votes;
    return editor.Take();
  }

  void CheckAll() {
    for (size_t i = 0; i < kDocuments; ++i) {
      const auto row = store->ReadRow("note", Key(i));
      ASSERT_EQ(row.ok(), models[i].exists);
      if (row.ok()) {
        const std::string rank = models[i].rank < 0 ? "null" : std::to_string(models[i].rank);
        ASSERT_EQ(*row, "{\"id\":\"" + Key(i) + "\",\"title\":null,\"rank\":" + rank +
                            ",\"score\":null,\"body\":\"" + models[i].body + "\",\"votes\":" +
                            std::to_string(models[i].votes) + ",\"tags\":[],\"props\":{}}");
      }
      ASSERT_LE(store->stats().cache_bytes, kBudget);
    }
    std::string expected;
    for (size_t i = 0; i < kDocuments; ++i) {
      if (models[i].exists) {
        expected += (expected.empty() ? "" : "\n") + Key(i) + "|" + models[i].body + "|" +
                    std::to_string(models[i].votes);
      }
    }
    ASSERT_EQ(store.Sql("SELECT id, body, votes FROM note "
                        "ORDER BY CAST(substr(id, 5) AS INTEGER)"),
              expected);
  }

  TestVfs vfs;  // this is not about the disk
  StoreFixture store{DirKind::kMemory};
  SeededRandom random{42};
  std::vector<Model> models{kDocuments};
  loro::PeerId next_peer = 1;
};

TEST_F(CacheProp, TenThousandDocumentsUnderFourMebibytes) {
  constexpr int kBatches = 1500;
  size_t resident_early = 0;
  uint64_t evictions = 0;
  uint64_t hits = 0;
  uint64_t cached = 0;
  for (int batch = 0; batch < kBatches; ++batch) {
    EditSome(1 + random.Below(40));
    ASSERT_LE(store->stats().cache_bytes, kBudget);
    Must(store->RunUpkeep());
    ASSERT_LE(store->stats().cache_bytes, kBudget);
    if (batch % 500 == 499) {
      store->CheckInvariants();
      evictions += store->stats().cache_evictions;
      hits += store->stats().cache_hits;
      cached = store->stats().cache_documents;
      store.Reopen();
    }
    if (batch == kBatches / 3) {
      resident_early = ResidentBytes();
    }
  }
  // The process may keep what SQLite and the allocator hold, but not a document more.
  EXPECT_LE(ResidentBytes(), resident_early + (size_t{24} << 20));
  EXPECT_GT(evictions, 1000U);
  EXPECT_GT(hits, 100U);
  RecordProperty("resident_bytes", std::to_string(ResidentBytes()));
  RecordProperty("cached_documents", std::to_string(cached));
  CheckAll();
  store.Reopen();
  CheckAll();
}

TEST(DocumentCacheTest, DropsTheLeastRecentlyUsedButNeverUnsavedOps) {
  DocumentCache cache(1);
  const auto insert = [&](const char* key) -> CachedDocument& {
    return cache.Insert(CachedDocument({0, key}, loro::Document(0)));
  };
  insert("a").unsaved = true;
  insert("b");
  insert("c");
  EXPECT_GT(cache.bytes(), 1U);
  cache.CheckInvariants();
  cache.EvictToBudget();
  cache.CheckInvariants();
  EXPECT_EQ(cache.documents(), 1U);
  EXPECT_EQ(cache.evictions(), 2U);
  CachedDocument* const kept = cache.Find({0, "a"});
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(cache.Find({1, "a"}), nullptr);  // another table
  kept->unsaved = false;
  cache.EvictToBudget();
  EXPECT_EQ(cache.documents(), 0U);
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_EQ(cache.hits(), 1U);
  EXPECT_EQ(cache.misses(), 1U);
}

TEST(DocumentCacheTest, WhatIsIdleRestsBeforeAnythingIsDropped) {
  const auto map = loro::ContainerId::Root("row", loro::ContainerKind::kMap);
  DocumentCache cache(64 << 10);
  const auto name = [](int i) { return DocumentName{0, std::to_string(i)}; };
  constexpr int kRows = 60;
  for (int i = 0; i < kRows; ++i) {
    CachedDocument& entry = cache.Insert(CachedDocument(name(i), loro::Document(1)));
    for (int64_t field = 0; field < 8; ++field) {
      ASSERT_TRUE(entry.document.MapSet(map, std::to_string(field), field).ok());
    }
    cache.Grew(entry, 512);
    cache.EvictToBudget();
    EXPECT_FALSE(entry.document.is_resting());
    EXPECT_LE(cache.bytes(), cache.budget());
    cache.CheckInvariants();
  }
  EXPECT_EQ(cache.evictions(), 0U);
  EXPECT_EQ(cache.documents(), 60U);
  for (int i = 0; i < kRows; ++i) {
    CachedDocument* const entry = cache.Find(name(i));
    ASSERT_NE(entry, nullptr);
    EXPECT_TRUE(entry->document.is_resting()) << i;
    // Asking for the version wakes nothing; the next one is read.
    EXPECT_EQ(entry->document.op_count(), 8U);
    if (i % 2 == 0) {
      EXPECT_EQ(entry->document.MapGet(map, "7"), loro::Value(int64_t{7}));
    }
    cache.EvictToBudget();
    EXPECT_EQ(entry->document.is_resting(), i % 2 != 0);
    EXPECT_LE(cache.bytes(), cache.budget());
    cache.CheckInvariants();
  }
  EXPECT_EQ(cache.evictions(), 0U);
}

TEST(DocumentCacheTest, UseMovesADocumentToTheFront) {
  const size_t one = [] {
    DocumentCache probe(1);
    probe.Insert(CachedDocument({0, "a"}, loro::Document(0)));
    return probe.bytes();
  }();
  DocumentCache cache(2 * one + one / 2);
  cache.Insert(CachedDocument({0, "a"}, loro::Document(0)));
  cache.Insert(CachedDocument({0, "b"}, loro::Document(0)));
  cache.EvictToBudget();
  ASSERT_NE(cache.Find({0, "a"}), nullptr);
  cache.Insert(CachedDocument({0, "c"}, loro::Document(0)));
  cache.EvictToBudget();
  EXPECT_NE(cache.Find({0, "a"}), nullptr);
  EXPECT_EQ(cache.Find({0, "b"}), nullptr);
  EXPECT_NE(cache.Find({0, "c"}), nullptr);
}

}  // namespace
}  // namespace merrow::store
