// SPDX-License-Identifier: Apache-2.0
//
// What the store needs for SQL writes to document tables (store_sql_documents.cc).

#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "merrow/ids.h"
#include "store/document_capture_triggers.h"
#include "store/row_capture.h"

namespace merrow::store {

class SqlDocuments final : public DocumentEvents {
 public:
  using Row = std::pair<int64_t, std::string>;  // table id and key

  /// Rows are written by SQL of somebody else until it goes; else by the store itself.
  class Capturing {
   public:
    explicit Capturing(SqlDocuments& documents) : documents_(documents) {
      documents_.rows_.clear();
      documents_.is_capturing_ = true;
    }
    ~Capturing() { documents_.is_capturing_ = false; }
    Capturing(const Capturing&) = delete;
    Capturing& operator=(const Capturing&) = delete;

   private:
    SqlDocuments& documents_;
  };

  Status RowWritten(int64_t table_id, std::string_view key) override {
    rows_.emplace(table_id, key);
    return {};
  }
  bool is_writing() const override { return !is_capturing_; }

  std::set<Row> TakeRows() { return std::exchange(rows_, {}); }

  loro::PeerId peer = 0;           // of the ops
  std::vector<RowCapture> tables;  // as the schema's

 private:
  bool is_capturing_ = false;
  std::set<Row> rows_;
};

}  // namespace merrow::store
