// SPDX-License-Identifier: Apache-2.0
#include "cli/changes_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <istream>
#include <memory>
#include <ostream>

namespace merrow::cli {

Result<changeset::FileReader::Source> OpenChanges(const std::string& file, DocIo& io) {
  std::shared_ptr<std::ifstream> opened;
  if (file != "-") {
    errno = 0;
    opened = std::make_shared<std::ifstream>(file, std::ios::binary);
    if (!*opened) {
      return IoError(InputName(file) + ": cannot be opened: " + std::strerror(errno));
    }
  }
  std::istream* const in = opened != nullptr ? opened.get() : &io.in;
  changeset::FileReader::Source source = [in, opened, name = InputName(file)](
                                             char* into, size_t size) -> Result<size_t> {
    errno = 0;
    in->read(into, static_cast<std::streamsize>(size));
    const auto count = static_cast<size_t>(in->gcount());
    // A directory opens, and fails here.
    if (in->bad() || (count == 0 && errno != 0)) {
      return IoError(std::string("cannot be read: ") + std::strerror(errno));
    }
    return count;
  };
  return source;
}

ChangesOutput::~ChangesOutput() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!partial_.empty()) {
    ::unlink(partial_.c_str());
  }
}

Error ChangesOutput::Failed(const char* what, int code) const {
  return IoError(Printable(file_) + ": " + what + ": " + std::strerror(code));
}

Status ChangesOutput::Write(BytesView bytes) {
  if (status_.ok() && descriptor_ < 0 && !is_standard()) {
    status_ = Open();
  }
  if (status_.ok()) {
    status_ = WriteAll(bytes);
    bytes_ += bytes.size();
  }
  return status_;
}

Status ChangesOutput::Finish() {
  if (status_.ok() && !is_standard()) {
    status_ = Replace();
  }
  return status_;
}

Status ChangesOutput::Open() {
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

Status ChangesOutput::WriteAll(BytesView bytes) {
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

Status ChangesOutput::Replace() {
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
