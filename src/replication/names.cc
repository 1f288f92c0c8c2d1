// SPDX-License-Identifier: Apache-2.0
#include "replication/link_sink.h"
#include "replication/report.h"

namespace merrow::replication {

std::string_view CloseReasonName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kShutdown:
      return "shutdown";
    case CloseReason::kProtocol:
      return "protocol";
    case CloseReason::kVersion:
      return "version";
    case CloseReason::kSelf:
      return "self";
    case CloseReason::kDuplicate:
      return "duplicate";
    case CloseReason::kRecheck:
      return "recheck";
    case CloseReason::kNewIdentity:
      return "new_identity";
    case CloseReason::kTimeout:
      return "timeout";
    case CloseReason::kLimit:
      return "limit";
  }
  return "unknown";
}

Redial RedialAfter(CloseReason reason) {
  switch (reason) {
    case CloseReason::kSelf:
      return Redial::kNever;
    case CloseReason::kDuplicate:
      return Redial::kWhenAlone;
    case CloseReason::kRecheck:
    case CloseReason::kNewIdentity:
      return Redial::kAtOnce;
    default:
      return Redial::kBackoff;
  }
}

std::string_view LinkStateName(LinkState state) {
  switch (state) {
    case LinkState::kHello:
      return "hello";
    case LinkState::kState:
      return "state";
    case LinkState::kOpen:
      return "open";
  }
  return "unknown";
}

std::string_view DigestResultName(DigestResult result) {
  switch (result) {
    case DigestResult::kNone:
      return "none";
    case DigestResult::kEqual:
      return "equal";
    case DigestResult::kDiffering:
      return "differing";
    case DigestResult::kRepairing:
      return "repairing";
    case DigestResult::kFailed:
      return "failed";
  }
  return "unknown";
}

}  // namespace merrow::replication
