// SPDX-License-Identifier: Apache-2.0
//
// The text of a CREATE TABLE statement, taken apart into its column definitions and table
// constraints. SQLite checks and understands the SQL; this only finds where its parts begin and
// end, so that a column that was added to a schema can be added to a table verbatim, and a changed
// one be told from one that was only laid out differently.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merrow/result.h"

namespace merrow::store {

struct CreateTable {
  struct ColumnDefinition {
    std::string name;        // without quotes
    std::string text;        // verbatim, without comments around it
    std::string normalized;  // tokens with one space between, bare words in lower case
  };

  std::vector<ColumnDefinition> columns;
  std::vector<std::string> constraints;  // normalized, in the order of the text
  std::string options;                   // normalized: what follows the closing parenthesis

  /// True if `word` (lower case) is a bare word somewhere in a definition or constraint.
  bool HasWord(std::string_view word) const;

  /// REQUIRES: SQLite accepted `sql`. Invalid argument if it is not a CREATE TABLE with a list.
  static Result<CreateTable> Parse(std::string_view sql);
};

/// `sql` with one space between its tokens, without comments, bare words in lower case.
std::string NormalizeSql(std::string_view sql);

}  // namespace merrow::store
