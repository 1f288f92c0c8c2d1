// SPDX-License-Identifier: Apache-2.0
#include "cli/doc_tools.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <ostream>

namespace merrow::cli {
namespace {

struct Flags {
  std::vector<std::string> files;
  std::string a;
  std::string b;
  std::string out;
  std::string mode = "update";
  bool as_json = false;
  std::optional<uint64_t> limit;
  uint64_t diff_limit = kDocDiffLimit;
};

constexpr const char* kFileHelp = "a blob, updates or snapshot; - is standard input";

}  // namespace

void AddDocTools(CLI::App& doc, DocIo& io, int& exit_code) {
  const auto flags = std::make_shared<Flags>();
  const auto add = [&doc, &io, &exit_code](const char* name, const char* help,
                                           std::function<Status()> run) {
    CLI::App* command = doc.add_subcommand(name, help);
    command->callback([&io, &exit_code, run = std::move(run)] { exit_code = RunTool(io, run); });
    return command;
  };

  CLI::App* inspect = add("inspect", "Say what is in a blob, without importing it",
                          [flags, &io] { return DocInspect(flags->a, flags->as_json, io); });
  inspect->add_option("FILE", flags->a, kFileHelp)->required();
  inspect->add_flag("--json", flags->as_json, "for programs, and without cuts");

  CLI::App* json = add("json", "Import blobs in order and print the document as JSON",
                       [flags, &io] { return DocJson(flags->files, io); });
  json->add_option("FILE", flags->files, kFileHelp)->required();

  CLI::App* log = add("log", "List the changes of a blob in causal order",
                      [flags, &io] { return DocLog(flags->a, flags->limit, io); });
  log->add_option("FILE", flags->a, kFileHelp)->required();
  log->add_option("--limit", flags->limit, "print at most this many changes");

  CLI::App* merge = add("merge", "Merge blobs into one", [flags, &io] {
    return DocMerge(flags->files, flags->out, flags->mode, io);
  });
  merge->add_option("FILE", flags->files, kFileHelp)->required();
  merge->add_option("-o,--out", flags->out, "file to write; - is standard output")->required();
  merge
      ->add_option("--mode", flags->mode,
                   "what to write: history, history and state, or state and little history")
      ->check(CLI::IsMember({"update", "snapshot", "shallow-snapshot"}))
      ->capture_default_str();

  CLI::App* diff = add("diff", "Compare two blobs: their ops and their JSON",
                       [flags, &io] { return DocDiff(flags->a, flags->b, flags->diff_limit, io); });
  diff->add_option("A", flags->a, kFileHelp)->required();
  diff->add_option("B", flags->b, kFileHelp)->required();
  diff->add_option("--limit", flags->diff_limit, "print at most this many differences")
      ->capture_default_str();
}

}  // namespace merrow::cli
