// SPDX-License-Identifier: Apache-2.0
#include "server/metrics_page.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/release.h"
#include "server/process_memory.h"
#include "server/replication_counters.h"

namespace merrow::server {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

class Page {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  template <typename T>
  void Gauge(const char* name, const char* help, T value) {
    Add(name, help, MetricType::Gauge, {}, static_cast<double>(value));
  }
  void Counter(const std::string& name, const char* help, uint64_t value) {
    Add(name, help, MetricType::Counter, {}, static_cast<double>(value));
  }
  // One more value of the family added last, or the first of a new one.
  template <typename T>
  void GaugeWith(const std::string& name, const char* help, Labels labels, T value) {
    Add(name, help, MetricType::Gauge, std::move(labels), static_cast<double>(value));
  }
  void CounterWith(const std::string& name, const char* help, Labels labels, uint64_t value) {
    Add(name, help, MetricType::Counter, std::move(labels), static_cast<double>(value));
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  void Add(const std::string& name, const char* help, MetricType type, Labels labels,
           double value) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({name, help, type, {}});
    }
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    metric.counter.value = value;
    families_.back().metric.push_back(std::move(metric));
  }

  std::vector<MetricFamily> families_;
};

void AddNet(const net::NetCounters& net, Page* page) {
  page->Gauge("merrow_net_connections", "Open connections, WebSockets included",
              net.connections_open);
  page->Gauge("merrow_net_websockets", "Open WebSockets", net.websockets_open);
  page->Counter("merrow_net_connections_total", "Connections accepted", net.connections_total);
  page->Counter("merrow_net_connections_refused_total", "Connections over the limit",
                net.connections_refused_total);
  page->Counter("merrow_net_requests_total", "HTTP requests, upgrades included",
                net.requests_total);
  page->Counter("merrow_net_requests_refused_total",
                "Requests that were malformed, over a limit or of a forbidden host",
                net.requests_refused_total);
  page->Counter("merrow_net_websockets_overflowed_total",
                "WebSockets closed because their client did not read",
                net.websockets_overflowed_total);
  page->Counter("merrow_net_received_bytes_total", "Bytes received above TCP", net.bytes_in_total);
  page->Counter("merrow_net_sent_bytes_total", "Bytes sent above TCP", net.bytes_out_total);
}

void AddSync(const sync::Metrics& sync, Page* page) {
  page->Gauge("merrow_sync_sessions", "Client sessions", sync.sessions);
  page->Gauge("merrow_sync_subscriptions", "Rows that sessions watch", sync.subscriptions);
  page->Gauge("merrow_sync_rows", "Rows that somebody watches", sync.rows);
  page->Gauge("merrow_sync_behind", "Subscriptions that wait for a merged delta", sync.behind);
  page->Gauge("merrow_sync_presence_rooms", "Presence rooms", sync.presence_rooms);
  page->Gauge("merrow_sync_presence_members", "Sessions in presence rooms", sync.presence_members);
  page->Counter("merrow_sync_sessions_total", "Sessions opened", sync.sessions_opened);
  page->Counter("merrow_sync_messages_received_total", "Messages from clients", sync.messages_in);
  page->Counter("merrow_sync_messages_sent_total", "Messages to clients", sync.messages_out);
  page->Counter("merrow_sync_received_bytes_total", "Bytes of messages from clients",
                sync.bytes_in);
  page->Counter("merrow_sync_sent_bytes_total", "Bytes of messages to clients", sync.bytes_out);
  page->Counter("merrow_sync_submits_total", "Updates handed to the store", sync.submits);
  page->Counter("merrow_sync_commits_joined_total", "Commits sent on together with the one before",
                sync.commits_joined);
  page->Counter("merrow_sync_deltas_sent_total", "Deltas sent, one per subscriber",
                sync.deltas_sent);
  page->Counter("merrow_sync_deltas_encoded_total", "Delta frames made; the others were shared",
                sync.deltas_encoded);
  page->Counter("merrow_sync_reads_total", "Reads asked of the store", sync.reads);
  page->Counter("merrow_sync_reads_shared_total", "Reads saved because another one served",
                sync.reads_shared);
  page->Counter("merrow_sync_conflations_total", "Deltas merged into a later one",
                sync.conflations);
  page->Counter("merrow_sync_resyncs_total", "Merged deltas sent to subscribers that were behind",
                sync.resyncs);
  page->Counter("merrow_sync_rejoins_suggested_total", "Clients asked to rejoin a room",
                sync.rejoins_suggested);
  page->Counter("merrow_sync_presence_messages_total", "Presence messages relayed",
                sync.presence_messages);
  page->Counter("merrow_sync_pauses_total", "Times that a session's input was paused", sync.pauses);
  for (const auto& [code, count] : sync.errors) {
    page->CounterWith("merrow_sync_errors_total", "Refused messages by error code",
                      {{"code", code}}, count);
  }
}

