// SPDX-License-Identifier: Apache-2.0
#include "store/create_table.h"

#include <algorithm>
#include <array>

namespace merrow::store {
namespace {

struct Token {
  std::string_view text;  // verbatim
  bool is_word = false;   // a bare identifier, keyword or number
};

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

/// One past the end of the quoted token at `at`. A doubled quote stands for itself.
size_t QuotedEnd(std::string_view sql, size_t at) {
  const char close = sql[at] == '[' ? ']' : sql[at];
  size_t end = at + 1;
  while (end < sql.size()) {
    if (sql[end] != close) {
      ++end;
    } else if (close != ']' && end + 1 < sql.size() && sql[end + 1] == close) {
      end += 2;
    } else {
      return end + 1;
    }
  }
  return sql.size();
}

/// One past the end of the white space and comments at `at`.
size_t SkipBlank(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    if (IsSpace(sql[at])) {
      ++at;
    } else if (sql.substr(at, 2) == "--") {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      const size_t close = sql.find("*/", at + 2);
      at = close == std::string_view::npos ? sql.size() : close + 2;
    } else {
      break;
    }
  }
  return at;
}

std::vector<Token> Tokenize(std::string_view sql) {
  std::vector<Token> tokens;
  size_t at = SkipBlank(sql, 0);
  while (at < sql.size()) {
    const char c = sql[at];
    size_t end = at + 1;
    bool is_word = false;
    if (c == '\'' || c == '"' || c == '`' || c == '[') {
      end = QuotedEnd(sql, at);
    } else if (IsWordCharacter(c)) {
      is_word = true;
      while (end < sql.size() && IsWordCharacter(sql[end])) {
        ++end;
      }
    }
    tokens.push_back({sql.substr(at, end - at), is_word});
    at = SkipBlank(sql, end);
  }
  return tokens;
}

/// An identifier without its quotes.
std::string Unquote(const Token& token) {
  if (token.is_word || token.text.size() < 2) {
    return std::string(token.text);
  }
  const char close = token.text.back();
  const std::string_view inner = token.text.substr(1, token.text.size() - 2);
  std::string name;
  for (size_t i = 0; i < inner.size(); ++i) {
    name.push_back(inner[i]);
    if (inner[i] == close && close != ']') {
      ++i;
    }
  }
  return name;
}

std::string Normalized(const std::vector<Token>& tokens, size_t begin, size_t end) {
  std::string text;
  for (size_t i = begin; i < end; ++i) {
    if (!text.empty()) {
      text.push_back(' ');
    }
    text += tokens[i].is_word ? Lower(tokens[i].text) : std::string(tokens[i].text);
  }
  return text;
}

bool StartsTableConstraint(const Token& token) {
  static constexpr std::array<std::string_view, 5> kWords = {"constraint", "primary", "unique",
                                                             "check", "foreign"};
  return token.is_word &&
         std::find(kWords.begin(), kWords.end(), Lower(token.text)) != kWords.end();
}

void AddDefinition(const std::vector<Token>& tokens, size_t begin, size_t end, CreateTable* table) {
  if (begin == end) {
    return;
  }
  std::string normalized = Normalized(tokens, begin, end);
  if (StartsTableConstraint(tokens[begin])) {
    table->constraints.push_back(std::move(normalized));
    return;
  }
  const char* const first = tokens[begin].text.data();
  const Token& last = tokens[end - 1];
  const std::string text(first, static_cast<size_t>(last.text.data() + last.text.size() - first));
  table->columns.push_back({Unquote(tokens[begin]), text, std::move(normalized)});
}

}  // namespace

bool CreateTable::HasWord(std::string_view word) const {
  const auto has = [&](std::string_view normalized) {
    const std::vector<Token> tokens = Tokenize(normalized);
    return std::any_of(tokens.begin(), tokens.end(),
                       [&](const Token& token) { return token.is_word && token.text == word; });
  };
  return std::any_of(columns.begin(), columns.end(),
                     [&](const ColumnDefinition& column) { return has(column.normalized); }) ||
         std::any_of(constraints.begin(), constraints.end(), has);
}

Result<CreateTable> CreateTable::Parse(std::string_view sql) {
  const std::vector<Token> tokens = Tokenize(sql);
  size_t at = 0;
  while (at < tokens.size() && tokens[at].text != "(") {
    ++at;
  }
  if (at == tokens.size()) {
    return InvalidArgument("no column list in: " + std::string(sql));
  }
  CreateTable table;
  int depth = 1;
  size_t begin = ++at;
  for (; at < tokens.size() && depth > 0; ++at) {
    const std::string_view text = tokens[at].text;
    if (text == "(") {
      ++depth;
    } else if (text == ")") {
      --depth;
    }
    if (depth == 0 || (depth == 1 && text == ",")) {
      AddDefinition(tokens, begin, at, &table);
      begin = at + 1;
    }
  }
  if (depth != 0) {
    return InvalidArgument("the column list does not end in: " + std::string(sql));
  }
  size_t end = tokens.size();
  while (end > at && tokens[end - 1].text == ";") {
    --end;
  }
  table.options = Normalized(tokens, at, end);
  return table;
}

std::string NormalizeSql(std::string_view sql) {
  const std::vector<Token> tokens = Tokenize(sql);
  return Normalized(tokens, 0, tokens.size());
}

}  // namespace merrow::store
