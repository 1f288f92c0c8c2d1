// SPDX-License-Identifier: Apache-2.0
#include "merrow/check.h"

#include <cstdio>
#include <cstdlib>

namespace merrow::internal {

void CheckFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace merrow::internal
