// SPDX-License-Identifier: Apache-2.0
//
// Queries over HTTP: what is a request, what comes back, and what a slow reader or a shutdown in
// mid-stream does to the threads that run them.

#include "server/query_pool.h"

#include <gmock/gmock.h>

#include <future>

#include "server/server_test_util.h"

namespace merrow::server {
namespace {

using net::testing::Expect;
using net::testing::TestHttpClient;
using net::testing::TestResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ParseQueryRequest, AllForms) {
  EXPECT_EQ(ParseQueryRequest(R"("SELECT 1")")->sql, "SELECT 1");
  EXPECT_EQ(ParseQueryRequest(R"(["SELECT 1"])")->sql, "SELECT 1");
  const auto request =
      ParseQueryRequest(R"(["SELECT ?", [null, true, -7, 2.5, "a\u0000b", 9223372036854775807]])");
  ASSERT_TRUE(request.ok());
  EXPECT_THAT(request->params,
              ElementsAre(OwnedSqlValue(store::SqlNull()), OwnedSqlValue(true),
                          OwnedSqlValue(int64_t{-7}), OwnedSqlValue(2.5),
                          OwnedSqlValue(std::string("a\0b", 3)), OwnedSqlValue(INT64_MAX)));
}

TEST(ParseQueryRequest, WhatIsNotARequestIsRefused) {
  for (const char* body : {"", "SELECT 1", "[]", "{}", "7", "[7]", "null", R"(["SELECT 1", 7])",
                           R"(["a", [], []])", R"(["a", [[1]]])", R"(["a", [{}]])",
                           R"(["a", [9223372036854775808]])", R"([["a"]])", R"(["a", {"b": 1}])"}) {
    const auto request = ParseQueryRequest(body);
    ASSERT_FALSE(request.ok()) << body;
    EXPECT_EQ(request.error().code(), ErrorCode::kInvalidArgument) << body;
  }
  const auto deep = ParseQueryRequest("[\"a\"," + std::string(100'000, '['));
  EXPECT_FALSE(deep.ok());
  const auto large = ParseQueryRequest('"' + std::string(kQueryBytesMax, 'x') + '"');
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), ErrorCode::kLimit);
}

TEST(ErrorJson, IsJsonWhateverTheMessage) {
  EXPECT_EQ(ErrorJson("io", "a \"b\"\n"), R"({"error":{"code":"io","message":"a \"b\"\n"}})");
  EXPECT_EQ(ErrorJson("io", "\xFFz"),
            "{\"error\":{\"code\":\"io\",\"message\":\"\xEF\xBF\xBDz\"}}");
  EXPECT_EQ(ErrorJson(Busy("later")), R"({"error":{"code":"busy","message":"later"}})");
}

// Counts to `rows`; each row has some 100 bytes.
std::string Counting(uint64_t rows) {
  return "[\"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < " +
         std::to_string(rows) + ") SELECT x, hex(zeroblob(50)) FROM c\"]";
}

// Takes for ever and gives no row.
constexpr char kEndless[] =
    R"(["WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"])";

class QueryPoolTest : public net::testing::ServerTest {
 protected:
  void SetUp() override {
    store_ = OpenStore(dir_, clock_);
    options_.path = dir_.File("test.db");
    options_.threads = 1;
    http_.on_request = [this](net::HttpRequest request, net::ResponseWriter response) {
      ++started_;
      pool_->Start(Expect(ParseQueryRequest(request.body)), std::move(response));
    };
    net::HttpServerOptions options;
    options.response_bytes_low = 32 << 10;
    Listen(options);
  }
  void TearDown() override {
    thread_.Join();
    server_.reset();
    ResetPool();
  }

  void OpenPool() { pool_ = Expect(QueryPool::Open(options_, thread_.loop(), clock_)); }

  // Fails instead of hanging if a thread of the pool does not end.
  void ResetPool() {
    auto done = std::async(std::launch::async, [this] { pool_.reset(); });
    if (done.wait_for(net::testing::kWaitLimit) == std::future_status::timeout) {
      ADD_FAILURE() << "the pool does not end";
      std::abort();
    }
  }

  // A client whose socket takes little.
  TestHttpClient SlowClient() {
    return TestHttpClient(
        Expect(net::testing::TestSocket::Connect(port(), {.receive_buffer_bytes = 4096})));
  }

  void WaitForQuery(size_t count = 1) {
    EXPECT_TRUE(thread_.WaitUntil([&] { return started_ >= count; }));
  }

  TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<store::Store> store_;
  QueryPool::Options options_;
  size_t started_ = 0;  // loop only
  std::unique_ptr<QueryPool> pool_;
};

