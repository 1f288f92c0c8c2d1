// SPDX-License-Identifier: Apache-2.0
//
// Metrics page: the counters of all layers in Prometheus' text format.

#pragma once

#include <string>

#include "net/counters.h"
#include "server/status_page.h"
#include "store/store.h"
#include "sync/metrics.h"

namespace merrow::server {

/// Of `status` without a store: the layers above it only.
std::string MetricsPage(const net::NetCounters& net, const sync::Metrics& sync,
                        const ServerStatus& status);

}  // namespace merrow::server
