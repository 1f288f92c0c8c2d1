// SPDX-License-Identifier: Apache-2.0
//
// The end of every `merrow` command line: status 0 if the command did what it should, 1 if it
// failed, 2 if the command line makes no sense. Errors are one line on standard error.

#pragma once

#include <iosfwd>

namespace CLI {
class App;
}

namespace merrow::cli {

/// Parses the command line, which runs the command that it names. `exit_code` is what the command
/// set. Returns the process's exit code: that, 0 if help was asked for, or 2.
int RunCommandLine(CLI::App& app, int argc, const char* const* argv, const int& exit_code,
                   std::ostream& out, std::ostream& err);

}  // namespace merrow::cli
