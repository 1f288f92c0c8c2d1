// SPDX-License-Identifier: Apache-2.0
//
// Who wins, one function per step of the merge rule (merge.h). Each step is here once and is used
// by one source, so that a canary build can get exactly one of them wrong: compiled with
// MERROW_CANARY_STEP, merge.cc breaks that step and the property tests must then fail.

#pragma once

#include "cells/row_clock.h"
#include "cells/value.h"

namespace merrow::cells {

inline bool VersionWins(ColVersion incoming, ColVersion local) {
#ifdef MERROW_CANARY_VERSION
  return incoming >= local;
#else
  return incoming > local;
#endif
}

inline int CompareTiedValues(const ValueView& incoming, const ValueView& local) {
#ifdef MERROW_CANARY_VALUE
  // The last to arrive wins.
  return SameValue(incoming, local) ? 0 : 1;
#else
  return CompareForMerge(incoming, local);
#endif
}

/// `order` is that of the incoming site's id against the local one's.
inline bool SiteWins(int order) {
#ifdef MERROW_CANARY_SITE
  return order != 0;
#else
  return order > 0;
#endif
}

}  // namespace merrow::cells
