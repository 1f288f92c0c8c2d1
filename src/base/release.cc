// SPDX-License-Identifier: Apache-2.0
#include "base/release.h"

namespace merrow {

const char* const kRelease = MERROW_RELEASE;

}  // namespace merrow