void AddStore(const store::StoreStats& store, Page* page) {
  page->Gauge("merrow_store_cache_bytes", "Memory of cached documents", store.cache_bytes);
  page->Gauge("merrow_store_cache_budget_bytes", "Budget of the document cache",
              store.cache_bytes_max);
  page->Gauge("merrow_store_cache_documents", "Documents in memory", store.cache_documents);
  page->Counter("merrow_store_cache_hits_total", "Documents found in memory", store.cache_hits);
  page->Counter("merrow_store_cache_misses_total", "Documents loaded from disk",
                store.cache_misses);
  page->Counter("merrow_store_cache_evictions_total", "Documents dropped from memory",
                store.cache_evictions);
  page->Counter("merrow_store_transactions_total", "Write transactions", store.transactions);
  page->Counter("merrow_store_sql_transactions_total", "Transactions of POST /v1/transactions",
                store.sql_transactions);
  page->Counter("merrow_store_changesets_applied_total", "Changesets of other sites applied",
                store.changesets_applied);
  page->Counter("merrow_store_changesets_refused_total", "Changesets of other sites refused",
                store.changesets_refused);
  page->Gauge("merrow_store_transactions_waiting",
              "Transactions of other sites with something that the schema or a document lacks",
              store.transactions_waiting);
  page->Gauge("merrow_store_transactions_refused",
              "Of these: kept out by a constraint or a limit of this database",
              store.transactions_refused);
  page->Gauge("merrow_store_tombstones", "Deleted rows that are remembered, when last counted",
              store.tombstones);
  page->Gauge("merrow_store_tombstones_young",
              "Of these: known to every site, kept for backups to be restored",
              store.tombstones_young);
  page->Counter("merrow_store_tombstones_collected_total", "Deleted rows that were forgotten",
                store.tombstones_collected);
  for (const store::TombstoneHolder& holder : store.tombstone_holders) {
    page->GaugeWith("merrow_store_tombstones_held", "Tombstones that wait for a site",
                    {{"site", ToHex(holder.site.view())}}, holder.tombstones);
  }
  page->Counter("merrow_store_updates_applied_total", "Updates with something new",
                store.updates_applied);
  page->Counter("merrow_store_updates_refused_total", "Updates refused", store.updates_refused);
  page->Counter("merrow_store_log_bytes_total", "Bytes appended to document logs",
                store.log_bytes_appended);
  page->Counter("merrow_store_folds_total", "Logs folded into their base", store.folds);
  page->Counter("merrow_store_projections_total", "Rows written", store.projections);
  page->Counter("merrow_store_projections_deferred_total", "Edits whose row was left for later",
                store.projections_deferred);
  page->Gauge("merrow_store_rows_stale", "Rows that wait for their projection", store.rows_stale);
  page->Counter("merrow_store_documents_quarantined_total", "Documents that could not be decoded",
                store.documents_quarantined);
  page->Counter("merrow_store_write_failures_total",
                "Transactions that the disk or a lock did not let through", store.write_failures);
  page->Gauge("merrow_store_write_failing_ms",
              "For how long no transaction has gone through; 0 if the last one did",
              static_cast<uint64_t>(store.write_failing_ms));
}

std::string Hex(const cells::SiteId& site) { return ToHex(site.view()); }

// One family after the other, with a value for each link.
void AddLinks(const ReplicationStatus& status, Page* page) {
  struct Family {
    const char* name;
    const char* help;
    bool is_counter;
    int64_t (*read)(const replication::LinkReport&);
  };
  using Link = replication::LinkReport;
  constexpr Family kFamilies[] = {
      {"merrow_replication_link_open", "1 if changes flow", false,
       [](const Link& link) -> int64_t { return link.state == replication::LinkState::kOpen; }},
      {"merrow_replication_link_lacking_here", "Versions that the peer has and this site lacks",
       false, [](const Link& link) { return link.lacking_here; }},
      {"merrow_replication_link_lacking_there", "Versions that this site has and the peer lacks",
       false, [](const Link& link) { return link.lacking_there; }},
      {"merrow_replication_link_lag_ms", "How long the peer has lacked something of this site",
       false, [](const Link& link) { return link.lag_ms; }},
      {"merrow_replication_link_unsent_bytes", "Bytes queued for the peer", false,
       [](const Link& link) { return static_cast<int64_t>(link.unsent_bytes); }},
      {"merrow_replication_link_digest_buckets_differing", "Of the last comparison", false,
       [](const Link& link) { return static_cast<int64_t>(link.digest_buckets_differing); }},
      {"merrow_replication_link_received_bytes_total", "Bytes of messages", true,
       [](const Link& link) { return static_cast<int64_t>(link.bytes_in); }},
      {"merrow_replication_link_sent_bytes_total", "Bytes of messages", true,
       [](const Link& link) { return static_cast<int64_t>(link.bytes_out); }},
      {"merrow_replication_link_changesets_received_total", "Changesets, parts counted", true,
       [](const Link& link) { return static_cast<int64_t>(link.changesets_in); }},
      {"merrow_replication_link_changesets_sent_total", "Changesets, parts counted", true,
       [](const Link& link) { return static_cast<int64_t>(link.changesets_out); }},
  };
  for (const Family& family : kFamilies) {
    for (const Link& link : status.report.links) {
      const Page::Labels labels = {{"link", std::to_string(link.id)},
                                   {"peer", link.peer.has_value() ? Hex(*link.peer) : ""}};
      const int64_t value = family.read(link);
      if (family.is_counter) {
        page->CounterWith(family.name, family.help, labels, static_cast<uint64_t>(value));
      } else {
        page->GaugeWith(family.name, family.help, labels, value);
      }
    }
  }
}

