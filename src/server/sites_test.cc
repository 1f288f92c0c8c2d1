// SPDX-License-Identifier: Apache-2.0
//
// Several servers in one process, over real sockets: what one commits the others get, whoever
// dialed whom, also after a stop, and what they say of each other.

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "base/bytes.h"
#include "net/testing/test_relay.h"
#include "server/running_server_test_util.h"

namespace merrow::server {
namespace {

using net::testing::Expect;
using net::testing::TestRelay;
using net::testing::TestWebSocket;
using testing::HasSubstr;
using Json = nlohmann::json;

constexpr char kServices[] = "SELECT id, name, port FROM service ORDER BY id";
constexpr char kNotes[] = "SELECT id, CAST(votes AS INTEGER) FROM note ORDER BY id";

class SitesTest : public ::testing::Test {
 protected:
  std::string Db(const std::string& name) const { return dir_.File(name + ".db"); }

  static bool SameRows(RunningServer& a, RunningServer& b) {
    return a.Query(kServices) == b.Query(kServices) && a.Query(kNotes) == b.Query(kNotes);
  }
  static size_t OpenLinks(RunningServer& server) {
    size_t count = 0;
    const Json status = server.Status();
    for (const Json& link : status["replication"]["links"]) count += link["state"] == "open";
    return count;
  }
  static std::string DialState(RunningServer& server, size_t index = 0) {
    return server.Status()["replication"]["dials"][index]["state"];
  }

