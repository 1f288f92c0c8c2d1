// SPDX-License-Identifier: Apache-2.0
//
// Runs one seed of SimWorld after the other, and prints what happened.
//
// To replay a seed with a trace: MERROW_SIM_SEED=n. Other seeds: MERROW_SIM_SEEDS=FIRST-LAST
// (MERROW_SIM_TRACE=1).

#pragma once

#include "testing/sim_world.h"

namespace merrow::testing {

/// Fails the test at the first seed that goes wrong.
SimTotals RunSeeds(uint64_t first, uint64_t last, size_t sites_max, const DatabaseFactory& factory);
/// Were the seeds chosen by the environment? Then counts mean nothing.
bool SeedsAreChosen();

}  // namespace merrow::testing
