// SPDX-License-Identifier: Apache-2.0
#include "cli/changes_file.h"

#include <algorithm>
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

void CoveredVersions::Add(const changeset::Changeset& changeset) {
  pending_[changeset.cells.site].push_back({changeset.cells.previous, changeset.cells.version});
  if (++pending_count_ >= kPendingMax) {
    versions();
  }
}

const changeset::SiteVersions& CoveredVersions::versions() {
  for (auto& [site, ranges] : pending_) {
    std::sort(ranges.begin(), ranges.end(),
              [](const auto& a, const auto& b) { return a.after < b.after; });
    changeset::VersionRanges in_order;
    for (const changeset::VersionRange& range : ranges) {
      in_order.Add(range);
    }
    versions_[site].Add(in_order);
  }
  pending_.clear();
  pending_count_ = 0;
  return versions_;
}

}  // namespace merrow::cli
