// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "server/server.h"

namespace merrow::cli {
namespace {

struct ServeFlags {
  server::ServerOptions options;
  std::string listen = "127.0.0.1:6377";
  std::string log_level = "info";
};

int Serve(ServeFlags flags) {
  // Standard output is for the one line that says where the server is; logs go to standard error.
  auto logger = spdlog::stderr_color_mt("merrow");
  spdlog::set_default_logger(logger);
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);

  Result<net::ListenAddress> listen = net::ParseListenAddress(flags.listen);
  Status status;
  if (!listen.ok()) {
    status = listen.error().Within("--listen");
  } else {
    flags.options.listen = std::move(listen).value();
    status = server::RunServer(flags.options, [](const std::string& url) {
      std::cout << "merrow: listening on " << url << std::endl;
    });
  }
  if (status.ok()) return 0;
  std::cerr << "merrow: " << status.error().ToString() << std::endl;
  return 1;
}

}  // namespace

void AddServe(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<ServeFlags>();
  CLI::App* serve = app.add_subcommand("serve", "Serve the rows of a database to live clients");
  serve->add_option("--db", flags->options.database_path, "SQLite file; created if missing")
      ->required();
  serve->add_option("--schema", flags->options.schema_path, "SQL file that declares the tables")
      ->required();
  serve->add_option("--listen", flags->listen, "HOST:PORT; port 0 picks one")
      ->capture_default_str();
  serve->add_option("--static", flags->options.static_directory, "directory of web pages to serve");
  serve
      ->add_option("--doc-memory", flags->options.document_memory_bytes_max,
                   "memory for open documents, such as 256MiB")
      ->transform(CLI::AsSizeValue(false))
      ->default_str("256MiB");
  serve->add_option("--log-level", flags->log_level, "what to log")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  serve->callback([flags, &exit_code] { exit_code = Serve(*flags); });
}

}  // namespace merrow::cli
