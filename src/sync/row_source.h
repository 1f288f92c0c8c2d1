// SPDX-License-Identifier: Apache-2.0
//
// RowSource: where rows are kept, as sync sees it. The server implements it on the store; the tests
// on a model. Rows are documents; sync never looks inside, it moves bytes and compares version
// vectors.
//
// Contract, for one row:
//   (1) Submits are committed one at a time. The versions that they produce are a chain: each
//       `before` includes the previous `after`.
//   (2) Completions are called later, never from within Submit or ReadSince, all on the thread that
//       calls into the Hub, and exactly once; after a shutdown they may be dropped.
//   (3) A completion of a Submit is called only after its ops are on disk.
//   (4) Completions and Hub::OnCommitted notices come in the order of commits. A read's completion
//       should come in that order too; if it does not, sync notices and reads again.

#pragma once

#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"
#include "merrow/version_vector.h"

namespace merrow::sync {

/// Names one row, in the form that clients use: the table's name and the key as text.
struct RowKey {
  std::string table;
  std::string key;

  friend bool operator==(const RowKey&, const RowKey&) = default;
  friend auto operator<=>(const RowKey&, const RowKey&) = default;
};

struct RowKeyHash {
  size_t operator()(const RowKey& row) const {
    const std::hash<std::string_view> hash;
    return hash(row.table) * 0x9E3779B97F4A7C15U + hash(row.key);
  }
};

/// Bytes and versions that many sessions share. They never change.
using SharedBytes = std::shared_ptr<const Bytes>;
using SharedVersion = std::shared_ptr<const loro::VersionVector>;

/// An update was committed.
struct Applied {
  SharedVersion before;
  SharedVersion after;  // equal to `before` if everything was known already
  SharedBytes delta;    // an update with exactly the ops after `before`; null if there are none
};

/// An update was refused as a whole, because ops that it depends on are not in the row.
struct MissingDependencies {
  SharedVersion version;  // the row's
};

using SubmitOutcome = std::variant<Applied, MissingDependencies, Error>;

struct RowData {
  SharedVersion version;  // the row's; empty if the row does not exist
  SharedBytes bytes;      // what `from` lacks; null if nothing
  bool is_snapshot = false;
};

class RowSource {
 public:
  using SubmitDone = std::function<void(SubmitOutcome)>;
  using ReadDone = std::function<void(Result<RowData>)>;

  virtual ~RowSource() = default;

  /// Not found: no such table, or its rows are not documents. Invalid argument: `row.key` cannot be
  /// a key of that table. Cheap, no I/O. The row itself need not exist.
  virtual Status CheckRow(const RowKey& row) const = 0;

  /// The end of every peer's ops in an update, read without applying it. Corruption if it is not a
  /// well-formed update. (loro::ReadBlobMeta().end)
  virtual Result<loro::VersionVector> UpdateEnd(BytesView update) const = 0;

  /// One update with the ops of several that follow each other, as Applied::delta had them.
  virtual SharedBytes JoinUpdates(const std::vector<SharedBytes>& updates) const = 0;

  /// Applies an update to the row, all of it or nothing, and creates the row if there is none.
  /// Errors: corruption or conflict (the update is at fault), limit (too large), busy, io.
  virtual void Submit(const RowKey& row, SharedBytes update, SubmitDone done) = 0;

  /// What `from` lacks. If `from` is null: a snapshot, also of a row that is empty or missing. If
  /// not: an update, or a snapshot where history before `from` is no longer kept.
  virtual void ReadSince(const RowKey& row, SharedVersion from, ReadDone done) = 0;
};

}  // namespace merrow::sync