  TempDir dir_;
};

TEST_F(SitesTest, ColumnRowsAndDocumentsReachTheOtherSideBothWays) {
  RunningServer a(Db("a"));
  // There before anybody asks, and after.
  a.Execute(R"j([["INSERT INTO service VALUES (1, 'web', 80)"]])j");
  a.VoteFor("n", 1);
  RunningServer b(Db("b"), RunningServer::Replicating({a.peer_url()}));
  EXPECT_TRUE(Eventually([&] { return b.Query(kServices) == R"([[1,"web",80]])"; }));
  EXPECT_TRUE(Eventually([&] { return b.Query(kNotes) == R"([["n",1]])"; }));

  b.Execute(R"j([["UPDATE service SET port = 443 WHERE id = 1"],
                ["INSERT INTO service VALUES (2, 'mail', 25)"]])j");
  b.VoteFor("n", 2);
  a.Execute(R"([["UPDATE service SET name = 'www' WHERE id = 1"]])");
  const std::string services = R"([[1,"www",443],[2,"mail",25]])";
  for (RunningServer* server : {&a, &b}) {
    EXPECT_TRUE(Eventually([&] { return server->Query(kServices) == services; }));
    EXPECT_TRUE(Eventually([&] { return server->Query(kNotes) == R"([["n",2]])"; }));
  }
  b.Execute(R"(["DELETE FROM service WHERE id = 2"])");
  EXPECT_TRUE(Eventually([&] { return a.Query(kServices) == R"([[1,"www",443]])"; }));
}

TEST_F(SitesTest, ALiveClientSeesEditsOfOtherSites) {
  RunningServer a(Db("a"));
  RunningServer b(Db("b"), RunningServer::Replicating({a.peer_url()}));
  TestWebSocket client = Expect(TestWebSocket::Connect(b.port(), "/rows"));
  Expect(client.SendText(R"({"type":"crdt-subscribe","entity":"note","rowId":"n"})"));
  const auto snapshot = Expect(client.ReadMessage());
  EXPECT_EQ(snapshot.payload[0], 0x10);
  a.VoteFor("n", 1);
  const auto update = Expect(client.ReadMessage());
  ASSERT_EQ(update.payload[0], 0x11);
  loro::Document doc(9);
  Expect(doc.Import(update.payload.substr(1 + 2 + 4 + 2 + 1)));
  EXPECT_THAT(doc.ToJson(), HasSubstr("\"votes\":1"));
}

TEST_F(SitesTest, SqlThatWritesADocumentReachesLiveClientsHereAndThere) {
  RunningServer a(Db("a"));
  RunningServer b(Db("b"), RunningServer::Replicating({a.peer_url()}));
  std::vector<TestWebSocket> clients;
  for (RunningServer* server : {&a, &b}) {
    clients.push_back(Expect(TestWebSocket::Connect(server->port(), "/rows")));
    Expect(clients.back().SendText(R"({"type":"crdt-subscribe","entity":"note","rowId":"n"})"));
    EXPECT_EQ(Expect(clients.back().ReadMessage()).payload[0], 0x10);
  }
  const Json answer = a.Execute(R"j(["INSERT INTO note VALUES ('n', 5)"])j");
  ASSERT_EQ(answer["http"], 200) << answer;
  for (TestWebSocket& client : clients) {
    const auto update = Expect(client.ReadMessage());
    ASSERT_EQ(update.payload[0], 0x11);
    loro::Document doc(9);
    Expect(doc.Import(update.payload.substr(1 + 2 + 4 + 2 + 1)));
    EXPECT_THAT(doc.ToJson(), HasSubstr("\"votes\":5"));
  }
}

TEST_F(SitesTest, AMiddleSitePassesOn) {
  RunningServer a(Db("a"));
  RunningServer b(Db("b"), RunningServer::Replicating({a.peer_url()}));
  RunningServer c(Db("c"), RunningServer::Replicating({b.peer_url()}));
  a.Execute(R"j([["INSERT INTO service VALUES (1, 'a', 1)"]])j");
  c.Execute(R"j([["INSERT INTO service VALUES (3, 'c', 3)"]])j");
  a.VoteFor("n", 1);
  c.VoteFor("n", 3);
  EXPECT_TRUE(Eventually([&] { return a.Query(kServices) == R"([[1,"a",1],[3,"c",3]])"; }));
  EXPECT_TRUE(Eventually([&] { return c.Query(kServices) == R"([[1,"a",1],[3,"c",3]])"; }));
  EXPECT_TRUE(Eventually([&] { return a.Query(kNotes) == R"([["n",2]])"; }));
  EXPECT_TRUE(Eventually([&] { return SameRows(a, b) && SameRows(b, c); }));
  // The one in the middle wrote nothing itself.
  EXPECT_EQ(b.Status()["replication"]["seen"].size(), 2U);
}

TEST_F(SitesTest, WhatWasCommittedMeanwhileArrivesAfterARestart) {
  ServerOptions with_port = RunningServer::Replicating();
  {
    RunningServer first(Db("a"));
    with_port.replication.listen->port = first.peer_port();
  }
  RunningServer b(Db("b"),
                  RunningServer::Replicating(
                      {"ws://127.0.0.1:" + std::to_string(with_port.replication.listen->port)}));
  for (int round = 1; round <= 3; ++round) {
    const std::string id = std::to_string(round);
    b.Execute(R"j([["INSERT INTO service VALUES (?, 'b', 1)", [)j" + id + "]]]");
    RunningServer a(Db("a"), with_port);
    EXPECT_TRUE(Eventually([&] { return SameRows(a, b); })) << round;
    a.VoteFor("n" + id, 1);
    EXPECT_TRUE(Eventually([&] { return SameRows(a, b); })) << round;
    a.Stop();
    EXPECT_TRUE(Eventually([&] { return OpenLinks(b) == 0; }));
  }
  EXPECT_EQ(b.Query("SELECT count(*) FROM service"), "[[3]]");
  EXPECT_EQ(b.Query("SELECT count(*) FROM note"), "[[3]]");
}

TEST_F(SitesTest, OfTwoLinksToOnePeerOneIsKept) {
  ServerOptions with_port = RunningServer::Replicating();
  {
    RunningServer first(Db("a"));
    with_port.replication.listen->port = first.peer_port();
  }
  const std::string a_url = "ws://127.0.0.1:" + std::to_string(with_port.replication.listen->port);
  RunningServer b(Db("b"), RunningServer::Replicating({a_url, a_url}));
  with_port.replication.peers = {Expect(net::ParsePeerUrl(b.peer_url()))};
  RunningServer a(Db("a"), with_port);
  // Three URLs lead from one to the other.
  EXPECT_TRUE(Eventually([&] {
    const int standing_by = (DialState(a) == "standby") + (DialState(b, 0) == "standby") +
                            (DialState(b, 1) == "standby");
    return standing_by == 2 && OpenLinks(a) == 1 && OpenLinks(b) == 1;
  }));
  b.VoteFor("n", 1);
  EXPECT_TRUE(Eventually([&] { return a.Query(kNotes) == R"([["n",1]])"; }));
}

TEST_F(SitesTest, TheStandbyTakesOverWhenTheLinkEnds) {
  RunningServer a(Db("a"));
  const auto url = [](const TestRelay& relay) {
    return "ws://127.0.0.1:" + std::to_string(relay.port());
  };
  for (const bool is_frozen : {false, true}) {
    TestRelay one(a.peer_port()), two(a.peer_port());
    TestRelay* const relays[] = {&one, &two};
    ServerOptions options = RunningServer::Replicating({url(one), url(two)});
    // What stands by is not dialed in this test unless it is told that the link is gone.
    options.replication.redial_ms_max = 3'600'000;
    options.replication.limits.keepalive_ms = 200;
    options.replication.limits.silence_ms_max = 2'000;
    options.drain_timeout = std::chrono::milliseconds(200);  // at the end a peer still hangs
    RunningServer b(Db(is_frozen ? "c" : "b"), options);
    const auto first_is_up = [&] { return DialState(b, 0) == "connected"; };
    const auto settled = [&] {
      return (first_is_up() && DialState(b, 1) == "standby") ||
             (DialState(b, 0) == "standby" && DialState(b, 1) == "connected");
    };
    ASSERT_TRUE(Eventually([&] { return settled() && OpenLinks(b) == 1; })) << b.Status();
    const size_t standing = first_is_up() ? 0 : 1;
    is_frozen ? relays[standing]->Freeze() : relays[standing]->Cut();
    a.VoteFor(is_frozen ? "frozen" : "cut", 1);
    EXPECT_TRUE(Eventually([&] { return DialState(b, 1 - standing) == "connected"; }))
        << b.Status();
    EXPECT_TRUE(Eventually([&] { return SameRows(a, b) && OpenLinks(b) == 1; })) << b.Status();
    b.Stop();
  }
}

TEST_F(SitesTest, AUrlOfItselfIsNoticed) {
  ServerOptions options = RunningServer::Replicating();
  {
    RunningServer first(Db("a"));
    options.replication.listen->port = first.peer_port();
    options.replication.peers = {Expect(net::ParsePeerUrl(first.peer_url()))};
  }
  RunningServer a(Db("a"), options);
  EXPECT_TRUE(Eventually([&] { return DialState(a) == "self"; }));
  EXPECT_EQ(OpenLinks(a), 0U);
}

TEST_F(SitesTest, AWrongTokenIsRefusedAndSaidSo) {
  dir_.Write("right", "correct-horse\n");
  dir_.Write("wrong", "battery-staple\n");
  ServerOptions options = RunningServer::Replicating();
  options.replication.token_file = dir_.File("right");
  RunningServer a(Db("a"), options);
  options = RunningServer::Replicating({a.peer_url()});
  options.replication.token_file = dir_.File("wrong");
  RunningServer b(Db("b"), options);
  EXPECT_TRUE(Eventually([&] {
    const Json dial = b.Status()["replication"]["dials"][0];
    return dial.value("last_error", "").starts_with("upgrade: ") && dial["failures"] > 1;
  }));
  EXPECT_EQ(OpenLinks(a), 0U);
  options.replication.token_file = dir_.File("right");
  RunningServer c(Db("c"), options);
  EXPECT_TRUE(Eventually([&] { return OpenLinks(c) == 1; }));

  dir_.Write("empty", "\n");
  options.replication.token_file = dir_.File("empty");
  options.database_path = Db("d");
  options.schema_path = Db("a") + ".sql";
  EXPECT_THAT(Server::Open(options).error().message(), HasSubstr("no token"));
}

TEST_F(SitesTest, StatusAndMetricsTellOfLinksSitesAndLag) {
  RunningServer a(Db("a"));
  RunningServer b(Db("b"), RunningServer::Replicating({a.peer_url()}));
  a.Execute(R"j([["INSERT INTO service VALUES (1, 'web', 80)"]])j");
  // Until b has said that it has it on disk.
  EXPECT_TRUE(Eventually([&] {
    const Json links = a.Status()["replication"]["links"];
    return links.size() == 1 && links[0]["confirmed"] == 1;
  }));
  const Json status = a.Status();
  const Json other = b.Status();
  EXPECT_EQ(status["db_version"], 1);
  EXPECT_EQ(status["peer_listen"], a.peer_url());
  EXPECT_EQ(status["replication"]["seen"][std::string(status["site"])], Json::parse("[[1,1]]"));
  EXPECT_EQ(status["replication"]["counters"]["published"], 1);
  EXPECT_EQ(status["store"]["sql_transactions"], 1);
  const Json link = status["replication"]["links"][0];
  EXPECT_EQ(link["peer"], other["site"]);
  EXPECT_EQ(link["state"], "open");
  EXPECT_EQ(link["dialed"], false);
  EXPECT_EQ(link["lacking_there"], 0);
  EXPECT_EQ(link["lag_ms"], 0);
  EXPECT_GT(link["bytes_out"], 0);
  EXPECT_FALSE(link.contains("url"));
  const Json dialed = other["replication"]["links"][0];
  EXPECT_EQ(dialed["url"], a.peer_url());
  EXPECT_EQ(other["replication"]["dials"][0]["state"], "connected");
  EXPECT_EQ(other["replication"]["dials"][0]["link"], dialed["id"]);

  const std::string metrics = a.Get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("\nmerrow_replication_links 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nmerrow_replication_published_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("merrow_replication_link_lag_ms{link=\"" + link["id"].dump() +
                                 "\",peer=\"" + std::string(other["site"]) + "\"} 0\n"));
}

TEST_F(SitesTest, DigestsOfSitesThatAgreeAreEqual) {
  ServerOptions options = RunningServer::Replicating();
  options.replication.limits.digest_interval_ms = 200;
  options.replication.limits.digest_second_round_ms = 200;
  RunningServer a(Db("a"), options);
  options.replication.peers = {Expect(net::ParsePeerUrl(a.peer_url()))};
  RunningServer b(Db("b"), options);
  a.Execute(R"j([["INSERT INTO service VALUES (1, 'web', 80), (2, 'mail', 25)"]])j");
  b.VoteFor("n", 1);
  b.Execute(R"(["DELETE FROM service WHERE id = 2"])");
  EXPECT_TRUE(Eventually([&] { return SameRows(a, b); }));
  EXPECT_TRUE(Eventually([&] {
    const Json links = a.Status()["replication"]["links"];
    return links.size() == 1 && links[0]["digest"]["result"] == "equal";
  })) << a.Status();
  EXPECT_EQ(a.Status()["replication"]["counters"]["buckets_repaired"], 0);
}

TEST_F(SitesTest, AStoreThatIsBusyForLongIsSeenFromOutside) {
  RunningServer a(Db("a"));
  std::atomic<bool> has_ended = false;
  std::thread slow([&] {
    // For as long as a transaction may take, some seconds.
    const Json refused = a.Execute(
        R"j(["WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"])j");
    has_ended = true;
    EXPECT_EQ(refused["http"], 503) << refused;
  });
  const auto busy_ms = [](const Json& status) -> int64_t {
    for (const Json& thread : status["threads"]) {
      if (thread["name"] == "the store thread") return thread["busy_ms"];
    }
    return -1;
  };
  EXPECT_TRUE(Eventually([&] { return busy_ms(a.Status()) > 0; }));
  EXPECT_TRUE(a.Status()["store"].is_null());
  const std::string metrics = a.Get("/metrics").body;
  EXPECT_FALSE(has_ended) << "the pages waited for the store";
  EXPECT_THAT(metrics, HasSubstr("merrow_server_thread_busy_ms{thread=\"the store thread\"}"));
  EXPECT_THAT(metrics, HasSubstr("\nmerrow_replication_links 0\n"));
  EXPECT_THAT(metrics, testing::Not(HasSubstr("merrow_store_")));
  slow.join();
  EXPECT_TRUE(a.Status()["store"].is_object());
  EXPECT_THAT(a.Get("/metrics").body, HasSubstr("\nmerrow_store_transactions_total "));
}

TEST_F(SitesTest, ALostSiteIsForgottenAndKeptOut) {
  RunningServer a(Db("a"));
  auto b = std::make_unique<RunningServer>(Db("b"), RunningServer::Replicating({a.peer_url()}));
  a.Execute(R"j([["INSERT INTO service VALUES (1, 'web', 80)"]])j");
  EXPECT_TRUE(Eventually([&] { return SameRows(a, *b) && OpenLinks(a) == 1; }));
  const std::string lost = b->Status()["site"];
  const std::string path = "/v1/sites/" + lost.substr(0, 8);
  EXPECT_EQ(a.Post(path + "/forget", "").status, 409) << "it is connected";
  EXPECT_EQ(a.Post(path + "/misplace", "").status, 404);
  EXPECT_EQ(a.Post("/v1/sites/000000/forget", "").status, 404);
  EXPECT_EQ(a.Post("/v1/sites//forget", "").status, 400);
  b.reset();
  EXPECT_TRUE(Eventually([&] { return OpenLinks(a) == 0; }));
  a.Execute(R"j([["DELETE FROM service"]])j");
  EXPECT_TRUE(Eventually([&] { return a.Status()["store"]["tombstones_held_by"].size() == 1; }));
  const Json holder = a.Status()["store"]["tombstones_held_by"][0];
  EXPECT_EQ(holder["site"], lost);
  EXPECT_EQ(holder["tombstones"], 1);
  EXPECT_EQ(holder["until"]["version"], 2);
  EXPECT_THAT(a.Get("/metrics").body,
              HasSubstr("\nmerrow_store_tombstones_held{site=\"" + lost + "\"} 1\n"));

  EXPECT_EQ(a.Post(path + "/forget", "").status, 200);
  EXPECT_TRUE(Eventually([&] { return a.Status()["store"]["tombstones"] == 0; }));
  const Json sites = Json::parse(a.Get("/v1/sites").body);
  ASSERT_EQ(sites.size(), 1U);
  EXPECT_EQ(sites[0]["site"], lost);
  EXPECT_GT(sites[0]["forgotten_ms"], 0);
  // It comes back, with a row whose deletion nobody remembers.
  b = std::make_unique<RunningServer>(Db("b"), RunningServer::Replicating({a.peer_url()}));
  EXPECT_TRUE(Eventually([&] {
    const Json dial = b->Status()["replication"]["dials"][0];
    return dial.contains("last_error") &&
           std::string(dial["last_error"]).find("was forgotten here") != std::string::npos;
  }));
  EXPECT_EQ(OpenLinks(a), 0U);
  EXPECT_EQ(a.Query(kServices), "[]");
  EXPECT_EQ(a.Post(path + "/remember", "").status, 200);
  EXPECT_TRUE(Eventually([&] { return OpenLinks(a) == 1; }));
}

TEST_F(SitesTest, WithoutReplicationStatusSaysSo) {
  ServerOptions options;
  RunningServer alone(Db("a"), options);
  const Json status = alone.Status();
  EXPECT_TRUE(status["replication"].is_null());
  EXPECT_FALSE(status.contains("site"));
  EXPECT_THAT(alone.Get("/metrics").body, testing::Not(HasSubstr("merrow_replication")));
  EXPECT_EQ(alone.Get("/sync").status, 426) << "that is for WebSockets";
}

}  // namespace
}  // namespace merrow::server
