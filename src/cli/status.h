// SPDX-License-Identifier: Apache-2.0
//
// `merrow status [--url URL] [--json]`: what a running server says of itself, its links to other
// sites and what it lacks (GET /v1/status), for people or as it came.

#pragma once

#include <string>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace CLI {
class App;
}

namespace merrow::cli {

/// Adds the subcommand. It sets `exit_code`, which must outlive the parsing: 1 if nobody answers.
void AddStatus(CLI::App& app, int& exit_code);

/// The JSON of GET /v1/status as text of several lines. Corruption if it is not that.
Result<std::string> StatusText(BytesView json);

}  // namespace merrow::cli
