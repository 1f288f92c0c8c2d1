// SPDX-License-Identifier: Apache-2.0
//
// The documents in memory, under a budget of bytes, least recently used first out.
//
// Documents that were used lately are live; those that have not been for longer rest
// (Document::Rest), which takes a fraction of the memory, so that far more of them fit the budget.
// Live ones get a part of it, least recently used first to rest.
//
// The size of a document is measured (Document::MemoryBytes(), which may cost as much as the
// document is large) when it comes in and again after it took in a part of its size in updates; in
// between, kMemoryPerUpdateByte for each byte of update is added, so the sum errs on the high side.
//
// Invariants:
//   (1) bytes() is the sum of the charges of all entries; order_ and index_ hold the same entries.
//       live_bytes_ is the sum of those in live_, which holds all entries that do not rest and
//       those that were used since EvictToBudget() looked.
//   (2) EvictToBudget() never drops an entry that has unsaved ops, and leaves
//       bytes() <= budget if there is another one to drop.
//
// Not thread-safe. References to entries live until the entry is erased or evicted.

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "merrow/document.h"

namespace merrow::store {

/// Names a document across all tables: the index of the table in the schema, and the key.
struct DocumentName {
  size_t table = 0;
  std::string key;
  friend bool operator==(const DocumentName&, const DocumentName&) = default;
};

struct DocumentNameHash {
  size_t operator()(const DocumentName& name) const {
    return std::hash<std::string>()(name.key) * 31 + name.table;
  }
};

struct CachedDocument {
  CachedDocument(DocumentName name_of_it, loro::Document empty)
      : name(std::move(name_of_it)), document(std::move(empty)) {}

  DocumentName name;
  loro::Document document;
  int64_t id = 0;  // in _merrow_document; 0: not on disk yet
  // What _merrow_log holds of it.
  int64_t next_seq = 1;
  size_t base_bytes = 0;
  size_t log_bytes = 0;
  uint32_t log_entries = 0;
  size_t row_bytes = 0;  // of the row's values when it was last written; 0 if not known
  /// The document has ops that are not in the log yet. Never evicted.
  bool unsaved = false;

 private:
  friend class DocumentCache;
  using Live = std::list<CachedDocument*>;
  size_t charge = 0;
  bool is_live = false;
  Live::iterator live;  // if it is
  size_t update_bytes_since_measured = 0;
};

class DocumentCache {
 public:
  explicit DocumentCache(size_t budget) : budget_(budget) {}

  /// Null if it is not in memory; otherwise it becomes the most recently used one.
  CachedDocument* Find(const DocumentName& name);
  /// REQUIRES: no entry of that name.
  CachedDocument& Insert(CachedDocument entry);
  /// Drops the entry of that name, if there is one, whatever it holds.
  void Erase(const DocumentName& name);

  /// Accounts for `update_bytes` that the document took in.
  void Grew(CachedDocument& entry, size_t update_bytes);

  /// Puts documents to rest, and drops some if that is not enough.
  void EvictToBudget();

  size_t bytes() const { return bytes_; }
  size_t budget() const { return budget_; }
  size_t documents() const { return index_.size(); }
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }
  uint64_t evictions() const { return evictions_; }

  void CheckInvariants() const;

 private:
  using Order = std::list<CachedDocument>;

  void Charge(CachedDocument& entry, size_t charge);
  void Measure(CachedDocument& entry);
  void SetLive(CachedDocument& entry, bool is_live);
  void RestIdle();
  void Drop(Order::iterator entry);

  const size_t budget_;
  size_t bytes_ = 0;
  size_t live_bytes_ = 0;
  Order order_;                // most recently used first
  CachedDocument::Live live_;  // most recently used first
  /// Entries of live_ that rested when they were asked for, and may have woken.
  std::vector<CachedDocument*> used_;
  std::unordered_map<DocumentName, Order::iterator, DocumentNameHash> index_;
  uint64_t hits_ = 0;
  uint64_t misses_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace merrow::store
