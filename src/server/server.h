// SPDX-License-Identifier: Apache-2.0
//
// Server: joins the layers into the process that `merrow serve` runs.
//
// Threads: the event loop (this layer's HTTP and all of net and sync), one store thread, and a few
// for SQL queries. They share nothing but messages.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merrow/result.h"
#include "net/listen_address.h"
#include "net/peer_url.h"
#include "replication/options.h"
#include "server/stop_guard.h"
#include "store/replica_types.h"

namespace merrow::server {

/// How this site exchanges changes with others.
struct ReplicationOptions {
  /// Transactions are kept so that they can be published. Needed by all that follows.
  bool enabled = false;
  /// Sites to connect to.
  std::vector<net::PeerUrl> peers;
  /// Where other sites connect to. Not on loopback: a token or tls_ca is required.
  std::optional<net::ListenAddress> listen;
  /// A file with the secret that all sites share; empty: none.
  std::string token_file;
  /// PEM files; empty: none. The certificate is shown to whoever connects and to whom this site
  /// connects; `tls_ca` says whose certificates are taken, on both sides.
  std::string tls_cert;
  std::string tls_key;
  std::string tls_ca;
  /// A dictionary that the sites share, from `zstd --train`; empty: none.
  std::string zstd_dictionary_file;
  /// Limits and times (replication_limits.h names those that a configuration may set).
  replication::Options limits;
  store::ReplicaLimits store_limits;
  int64_t redial_ms_min = 250;
  int64_t redial_ms_max = 15'000;
};

struct ServerOptions {
  std::string database_path;
  std::string schema_path;
  net::ListenAddress listen;
  /// A directory of web pages to serve; empty: none.
  std::string static_directory;
  size_t document_memory_bytes_max = size_t{256} << 20;
  ReplicationOptions replication;
  /// How long connections may take to close after SIGTERM.
  std::chrono::milliseconds drain_timeout{5000};
  /// How long all of stopping may take after a signal; then RunServer's process ends as it is.
  std::chrono::seconds stop_timeout = kStopTimeout;
};

/// Where a server listens.
struct ServerUrls {
  std::string clients;  // http://HOST:PORT
  std::string sites;    // ws://HOST:PORT or wss://HOST:PORT; empty: nowhere
};

/// Everything of a running server. Open, then Run; then it may be destroyed.
class Server {
 public:
  /// Opens the database and listens; connections are served in Run().
  static Result<std::unique_ptr<Server>> Open(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const ServerUrls& urls() const;
  /// SIGTERM and SIGINT drain. SIGHUP reads tokens and certificates again, unless it comes because
  /// the terminal was closed that this was started in: then it drains, too.
  Status HandleSignals();
  /// Serves until Stop() has drained.
  void Run();
  /// Drains: what clients have handed in is committed and answered, then Run() returns. Any thread.
  void Stop();
  /// Reads tokens and certificates again. Any thread.
  void Reload();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Serves until SIGTERM or SIGINT; a second one, or stop_timeout, ends the process (stop_guard.h).
/// Calls `on_listening` once connections are accepted.
Status RunServer(const ServerOptions& options,
                 const std::function<void(const ServerUrls& urls)>& on_listening);

}  // namespace merrow::server