TEST_F(QueryPoolTest, RowsComeAsLinesOfJson) {
  OpenPool();
  TestHttpClient client = Client();
  const TestResponse response = Expect(client.Post(
      "/", R"(["SELECT 1 AS a, 'x', NULL, 2.5, x'00ff', ?1, ?2 UNION ALL SELECT 2,2,2,2,2,2,2",
              ["p", true]])"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("content-type"), "application/x-ndjson");
  EXPECT_THAT(
      response.body,
      StartsWith("{\"columns\":[\"a\",\"'x'\",\"NULL\",\"2.5\",\"x'00ff'\",\"?1\",\"?2\"]}\n"
                 "{\"row\":[1,[1,\"x\",null,2.5,{\"blob\":\"AP8=\"},\"p\",1]]}\n"
                 "{\"row\":[2,[2,2,2,2,2,2,2]]}\n"
                 "{\"eoq\":{\"time\":"));
}

TEST_F(QueryPoolTest, ErrorsComeAsAStatusOrAsTheLastLine) {
  options_.limits.rows_max = 1000;
  OpenPool();
  TestHttpClient client = Client();
  const TestResponse refused = Expect(client.Post("/", R"("DELETE FROM note")"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, StartsWith(R"({"error":{"code":"invalid_argument")"));
  const TestResponse cut = Expect(client.Post("/", Counting(2000)));
  EXPECT_EQ(cut.status, 200);
  EXPECT_THAT(cut.body, HasSubstr("{\"row\":[1000,"));
  EXPECT_THAT(cut.body, HasSubstr("\n{\"error\":{\"code\":\"limit\""));
}

TEST_F(QueryPoolTest, ASlowReaderGetsEverything) {
  OpenPool();
  TestHttpClient client = SlowClient();
  Expect(client.SendRequest("POST", "/", Counting(50'000)));
  const TestResponse response = Expect(client.ReadResponse());
  EXPECT_THAT(response.body, HasSubstr("\n{\"row\":[50000,[50000,"));
  EXPECT_THAT(response.body, HasSubstr("\n{\"eoq\":"));
}

TEST_F(QueryPoolTest, AReaderThatStopsHoldsAThreadOnlyUntilTheTimeLimit) {
  options_.limits.time_ms_max = 300;
  OpenPool();
  TestHttpClient idle = SlowClient();
  Expect(idle.SendRequest("POST", "/", Counting(100'000'000)));
  WaitForQuery();
  // The only thread is free again when it answers this.
  TestHttpClient client = Client();
  EXPECT_THAT(Expect(client.Post("/", R"("SELECT 1")")).body, HasSubstr("{\"row\":[1,[1]]}"));
  const TestResponse response = Expect(idle.ReadResponse());
  EXPECT_THAT(response.body, HasSubstr("\n{\"error\":{\"code\":\"limit\""));
}

TEST_F(QueryPoolTest, AClientThatLeavesFreesItsThread) {
  options_.limits.time_ms_max = 3'600'000;
  OpenPool();
  TestHttpClient gone = SlowClient();
  Expect(gone.SendRequest("POST", "/", Counting(100'000'000)));
  WaitForQuery();
  Expect(gone.ReadHead());
  gone.socket().Reset();
  TestHttpClient client = Client();
  EXPECT_THAT(Expect(client.Post("/", R"("SELECT 1")")).body, HasSubstr("{\"row\":[1,[1]]}"));
}

TEST_F(QueryPoolTest, TooManyThatWaitAreRefused) {
  options_.limits.time_ms_max = 3'600'000;
  options_.waiting_max = 1;
  OpenPool();
  TestHttpClient running = Client();
  Expect(running.SendRequest("POST", "/", Counting(100'000'000)));
  Expect(running.ReadHead());
  TestHttpClient waiting = Client();
  Expect(waiting.SendRequest("POST", "/", R"("SELECT 1")"));
  WaitForQuery(2);
  TestHttpClient refused = Client();
  const TestResponse response = Expect(refused.Post("/", R"("SELECT 1")"));
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("\"busy\""));
}

TEST_F(QueryPoolTest, EndsInMidStreamAfterTheLoopHasStopped) {
  options_.limits.time_ms_max = 3'600'000;
  options_.threads = 2;
  OpenPool();
  TestHttpClient first = SlowClient();
  TestHttpClient second = SlowClient();
  Expect(first.SendRequest("POST", "/", Counting(100'000'000)));
  Expect(second.SendRequest("POST", "/", Counting(100'000'000)));
  Expect(first.ReadHead());
  Expect(second.ReadHead());
  thread_.Join();
  server_.reset();
  ResetPool();
}

TEST_F(QueryPoolTest, EndsWhileAQueryBegins) {
  options_.limits.time_ms_max = 3'600'000;
  for (size_t i = 1; i <= 40; ++i) {
    OpenPool();
    TestHttpClient client = Client();
    Expect(client.SendRequest("POST", "/", kEndless));
    WaitForQuery(i);
    ResetPool();
    const TestResponse response = Expect(client.ReadResponse());
    // Refused, cut short, or dropped before a thread had it.
    EXPECT_EQ(response.body.find("\"error\"") != std::string::npos, response.status != 500);
  }
}

}  // namespace
}  // namespace merrow::server
