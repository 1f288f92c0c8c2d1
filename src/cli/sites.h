// SPDX-License-Identifier: Apache-2.0
//
// `merrow sites list|forget|remember`: the sites that a running server ever heard of, and what to
// do about one that is lost for good (GET /v1/sites, POST /v1/sites/SITE/...).

#pragma once

#include <string>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace CLI {
class App;
}

namespace merrow::cli {

/// Adds the subcommand. It sets `exit_code`, which must outlive the parsing.
void AddSites(CLI::App& app, int& exit_code);

/// The JSON of GET /v1/sites as text, a line each. Corruption if it is not that.
Result<std::string> SitesText(BytesView json);

}  // namespace merrow::cli
