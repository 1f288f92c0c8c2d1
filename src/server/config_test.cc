// SPDX-License-Identifier: Apache-2.0
//
// The configuration file: every setting arrives, what is wrong is named with file, line and key,
// flags win, and what contradicts itself is refused.

#include "server/config.h"

#include <gmock/gmock.h>

#include "server/replication_limits.h"
#include "server/server_test_util.h"

namespace merrow::server {
namespace {

using net::testing::Expect;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kWhole[] = R"(# A site.
db = "notes.db"
schema = "/etc/merrow/schema.sql"
listen = "127.0.0.1:7001"
static = "web"
doc-memory = "64MiB"
log-level = "debug"
stop-timeout = 7

replicate = true
peers = ["ws://127.0.0.1:7102", "wss://other.example:7103"]
peer-listen = "127.0.0.1:7101"
peer-token-file = "token"
tls-cert = "site.pem"
tls-key = "site.key"
tls-ca = "ca.pem"
zstd-dictionary = "sites.dict"
)";

std::string ErrorOf(std::string_view text) {
  const Result<Config> config = ParseConfig(text, "/etc/merrow/merrow.toml");
  if (config.ok()) return "";
  EXPECT_EQ(config.error().code(), ErrorCode::kInvalidArgument);
  return config.error().message();
}

Config Minimal() {
  Config config;
  config.db = "a.db";
  config.schema = "a.sql";
  return config;
}

TEST(Config, EverySettingArrivesAndPathsAreRelativeToTheFile) {
  const Config config = Expect(ParseConfig(kWhole, "sites/merrow.toml"));
  EXPECT_EQ(config.db, "sites/notes.db");
  EXPECT_EQ(config.schema, "/etc/merrow/schema.sql");
  EXPECT_EQ(config.listen, "127.0.0.1:7001");
  EXPECT_EQ(config.static_directory, "sites/web");
  EXPECT_EQ(config.doc_memory_bytes, uint64_t{64} << 20);
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.stop_timeout_s, 7U);
  EXPECT_EQ(config.replicate, true);
  EXPECT_THAT(config.peers, ElementsAre("ws://127.0.0.1:7102", "wss://other.example:7103"));
  EXPECT_EQ(config.peer_listen, "127.0.0.1:7101");
  EXPECT_EQ(config.peer_token_file, "sites/token");
  EXPECT_EQ(config.tls_cert, "sites/site.pem");
  EXPECT_EQ(config.tls_key, "sites/site.key");
  EXPECT_EQ(config.tls_ca, "sites/ca.pem");
  EXPECT_EQ(config.zstd_dictionary, "sites/sites.dict");

  const Config empty = Expect(ParseConfig("", "merrow.toml"));
  EXPECT_FALSE(empty.db.has_value());
  EXPECT_FALSE(empty.replicate.has_value());
  EXPECT_EQ(Expect(ParseConfig("db = 'a.db'", "merrow.toml")).db, "a.db");
}

TEST(Config, WhatIsWrongIsNamedWithFileLineAndKey) {
  EXPECT_EQ(ErrorOf("db = \"a\"\n\nlisten-on = 7\n"),
            "/etc/merrow/merrow.toml:3: listen-on: there is no such setting");
  EXPECT_EQ(ErrorOf("\ndb = 7\n"),
            "/etc/merrow/merrow.toml:2: db: a string is expected, not a whole number");
  EXPECT_EQ(ErrorOf("replicate = \"yes\""),
            "/etc/merrow/merrow.toml:1: replicate: true or false is expected, not a string");
  EXPECT_EQ(ErrorOf("peers = \"ws://a\""),
            "/etc/merrow/merrow.toml:1: peers: a list of strings is expected, not a string");
  EXPECT_EQ(ErrorOf("peers = [\"ws://a\",\n 7]"),
            "/etc/merrow/merrow.toml:2: peers: a string in the list is expected, not a whole "
            "number");
  EXPECT_EQ(ErrorOf("doc-memory = -1"), "/etc/merrow/merrow.toml:1: doc-memory: -1 is negative");
  EXPECT_THAT(ErrorOf("doc-memory = \"much\""), HasSubstr(":1: doc-memory: \"much\" is no size"));
  EXPECT_THAT(ErrorOf("doc-memory = 1.5"), HasSubstr("not a number with a fraction"));
  EXPECT_EQ(ErrorOf("log-level = \"loud\""),
            "/etc/merrow/merrow.toml:1: log-level: there is no level \"loud\"");
  EXPECT_EQ(ErrorOf("replication = 7"),
            "/etc/merrow/merrow.toml:1: replication: a table is expected, not a whole number");
  EXPECT_EQ(ErrorOf("[replication]\nspeed = 7"),
            "/etc/merrow/merrow.toml:2: replication.speed: there is no such setting");
  EXPECT_THAT(ErrorOf("db = \"a\"\nlisten = \n"), HasSubstr("/etc/merrow/merrow.toml:2: "));
  EXPECT_THAT(ErrorOf("db = \"a\"\ndb = \"b\"\n"), HasSubstr("/etc/merrow/merrow.toml:2: "));
  EXPECT_THAT(ErrorOf("[db]\n"), HasSubstr("not a table"));
  EXPECT_THAT(ErrorOf("db = 2026-11-22\n"), HasSubstr("not a date or time"));
  EXPECT_THAT(ErrorOf("db = \"a\\u0000b\""), HasSubstr("NUL"));
}

