// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/transactions: all statements or none, what is answered, and what is refused.

#include <gmock/gmock.h>

#include "server/running_server_test_util.h"

namespace merrow::server {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class TransactionsTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.replication.enabled = GetParam();
    server_ = std::make_unique<RunningServer>(dir_.File("a.db"), options);
  }
  std::string Services() {
    return server_->Query("SELECT id, name, port FROM service ORDER BY id");
  }
  /// The message of a request that must be refused with `status`.
  std::string Refused(const std::string& body, int status = 400) {
    const Json answer = server_->Execute(body);
    EXPECT_EQ(answer["http"], status) << body << " " << answer;
    return answer.contains("error") ? answer["error"]["message"] : "";
  }

  TempDir dir_;
  std::unique_ptr<RunningServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Replicating, TransactionsTest, ::testing::Bool());

TEST_P(TransactionsTest, StatementsRunInOrderAndAreCounted) {
  const Json answer = server_->Execute(
      R"j([["INSERT INTO service VALUES (?, ?, ?)", [1, "web", 80]],
          "INSERT INTO service VALUES (2, 'mail', 25), (3, 'dns', 53)",
          {"sql": "UPDATE service SET port = port + ?", "params": [1000]},
          ["DELETE FROM service WHERE id = 99"]])j");
  EXPECT_EQ(answer["http"], 200) << answer;
  EXPECT_EQ(answer["rows_changed"], Json::parse("[1,2,3,0]"));
  EXPECT_EQ(answer["version"], GetParam() ? 1 : 0);
  EXPECT_EQ(Services(), R"([[1,"web",1080],[2,"mail",1025],[3,"dns",1053]])");
  EXPECT_EQ(server_->Execute(R"(["DELETE FROM service"])")["version"], GetParam() ? 2 : 0);
}

TEST_P(TransactionsTest, EveryKindOfValueArrives) {
  server_->Execute(
      R"j([["INSERT INTO service VALUES (?, ?, ?)", [9007199254740993, "ü\u0000x", null]],
          ["INSERT INTO service VALUES (?, ?, ?)", [-1, {"blob": "AP8="}, 2.5]],
          ["INSERT INTO service VALUES (?, ?, ?)", [2, "", true]]])j");
  EXPECT_EQ(server_->Query("SELECT id, hex(name), typeof(name), port, typeof(port) FROM service "
                           "ORDER BY id"),
            R"([[-1,"00FF","blob",2.5,"real"],[2,"","text",1,"integer"],)"
            R"([9007199254740993,"C3BC0078","text",null,"null"]])");
}

TEST_P(TransactionsTest, AnErrorNamesTheStatementAndChangesNothing) {
  server_->Execute(R"j([["INSERT INTO service VALUES (1, 'web', 80)"]])j");
  const std::string before = Services();
  const std::string insert = R"j(["INSERT INTO service VALUES (2, 'x', 1)", )j";
  EXPECT_THAT(Refused(insert + R"j("INSERT INTO service VALUES (1, 'again', 1)"])j", 409),
              HasSubstr("statement 2"));
  EXPECT_THAT(Refused(insert + R"j("INSERT INTO absent VALUES (1)"])j"),
              testing::AllOf(HasSubstr("statement 2"), HasSubstr("absent")));
  EXPECT_THAT(Refused(insert + R"(["DELETE FROM service WHERE id = ?", [1, 2]]])"),
              HasSubstr("statement 2"));
  EXPECT_THAT(Refused(insert + "7]"), HasSubstr("statement 2"));
  EXPECT_EQ(Services(), before);
}

TEST_P(TransactionsTest, WhatIsNotAWriteToColumnTablesIsRefused) {
  const std::string insert = R"j(["INSERT INTO service VALUES (2, 'x', 1)", )j";
  for (const std::string sql :
       {"ATTACH ':memory:' AS x", "PRAGMA user_version = 7", "CREATE TABLE t (a)",
        "DROP TABLE service", "ALTER TABLE service ADD COLUMN x", "BEGIN", "COMMIT", "ROLLBACK",
        "SAVEPOINT a", "VACUUM", "REINDEX", "ANALYZE", "DELETE FROM sqlite_schema",
        "UPDATE _merrow_meta SET value = 1", "DELETE FROM _merrow_log",
        "SELECT load_extension('x')", "DELETE FROM service; DELETE FROM service", "", "--"}) {
    Refused(insert + Json(sql).dump() + "]");
  }
  for (const std::string sql : {"CREATE TABLE t (a)", "DROP TABLE service", "PRAGMA page_size",
                                "ALTER TABLE service ADD COLUMN x"}) {
    EXPECT_THAT(Refused(insert + Json(sql).dump() + "]"), HasSubstr("made by the schema file"));
  }
  EXPECT_EQ(Services(), "[]");
}

TEST_P(TransactionsTest, RequestsThatAreNoneAreRefused) {
  EXPECT_THAT(Refused("{}"), HasSubstr("the body is not like"));
  Refused("");
  EXPECT_EQ(server_->Get("/v1/transactions").status, 405);
}

TEST_P(TransactionsTest, WhatWasAnsweredSurvivesAStop) {
  server_->Execute(R"j([["INSERT INTO service VALUES (1, 'web', 80)"]])j");
  server_->Stop();
  ServerOptions options;
  options.replication.enabled = GetParam();
  server_ = std::make_unique<RunningServer>(dir_.File("a.db"), options);
  EXPECT_EQ(Services(), R"([[1,"web",80]])");
}

}  // namespace
}  // namespace merrow::server
