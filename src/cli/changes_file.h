// SPDX-License-Identifier: Apache-2.0
//
// Changeset files that the `merrow changes` commands read, which are too large to be held in
// memory: a piece at a time. "-" is standard input.

#pragma once

#include <string>

#include "changeset/changeset_file.h"
#include "cli/doc_file.h"
#include "merrow/result.h"

namespace merrow::cli {

/// The bytes of `file`. Errors name it; those of the source do not.
Result<changeset::FileReader::Source> OpenChanges(const std::string& file, DocIo& io);

}  // namespace merrow::cli
