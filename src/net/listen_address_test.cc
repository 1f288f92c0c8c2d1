// SPDX-License-Identifier: Apache-2.0
#include "net/listen_address.h"

#include <gtest/gtest.h>

namespace merrow::net {
namespace {

TEST(ListenAddressTest, ParsesWhatPeopleType) {
  struct Case {
    const char* text;
    const char* host;
    uint16_t port;
    bool is_loopback;
    const char* printed;
  };
  const Case cases[] = {
      {"127.0.0.1:6377", "127.0.0.1", 6377, true, "127.0.0.1:6377"},
      {"127.9.8.7:0", "127.9.8.7", 0, true, "127.9.8.7:0"},
      {"localhost:80", "127.0.0.1", 80, true, "127.0.0.1:80"},
      {"[::1]:65535", "::1", 65535, true, "[::1]:65535"},
      {"[0:0:0:0:0:0:0:1]:1", "0:0:0:0:0:0:0:1", 1, true, "[0:0:0:0:0:0:0:1]:1"},
      {"0.0.0.0:6377", "0.0.0.0", 6377, false, "0.0.0.0:6377"},
      {"[::]:6377", "::", 6377, false, "[::]:6377"},
      {"10.0.0.1:6377", "10.0.0.1", 6377, false, "10.0.0.1:6377"},
      {"[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, false, "[::ffff:127.0.0.1]:1"},
  };
  for (const Case& c : cases) {
    const auto address = ParseListenAddress(c.text);
    ASSERT_TRUE(address.ok()) << c.text << ": " << address.error().ToString();
    EXPECT_EQ(address->host, c.host);
    EXPECT_EQ(address->port, c.port);
    EXPECT_EQ(address->is_loopback, c.is_loopback) << c.text;
    EXPECT_EQ(address->ToString(), c.printed);
  }
}

TEST(ListenAddressTest, RefusesTheRest) {
  for (const char* text :
       {"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:8a", "127.1:80", "0x7f.0.0.1:80", "::1:80", "[::1]", "[::1]80", "[127.0.0.1]:80",
        "[]:80", "example.com:80", "localhost.evil.com:80", "127.0.0.1 :80", "127.0.0.1: 80"}) {
    const auto address = ParseListenAddress(text);
    EXPECT_FALSE(address.ok()) << text;
    if (!address.ok()) {
      EXPECT_EQ(address.error().code(), ErrorCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace merrow::net
