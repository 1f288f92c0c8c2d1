// SPDX-License-Identifier: Apache-2.0
//
// Metrics page: the text that Prometheus reads.

#include "server/metrics_page.h"

#include <gmock/gmock.h>

#include <set>
#include <sstream>
#include <string>

#include "base/release.h"

namespace merrow::server {
namespace {

using testing::HasSubstr;

TEST(MetricsPage, HasTheCountersOfEveryLayer) {
  net::NetCounters net;
  net.connections_open = 3;
  sync::Metrics sync;
  sync.submits = 12345678901;
  sync.errors["unknown_room"] = 2;
  sync.errors["bad \"frame\"\n"] = 1;
  ServerStatus status;
  status.store.emplace().documents_quarantined = 7;
  status.threads = {{"the loop", 5, 1}, {"the store", 0, 0}};
  const std::string page = MetricsPage(net, sync, status);
  EXPECT_THAT(page, HasSubstr(std::string("merrow_build_info{version=\"") + kRelease + "\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\nmerrow_net_connections 3\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE merrow_net_connections gauge\n"));
  EXPECT_THAT(page, HasSubstr("\nmerrow_sync_submits_total 12345678901\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE merrow_sync_submits_total counter\n"));
  EXPECT_THAT(page, HasSubstr("\nmerrow_sync_errors_total{code=\"unknown_room\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("{code=\"bad \\\"frame\\\"\\n\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\nmerrow_store_documents_quarantined_total 7\n"));
  EXPECT_THAT(page, HasSubstr("\nmerrow_server_thread_busy_ms{thread=\"the loop\"} 5\n"));
  EXPECT_THAT(page, HasSubstr("\nprocess_resident_memory_bytes "));
}

TEST(MetricsPage, APeerIsConnectedWhoeverDialed) {
  ServerStatus status;
  ReplicationStatus& replication = status.replication.emplace();
  for (const DialState state : {DialState::kConnected, DialState::kStandby, DialState::kSelf,
                                DialState::kWaiting, DialState::kDialing}) {
    DialReport& dial = replication.links.dials.emplace_back();
    dial.url = "ws://" + std::to_string(replication.links.dials.size());
    dial.state = state;
  }
  const std::string page = MetricsPage({}, {}, status);
  const std::string name = "\nmerrow_replication_peer_connected{url=\"ws://";
  for (const char* const line : {"1\"} 1\n", "2\"} 1\n", "3\"} 1\n", "4\"} 0\n", "5\"} 0\n"}) {
    EXPECT_THAT(page, HasSubstr(name + line));
  }
}

TEST(MetricsPage, NamesEachFamilyOnceAndCountersEndInTotal) {
  sync::Metrics sync;
  sync.errors["a"] = 1;
  sync.errors["b"] = 1;
  ServerStatus status;
  status.store.emplace();
  status.threads.resize(2);
  ReplicationStatus& replication = status.replication.emplace();
  replication.report.links.resize(2);
  replication.report.sites.resize(2);
  replication.links.dials.resize(2);
  replication.secrets.emplace().certificate_unix_s = 1'800'000'000;
  std::istringstream page(MetricsPage({}, sync, status));
  std::set<std::string> names;
  std::string line;
  while (std::getline(page, line)) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    EXPECT_EQ(line.ends_with(" counter"), name.ends_with("_total")) << line;
  }
  EXPECT_GT(names.size(), 90U);
}

}  // namespace
}  // namespace merrow::server
