// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/doc_file.h"

namespace merrow::cli {
namespace {

constexpr int kUsageError = 2;

// The command that was being parsed, with the commands above it: "merrow doc log".
std::string CommandPath(const CLI::App& app) {
  std::string path = app.get_name().empty() ? "merrow" : app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return path;
}

}  // namespace

int RunCommandLine(CLI::App& app, int argc, const char* const* argv, const int& exit_code,
                   std::ostream& out, std::ostream& err) {
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    // Asking for help ends the parsing, too.
    if (error.get_exit_code() == 0) return app.exit(error, out, err);
    std::string message = error.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    const std::string path = CommandPath(app);
    err << path << ": " << Printable(message) << " (see " << path << " --help)" << std::endl;
    return kUsageError;
  }
}

}  // namespace merrow::cli
