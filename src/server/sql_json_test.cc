// SPDX-License-Identifier: Apache-2.0
//
// SQL as JSON: which requests are transactions, and what is refused before anything runs.

#include "server/sql_json.h"

#include <gmock/gmock.h>

#include "net/testing/server_fixture.h"

namespace merrow::server {
namespace {

using net::testing::Expect;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ParseTransactionRequest, AllForms) {
  const std::vector<SqlStatement> statements = Expect(ParseTransactionRequest(
      R"([["INSERT ?", [null, true, -7, 2.5, "a", {"blob": "AP8="}]], "DELETE 1", ["DELETE 2"],
          {"sql": "DELETE 3"}, {"params": [1], "sql": "DELETE 4"}])"));
  ASSERT_EQ(statements.size(), 5U);
  EXPECT_EQ(statements[0].sql, "INSERT ?");
  EXPECT_THAT(statements[0].params, ElementsAre(OwnedSqlValue(store::SqlNull()),
                                                OwnedSqlValue(true), OwnedSqlValue(int64_t{-7}),
                                                OwnedSqlValue(2.5), OwnedSqlValue(std::string("a")),
                                                OwnedSqlValue(OwnedSqlBlob{Bytes("\0\xff", 2)})));
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(statements[i].sql, "DELETE " + std::to_string(i));
  EXPECT_THAT(statements[3].params, IsEmpty());
  EXPECT_THAT(statements[4].params, ElementsAre(OwnedSqlValue(int64_t{1})));
}

TEST(ParseTransactionRequest, WhatIsNotOneIsRefusedAndNamed) {
  for (const char* body : {"", "[]", "{}", "7", "null", "\"DELETE 1\"", R"({"sql":"DELETE 1"})"}) {
    const auto request = ParseTransactionRequest(body);
    ASSERT_FALSE(request.ok()) << body;
    EXPECT_EQ(request.error().code(), ErrorCode::kInvalidArgument) << body;
  }
  for (const char* statement :
       {"7", "[]", "[7]", "{}", R"({"sql":7})", R"({"sql":"a","params":{}})", R"(["a",[[1]]])",
        R"({"sql":"a","more":1})", R"(["a",[],[]])", R"(["a",[{"blob":7}]])",
        R"(["a",[{"blob":"*"}]])", R"(["a",[{"blob":"","x":1}]])",
        R"(["a",[18446744073709551615]])"}) {
    const auto request = ParseTransactionRequest("[\"DELETE 1\"," + std::string(statement) + "]");
    ASSERT_FALSE(request.ok()) << statement;
    EXPECT_THAT(request.error().message(), StartsWith("statement 2: ")) << statement;
  }
}

TEST(ParseTransactionRequest, LimitsHold) {
  const auto many = ParseTransactionRequest("[\"a\"" + [] {
    std::string more;
    for (size_t i = 0; i < kTransactionStatementsMax; ++i) more += ",\"a\"";
    return more;
  }() + "]");
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.error().code(), ErrorCode::kLimit);
  const auto large = ParseTransactionRequest(std::string(kTransactionBytesMax + 1, ' '));
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), ErrorCode::kLimit);
  EXPECT_FALSE(ParseTransactionRequest(std::string(1'000'000, '[')).ok());
  std::string lists = "[";
  for (size_t i = 0; i < kSqlRequestValuesMax; ++i) lists += "[],";
  const auto values = ParseTransactionRequest(lists + "[]]");
  ASSERT_FALSE(values.ok());
  EXPECT_THAT(values.error().message(), HasSubstr("values"));
}

TEST(ParseQueryRequest, HasBounds) {
  const auto with_params = [](size_t count) {
    std::string params = "1";
    for (size_t i = 1; i < count; ++i) params += ",1";
    return ParseQueryRequest("[\"SELECT 1\",[" + params + "]]");
  };
  EXPECT_EQ(Expect(with_params(32'766)).params.size(), 32'766U);
  EXPECT_EQ(with_params(kQueryValuesMax).error().code(), ErrorCode::kLimit);
  EXPECT_EQ(ParseQueryRequest(std::string(kQueryBytesMax + 1, ' ')).error().code(),
            ErrorCode::kLimit);
}

}  // namespace
}  // namespace merrow::server
