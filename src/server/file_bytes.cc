// SPDX-License-Identifier: Apache-2.0
#include "server/file_bytes.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace merrow::server {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Error CannotRead(const std::string& path, int code) {
  return IoError("cannot read " + path + ": " + std::generic_category().message(code));
}

}  // namespace

Result<Bytes> ReadFileBytes(const std::string& path, size_t bytes_max) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) return CannotRead(path, errno);
  Bytes bytes;
  char buffer[64 << 10];
  while (true) {
    errno = 0;
    const size_t count = std::fread(buffer, 1, sizeof(buffer), file.get());
    bytes.append(buffer, count);
    if (bytes.size() > bytes_max) {
      return LimitReached(path + " holds more than " + std::to_string(bytes_max) + " bytes");
    }
    if (count < sizeof(buffer)) break;
  }
  if (std::ferror(file.get()) != 0) return CannotRead(path, errno);
  return bytes;
}

bool OthersMayRead(const std::string& path) {
  struct stat found = {};
  return stat(path.c_str(), &found) == 0 && (found.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

}  // namespace merrow::server
