// SPDX-License-Identifier: Apache-2.0
//
// The `merrow` binary: parses the command line and hands over to one file per subcommand.

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "base/release.h"
#include "cli/changes.h"
#include "cli/command_line.h"
#include "cli/doc_tools.h"
#include "cli/doc_worker.h"
#include "cli/serve.h"
#include "cli/sites.h"
#include "cli/status.h"

namespace {

int Run(int argc, char** argv) {
  CLI::App app{"Merrow makes rows mergeable.", "merrow"};
  app.set_version_flag("--version", std::string("merrow ") + merrow::kRelease,
                       "Print the version and exit");
  app.require_subcommand(1);
  int exit_code = 0;
  merrow::cli::AddServe(app, exit_code);
  merrow::cli::AddStatus(app, exit_code);
  merrow::cli::AddSites(app, exit_code);

  CLI::App* doc = app.add_subcommand("doc", "Tools for documents");
  doc->require_subcommand(1);
  doc->add_subcommand("worker", "Drive the document engine by JSON lines on standard input")
      ->callback([&exit_code] {
        std::ios::sync_with_stdio(false);
        exit_code = merrow::cli::RunDocWorker(std::cin, std::cout);
      });

  merrow::cli::DocIo io{std::cin, std::cout, std::cerr};
  merrow::cli::AddDocTools(*doc, io, exit_code);
  merrow::cli::AddChanges(app, io, exit_code);

  return merrow::cli::RunCommandLine(app, argc, argv, exit_code, std::cout, std::cerr);
}

}  // namespace

int main(int argc, char** argv) {
  // What the standard library throws for lack of memory or threads.
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "merrow: " << error.what() << std::endl;
    return 1;
  }
}
