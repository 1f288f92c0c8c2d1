// SPDX-License-Identifier: Apache-2.0
#include "cli/output_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ostream>

namespace merrow::cli {
namespace {

/// What `file` leads to, which need not be there.
std::string Target(std::filesystem::path file) {
  constexpr int kLinksMax = 40;  // as Linux has it
  std::error_code error;
  for (int i = 0; i < kLinksMax && std::filesystem::is_symlink(file, error); ++i) {
    // If that is absolute, the folder does not count.
    file = file.parent_path() / std::filesystem::read_symlink(file, error);
  }
  return file;
}

}  // namespace

OutputFile::~OutputFile() {
  // While it is still locked.
  if (!partial_.empty()) {
    ::unlink(partial_.c_str());
  }
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

Error OutputFile::Failed(const char* what, int code) const {
  return IoError(Printable(file_) + ": " + what + ": " + std::strerror(code));
}

Status OutputFile::Write(BytesView bytes) {
  if (status_.ok() && descriptor_ < 0 && !is_standard()) {
    status_ = Open();
  }
  if (status_.ok()) {
    status_ = WriteAll(bytes);
    bytes_ += bytes.size();
  }
  return status_;
}

Status OutputFile::Finish() {
  if (status_.ok() && !is_standard()) {
    status_ = Replace();
  }
  return status_;
}

Status OutputFile::Open() {
  std::error_code error;
  const auto kind = std::filesystem::status(file_, error).type();
  if (kind == std::filesystem::file_type::regular ||
      kind == std::filesystem::file_type::not_found) {
    target_ = Target(file_);
  }
  if (!target_.empty()) {
    return OpenPartial();
  }
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  return descriptor_ >= 0 ? Status() : Failed("cannot be written", errno);
}

Status OutputFile::OpenPartial() {
  const std::string partial = target_ + ".partial";
  struct stat opened = {};
  struct stat named = {};
  struct stat replaced = {};
  const bool replaces = ::stat(target_.c_str(), &replaced) == 0;
  // Others may open it when it has the owner and the group of what it replaces, and not before.
  const mode_t mode_at_first = replaces ? 0600 : 0666;
  do {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
    // In a folder that all may write, that name can be somebody else's link.
    descriptor_ =
        ::open(partial.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode_at_first);
    if (descriptor_ < 0) {
      return Failed("cannot be written", errno);
    }
    // A file system that has no locks cannot tell.
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return Busy(Printable(file_) + ": another process is writing it");
    }
    if (::fstat(descriptor_, &opened) != 0) {
      return Failed("cannot be written", errno);
    }
    // Until it was locked, whoever had it may have finished it and given it its name.
  } while (::stat(partial.c_str(), &named) != 0 || named.st_ino != opened.st_ino ||
           named.st_dev != opened.st_dev);
  partial_ = partial;
  if (::ftruncate(descriptor_, 0) != 0) {
    return Failed("cannot be written", errno);
  }
  if (replaces) {
    // Only root may give files away; in the group's name, others can.
    if (::fchown(descriptor_, replaced.st_uid, replaced.st_gid) != 0) {
      [[maybe_unused]] const int given =
          ::fchown(descriptor_, static_cast<uid_t>(-1), replaced.st_gid);
    }
    if (::fchmod(descriptor_, replaced.st_mode & 0777) != 0) {
      return Failed("cannot be written", errno);
    }
  }
  return {};
}

Status OutputFile::WriteAll(BytesView bytes) {
  if (is_standard()) {
    io_.out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return io_.out ? Status() : IoError("standard output: cannot be written");
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) {
      return Failed("cannot be written", errno);
    }
    bytes.remove_prefix(count < 0 ? 0 : static_cast<size_t>(count));
  }
  return {};
}

Status OutputFile::Replace() {
  // Pipes and most devices cannot be synced, and need not be.
  if (::fsync(descriptor_) != 0 && (!partial_.empty() || errno != EINVAL)) {
    return Failed("cannot be written", errno);
  }
  if (!partial_.empty()) {
    if (::rename(partial_.c_str(), target_.c_str()) != 0) {
      return Failed("cannot be replaced", errno);
    }
    partial_.clear();
    MERROW_TRY(SyncFolder());
  }
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  return closed == 0 ? Status() : Failed("cannot be written", errno);
}

/// Where the name is.
Status OutputFile::SyncFolder() {
  const std::filesystem::path folder = std::filesystem::path(target_).parent_path();
  const int descriptor =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) {
    return {};  // one that may be written but not read
  }
  const bool is_synced = ::fsync(descriptor) == 0 || errno == EINVAL;
  const int code = errno;
  ::close(descriptor);
  return is_synced ? Status() : Failed("its folder cannot be written", code);
}

}  // namespace merrow::cli
