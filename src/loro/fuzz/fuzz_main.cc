// SPDX-License-Identifier: Apache-2.0
//
// Entry of the libFuzzer program of one target, MERROW_FUZZ_TARGET.

#include <cstddef>
#include <cstdint>

#include "loro/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  merrow::loro::MERROW_FUZZ_TARGET(
      size == 0 ? merrow::BytesView()
                : merrow::BytesView(reinterpret_cast<const char*>(data), size));
  return 0;
}
