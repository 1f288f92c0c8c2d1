// SPDX-License-Identifier: Apache-2.0
//
// Tells the processor early what memory will be looked at, where it could not know by itself.

#pragma once

namespace merrow {

/// Begins to fetch the cache line at `address`, which may be any.
inline void Prefetch(const void* address) {
  __builtin_prefetch(address);
  // GCC takes a function that does no more than that for one without effect, and leaves out its
  // calls. An empty instruction that must stay counts as one.
  asm volatile("");
}

}  // namespace merrow
