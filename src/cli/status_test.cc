// SPDX-License-Identifier: Apache-2.0
//
// `merrow status`: what it makes of an answer, of an answer that is none, and of URLs.

#include "cli/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/http_get.h"
#include "cli/sites.h"

namespace merrow::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr char kStatus[] = R"json({
  "release": "1.2.3", "site": "5d0c64cd3e02a1f78bb2f50a19c8e6d4", "db_version": 12, "uptime_ms": 185000,
  "listen": "http://127.0.0.1:7001", "peer_listen": "ws://127.0.0.1:7101", "store": {"transactions_waiting": 3,
    "transactions_refused": 4, "tombstones": 9, "tombstones_young": 1, "refused": [
      {"site": "a91f03bc000000000000000000000000", "versions": [3, 3], "reason": "table item: no"}],
    "tombstones_held_by": [{"site": "77aa03bc000000000000000000000000", "tombstones": 8,
      "until": {"site": "a91f03bc000000000000000000000000", "version": 6}}]},
  "replication": {
    "seen": {}, "needs": {}, "apply_queue_bytes": 2048, "applying_ms": 0, "waiting_bytes": 0,
    "sites": [
      {"site": "5d0c64cd3e02a1f78bb2f50a19c8e6d4", "last": 12, "needs": 0, "delay_ms": 0},
      {"site": "a91f03bc000000000000000000000000", "last": 7, "needs": 2, "delay_ms": 1500}],
    "links": [
      {"id": 1, "peer": "a91f03bc000000000000000000000000", "state": "open", "dialed": true,
       "url": "ws://127.0.0.1:7102", "address": "127.0.0.1:7102", "open_ms": 60000, "lag_ms": 25,
       "lacking_here": 2, "lacking_there": 3, "bytes_in": 100, "bytes_out": 3500000,
       "digest": {"result": "equal"}},
      {"id": 2, "peer": null, "state": "hello", "dialed": false, "address": "127.0.0.1:50000",
       "open_ms": 5, "digest": {"result": "failed", "error": "io: no"}}],
    "dials": [
      {"url": "ws://127.0.0.1:7102", "state": "connected", "attempts": 1, "failures": 0},
      {"url": "ws://127.0.0.1:7103", "state": "waiting", "attempts": 14, "failures": 14,
       "next_ms": 9300, "last_error": "connection \u001brefused"},
      {"url": "ws://127.0.0.1:7104", "state": "standby", "attempts": 1, "failures": 0}],
    "refused": [{"site": "a91f03bc000000000000000000000000", "versions": [8, 9],
                 "from": "5d0c64cd3e02a1f78bb2f50a19c8e6d4", "reason": "bad\nkey"}],
    "identity_changes": [], "counters": {}}})json";

TEST(StatusText, HasEverySiteLinkAndTrouble) {
  const Result<std::string> text = StatusText(kStatus);
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  EXPECT_EQ(
      *text,
      "site 5d0c64cd3e02a1f78bb2f50a19c8e6d4, version 12\n"
      "clients at http://127.0.0.1:7001, sites at ws://127.0.0.1:7101, up 3 min, release 1.2.3\n"
      "links\n"
      "  peer      state  address               open   lag    lacks here  lacks there  in     "
      "out      digest\n"
      "  a91f03bc  open   ws://127.0.0.1:7102   1 min  25 ms  2           3            100 B  "
      "3.3 MiB  equal\n"
      "  ?         hello  from 127.0.0.1:50000  5 ms   0 ms   0           0            0 B    "
      "0 B      failed (io: no)\n"
      "not connected\n"
      "  ws://127.0.0.1:7103  waiting, 14 attempts, next in 9.3 s: connection \\x1brefused\n"
      "  ws://127.0.0.1:7104  another link to the same site stands\n"
      "sites\n"
      "  site             last  needs  delay\n"
      "  5d0c64cd (this)  12    0\n"
      "  a91f03bc         7     2      1.5 s\n"
      "waiting\n"
      "  3 transactions wait for the schema or for what they follow\n"
      "  2.0 KiB of changesets wait for the database\n"
      "refused changesets\n"
      "  a91f03bc 8 to 9, from 5d0c64cd: bad\\x0akey\n"
      "kept out by this database, tried again every minute\n"
      "  a91f03bc 3 to 3: table item: no\n"
      "  and 3 more\n"
      "tombstones: 9, of which 1 are kept for some time\n"
      "  8 until 77aa03bc has version 6 of a91f03bc\n");
}

TEST(StatusText, WhatSitesShouldHaveInCommon) {
  Json status = Json::parse(kStatus);
  status["schema"] = "aa";
  status["unix_ms"] = 1'000'000;
  Json& replication = status["replication"];
  replication["links"][0]["schema"] = "aa";
  replication["links"][0]["clock_ahead_ms"] = -4000;
  replication["sites"][1]["timestamp_ms"] = 1'004'000;
  EXPECT_THAT(StatusText(status.dump()).value(), Not(HasSubstr("differences")));
  replication["links"][0]["schema"] = "bb";
  replication["links"][0]["clock_ahead_ms"] = -7'200'000;
  replication["sites"][1]["timestamp_ms"] = 1'000'000 + 3'600'000;
  EXPECT_THAT(StatusText(status.dump()).value(),
              HasSubstr("differences\n"
                        "  a91f03bc has another schema\n"
                        "  a91f03bc: its clock was 2 h behind when the link opened\n"
                        "  a91f03bc: its changes are dated 1 h ahead\n"));
}

