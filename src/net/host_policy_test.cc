// SPDX-License-Identifier: Apache-2.0
#include "net/host_policy.h"

#include <gtest/gtest.h>

namespace merrow::net {
namespace {

TEST(HostPolicyTest, AllowsLoopbackHosts) {
  const HostPolicy policy({});
  for (const char* host : {"localhost", "LocalHost:6377", "127.0.0.1", "127.0.0.1:1", "127.255.0.9",
                           "[::1]", "[::1]:6377", "[0:0:0:0:0:0:0:1]"}) {
    EXPECT_TRUE(policy.AllowsHost(host)) << host;
  }
}

TEST(HostPolicyTest, RefusesOtherHosts) {
  const HostPolicy policy({});
  for (const char* host :
       {"", "example.com", "localhost.example.com", "127.0.0.1.example.com", "128.0.0.1", "0.0.0.0",
        "[::2]", "[::1", "::1", "[::1]x", "[::1]:x", "localhost:80:80", "localhost:80x",
        "evil@localhost", "localhost,evil.com", "localhost:123456", "10.0.0.1"}) {
    EXPECT_FALSE(policy.AllowsHost(host)) << host;
  }
}

TEST(HostPolicyTest, AllowsListedHostsWithAnyPortAndCase) {
  const HostPolicy policy({"Merrow.Example", "10.0.0.1"});
  EXPECT_TRUE(policy.AllowsHost("merrow.example"));
  EXPECT_TRUE(policy.AllowsHost("MERROW.example:8080"));
  EXPECT_TRUE(policy.AllowsHost("10.0.0.1:1"));
  EXPECT_FALSE(policy.AllowsHost("other.example"));
  EXPECT_TRUE(policy.AllowsOrigin("https://merrow.example"));
  EXPECT_FALSE(policy.AllowsOrigin("https://sub.merrow.example"));
}

TEST(HostPolicyTest, ChecksOrigins) {
  const HostPolicy policy({});
  for (const char* origin : {"http://localhost:5173", "https://127.0.0.1", "http://[::1]:1"}) {
    EXPECT_TRUE(policy.AllowsOrigin(origin)) << origin;
  }
  for (const char* origin :
       {"", "null", "localhost", "http://evil.com", "file://", "ftp://localhost",
        "http://localhost.evil.com", "http://localhost/evil", "http://localhost@evil.com"}) {
    EXPECT_FALSE(policy.AllowsOrigin(origin)) << origin;
  }
}

}  // namespace
}  // namespace merrow::net
