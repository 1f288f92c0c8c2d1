// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "cli/doc_tools.h"

namespace merrow::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

Outcome Merrow(std::vector<const char*> arguments) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  CLI::App app{"Test.", "merrow"};
  app.require_subcommand(1);
  CLI::App* doc = app.add_subcommand("doc", "Tools");
  doc->require_subcommand(1);
  DocIo io{in, out, err};
  int exit_code = 0;
  AddDocTools(*doc, io, exit_code);
  arguments.insert(arguments.begin(), "merrow");
  const int code = RunCommandLine(app, static_cast<int>(arguments.size()), arguments.data(),
                                  exit_code, out, err);
  return {code, out.str(), err.str()};
}

TEST(CommandLineTest, WhatMakesNoSenseIsOneLineAndStatus2) {
  const std::vector<std::vector<const char*>> lines = {
      {},
      {"bake"},
      {"doc"},
      {"doc", "bake"},
      {"doc", "inspect"},
      {"doc", "inspect", "a", "b"},
      {"doc", "inspect", "a", "--nope"},
      {"doc", "log", "a", "--limit", "many"},
      {"doc", "log", "a", "--limit"},
      {"doc", "merge", "a"},
      {"doc", "merge", "a", "-o", "b", "--mode", "other"},
      {"doc", "inspect", "a", "new\nline\x1B[31m"},
  };
  for (const std::vector<const char*>& line : lines) {
    SCOPED_TRACE(::testing::PrintToString(line));
    const Outcome outcome = Merrow(line);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, StartsWith("merrow"));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
    EXPECT_EQ(outcome.err.find('\x1B'), std::string::npos);
  }
  EXPECT_EQ(Merrow({"doc", "log", "a", "--limit"}).err.substr(0, 15), "merrow doc log:");
}

TEST(CommandLineTest, HelpIsNoError) {
  const Outcome outcome = Merrow({"doc", "merge", "--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("--mode"));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST(CommandLineTest, WhatFailsIsStatus1) {
  const Outcome outcome = Merrow({"doc", "json", "/nonexistent/file"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, StartsWith("merrow: io: "));
}

}  // namespace
}  // namespace merrow::cli
