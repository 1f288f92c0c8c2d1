// SPDX-License-Identifier: Apache-2.0
//
// A file system for SQLite that fails on purpose, for tests. It passes everything on to the default
// one and counts the operations that change files (write, truncate, sync, delete). At the chosen
// count it
//
//   kFail       fails that operation and all later ones with an I/O error (kFailOnce: that one);
//   kFull       the same, as if the disk were full;
//   kTorn       does half of a write and ends the process, as a kill would;
//   kPowerCut   takes back what was written to each file since its last sync and ends the process;
//   kFailReads  fails all reads that follow the next sync.
//
// Syncs are counted, not done: what a power cut leaves is computed, so tests need not wait for a
// disk. One at a time per process; the shared memory file is not touched, because recovery ignores
// it.

#pragma once

#include <sqlite3.h>

#include <cstdint>

namespace merrow::store {

enum class FaultMode { kNone, kFail, kFull, kFailOnce, kTorn, kPowerCut, kFailReads };

/// The exit status of a process that kTorn or kPowerCut ended.
inline constexpr int kFaultExitStatus = 87;

class TestVfs {
 public:
  /// Becomes the default of SQLite until it goes away.
  TestVfs();
  TestVfs(const TestVfs&) = delete;
  TestVfs& operator=(const TestVfs&) = delete;
  ~TestVfs();

  /// The operation number `at` (from 1, counted from now) gets the fault.
  void Arm(FaultMode mode, int64_t at);
  void Disarm() { Arm(FaultMode::kNone, 0); }
  /// Operations since Arm().
  int64_t operations() const;
  /// True if the fault happened.
  bool fired() const;

 private:
  sqlite3_vfs* default_vfs_;
  sqlite3_vfs vfs_;
};

}  // namespace merrow::store
