// SPDX-License-Identifier: Apache-2.0
//
// Database snapshot: one committed state of a database, for whoever only reads it: while others go
// on writing it, and where nothing can be written (a copy, a file of another user, read-only
// media).
//
// It writes nothing, neither to the file nor beside it. A reader in WAL mode needs an index of the
// write-ahead log, which SQLite keeps in FILE-shm and makes if it is not there; so what lies beside
// the file says how it is read:
//
//     FILE-wal and FILE-shm       as by any reader: writers go on, and what is read stays as it was
//     FILE-wal without FILE-shm   nobody has it open. The index is made in memory
//     no FILE-wal, in WAL mode    nobody has it open, and all is in FILE, which is read as it is
//     not in WAL mode             as by any reader: writers wait
//
// Where nobody has it open no lock is taken, so nothing keeps others from coming:
// CheckUndisturbed().

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "merrow/result.h"
#include "store/sqlite.h"

namespace merrow::store {

class DatabaseSnapshot {
 public:
  /// A server's database or any other that may have tracked tables. Not found, invalid argument if
  /// it is no database, unsupported if a newer Merrow made it, busy, io.
  static Result<std::unique_ptr<DatabaseSnapshot>> Open(const std::string& path,
                                                        int busy_timeout_ms);
  DatabaseSnapshot(const DatabaseSnapshot&) = delete;
  DatabaseSnapshot& operator=(const DatabaseSnapshot&) = delete;

  /// In a transaction, which ends with this.
  Database& database() { return *database_; }

  /// Busy if somebody came and wrote where no lock was taken, so that what was read until now may
  /// be of no state that there was.
  Status CheckUndisturbed() const;

 private:
  /// What tells that a file was written.
  struct FileState {
    bool exists = false;
    uint64_t device = 0, inode = 0;
    int64_t size = 0, modified_ns = 0;

    friend bool operator==(const FileState&, const FileState&) = default;
  };
  struct Files {
    FileState database, wal;
    bool has_shm = false;

    friend bool operator==(const Files&, const Files&) = default;
  };

  explicit DatabaseSnapshot(std::string real_path) : real_path_(std::move(real_path)) {}

  static FileState Look(const std::string& path);
  Files LookAtFiles() const;
  Status Connect();
  Status Begin(const std::string& path, int busy_timeout_ms);

  const std::string real_path_;  // which FILE-wal is named by
  Files files_;                  // before anything was read
  bool is_locked_ = true;
  std::unique_ptr<Database> database_;
};

}  // namespace merrow::store
