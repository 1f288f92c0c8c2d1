// SPDX-License-Identifier: Apache-2.0
//
// `merrow changes export`, `apply` and `inspect`: databases that merge by files, sent by mail, on a
// stick or through an object store (docs/extension.md). They work on the files of merrow.so and of
// `merrow serve`: `export` at any time, `apply` while no server has them.

#pragma once

#include <string>
#include <vector>

#include "cli/doc_file.h"
#include "merrow/result.h"

namespace CLI {
class App;
}

namespace merrow::cli {

/// Writes what `database` has and `since` has not. `since`: versions as text, or @FILE, a changeset
/// file that has been exported elsewhere, all together. `zstd_level`: 0, no
/// compression, to 19. Reads one state of it and writes nothing there, but for the replica log of a
/// database that has none yet: busy if that has to be made and a server has the database.
Status ChangesExport(const std::string& database, const std::vector<std::string>& since,
                     int zstd_level, const std::string& out_file, DocIo& io);

/// Merges changeset files, in whatever order they depend on each other: all of them, or none.
Status ChangesApply(const std::string& database, const std::vector<std::string>& files, DocIo& io);

/// Sites, versions, tables, rows and documents of a changeset file, and where its bytes go.
Status ChangesInspect(const std::string& file, bool as_json, DocIo& io);

/// Adds `changes` with its commands to `app`; one that runs sets `exit_code`.
void AddChanges(CLI::App& app, DocIo& io, int& exit_code);

}  // namespace merrow::cli
