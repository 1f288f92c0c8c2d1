// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc inspect`, `json`, `log`, `merge` and `diff`: what is in a blob, for people who debug
// documents (docs/doc-tools.md). Each reads files ("-" is standard input), prints to `io.out` and
// returns an error that names the file and the place in it; AddDocTools prints that to `io.err`.
//
// Output has no control characters of the document's, and everything of unknown length in it is
// cut, but for what programs read (`inspect --json`, `json`).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/doc_file.h"
#include "merrow/result.h"

namespace CLI {
class App;
}

namespace merrow::cli {

/// Kind, peers, version, changes, ops, containers and bytes by part. Nothing is imported.
/// Cost: one decoding of the file; memory for one change block and the names of the containers.
Status DocInspect(const std::string& file, bool as_json, DocIo& io);

/// The deep JSON of a document into which `files` were imported in order. Conflict, after the JSON
/// was printed, if ops stayed parked because what they depend on is in none of the files.
Status DocJson(const std::vector<std::string>& files, DocIo& io);

/// Changes in causal order (by lamport, then peer), each with a line per op; at most `limit`.
Status DocLog(const std::string& file, std::optional<uint64_t> limit, DocIo& io);

/// Merges `files` into `out_file`, as an "update", a "snapshot" or a "shallow-snapshot", whose
/// history is as short as can be. Conflict, and nothing is written, if ops would stay parked, which
/// the output would lose, or if an update would have to hold trimmed history.
Status DocMerge(const std::vector<std::string>& files, const std::string& out_file,
                const std::string& mode, DocIo& io);

/// Which ops either has that the other lacks, and the differences of their JSON by path, at most
/// `limit`. Conflict, after the rest, if ops of one stayed parked.
Status DocDiff(const std::string& a, const std::string& b, uint64_t limit, DocIo& io);

inline constexpr uint64_t kDocDiffLimit = 100;

/// Adds the commands to `doc`; one that runs sets `exit_code`: 0, or 1 after an error.
void AddDocTools(CLI::App& doc, DocIo& io, int& exit_code);

}  // namespace merrow::cli
