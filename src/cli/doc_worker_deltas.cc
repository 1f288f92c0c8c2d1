// SPDX-License-Identifier: Apache-2.0
//
// Commands of `merrow doc worker` about deltas.

#include "cli/doc_worker_command.h"

namespace merrow::cli {
namespace {

Status Delta(WorkerCall& call) {
  MERROW_ASSIGN(const loro::ContainerId id, call.Container());
  if (id.kind() != loro::ContainerKind::kText) {
    return InvalidArgument(id.ToString() + " is not a Text");
  }
  std::string delta;
  call.doc().AppendDelta(id, &delta);
  call.raw.emplace_back("value", std::move(delta));
  return {};
}

}  // namespace

void AddDeltaCommands(WorkerCommands* commands) { commands->Add("delta", Delta); }

}  // namespace merrow::cli
