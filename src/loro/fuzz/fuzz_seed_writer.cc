// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds of every fuzz target for libFuzzer: FOLDER/TARGET/NUMBER.
//
// Usage: loro_fuzz_seeds VECTORS FOLDER    VECTORS is test/vectors

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "loro/fuzz/fuzz_seeds.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: loro_fuzz_seeds VECTORS FOLDER\n", stderr);
    return 2;
  }
  for (const auto& [target, inputs] : merrow::loro::LoadFuzzSeeds(argv[1])) {
    const std::filesystem::path folder = std::filesystem::path(argv[2]) / target;
    std::filesystem::create_directories(folder);
    for (size_t i = 0; i < inputs.size(); ++i) {
      std::ofstream file(folder / std::to_string(i), std::ios::binary);
      file.write(inputs[i].data(), static_cast<std::streamsize>(inputs[i].size()));
      if (!file.good()) {
        std::fprintf(stderr, "cannot write to %s\n", folder.c_str());
        return 1;
      }
    }
  }
  return 0;
}
