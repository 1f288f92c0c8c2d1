// SPDX-License-Identifier: Apache-2.0
//
// Replication limits: which numbers of replication a configuration may set, by name, and how small
// and large they may be. The names are those of the fields (replication/options.h).

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/result.h"
#include "server/server.h"

namespace merrow::server {

/// Sorted.
std::vector<std::string> ReplicationLimitNames();

/// Not found if there is no such limit; invalid argument if `value` is out of its range.
Status SetReplicationLimit(std::string_view name, uint64_t value, ReplicationOptions* options);

}  // namespace merrow::server
