// SPDX-License-Identifier: Apache-2.0
//
// What docs/operating.md says that can be set and watched is what there is: every flag of `merrow
// serve`, every key of the configuration file, every limit that can be set there, every metric.

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/serve.h"
#include "cli/sites.h"
#include "cli/status.h"
#include "server/config.h"
#include "server/metrics_page.h"
#include "server/replication_limits.h"

namespace merrow::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class OperatingDocs : public testing::Test {
 protected:
  OperatingDocs() : docs_(ReadText(MERROW_DOCS "/operating.md")) {}

  /// What the server makes of a configuration file with this text.
  Result<server::Config> ReadToml(const std::string& text) {
    const auto path = std::filesystem::path(testing::TempDir()) / "operating_docs_test.toml";
    std::ofstream(path) << text;
    auto config = server::ReadConfig(path.string());
    std::filesystem::remove(path);
    return config;
  }

  const std::string docs_;
};

std::vector<std::string> FlagsOf(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* const option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back(name);
  }
  return flags;
}

TEST_F(OperatingDocs, HaveEveryFlagAndTheFileTakesIt) {
  CLI::App app;
  int exit_code = 0;
  AddServe(app, exit_code);
  const std::vector<std::string> flags = FlagsOf(*app.get_subcommand("serve"));
  EXPECT_GT(flags.size(), 15U);
  for (const std::string& flag : flags) {
    if (flag == "help") continue;
    EXPECT_THAT(docs_, HasSubstr("`--" + flag)) << flag;
    if (flag == "config") continue;
    const std::string key = flag == "peer" ? "peers" : flag;
    // No setting takes a date, so the answer tells whether there is one of this name.
    const auto refused = ReadToml(key + " = 1979-05-27\n");
    ASSERT_FALSE(refused.ok()) << key;
    EXPECT_THAT(refused.error().message(), Not(HasSubstr("there is no such setting"))) << key;
    EXPECT_THAT(docs_, HasSubstr("\n" + key + " = ")) << "the example has no " << key;
  }
}

TEST_F(OperatingDocs, HaveTheFlagsOfOtherCommands) {
  CLI::App app;
  int exit_code = 0;
  AddStatus(app, exit_code);
  AddSites(app, exit_code);
  std::vector<CLI::App*> commands = app.get_subcommands({});
  for (CLI::App* const command : app.get_subcommand("sites")->get_subcommands({})) {
    EXPECT_THAT(docs_, HasSubstr("merrow sites " + command->get_name()));
    commands.push_back(command);
  }
  for (const CLI::App* const command : commands) {
    for (const std::string& flag : FlagsOf(*command)) {
      if (flag == "help") continue;
      EXPECT_THAT(docs_, HasSubstr("--" + flag)) << command->get_name();
    }
  }
}

TEST_F(OperatingDocs, HaveAnExampleOfTheFileThatIsRight) {
  const std::string begin = "```toml\n";
  const size_t start = docs_.find(begin);
  ASSERT_NE(start, std::string::npos);
  const size_t end = docs_.find("\n```", start);
  const auto config = ReadToml(docs_.substr(start + begin.size(), end - start - begin.size() + 1));
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  EXPECT_EQ(config->peers.size(), 2U);
}

TEST_F(OperatingDocs, HaveEveryLimitThatCanBeSet) {
  const std::vector<std::string> names = server::ReplicationLimitNames();
  EXPECT_GT(names.size(), 20U);
  for (const std::string& name : names) EXPECT_THAT(docs_, HasSubstr("`" + name + "`"));
}

TEST_F(OperatingDocs, HaveEveryMetric) {
  sync::Metrics sync;
  sync.errors["a"] = 1;
  server::ServerStatus status;
  status.store.emplace().tombstone_holders.resize(1);
  status.threads.resize(1);
  server::ReplicationStatus& replication = status.replication.emplace();
  replication.report.links.resize(1);
  replication.report.sites.resize(1);
  replication.links.dials.resize(1);
  replication.secrets.emplace().certificate_unix_s = 1;
  std::istringstream page(server::MetricsPage({}, sync, status));
  int count = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    const bool has = docs_.find("`" + name + "`") != std::string::npos ||
                     docs_.find("`" + name + "{") != std::string::npos;
    EXPECT_TRUE(has) << name;
    ++count;
  }
  EXPECT_GT(count, 90);
}

}  // namespace
}  // namespace merrow::cli
