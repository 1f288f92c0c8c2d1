// SPDX-License-Identifier: Apache-2.0
//
// Configuration: what `merrow serve` is told, by a file (merrow.toml, docs/operating.md) and by
// flags. A setting that nobody gave is nothing here, so that flags can win over the file and
// defaults stay in one place, ServerOptions.
//
// The file is TOML. Keys are named like the flags; limits of replication stand in a table of their
// own. A key that is not known, a value of another type and a number out of range are errors that
// name file, line and key. Paths are relative to the directory of the file.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/result.h"
#include "server/server.h"

namespace merrow::server {

struct Config {
  std::optional<std::string> db;
  std::optional<std::string> schema;
  std::optional<std::string> listen;
  std::optional<std::string> static_directory;
  std::optional<uint64_t> doc_memory_bytes;
  std::optional<std::string> log_level;
  std::optional<uint64_t> stop_timeout_s;

  std::optional<bool> replicate;
  std::vector<std::string> peers;
  std::optional<std::string> peer_listen;
  std::optional<std::string> peer_token_file;
  std::optional<std::string> tls_cert;
  std::optional<std::string> tls_key;
  std::optional<std::string> tls_ca;
  std::optional<std::string> zstd_dictionary;
  /// By name (replication_limits.h).
  std::map<std::string, uint64_t, std::less<>> replication_limits;
};

inline constexpr size_t kConfigBytesMax = size_t{1} << 20;
inline constexpr const char* kDefaultListen = "127.0.0.1:6377";
inline constexpr const char* kDefaultLogLevel = "info";

/// Reads a file. Invalid argument names file, line and key; io if it cannot be read.
Result<Config> ReadConfig(const std::string& path);
/// The same of a text; `path` is for messages and for what paths are relative to.
Result<Config> ParseConfig(std::string_view text, const std::string& path);

/// `flags` where it says something, else `file`. Lists are not joined: flags replace them.
Config Overlay(const Config& file, const Config& flags);

/// What the server runs with. Invalid argument if something required is missing, an address or
/// URL makes no sense, or settings contradict each other.
Result<ServerOptions> ToServerOptions(const Config& config);

/// 4096, "64KiB", "256MiB", "1GiB", "10MB": bytes.
Result<uint64_t> ParseByteSize(std::string_view text);
/// The names that --log-level takes.
const std::vector<std::string>& LogLevelNames();

}  // namespace merrow::server
