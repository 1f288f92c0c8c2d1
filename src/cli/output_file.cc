// SPDX-License-Identifier: Apache-2.0
#include "cli/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ostream>

namespace merrow::cli {

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!partial_.empty()) {
    ::unlink(partial_.c_str());
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
  const bool is_file =
      kind == std::filesystem::file_type::regular || kind == std::filesystem::file_type::not_found;
  if (is_file) {
    partial_ = file_ + ".partial";
  }
  const std::string& path = is_file ? partial_ : file_;
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ >= 0) {
    return {};
  }
  partial_.clear();
  return Failed("cannot be written", errno);
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
  // Pipes and devices cannot be synced, and need not be.
  if (::fsync(descriptor_) != 0 && !partial_.empty()) {
    return Failed("cannot be written", errno);
  }
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) {
    return Failed("cannot be written", errno);
  }
  if (!partial_.empty() && ::rename(partial_.c_str(), file_.c_str()) != 0) {
    return Failed("cannot be replaced", errno);
  }
  partial_.clear();
  return {};
}

}  // namespace merrow::cli
