// SPDX-License-Identifier: Apache-2.0
#include "store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

namespace merrow::store {
namespace {

constexpr char kSuffix[] = "-merrow-lock";

std::string SystemMessage(int error) { return std::generic_category().message(error); }

/// Symbolic links and relative paths name the same lock as the file itself.
std::string RealPath(const std::string& path) {
  char* const resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) {
    return path;
  }
  std::string real = resolved;
  std::free(resolved);
  return real;
}

std::string ReadOwner(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "unknown";
}

/// For the message of whoever comes second; the lock holds without it.
void WriteOwner(int descriptor) {
  const std::string text = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) == 0) {
    [[maybe_unused]] const ssize_t size = ::pwrite(descriptor, text.data(), text.size(), 0);
  }
}

std::string LockPath(const std::string& database_path) { return RealPath(database_path) + kSuffix; }

Error HeldByAnother(const std::string& database_path, int descriptor) {
  return Busy("another merrow process (" + ReadOwner(descriptor) + ") has " + database_path +
              " open; one at a time may write it");
}

}  // namespace

Result<FileLock> FileLock::Acquire(const std::string& database_path) {
  const std::string path = LockPath(database_path);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return IoError("cannot open the lock file " + path + ": " + SystemMessage(errno));
  }
  FileLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return HeldByAnother(database_path, descriptor);
    }
    return IoError("cannot lock " + path + ": " + SystemMessage(errno));
  }
  WriteOwner(descriptor);
  return lock;
}

Status FileLock::CheckFree(const std::string& real_path) {
  const std::string path = real_path + kSuffix;
  if (::access(path.c_str(), F_OK) != 0) {
    return {};  // nearly always, and that costs half of what open does
  }
  const FileLock file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.descriptor_ < 0 || ::flock(file.descriptor_, LOCK_SH | LOCK_NB) == 0) {
    return {};
  }
  return HeldByAnother(real_path, file.descriptor_);
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

}  // namespace merrow::store
