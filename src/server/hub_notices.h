// SPDX-License-Identifier: Apache-2.0
//
// Tells the hub of documents that were changed by somebody else than its own sessions: changesets
// of other sites, SQL.

#pragma once

#include <vector>

#include "store/store.h"
#include "sync/hub.h"

namespace merrow::server {

/// On the loop, in commit order.
void TellHub(std::vector<store::DocumentNotice> notices, sync::Hub* hub);

}  // namespace merrow::server
