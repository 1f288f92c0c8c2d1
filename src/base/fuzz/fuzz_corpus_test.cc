// SPDX-License-Identifier: Apache-2.0
//
// Every fuzz target of a layer over its seeds, over mutations of them, and over the inputs that
// once broke it (test/corpora/TARGET), without libFuzzer.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/clock.h"
#include "base/fuzz/fuzz_target.h"

namespace merrow::fuzz {
namespace {

// Longer seeds take longer and say no more.
constexpr size_t kMutatedBytesMax = 4'096;

Bytes Mutated(const Bytes& input, const Bytes& other, SeededRandom* random) {
  Bytes mutated = input;
  for (uint64_t left = 1 + random->Below(3); left > 0; --left) {
    const size_t at = random->Below(mutated.size() + 1);
    const size_t length = random->Below(16);
    switch (random->Below(6)) {
      case 0:
        mutated.resize(at);
        break;
      case 1:
        if (at < mutated.size()) mutated[at] ^= static_cast<char>(1U << random->Below(8));
        break;
      case 2:
        if (at < mutated.size()) mutated[at] = static_cast<char>(random->Next());
        break;
      case 3:
        mutated.replace(at, length, "\xFF\xFF\xFF\xFF\x0F");
        break;
      case 4:
        mutated.replace(at, length, other.substr(random->Below(other.size() + 1), length));
        break;
      default:
        mutated.erase(at, length);
    }
  }
  return mutated;
}

std::vector<Bytes> CommittedInputs(std::string_view target) {
  std::vector<Bytes> inputs;
  const std::filesystem::path folder = std::filesystem::path(MERROW_CORPORA) / target;
  if (!std::filesystem::exists(folder)) return inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class FuzzCorpus : public testing::TestWithParam<FuzzTarget> {};

TEST_P(FuzzCorpus, SeedsMutationsAndOldCrashersPass) {
  const FuzzTarget& target = GetParam();
  const std::vector<Bytes> seeds = target.seeds();
  ASSERT_FALSE(seeds.empty());
  target.run({});
  for (const Bytes& seed : seeds) target.run(seed);
  for (const Bytes& input : CommittedInputs(target.name)) target.run(input);
  std::vector<Bytes> small;
  std::copy_if(seeds.begin(), seeds.end(), std::back_inserter(small),
               [](const Bytes& seed) { return seed.size() <= kMutatedBytesMax; });
  ASSERT_FALSE(small.empty());
  SeededRandom random(NumberFrom("MERROW_SEED", 1));
  const uint64_t cases = NumberFrom("MERROW_CASES", target.mutations);
  for (uint64_t i = 0; i < cases; ++i) {
    const Bytes& seed = small[random.Below(small.size())];
    target.run(Mutated(seed, small[random.Below(small.size())], &random));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, testing::ValuesIn(FuzzTargets()),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace merrow::fuzz
