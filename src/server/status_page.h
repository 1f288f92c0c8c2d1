// SPDX-License-Identifier: Apache-2.0
//
// Status page: what GET /v1/status says, one JSON object (docs/protocol.md), and the same figures
// for /metrics.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replication/report.h"
#include "server/peer_links.h"
#include "server/server.h"
#include "server/watchdog.h"
#include "store/store.h"

namespace merrow::server {

struct ReplicationStatus {
  replication::Report report;
  PeerLinksReport links;
  net::NetCounters listened;  // of the door for sites; zeros without one
  /// Nothing if neither token nor certificate is set.
  std::optional<PeerSecretsReport> secrets;
};

struct ServerStatus {
  ServerUrls urls;
  int64_t uptime_ms = 0;
  int64_t unix_ms = 0;  // this server's clock
  std::vector<Watchdog::Report> threads;
  /// Nothing if the store did not answer in time.
  std::optional<store::StoreStats> store;
  /// Nothing without replication.
  std::optional<ReplicationStatus> replication;
};

std::string StatusJson(const ServerStatus& status);
/// What GET /v1/sites says.
std::string SitesJson(const std::vector<store::KnownSite>& sites);

}  // namespace merrow::server
