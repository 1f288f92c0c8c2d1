// SPDX-License-Identifier: Apache-2.0
//
// For tests: a whole server on ephemeral ports, on a thread of its own, spoken to over HTTP.

#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "server/server.h"
#include "server/server_test_util.h"

namespace merrow::server {

/// Column rows and document rows.
inline constexpr char kSitesSchema[] =
    "CREATE TABLE service (id INTEGER PRIMARY KEY NOT NULL, name TEXT, port INTEGER);\n"
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, votes CRDT_COUNTER);\n";

/// Polls until `condition` holds. False if it never does.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + net::testing::kWaitLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class RunningServer {
 public:
  using Json = nlohmann::json;

  /// `dir` is where its database is; it may be another one's that has stopped.
  explicit RunningServer(std::string database_path, ServerOptions options = Replicating({}))
      : options_(std::move(options)) {
    options_.database_path = std::move(database_path);
    options_.schema_path = options_.database_path + ".sql";
    if (!std::filesystem::exists(options_.schema_path)) {
      std::ofstream(options_.schema_path) << kSitesSchema;
    }
    server_ = net::testing::Expect(Server::Open(options_));
    thread_ = std::thread([this] { server_->Run(); });
  }
  ~RunningServer() { Stop(); }

  /// Listens for sites; dials soon and often and keeps no tombstone longer than it must, so that
  /// tests need not wait.
  static ServerOptions Replicating(std::vector<std::string> peers = {}) {
    ServerOptions options;
    options.replication.enabled = true;
    options.replication.listen = net::ListenAddress{};
    for (const std::string& peer : peers) {
      options.replication.peers.push_back(net::testing::Expect(net::ParsePeerUrl(peer)));
    }
    options.replication.redial_ms_min = 20;
    options.replication.redial_ms_max = 200;
    options.replication.store_limits.tombstone_keep_ms = 0;
    return options;
  }

  /// As SIGTERM does.
  void Stop() {
    if (!thread_.joinable()) return;
    server_->Stop();
    thread_.join();
    server_.reset();
  }

  const std::string& peer_url() const { return server_->urls().sites; }
  uint16_t port() const {
    const std::string& url = server_->urls().clients;
    return static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  uint16_t peer_port() const {
    return static_cast<uint16_t>(std::stoi(peer_url().substr(peer_url().rfind(':') + 1)));
  }

  net::testing::TestResponse Get(const std::string& path) {
    auto client = net::testing::Expect(net::testing::TestHttpClient::Connect(port()));
    return net::testing::Expect(client.Get(path));
  }
  net::testing::TestResponse Post(const std::string& path, const std::string& body) {
    auto client = net::testing::Expect(net::testing::TestHttpClient::Connect(port()));
    return net::testing::Expect(client.Post(path, body));
  }

  Json Status() { return Json::parse(Get("/v1/status").body); }
  /// The body of an answer, with its status in "http".
  Json Execute(const std::string& body) {
    const net::testing::TestResponse response = Post("/v1/transactions", body);
    Json json = Json::parse(response.body);
    json["http"] = response.status;
    return json;
  }
  /// The rows of a query as one JSON text.
  std::string Query(const std::string& sql) {
    const net::testing::TestResponse response = Post("/v1/queries", Json(sql).dump());
    std::istringstream lines(response.body);
    Json rows = Json::array();
    std::string line;
    while (std::getline(lines, line)) {
      const Json json = Json::parse(line);
      if (json.contains("row")) rows.push_back(json["row"][1]);
      if (json.contains("error")) rows.push_back(json["error"]);
    }
    return rows.dump();
  }
  /// Adds 1 to the counter of a note, as a client of its own.
  void VoteFor(const std::string& key, loro::PeerId peer) {
    const auto response =
        Post("/api/crdt/note/" + key, "{\"update\":\"" + ToHex(*Vote(peer)) + "\"}");
    ASSERT_EQ(response.status, 200) << response.body;
  }

 private:
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace merrow::server
