// SPDX-License-Identifier: Apache-2.0
//
// HTTP API: which path does what (docs/protocol.md, HTTP).
//
//   GET  /healthz                 200 "ok"
//   GET  /metrics                 Prometheus
//   GET  /v1/rows/TABLE/KEY       the row as JSON
//   GET  /v1/status               this site and its links, JSON
//   POST /v1/queries              read-only SQL, NDJSON
//   POST /v1/transactions         SQL that writes, as one transaction
//   GET  /v1/sites                the sites that were ever heard of, JSON
//   POST /v1/sites/SITE/forget    SITE (the first digits of an id are enough) is lost
//   POST /v1/sites/SITE/remember  takes that back
//   POST /api/crdt/TABLE/KEY      {"update":"<hex>"}: applies an update to a row
//   WS   /sync                    Loro protocol
//   WS   /rows                    row frames
//   GET  anything else            static files, if a directory was given

#pragma once

#include <functional>
#include <list>
#include <optional>

#include "base/clock.h"
#include "net/http_server.h"
#include "server/query_pool.h"
#include "server/replication.h"
#include "server/static_files.h"
#include "server/status_page.h"
#include "server/store_row_source.h"
#include "server/store_thread.h"
#include "server/watchdog.h"
#include "sync/hub.h"

namespace merrow::server {

class HttpApi final : public net::HttpHandler, public net::WebSocketHandler {
 public:
  /// What the API works on; all must outlive it.
  struct Parts {
    StoreThread& store;
    StoreRowSource& rows;
    sync::Hub& hub;
    QueryPool& queries;
    const StaticFiles& files;
    Replication* replication;  // null: none
    net::EventLoop& loop;
    const Clock& clock;
  };
  explicit HttpApi(const Parts& parts)
      : parts_(parts), start_micros_(parts.clock.MonotonicMicros()) {}

  /// REQUIRES: called once, before requests are served. The references must outlive this.
  void SetRunning(const ServerUrls& urls, const net::NetCounters& counters,
                  const Watchdog& watchdog) {
    urls_ = urls;
    net_counters_ = &counters;
    watchdog_ = &watchdog;
  }

  void Handle(net::HttpRequest request, net::ResponseWriter response) override;
  Decision Accept(const net::HttpRequest& request) override;

 private:
  void Metrics(net::ResponseWriter response);
  void GetStatus(net::ResponseWriter response);
  void GetRow(const net::HttpRequest& request, net::ResponseWriter response);
  void PostQuery(const net::HttpRequest& request, net::ResponseWriter response);
  void PostTransaction(net::HttpRequest request, net::ResponseWriter response);
  void PostUpdate(const net::HttpRequest& request, net::ResponseWriter response);
  void GetSites(net::ResponseWriter response);
  void PostSite(const net::HttpRequest& request, net::ResponseWriter response);
  bool IsConnected(std::string_view site_hex) const;

  /// Calls `done` with the status of everything; without the store's part if the store does not
  /// answer soon, since a store that hangs is what somebody may want to see.
  using OnStatus = std::function<void(const ServerStatus&)>;
  void AskStatus(OnStatus done);
  void AnswerStatus(const OnStatus& done, std::optional<store::StoreStats> stats) const;

  const Parts parts_;
  const int64_t start_micros_;
  ServerUrls urls_;
  const net::NetCounters* net_counters_ = nullptr;
  const Watchdog* watchdog_ = nullptr;

  struct StatusQuestion {
    OnStatus done;
    net::EventLoop::Timer timeout;
  };
  // One task of the store is under way while there are any, or was not worked off in time.
  std::list<StatusQuestion> status_questions_;
  bool store_is_asked_ = false;
};

}  // namespace merrow::server
