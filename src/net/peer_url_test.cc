// SPDX-License-Identifier: Apache-2.0
#include "net/peer_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace merrow::net {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PeerUrlTest, ReadsNamesAndAddresses) {
  struct Case {
    const char* text;
    bool is_tls;
    const char* host;
    uint16_t port;
    const char* printed;
  };
  for (const Case& c : {
           Case{"ws://127.0.0.1:7000", false, "127.0.0.1", 7000, "ws://127.0.0.1:7000"},
           Case{"wss://site-b.example.org:65535", true, "site-b.example.org", 65535,
                "wss://site-b.example.org:65535"},
           Case{"ws://[::1]:1/", false, "::1", 1, "ws://[::1]:1"},
           Case{"wss://b:443/v1/replication", true, "b", 443, "wss://b:443"},
       }) {
    const auto url = ParsePeerUrl(c.text);
    ASSERT_TRUE(url.ok()) << c.text << ": " << url.error().message();
    EXPECT_EQ(url->is_tls, c.is_tls) << c.text;
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->ToString(), c.printed);
  }
}

TEST(PeerUrlTest, RefusesAllElse) {
  for (const char* text : {"", "b:7000", "http://b:7000", "WS://b:7000", "ws://", "ws://:7000",
                           "ws://b", "ws://b:", "ws://b:0", "ws://b:65536", "ws://b:7000x",
                           "ws://b:7000/v2", "ws://b:7000?token=x", "ws://::1:7000",
                           "ws://[::1:7000", "ws://[b]:7000", "ws://b c:7000", "ws://b\r\n:7000"}) {
    EXPECT_FALSE(ParsePeerUrl(text).ok()) << text;
  }
}

TEST(PeerUrlTest, DoesNotRepeatAPassword) {
  const auto url = ParsePeerUrl("wss://me:secret@b:7000");
  ASSERT_FALSE(url.ok());
  EXPECT_THAT(url.error().message(), HasSubstr("token file"));
  EXPECT_THAT(url.error().message(), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace merrow::net
