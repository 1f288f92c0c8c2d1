// SPDX-License-Identifier: Apache-2.0
#include "store/database_snapshot.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "store/database_file.h"

namespace merrow::store {
namespace {

constexpr int kOpenFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;

Result<std::string> RealPath(const std::string& path) {
  char* const resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) {
    const int code = errno;
    if (code == ENOENT) {
      return NotFound("there is no such file");
    }
    return IoError("cannot be opened: " + std::generic_category().message(code));
  }
  std::string real = resolved;
  std::free(resolved);
  return real;
}

/// For SQLite, with every byte that could mean something there as %XX.
std::string Uri(const std::string& real_path, const char* query) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string uri = "file://";
  for (const char c : real_path) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
        c == '.' || c == '-' || c == '_') {
      uri += c;
    } else {
      uri += '%';
      uri += kHex[byte >> 4];
      uri += kHex[byte & 15];
    }
  }
  return uri + query;
}

/// As the header says, which SQLite reads for this: who closes a descriptor of the file himself
/// drops all locks that his process has on it.
Result<bool> IsInWalMode(const std::string& real_path) {
  constexpr int kReadVersionOffset = 19;
  constexpr char kWal = 2;
  MERROW_ASSIGN(const auto database, Database::Open(Uri(real_path, "?immutable=1"), kOpenFlags));
  sqlite3_file* file = nullptr;
  sqlite3_file_control(database->handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  char version = 0;
  // What is too short for a header is no database, which shows when it is read.
  return file != nullptr && file->pMethods != nullptr &&
         file->pMethods->xRead(file, &version, 1, kReadVersionOffset) == SQLITE_OK &&
         version == kWal;
}

}  // namespace

Result<std::unique_ptr<DatabaseSnapshot>> DatabaseSnapshot::Open(const std::string& path,
                                                                 int busy_timeout_ms) {
  MERROW_ASSIGN(std::string real_path, RealPath(path));
  std::unique_ptr<DatabaseSnapshot> snapshot(new DatabaseSnapshot(std::move(real_path)));
  MERROW_TRY(snapshot->Connect());
  MERROW_TRY(snapshot->Begin(path, busy_timeout_ms));
  return snapshot;
}

Status DatabaseSnapshot::Connect() {
  files_ = LookAtFiles();
  if (!files_.wal.exists || !files_.has_shm) {
    MERROW_ASSIGN(const bool is_in_wal_mode, IsInWalMode(real_path_));
    is_locked_ = !is_in_wal_mode;
  }
  if (is_locked_) {
    MERROW_ASSIGN(database_, Database::Open(Uri(real_path_, ""), kOpenFlags));
  } else if (files_.wal.exists) {
    MERROW_ASSIGN(database_, Database::Open(Uri(real_path_, "?vfs=unix-none"), kOpenFlags));
    // SQLite keeps the index in memory for who is alone.
    MERROW_TRY(database_->Execute("PRAGMA locking_mode = EXCLUSIVE"));
  } else {
    MERROW_ASSIGN(database_, Database::Open(Uri(real_path_, "?immutable=1"), kOpenFlags));
  }
  // Nothing is brought from the log into the file, nor is the log removed.
  sqlite3_db_config(database_->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return {};
}

Status DatabaseSnapshot::Begin(const std::string& path, int busy_timeout_ms) {
  sqlite3_busy_timeout(database_->handle(), busy_timeout_ms);
  MERROW_TRY(database_->Execute("BEGIN"));
  // With the first thing that is read the state is chosen.
  const Status checked = CheckExistingDatabase(*database_, path);
  if (!checked.ok() && sqlite3_extended_errcode(database_->handle()) == SQLITE_READONLY_ROLLBACK) {
    return Busy(path +
                " has a transaction that was cut off, which has to be rolled back first: open it "
                "once with a program that may write it");
  }
  MERROW_TRY(checked);
  return database_->Execute("PRAGMA cache_size = -8192");  // KiB
}

DatabaseSnapshot::FileState DatabaseSnapshot::Look(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    return {};
  }
  return {true, status.st_dev, status.st_ino, status.st_size,
          status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

DatabaseSnapshot::Files DatabaseSnapshot::LookAtFiles() const {
  return {Look(real_path_), Look(real_path_ + "-wal"), Look(real_path_ + "-shm").exists};
}

Status DatabaseSnapshot::CheckUndisturbed() const {
  if (is_locked_ || LookAtFiles() == files_) {
    return {};
  }
  return Busy("another process has opened and written it meanwhile; try again");
}

}  // namespace merrow::store
