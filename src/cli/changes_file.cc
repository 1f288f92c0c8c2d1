// SPDX-License-Identifier: Apache-2.0
#include "cli/changes_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <istream>
#include <memory>

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
  changeset::FileReader::Source source = [in, opened](char* into, size_t size) -> Result<size_t> {
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

}  // namespace merrow::cli
