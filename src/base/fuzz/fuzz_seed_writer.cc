// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds of every fuzz target of a layer for libFuzzer: FOLDER/TARGET/NUMBER.
//
// Usage: LAYER_fuzz_seeds FOLDER

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/fuzz/fuzz_target.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  for (const merrow::fuzz::FuzzTarget& target : merrow::fuzz::FuzzTargets()) {
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / target.name;
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const merrow::Bytes& seed : target.seeds()) {
      std::ofstream file(folder / std::to_string(number++), std::ios::binary);
      file.write(seed.data(), static_cast<std::streamsize>(seed.size()));
      if (!file.good()) {
        std::fprintf(stderr, "cannot write to %s\n", folder.c_str());
        return 1;
      }
    }
  }
  return 0;
}
