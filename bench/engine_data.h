// SPDX-License-Identifier: Apache-2.0
//
// What the workloads of engine_workloads share: reading the inputs that bench/engine.mjs prepared,
// a random generator, a hash of results, and the line that reports a measurement.
// bench/peers/src/data.rs has the same in Rust and describes the files; both must agree to the bit,
// so that results can be compared.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "merrow/bytes.h"
#include "merrow/check.h"
#include "merrow/document.h"

namespace merrow::bench {

struct Patch {
  uint32_t position = 0;
  uint32_t deleted = 0;
  std::string inserted;
};

struct Txn {
  uint32_t agent = 0;
  std::vector<uint32_t> parents;
  std::vector<Patch> patches;
};

/// The folder with the inputs. A file that is missing stops the process.
class Data {
 public:
  explicit Data(std::string folder) : folder_(std::move(folder)) {}

  std::vector<Txn> Trace(const std::string& name) const;
  std::vector<Bytes> Blobs(const std::string& name) const;
  Bytes Blob(const std::string& name) const { return Blobs(name).front(); }

 private:
  Bytes Read(const std::string& name) const;

  std::string folder_;
};

/// splitmix64
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint32_t Below(size_t bound);

 private:
  uint64_t state_;
};

/// FNV-1a of what a workload ended with.
std::string Hash(const std::string& text);

/// What one run of one workload found out.
struct Report {
  std::vector<int64_t>
      samples;            // nanoseconds of each repetition (or bytes: workloads about memory)
  size_t operations = 1;  // in one repetition
  size_t bytes = 0;       // written or read, if the workload is about any
  std::string check;      // of the result; equal for all engines
};
void Print(const Report& report);

/// Time that passed, or for what takes long the processor time of this process, which other
/// programs disturb less. (Asking for that takes too long for what is short.)
class Stopwatch {
 public:
  Stopwatch() : cpu_start_(CpuNanoseconds()), start_(std::chrono::steady_clock::now()) {}
  int64_t Nanoseconds() const {
    const auto passed = std::chrono::steady_clock::now() - start_;
    const int64_t wall = std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count();
    return wall < kShort ? wall : CpuNanoseconds() - cpu_start_;
  }

 private:
  static constexpr int64_t kShort = 100'000;
  static int64_t CpuNanoseconds();

  int64_t cpu_start_;
  std::chrono::steady_clock::time_point start_;
};

/// Runs `work` again and again, for a while, `runs` times at least; nanoseconds of each. What it
/// makes is destroyed after the clock has stopped.
template <typename Work>
std::vector<int64_t> Repeated(size_t runs, Work work) {
  std::vector<int64_t> samples;
  const Stopwatch all;
  while (samples.size() < runs || all.Nanoseconds() < 50'000'000) {
    const Stopwatch one;
    const auto made = work();
    samples.push_back(one.Nanoseconds());
    asm volatile("" : : "g"(&made) : "memory");
  }
  return samples;
}

/// Bytes that malloc has handed out, with its own overhead.
size_t HeapBytes();

inline loro::ContainerId Root(const char* name, loro::ContainerKind kind) {
  return loro::ContainerId::Root(name, kind);
}
std::string TextHash(const loro::Document& document);
std::string JsonHash(const loro::Document& document);
loro::Document Imported(BytesView blob);

}  // namespace merrow::bench
