// SPDX-License-Identifier: Apache-2.0
#include "net/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace merrow::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Segments(std::string_view target) {
  const auto parsed = ParseTarget(target);
  EXPECT_TRUE(parsed.ok()) << target;
  return parsed.ok() ? parsed->segments : std::vector<std::string>{"error"};
}

TEST(HttpMessageTest, SplitsAndDecodesThePath) {
  EXPECT_THAT(Segments("/"), IsEmpty());
  EXPECT_THAT(Segments("/?q"), IsEmpty());
  EXPECT_THAT(Segments("/a"), ElementsAre("a"));
  EXPECT_THAT(Segments("/a/"), ElementsAre("a", ""));
  EXPECT_THAT(Segments("/a//b"), ElementsAre("a", "", "b"));
  EXPECT_THAT(Segments("/v1/rows/note/a%2Fb%20c%C3%a9+?x"),
              ElementsAre("v1", "rows", "note", "a/b c\xC3\xA9+"));
  EXPECT_THAT(Segments("/%2e%2E/%00"), ElementsAre("..", std::string(1, '\0')));
}

TEST(HttpMessageTest, RefusesOtherFormsAndMalformedEscapes) {
  for (const char* target : {"", "*", "a", "http://localhost/", "/%", "/%4", "/%zz", "/a?b=%x"}) {
    EXPECT_FALSE(ParseTarget(target).ok()) << target;
  }
}

TEST(HttpMessageTest, DecodesTheQuery) {
  const auto parsed = ParseTarget("/p?a=1&b=x+y%26z&&flag&a=2&c==&=d");
  ASSERT_TRUE(parsed.ok());
  HttpRequest request;
  request.query = parsed->query;
  EXPECT_EQ(request.query.size(), 6U);
  EXPECT_EQ(request.Query("a"), "1");
  EXPECT_EQ(request.Query("b"), "x y&z");
  EXPECT_EQ(request.Query("flag"), "");
  EXPECT_EQ(request.Query("c"), "=");
  EXPECT_EQ(request.Query(""), "d");
  EXPECT_EQ(request.Query("z"), std::nullopt);
}

TEST(HttpMessageTest, FindsHeadersWhateverTheirCase) {
  HttpRequest request;
  request.headers = {{"Content-Type", "a"}, {"content-type", "b"}};
  EXPECT_EQ(request.Header("CONTENT-TYPE"), "a");
  EXPECT_EQ(request.Header("content"), std::nullopt);
}

TEST(HttpMessageTest, FormatsHeadsThatCannotBeSplit) {
  EXPECT_EQ(FormatResponseHead(404, {{"A", "b"}}), "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n");
  EXPECT_EQ(FormatResponseHead(200, {{"A", "b\r\nSet-Cookie: c"}}),
            "HTTP/1.1 200 OK\r\nA: b  Set-Cookie: c\r\n\r\n");
}

}  // namespace
}  // namespace merrow::net
