// SPDX-License-Identifier: Apache-2.0
//
// `merrow serve`: the sync server.

#pragma once

namespace CLI {
class App;
}

namespace merrow::cli {

/// Adds the subcommand to `app`. When it is chosen, it runs during parsing and leaves the process's
/// exit code in `exit_code`, which must outlive the parsing.
void AddServe(CLI::App& app, int& exit_code);

}  // namespace merrow::cli
