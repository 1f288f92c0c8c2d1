// SPDX-License-Identifier: Apache-2.0
//
// Changeset files that the `merrow changes` commands read, which are too large to be held in
// memory: a piece at a time. "-" is standard input.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "changeset/changeset_file.h"
#include "changeset/version_set.h"
#include "cli/doc_file.h"
#include "merrow/result.h"

namespace merrow::cli {

/// The bytes of `file`. Errors name it; those of the source do not.
Result<changeset::FileReader::Source> OpenChanges(const std::string& file, DocIo& io);

/// What the changesets of a file cover. A short file can have very many of them in any order, so
/// ranges are put in order some at a time.
class CoveredVersions {
 public:
  void Add(const changeset::Changeset& changeset);
  /// Of all until now.
  const changeset::SiteVersions& versions();

 private:
  static constexpr size_t kPendingMax = size_t{1} << 18;

  changeset::SiteVersions versions_;
  std::map<cells::SiteId, std::vector<changeset::VersionRange>> pending_;
  size_t pending_count_ = 0;
};

}  // namespace merrow::cli
