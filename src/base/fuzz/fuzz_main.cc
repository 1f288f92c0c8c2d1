// SPDX-License-Identifier: Apache-2.0
//
// Entry of the libFuzzer program of one target, MERROW_FUZZ_TARGET.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/fuzz/fuzz_target.h"
#include "merrow/check.h"

namespace {

merrow::fuzz::FuzzTarget Target() {
  const std::vector<merrow::fuzz::FuzzTarget> targets = merrow::fuzz::FuzzTargets();
  const auto found = std::find_if(targets.begin(), targets.end(), [](const auto& target) {
    return target.name == MERROW_FUZZ_TARGET;
  });
  MERROW_CHECK(found != targets.end());
  return *found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const merrow::fuzz::FuzzTarget target = Target();
  target.run(size == 0 ? merrow::BytesView()
                       : merrow::BytesView(reinterpret_cast<const char*>(data), size));
  return 0;
}
