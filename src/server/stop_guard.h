// SPDX-License-Identifier: Apache-2.0
//
// Stop guard: a process that was told to end does end, also when one of its threads hangs, in a
// disk that does not answer or in a piece of work without end. It needs nothing of the process but
// its signal handlers. Nothing acknowledged is lost by it, as by SIGKILL: what was acknowledged is
// on disk.

#pragma once

#include <chrono>
#include <vector>

#include "merrow/result.h"

namespace merrow::server {

inline constexpr std::chrono::seconds kStopTimeout{30};
inline constexpr std::chrono::milliseconds kSameSignal{1000};
/// The exit status of a process that did not end by itself.
inline constexpr int kExitNotStopped = 3;

/// The first of `signals` is passed on to the handler that it has; from then on the process has
/// `timeout` to end, and another one of them ends it at once. Both say so on standard error. What
/// comes within kSameSignal of the first is the first: who starts programs (timeout, npm) may pass
/// on a signal that they got themselves. Once per process; takes SIGALRM.
///
/// REQUIRES: the signals have handlers; timeout >= 1 s
Status GuardStop(const std::vector<int>& signals, std::chrono::seconds timeout);

}  // namespace merrow::server
