// SPDX-License-Identifier: Apache-2.0
//
// Which release this is.

#pragma once

namespace merrow {

/// "0.1.0", as CMakeLists.txt says.
extern const char* const kRelease;

}  // namespace merrow