void AddSites(const replication::Report& report, Page* page) {
  const auto each = [&](const char* name, const char* help, const auto& read) {
    for (const replication::SiteReport& site : report.sites) {
      page->GaugeWith(name, help, {{"site", Hex(site.site)}}, read(site));
    }
  };
  using Site = replication::SiteReport;
  each("merrow_replication_site_version", "Last version of the site that is here",
       [](const Site& site) { return site.last; });
  each("merrow_replication_site_needs", "Versions of the site that some peer has",
       [](const Site& site) { return site.needs; });
  each("merrow_replication_site_delay_ms", "How old its newest changeset was when applied",
       [](const Site& site) { return site.delay_ms; });
}

// Prometheus counts time in seconds.
void AddSecrets(const PeerSecretsReport& secrets, Page* page) {
  page->Gauge("merrow_replication_secrets_read_time_seconds",
              "When the tokens and certificates in use were read, Unix time",
              static_cast<double>(secrets.read_unix_ms) / 1000);
  page->Gauge("merrow_replication_secrets_last_reload_successful",
              "0 if the last attempt to read them again failed", secrets.error.empty() ? 1 : 0);
  page->Counter("merrow_replication_secrets_reloads_total", "Times that they were read again",
                secrets.reloads);
  page->Counter("merrow_replication_secrets_reloads_failed_total", "Times that this failed",
                secrets.reloads_failed);
  if (secrets.certificate_unix_s.has_value()) {
    page->Gauge("merrow_replication_certificate_expiry_time_seconds",
                "When the certificate that is shown expires, Unix time",
                *secrets.certificate_unix_s);
  }
}

void AddReplication(const ReplicationStatus& status, Page* page) {
  const replication::Report& report = status.report;
  page->Gauge("merrow_replication_links", "Links to other sites", report.links.size());
  page->Gauge("merrow_replication_apply_queue_bytes", "Changesets that wait for the store",
              report.apply_queue_bytes);
  page->Gauge("merrow_replication_applying_ms", "How long the store has worked on a batch",
              report.applying_ms);
  page->Gauge("merrow_replication_waiting_bytes", "Changesets that wait for others",
              report.waiting_bytes);
  page->Counter("merrow_replication_identity_changes_total", "New identities taken",
                report.identity_changes.size());
  ForEachCounter(report.counters,
                 [&](std::string_view name, std::string_view help, uint64_t value) {
                   page->Counter("merrow_replication_" + std::string(name) + "_total",
                                 std::string(help).c_str(), value);
                 });
  if (status.secrets.has_value()) AddSecrets(*status.secrets, page);
  AddSites(report, page);
  AddLinks(status, page);
  for (const DialReport& dial : status.links.dials) {
    // Nothing is missing if the other site dialed first, or if all sites share one list of URLs.
    const bool is_well = dial.state == DialState::kConnected || dial.state == DialState::kStandby ||
                         dial.state == DialState::kSelf;
    page->GaugeWith("merrow_replication_peer_connected",
                    "1 if a link to the site at the URL stands, or it is this site",
                    {{"url", dial.url}}, is_well ? 1 : 0);
  }
  page->Counter("merrow_replication_connections_total", "Connections of other sites accepted",
                status.listened.connections_total);
  page->Counter("merrow_replication_connections_refused_total", "Connections refused",
                status.listened.connections_refused_total + status.listened.requests_refused_total);
}

}  // namespace

std::string MetricsPage(const net::NetCounters& net, const sync::Metrics& sync,
                        const ServerStatus& status) {
  Page page;
  page.GaugeWith("merrow_build_info", "Always 1", {{"version", kRelease}}, 1);
  AddNet(net, &page);
  AddSync(sync, &page);
  if (status.store.has_value()) AddStore(*status.store, &page);
  if (status.replication.has_value()) AddReplication(*status.replication, &page);
  for (const Watchdog::Report& thread : status.threads) {
    page.GaugeWith("merrow_server_thread_busy_ms", "How long it has been at one piece of work",
                   {{"thread", thread.name}}, thread.busy_ms);
  }
  for (const Watchdog::Report& thread : status.threads) {
    page.CounterWith("merrow_server_thread_stalls_total", "Pieces of work that took too long",
                     {{"thread", thread.name}}, thread.stalls);
  }
  page.Gauge("process_resident_memory_bytes", "Resident memory", ResidentBytes());
  return page.Text();
}

}  // namespace merrow::server
