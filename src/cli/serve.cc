// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>

#include "base/clock.h"
#include "base/release.h"
#include "server/config.h"
#include "server/log_format.h"
#include "server/log_limiter.h"
#include "server/server.h"

namespace merrow::cli {
namespace {

struct ServeFlags {
  std::string config_file;
  bool replicate = false;
  server::Config config;
};

Result<server::Config> ReadSettings(const ServeFlags& flags) {
  server::Config config = flags.config;
  if (flags.replicate) config.replicate = true;
  if (flags.config_file.empty()) return config;
  MERROW_ASSIGN(const server::Config file, server::ReadConfig(flags.config_file));
  return server::Overlay(file, config);
}

void StartLog(const std::string& level) {
  // Standard output is for the lines that say where the server is; logs go to standard error.
  const auto now_ms = [clock = std::make_shared<SystemClock>()] {
    return clock->MonotonicMicros() / 1000;
  };
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "merrow", std::make_shared<server::LogLimiter>(
                    std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), now_ms)));
  // Lines that are held back are told of at the latest then.
  spdlog::flush_every(std::chrono::seconds(5));
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::set_formatter(server::MakeLogFormatter());
}

void PrintUrls(const server::ServerUrls& urls) {
  spdlog::info("merrow {} started, process {}", kRelease, getpid());
  std::cout << "merrow: listening on " << urls.clients << "\n";
  if (!urls.sites.empty()) std::cout << "merrow: sites connect to " << urls.sites << "\n";
  std::cout << std::flush;
}

int Serve(const server::Config& config) {
  StartLog(config.log_level.value_or(server::kDefaultLogLevel));
  const Result<server::ServerOptions> options = server::ToServerOptions(config);
  const Status status = options.ok() ? server::RunServer(*options, PrintUrls) : options.error();
  if (status.ok()) {
    spdlog::info("stopped");
    return 0;
  }
  std::cerr << "merrow: " << status.error().ToString() << std::endl;
  return 1;
}

void AddReplicationFlags(CLI::App& serve, ServeFlags& flags) {
  server::Config& config = flags.config;
  serve.add_flag("--replicate", flags.replicate,
                 "keep transactions for other sites; implied by --peer and --peer-listen");
  serve
      .add_option("--peer", config.peers,
                  "ws://HOST:PORT or wss://HOST:PORT of another site; repeatable")
      ->allow_extra_args(false);
  serve.add_option("--peer-listen", config.peer_listen,
                   "HOST:PORT where other sites connect to; port 0 picks one");
  serve.add_option("--peer-token-file", config.peer_token_file,
                   "file with the secret that all sites share, one to a line while it is changed:\n"
                   "the first is shown, all are accepted; read again on SIGHUP");
  serve.add_option("--tls-cert", config.tls_cert,
                   "PEM certificate of this site; read again on SIGHUP");
  serve.add_option("--tls-key", config.tls_key, "PEM key of the certificate; read again on SIGHUP");
  serve.add_option("--tls-ca", config.tls_ca,
                   "PEM certificates that sign the other sites'; read again on SIGHUP");
  serve.add_option("--zstd-dictionary", config.zstd_dictionary,
                   "dictionary from `zstd --train`, for links whose other end has it too");
}

}  // namespace

void AddServe(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<ServeFlags>();
  server::Config& config = flags->config;
  CLI::App* serve = app.add_subcommand("serve", "Serve the rows of a database to live clients");
  serve->add_option("--config", flags->config_file,
                    "TOML file with the settings; flags win over it");
  serve->add_option("--db", config.db, "SQLite file; created if missing");
  serve->add_option("--schema", config.schema, "SQL file that declares the tables");
  serve->add_option("--listen", config.listen, "HOST:PORT; port 0 picks one")
      ->default_str(server::kDefaultListen);
  serve->add_option("--static", config.static_directory, "directory of web pages to serve");
  serve
      ->add_option("--doc-memory", config.doc_memory_bytes,
                   "memory for open documents, such as 256MiB")
      ->transform(CLI::AsSizeValue(false))
      ->default_str("256MiB");
  serve->add_option("--log-level", config.log_level, "what to log")
      ->check(CLI::IsMember(server::LogLevelNames()))
      ->default_str(server::kDefaultLogLevel);
  serve
      ->add_option("--stop-timeout", config.stop_timeout_s,
                   "seconds from SIGTERM until the process ends at once; so does a second SIGTERM")
      ->default_str(std::to_string(server::kStopTimeout.count()));
  AddReplicationFlags(*serve, *flags);
  serve->callback([flags, &exit_code] {
    const Result<server::Config> settings = ReadSettings(*flags);
    if (!settings.ok()) {
      std::cerr << "merrow: " << settings.error().ToString() << std::endl;
      exit_code = 1;
      return;
    }
    // What only a command line that makes no sense can lack.
    if (!settings->db.has_value()) throw CLI::RequiredError("--db");
    if (!settings->schema.has_value()) throw CLI::RequiredError("--schema");
    exit_code = Serve(*settings);
  });
}

}  // namespace merrow::cli
