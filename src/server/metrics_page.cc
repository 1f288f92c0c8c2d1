// SPDX-License-Identifier: Apache-2.0
#include "server/metrics_page.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <unistd.h>

#include <fstream>
#include <vector>

namespace merrow::server {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

class Page {
 public:
  void Gauge(const char* name, const char* help, uint64_t value) {
    Add(name, help, MetricType::Gauge, {}, value);
  }
  void Counter(const char* name, const char* help, uint64_t value) {
    Add(name, help, MetricType::Counter, {}, value);
  }
  /// One more value of the family added last, or the first of a new one.
  void CounterWith(const char* name, const char* help, const char* label, const std::string& of,
                   uint64_t value) {
    Add(name, help, MetricType::Counter, {{label, of}}, value);
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  void Add(const char* name, const char* help, MetricType type,
           std::vector<prometheus::ClientMetric::Label> labels, uint64_t value) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({name, help, type, {}});
    }
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = static_cast<double>(value);
    metric.counter.value = static_cast<double>(value);
    families_.back().metric.push_back(std::move(metric));
  }

  std::vector<MetricFamily> families_;
};

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

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
    page->CounterWith("merrow_sync_errors_total", "Refused messages by error code", "code", code,
                      count);
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
}

}  // namespace

std::string MetricsPage(const net::NetCounters& net, const sync::Metrics& sync,
                        const store::StoreStats& store) {
  Page page;
  AddNet(net, &page);
  AddSync(sync, &page);
  AddStore(store, &page);
  page.Gauge("process_resident_memory_bytes", "Resident memory", ResidentBytes());
  return page.Text();
}

}  // namespace merrow::server
