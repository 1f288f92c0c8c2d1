// SPDX-License-Identifier: Apache-2.0
//
// Checks for bugs. They are always on, also in release builds: a broken invariant stops the process
// before it reaches the disk. Never use one for input; bad input is an Error (result.h).

#pragma once

#pragma GCC visibility push(default)

namespace merrow::internal {

[[noreturn]] void CheckFailed(const char* expression, const char* file, int line);

}  // namespace merrow::internal

#pragma GCC visibility pop

#define MERROW_CHECK(expression)                      \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::merrow::internal::CheckFailed(#expression, __FILE__, __LINE__))

/// A check that is too dear for the data path: on only where NDEBUG is not defined.
#ifdef NDEBUG
#define MERROW_DCHECK(expression) static_cast<void>(sizeof(expression))
#else
#define MERROW_DCHECK(expression) MERROW_CHECK(expression)
#endif
