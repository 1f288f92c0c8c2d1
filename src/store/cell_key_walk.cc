// SPDX-License-Identifier: Apache-2.0
#include "store/cell_key_walk.h"

namespace merrow::store {

Result<std::string> RowIdName(sqlite3* db, const CellTable& table) {
  if (table.int_key) {
    return std::string();
  }
  CellStatement find;
  MERROW_TRY(find.Prepare(
      db,
      "SELECT column1 FROM (VALUES ('rowid'), ('_rowid_'), ('oid')), pragma_table_list WHERE "
      "schema = 'main' AND name = ?1 COLLATE NOCASE AND wr = 0 AND column1 COLLATE NOCASE NOT IN "
      "(SELECT name FROM pragma_table_xinfo(?1, 'main')) LIMIT 1"));
  find.Bind(1, cells::ValueView::Text(table.name));
  MERROW_ASSIGN(const bool found, find.Step());
  return found ? find.Text(0) : std::string();
}

Status KeyWalk::Prepare(sqlite3* db, const CellTable& table, const std::string& select,
                        int columns) {
  begun_ = false;
  key_at_ = columns;
  // In other keys a number can be equal to one of another class.
  type_ = table.int_key ? cells::ValueType::kInteger : cells::ValueType::kText;
  const std::string key = SqlName(table.key[0].name);
  return walk_.Prepare(db, "SELECT " + select + ", " + key + " FROM main." + SqlName(table.name) +
                               " WHERE " + key + " >= ?1 ORDER BY " + key);
}

bool KeyWalk::IsAfterLast(const cells::ValueView& key) const {
  return type_ == cells::ValueType::kInteger ? last_number_ < key.integer
                                             : BytesView(last_text_) < key.bytes;
}

/// Is the row at hand in front of `key`? Numbers are in front of texts, and those of blobs.
bool KeyWalk::IsBelow(const cells::ValueView& key) const {
  if (type_ == cells::ValueType::kInteger) {
    return at_number_ < key.integer;
  }
  const cells::ValueView at = walk_.Column(key_at_);
  return at.type == cells::ValueType::kText ? at.bytes < key.bytes
                                            : at.type != cells::ValueType::kBlob;
}

Status KeyWalk::Step() {
  MERROW_ASSIGN(const bool more, walk_.Step());
  at_end_ = !more;
  if (more && type_ == cells::ValueType::kInteger) {
    at_number_ = walk_.Int(key_at_);
  }
  return {};
}

Status KeyWalk::Search(const cells::ValueView& key) {
  walk_.Reset();
  searched_.assign(key.bytes);
  cells::ValueView bound = key;
  bound.bytes = searched_;
  walk_.Bind(1, bound);
  begun_ = true;
  return Step();
}

Result<bool> KeyWalk::Find(const cells::ValueView& key, bool end_stays) {
  if (key.type != type_) {
    ++misses_;
    return false;
  }
  if (gave_up()) {
    return false;
  }
  const bool goes_on = begun_ && IsAfterLast(key) && (!at_end_ || end_stays);
  misses_ += begun_ && !goes_on && !at_end_ ? 1 : 0;
  last_number_ = key.integer;
  if (type_ == cells::ValueType::kText) {
    last_text_.assign(key.bytes);
  }
  if (!goes_on) {
    MERROW_TRY(Search(key));
  }
  for (int steps = 0; goes_on && !at_end_ && IsBelow(key); ++steps) {
    if (steps == kStepsMax) {
      ++misses_;
      MERROW_TRY(Search(key));
      break;
    }
    MERROW_TRY(Step());
  }
  if (type_ == cells::ValueType::kInteger) {
    return !at_end_ && at_number_ == key.integer;
  }
  return !at_end_ && cells::SameValue(walk_.Column(key_at_), key);
}

}  // namespace merrow::store
