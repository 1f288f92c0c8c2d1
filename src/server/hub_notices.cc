// SPDX-License-Identifier: Apache-2.0
#include "server/hub_notices.h"

#include <memory>
#include <utility>

namespace merrow::server {

void TellHub(std::vector<store::DocumentNotice> notices, sync::Hub* hub) {
  for (store::DocumentNotice& notice : notices) {
    // What was known already.
    if (notice.applied.delta == nullptr) continue;
    hub->OnCommitted({std::move(notice.table), std::move(notice.key)},
                     std::make_shared<const loro::VersionVector>(std::move(notice.applied.before)),
                     std::make_shared<const loro::VersionVector>(std::move(notice.applied.after)),
                     std::move(notice.applied.delta));
  }
}

}  // namespace merrow::server
