// SPDX-License-Identifier: Apache-2.0
#include "store/test_vfs.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <new>
#include <optional>
#include <string>

#include "merrow/check.h"

namespace merrow::store {
namespace {

struct State {
  sqlite3_vfs* real = nullptr;
  FaultMode mode = FaultMode::kNone;
  int64_t at = 0;
  int64_t operations = 0;
  bool fired = false;
  /// What a power cut leaves of each file: its bytes at its last sync.
  std::map<std::string, std::string> synced;
};

State& GetState() {
  static State state;
  return state;
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

[[noreturn]] void CutPower() {
  for (const auto& [path, bytes] : GetState().synced) {
    if (::access(path.c_str(), F_OK) == 0) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    }
  }
  ::_exit(kFaultExitStatus);
}

/// Counts an operation. Gives an SQLite error if it must fail now.
std::optional<int> Count() {
  State& state = GetState();
  ++state.operations;
  if (state.mode == FaultMode::kNone || state.mode == FaultMode::kFailReads ||
      state.operations < state.at) {
    return std::nullopt;
  }
  state.fired = true;
  switch (state.mode) {
    case FaultMode::kFailOnce:
      return state.operations == state.at ? std::optional(SQLITE_IOERR_WRITE) : std::nullopt;
    case FaultMode::kFail:
      return SQLITE_IOERR_WRITE;
    case FaultMode::kFull:
      return SQLITE_FULL;
    case FaultMode::kPowerCut:
      CutPower();
    case FaultMode::kTorn:
    case FaultMode::kFailReads:
    case FaultMode::kNone:
      return std::nullopt;
  }
  MERROW_CHECK(false);
}

bool TearsNow() { return GetState().fired && GetState().mode == FaultMode::kTorn; }

/// SQLite allocates szOsFile bytes; the file of the default VFS follows this header.
struct File {
  sqlite3_file base;
  std::string* path;  // null for temporary files, which are not counted
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* Of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* Real(sqlite3_file* file) { return Of(file)->real(); }
const sqlite3_io_methods* Methods(sqlite3_file* file) { return Real(file)->pMethods; }

int Close(sqlite3_file* file) {
  const int code = Methods(file)->xClose(Real(file));
  delete Of(file)->path;
  Of(file)->path = nullptr;
  return code;
}

int Read(sqlite3_file* file, void* to, int amount, sqlite3_int64 offset) {
  if (GetState().fired && GetState().mode == FaultMode::kFailReads) {
    return SQLITE_IOERR_READ;
  }
  return Methods(file)->xRead(Real(file), to, amount, offset);
}

int Write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
  if (Of(file)->path != nullptr) {
    if (const auto error = Count(); error.has_value()) {
      return *error;
    }
    if (TearsNow()) {
      Methods(file)->xWrite(Real(file), from, amount / 2, offset);
      ::_exit(kFaultExitStatus);
    }
  }
  return Methods(file)->xWrite(Real(file), from, amount, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (Of(file)->path != nullptr) {
    if (const auto error = Count(); error.has_value()) {
      return *error;
    }
    if (TearsNow()) {
      ::_exit(kFaultExitStatus);
    }
  }
  return Methods(file)->xTruncate(Real(file), size);
}

int Sync(sqlite3_file* file, int /*flags*/) {
  if (Of(file)->path == nullptr) {
    return SQLITE_OK;
  }
  if (const auto error = Count(); error.has_value()) {
    return *error;
  }
  if (TearsNow()) {
    ::_exit(kFaultExitStatus);
  }
  if (GetState().mode == FaultMode::kPowerCut) {
    GetState().synced[*Of(file)->path] = ReadWhole(*Of(file)->path);
  }
  if (GetState().mode == FaultMode::kFailReads && GetState().operations >= GetState().at) {
    GetState().fired = true;
  }
  return SQLITE_OK;
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Methods(file)->xFileSize(Real(file), size);
}
int Lock(sqlite3_file* file, int level) { return Methods(file)->xLock(Real(file), level); }
int Unlock(sqlite3_file* file, int level) { return Methods(file)->xUnlock(Real(file), level); }
int CheckReservedLock(sqlite3_file* file, int* out) {
  return Methods(file)->xCheckReservedLock(Real(file), out);
}
int FileControl(sqlite3_file* file, int op, void* argument) {
  return Methods(file)->xFileControl(Real(file), op, argument);
}
int SectorSize(sqlite3_file* file) { return Methods(file)->xSectorSize(Real(file)); }
int DeviceCharacteristics(sqlite3_file* file) {
  return Methods(file)->xDeviceCharacteristics(Real(file));
}
int ShmMap(sqlite3_file* file, int page, int page_size, int extend, void volatile** out) {
  return Methods(file)->xShmMap(Real(file), page, page_size, extend, out);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return Methods(file)->xShmLock(Real(file), offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { Methods(file)->xShmBarrier(Real(file)); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Methods(file)->xShmUnmap(Real(file), remove);
}

// Version 2: no memory-mapped reads, which would go around this.
constexpr sqlite3_io_methods kMethods = {2,
                                         Close,
                                         Read,
                                         Write,
                                         Truncate,
                                         Sync,
                                         FileSize,
                                         Lock,
                                         Unlock,
                                         CheckReservedLock,
                                         FileControl,
                                         SectorSize,
                                         DeviceCharacteristics,
                                         ShmMap,
                                         ShmLock,
                                         ShmBarrier,
                                         ShmUnmap,
                                         nullptr,
                                         nullptr};

int Open(sqlite3_vfs* /*vfs*/, sqlite3_filename name, sqlite3_file* file, int flags,
         int* out_flags) {
  sqlite3_vfs* const real = GetState().real;
  File* const opened = Of(file);
  opened->base.pMethods = nullptr;
  const int code = real->xOpen(real, name, opened->real(), flags, out_flags);
  if (code == SQLITE_OK) {
    opened->path = name == nullptr ? nullptr : new std::string(name);
    opened->base.pMethods = &kMethods;
    if (name != nullptr && GetState().mode == FaultMode::kPowerCut) {
      GetState().synced.try_emplace(name, ReadWhole(name));
    }
  }
  return code;
}

int Delete(sqlite3_vfs* /*vfs*/, const char* name, int /*sync_directory*/) {
  if (const auto error = Count(); error.has_value()) {
    return *error;
  }
  if (TearsNow()) {
    ::_exit(kFaultExitStatus);
  }
  GetState().synced.erase(name);
  return GetState().real->xDelete(GetState().real, name, 0);
}

}  // namespace

TestVfs::TestVfs() : default_vfs_(sqlite3_vfs_find(nullptr)), vfs_(*default_vfs_) {
  GetState() = State();
  GetState().real = default_vfs_;
  vfs_.zName = "merrow-test";
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + default_vfs_->szOsFile;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  vfs_.pNext = nullptr;
  MERROW_CHECK(sqlite3_vfs_register(&vfs_, 1) == SQLITE_OK);
}

TestVfs::~TestVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(default_vfs_, 1);
}

void TestVfs::Arm(FaultMode mode, int64_t at) {
  GetState().mode = mode;
  GetState().at = at;
  GetState().operations = 0;
  GetState().fired = false;
  GetState().synced.clear();
}

int64_t TestVfs::operations() const { return GetState().operations; }
bool TestVfs::fired() const { return GetState().fired; }

}  // namespace merrow::store