TEST(StatusText, ADatabaseThatTakesNoWrites) {
  Json status = Json::parse(kStatus);
  status["store"]["write_error"] = "io: disk full";
  status["store"]["write_failing_ms"] = 12'300;
  EXPECT_THAT(StatusText(status.dump()).value(),
              HasSubstr("the database takes no writes since 12.3 s: io: disk full\n"));
}

TEST(StatusText, TokensAndCertificates) {
  Json status = Json::parse(kStatus);
  status["unix_ms"] = 1'000'000'000;
  Json& secrets = status["replication"]["secrets"];
  secrets = nullptr;
  EXPECT_THAT(StatusText(status.dump()).value(), Not(HasSubstr("tokens")));
  secrets = {{"read_unix_ms", 999'880'000}, {"reloads", 0}, {"reloads_failed", 0}};
  EXPECT_THAT(StatusText(status.dump()).value(),
              HasSubstr("\ntokens and certificates: read 2 min ago\n"));
  secrets["certificate_expires_unix_ms"] = 1'000'000'000 + 57 * 86'400'000LL;
  EXPECT_THAT(StatusText(status.dump()).value(),
              HasSubstr("read 2 min ago, the certificate expires in 57 d\n"));
  secrets["certificate_expires_unix_ms"] = 1;
  secrets["error"] = "io: cannot read\nx";
  secrets["error_unix_ms"] = 999'997'000;
  EXPECT_THAT(StatusText(status.dump()).value(),
              HasSubstr("read 2 min ago, the certificate has expired; could not be read again "
                        "3.0 s ago: io: cannot read\\x0ax\n"));
}

TEST(StatusText, AServerWithoutReplication) {
  const Result<std::string> text = StatusText(
      R"({"listen":"http://127.0.0.1:1","uptime_ms":900,"store":null,"replication":null})");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text,
            "no replication\nclients at http://127.0.0.1:1, up 900 ms\n"
            "the database does not answer\n");
}

TEST(StatusText, WhatIsNoStatusIsAnErrorWhateverIsWrong) {
  for (const char* text : {"", "{}", "[]", "7", "null", "<html>", R"({"replication":7})"}) {
    EXPECT_FALSE(StatusText(text).ok()) << text;
  }
  // Each member of another type, one after the other.
  const Json whole = Json::parse(kStatus);
  const Json flat = whole.flatten();
  for (const auto& [path, value] : flat.items()) {
    for (const Json& other : {Json(), Json("x"), Json(7), Json::array(), Json::object()}) {
      Json damaged = whole;
      damaged[Json::json_pointer(path)] = other;
      (void)StatusText(damaged.dump());
    }
    Json cut = whole;
    const Json::json_pointer pointer(path);
    cut[pointer.parent_pointer()].clear();
    (void)StatusText(cut.dump());
  }
}

TEST(SitesText, SaysWhichAreForgotten) {
  const Result<std::string> text = SitesText(R"json([
      {"site":"5d0c64cd3e02a1f78bb2f50a19c8e6d4","gone":false,"forgotten_ms":0},
      {"site":"a91f03bc000000000000000000000000","gone":true,"forgotten_ms":1700000000000},
      {"site":"b91f03bc000000000000000000000000","gone":true,"forgotten_ms":0}])json");
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  EXPECT_EQ(*text,
            "5d0c64cd3e02a1f78bb2f50a19c8e6d4\n"
            "a91f03bc000000000000000000000000  forgotten on 2023-11-14\n"
            "b91f03bc000000000000000000000000  not waited for\n");
  EXPECT_EQ(*SitesText("[]"), "no other site was ever heard of\n");
  for (const char* none : {"", "{}", "[7]", "[{}]"}) EXPECT_FALSE(SitesText(none).ok()) << none;
}

TEST(HttpUrl, HostPortAndPath) {
  const Result<HttpUrl> plain = ParseHttpUrl("http://127.0.0.1:6377");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, "6377");
  EXPECT_EQ(plain->path, "/");
  const Result<HttpUrl> six = ParseHttpUrl("http://[::1]:7/x/y");
  ASSERT_TRUE(six.ok());
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, "7");
  EXPECT_EQ(six->path, "/x/y");
  EXPECT_EQ(ParseHttpUrl("http://a")->port, "80");
  for (const char* url :
       {"", "a", "https://a", "http://", "http://:7", "http://a:", "http://a:x", "http://a:70000",
        "http://[::1", "http://[::1]7", "http://a b", "http://a/\r\nX: 1"}) {
    EXPECT_FALSE(ParseHttpUrl(url).ok()) << url;
  }
}

TEST(HttpReply, StatusAndBody) {
  const auto reply = ParseHttpReply("HTTP/1.1 503 No\r\nX: y\r\nCONTENT-length: 2\r\n\r\nab");
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(reply->body, "ab");
  EXPECT_EQ(ParseHttpReply("HTTP/1.1 200 OK\r\n\r\nto the end")->body, "to the end");
  for (const char* bytes : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 2 OK\r\n\r\n", "SSH-2.0\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_FALSE(ParseHttpReply(bytes).ok()) << bytes;
  }
}

}  // namespace
}  // namespace merrow::cli
