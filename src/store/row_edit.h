// SPDX-License-Identifier: Apache-2.0
//
// Row edit: what SQL wrote into a row of a document table, as local edits of its document.
//
//   column               a new value becomes
//   scalar               a set of its slot in the map `row`. A slot that holds true or false keeps
//                        its type for 0 and 1, and one that holds a list, a map or a child
//                        container is edited as the column of that kind would be
//   CRDT_TEXT            the inserts and deletes of the shortest difference (row_edit_diff.h)
//   CRDT_COUNTER         an increment by the difference
//   CRDT_MAP             sets and deletes of the slots that differ
//   CRDT_LIST            deletes and inserts of the items that differ
//   CRDT_MOVABLE_LIST    the same; an item that was replaced is set, and one that went elsewhere is
//                        moved
//   CRDT_TREE            creates, moves and deletes of nodes, and edits of their data; nodes are
//   told
//                        apart by the "id" that the column shows, and a node without one is new
//
// JSON columns take JSON text; NULL is an empty container. Where JSON shows a child container and
// the new value still is of its kind, the child is edited; what is new becomes plain values.
//
// Only what differs from what the column shows (projection.h) is edited, so a value that was
// written but not changed makes no op, and a row that shows its document makes none at all.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cells/value.h"
#include "merrow/document.h"
#include "merrow/result.h"
#include "store/schema.h"

namespace merrow::store {

class RowEditor {
 public:
  /// `table` must outlive this. `defaults`: for each of its columns what an absent slot shows.
  RowEditor(const Table& table, std::vector<cells::Value> defaults);

  /// Makes `document` show `row`, the values of the table's columns as SQL has them, by local
  /// edits, which are not committed. True if there were any. Invalid argument names the column and
  /// why it cannot hold the value; some columns may be edited then, and the document is to be
  /// dropped.
  Result<bool> Apply(std::span<const cells::ValueView> row, loro::Document& document) const;

  /// Does the document show exactly these values?
  bool Shows(std::span<const cells::ValueView> row, const loro::Document& document) const;

  /// One op for a document without ops, which would not exist for others: the key in a slot that no
  /// column shows. Two sites that make the row at the same time write the same.
  Status MakeExist(std::string_view key, loro::Document& document) const;

 private:
  /// What the column shows, as SQLite stores it.
  cells::Value Shown(size_t column, const loro::Document& document) const;

  const Table& table_;
  std::vector<cells::Value> defaults_;
};

/// Makes a container show `wanted`, which must be of its kind: a string, a number, a list or a map.
/// True if that took an edit.
Result<bool> EditContainer(const loro::ContainerId& id, const loro::Value& wanted,
                           loro::Document& document);

}  // namespace merrow::store
