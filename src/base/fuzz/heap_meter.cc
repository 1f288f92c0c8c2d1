// SPDX-License-Identifier: Apache-2.0
#include "base/fuzz/heap_meter.h"

#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

// Of what operator new gave out, in bytes as malloc counts them.
size_t live_bytes = 0;
size_t peak_bytes = 0;

void* TryAllocate(size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) return nullptr;
  live_bytes += malloc_usable_size(memory);
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}

void* Allocate(size_t size) {
  void* const memory = TryAllocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void Release(void* memory) {
  if (memory == nullptr) return;
  // What was there before this counted is given back, too.
  live_bytes -= std::min(live_bytes, malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return TryAllocate(size);
}
void* operator new[](size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return TryAllocate(size);
}
void operator delete(void* memory) noexcept { Release(memory); }
void operator delete[](void* memory) noexcept { Release(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { Release(memory); }
void operator delete[](void* memory, size_t /*size*/) noexcept { Release(memory); }

namespace merrow::fuzz {

HeapMeter::HeapMeter() : before_(live_bytes) { peak_bytes = live_bytes; }

size_t HeapMeter::peak() const { return peak_bytes - std::min(peak_bytes, before_); }

void CheckHeap(const HeapMeter& meter, size_t bytes) {
  if (meter.peak() <= bytes) return;
  std::fprintf(stderr, "took %zu bytes, allowed are %zu\n", meter.peak(), bytes);
  std::abort();
}

}  // namespace merrow::fuzz
