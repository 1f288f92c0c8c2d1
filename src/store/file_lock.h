// SPDX-License-Identifier: Apache-2.0
//
// The lock that keeps a second Merrow process away from a database file. It is on a file beside it
// (FILE-merrow-lock, which stays), because a lock on the database file itself would interfere with
// SQLite's. The operating system drops it when the process ends, however it ends.

#pragma once

#include <string>

#include "merrow/result.h"

namespace merrow::store {

class FileLock {
 public:
  /// Busy, naming the process, if another one has it.
  static Result<FileLock> Acquire(const std::string& database_path);
  /// Busy if another process has it now. Says nothing about later, and makes no lock file. For each
  /// commit, so it takes the path as SQLite has it: absolute, and symbolic links resolved.
  static Status CheckFree(const std::string& real_path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace merrow::store
