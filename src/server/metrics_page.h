// SPDX-License-Identifier: Apache-2.0
//
// Metrics page: the counters of all layers in Prometheus' text format.

#pragma once

#include <string>

#include "net/counters.h"
#include "store/store.h"
#include "sync/metrics.h"

namespace merrow::server {

std::string MetricsPage(const net::NetCounters& net, const sync::Metrics& sync,
                        const store::StoreStats& store);

}  // namespace merrow::server
