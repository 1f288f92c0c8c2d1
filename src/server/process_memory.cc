// SPDX-License-Identifier: Apache-2.0
#include "server/process_memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace merrow::server {
namespace {

constexpr uint64_t kGrowthBytesMin = 64 << 20;

}  // namespace

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void ReturnFreeMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

bool TrimPolicy::IsDue(uint64_t resident_bytes) {
  base_bytes_ = std::min(base_bytes_, resident_bytes);
  // More than half as much again, so that a server that needs its memory is not bothered for ever.
  return resident_bytes - base_bytes_ >= std::max(kGrowthBytesMin, base_bytes_ / 2);
}

}  // namespace merrow::server
