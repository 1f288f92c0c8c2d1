// SPDX-License-Identifier: Apache-2.0
//
// List state: what one List container looks like now. Values in order, each with the id and lamport
// of the op atom that inserted it.
//
// How it is stored: leaves of values with their id runs, in a LeafTree that counts values. A short
// list is one leaf.
//
// Invariant: a run lies in one leaf; neighbouring runs of a leaf that continue each other are one.
//
// Thread-compatible.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "loro/sequence_run.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"

namespace merrow::loro {

/// Most values of one list.
inline constexpr uint32_t kListLengthMax = 0x7fffffff;

class ListState {
 public:
  ListState();
  ~ListState();
  ListState(ListState&&) noexcept;
  ListState& operator=(ListState&&) noexcept;

  uint32_t length() const;

  /// Inserts values with ids and lamports counting up from the given ones. Invalid argument if out
  /// of range, limit if the list would be too long; nothing changes then.
  Status Insert(uint32_t index, Id id, Lamport lamport, std::vector<Value> values);
  Status Delete(uint32_t index, uint32_t count);

  /// Null if out of range. Valid until the list changes.
  const Value* Get(uint32_t index) const;
  /// Invalid argument if out of range. The run's length is 1.
  Result<IdRun> IdAt(uint32_t index) const;
  /// The delete ops that remove these values, last run first, so that each index is right when the
  /// runs before it have been deleted.
  Result<std::vector<DeleteRun>> RunsForDelete(uint32_t index, uint32_t count) const;

  /// Every value in order with its id (a run of length 1).
  void ForEach(const std::function<void(const IdRun&, const Value&)>& visit) const;

  /// Appends at the end, packing leaves fully: for loading a snapshot image front to back.
  Status Append(Id id, Lamport lamport, Value value);

  /// Bytes on the heap, about.
  size_t MemoryBytes() const;
  /// Ends the process if an invariant does not hold.
  void CheckInvariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::loro
