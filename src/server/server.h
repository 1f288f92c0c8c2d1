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
#include <string>

#include "merrow/result.h"
#include "net/listen_address.h"

namespace merrow::server {

struct ServerOptions {
  std::string database_path;
  std::string schema_path;
  net::ListenAddress listen;
  /// A directory of web pages to serve; empty: none.
  std::string static_directory;
  size_t document_memory_bytes_max = size_t{256} << 20;
  /// How long connections may take to close after SIGTERM.
  std::chrono::milliseconds drain_timeout{5000};
};

/// Serves until SIGTERM or SIGINT. Calls `on_listening` with the URL once connections are accepted.
Status RunServer(const ServerOptions& options,
                 const std::function<void(const std::string& url)>& on_listening);

}  // namespace merrow::server