TEST(Config, DamagedFilesAreErrorsNotCrashes) {
  const std::string whole = kWhole;
  for (size_t size = 0; size < whole.size(); ++size) {
    (void)ParseConfig(whole.substr(0, size), "merrow.toml");
    std::string damaged = whole;
    damaged[size] = static_cast<char>(damaged[size] ^ 0x15);
    (void)ParseConfig(damaged, "merrow.toml");
  }
  EXPECT_FALSE(ParseConfig(std::string(100'000, '['), "merrow.toml").ok());
  EXPECT_FALSE(ParseConfig("a = " + std::string(100'000, '['), "merrow.toml").ok());
  const auto large = ParseConfig(std::string(kConfigBytesMax + 1, '#'), "merrow.toml");
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), ErrorCode::kLimit);
  EXPECT_EQ(ReadConfig("/no/such/file").error().code(), ErrorCode::kIo);
}

TEST(Config, FlagsWinOverTheFile) {
  Config flags;
  flags.db = "flag.db";
  flags.peers = {"ws://flag"};
  flags.doc_memory_bytes = 5;
  const Config joined = Overlay(Expect(ParseConfig(kWhole, "merrow.toml")), flags);
  EXPECT_EQ(joined.db, "flag.db");
  EXPECT_THAT(joined.peers, ElementsAre("ws://flag"));
  EXPECT_EQ(joined.doc_memory_bytes, 5U);
  EXPECT_EQ(joined.listen, "127.0.0.1:7001");
  EXPECT_EQ(joined.replicate, true);
}

TEST(Config, ByteSizes) {
  EXPECT_EQ(Expect(ParseByteSize("4096")), 4096U);
  EXPECT_EQ(Expect(ParseByteSize("1KB")), 1000U);
  EXPECT_EQ(Expect(ParseByteSize("2 KiB")), 2048U);
  EXPECT_EQ(Expect(ParseByteSize("3GiB")), uint64_t{3} << 30);
  for (const char* text : {"", "KiB", "1 kg", "-1", "1.5MiB", "99999999999GiB", "1KiBx"}) {
    EXPECT_FALSE(ParseByteSize(text).ok()) << text;
  }
}

TEST(Config, LimitsOfReplicationByName) {
  Config config = Expect(ParseConfig(
      "db = 'a'\nschema = 'b'\n[replication]\nchunk_bytes = \"32KiB\"\ndigest_interval_ms = 0\n"
      "redial_ms_min = 100\npart_bytes_max = 2097152\n",
      "merrow.toml"));
  const ReplicationOptions options = Expect(ToServerOptions(config)).replication;
  EXPECT_EQ(options.limits.chunk_bytes, size_t{32} << 10);
  EXPECT_EQ(options.limits.digest_interval_ms, 0);
  EXPECT_EQ(options.redial_ms_min, 100);
  EXPECT_EQ(options.store_limits.part_bytes_max, size_t{2} << 20);
  EXPECT_EQ(options.limits.request_bytes, replication::Options().request_bytes);
  EXPECT_EQ(ErrorOf("[replication]\nchunk_bytes = 1"),
            "/etc/merrow/merrow.toml:2: replication.chunk_bytes: 1 is not between 1024 and "
            "8388608");
  config.replication_limits["redial_ms_max"] = 50;
  EXPECT_THAT(ToServerOptions(config).error().message(), HasSubstr("min is above its max"));

  // Every one can be set, to its default too, and the list is sorted.
  const std::vector<std::string> names = ReplicationLimitNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    ReplicationOptions set;
    EXPECT_EQ(SetReplicationLimit(name, UINT64_MAX, &set).error().code(),
              ErrorCode::kInvalidArgument);
  }
  ReplicationOptions set;
  EXPECT_EQ(SetReplicationLimit("speed", 1, &set).error().code(), ErrorCode::kNotFound);
}

TEST(Config, PeersAreUrls) {
  Config config = Minimal();
  config.peers = {"wss://[::1]:7102"};
  const ReplicationOptions options = Expect(ToServerOptions(config)).replication;
  EXPECT_EQ(options.peers[0].ToString(), "wss://[::1]:7102");
  config.peers = {"http://127.0.0.1:7102"};
  EXPECT_THAT(ToServerOptions(config).error().message(), HasSubstr("--peer"));
  // Twice the same would be two links, of which one stands by, and two metrics of one name.
  config.peers = {"wss://a:7102", "ws://a:7102", "wss://a:7102/"};
  EXPECT_THAT(ToServerOptions(config).error().message(), HasSubstr("wss://a:7102 is there twice"));
  config.peers.pop_back();
  EXPECT_TRUE(ToServerOptions(config).ok());
}

TEST(Config, LimitsThatWouldEndEveryLinkAreRefused) {
  Config config = Minimal();
  config.replication_limits = {{"keepalive_ms", 40'000}};
  EXPECT_THAT(ToServerOptions(config).error().message(), HasSubstr("silence_ms_max"));
  config.replication_limits["silence_ms_max"] = 80'000;
  EXPECT_TRUE(ToServerOptions(config).ok());
  config.replication_limits = {{"unsent_bytes_max", 128 << 20}};
  EXPECT_FALSE(ToServerOptions(config).ok());
}

TEST(Config, HowLongStoppingMayTake) {
  EXPECT_EQ(Expect(ToServerOptions(Minimal())).stop_timeout, std::chrono::seconds(30));
  Config config = Minimal();
  config.stop_timeout_s = 7;
  EXPECT_EQ(Expect(ToServerOptions(config)).stop_timeout, std::chrono::seconds(7));
  for (const uint64_t none : {uint64_t{0}, uint64_t{86'401}, UINT64_MAX}) {
    config.stop_timeout_s = none;
    EXPECT_THAT(ToServerOptions(config).error().message(), HasSubstr("--stop-timeout")) << none;
  }
  EXPECT_EQ(ErrorOf("stop-timeout = -1"),
            "/etc/merrow/merrow.toml:1: stop-timeout: -1 is negative");
  EXPECT_THAT(ErrorOf("stop-timeout = '7s'"), HasSubstr("a whole number of seconds"));
  Config flags;
  flags.stop_timeout_s = 9;
  EXPECT_EQ(Overlay(config, flags).stop_timeout_s, 9U);
}

TEST(Config, OptionsHaveDefaultsAndMustMakeSense) {
  EXPECT_FALSE(ToServerOptions({}).ok());
  const ServerOptions plain = Expect(ToServerOptions(Minimal()));
  EXPECT_EQ(plain.listen.ToString(), "127.0.0.1:6377");
  EXPECT_EQ(plain.document_memory_bytes_max, ServerOptions().document_memory_bytes_max);
  EXPECT_FALSE(plain.replication.enabled);

  Config config = Minimal();
  config.peers = {"ws://127.0.0.1:7102"};
  EXPECT_TRUE(Expect(ToServerOptions(config)).replication.enabled);
  config.replicate = false;
  EXPECT_FALSE(ToServerOptions(config).ok());

  config = Minimal();
  config.tls_cert = "site.pem";
  EXPECT_FALSE(ToServerOptions(config).ok());

  // Other machines have to say who they are.
  config = Minimal();
  config.peer_listen = "127.0.0.1:0";
  EXPECT_TRUE(ToServerOptions(config).ok());
  config.peer_listen = "0.0.0.0:7101";
  EXPECT_THAT(ToServerOptions(config).error().message(), HasSubstr("--peer-token-file"));
  config.peer_token_file = "token";
  EXPECT_TRUE(ToServerOptions(config).ok());
  config.peer_token_file.reset();
  config.tls_cert = "site.pem";
  config.tls_key = "site.key";
  EXPECT_FALSE(ToServerOptions(config).ok());
  config.tls_ca = "ca.pem";
  EXPECT_TRUE(ToServerOptions(config).ok());
}

}  // namespace
}  // namespace merrow::server
