// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// The parser asserts what it checks again right after: "[{" would end a debug build, and an
// optimiser may believe what is not so. Without NDEBUG it assumes nothing.
#define TOML_ASSERT(condition) static_cast<void>(0)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <utility>

#include "server/file_bytes.h"
#include "server/replication_limits.h"

namespace merrow::server {
namespace {

constexpr uint64_t kStopTimeoutMaxS = 86'400;

// How a key of the file becomes a member of Config.
struct TextSetting {
  std::string_view key;
  std::optional<std::string> Config::*member;
  bool is_path = false;
};
constexpr TextSetting kTextSettings[] = {
    {"db", &Config::db, true},
    {"schema", &Config::schema, true},
    {"listen", &Config::listen},
    {"static", &Config::static_directory, true},
    {"log-level", &Config::log_level},
    {"peer-listen", &Config::peer_listen},
    {"peer-token-file", &Config::peer_token_file, true},
    {"tls-cert", &Config::tls_cert, true},
    {"tls-key", &Config::tls_key, true},
    {"tls-ca", &Config::tls_ca, true},
    {"zstd-dictionary", &Config::zstd_dictionary, true},
};

std::string_view TypeName(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

class FileReader {
 public:
  explicit FileReader(const std::string& path)
      : path_(path), directory_(std::filesystem::path(path).parent_path()) {}

  Result<Config> Read(std::string_view text) {
    toml::parse_result parsed = toml::parse(text, path_);
    if (!parsed) return At(parsed.error().source(), std::string(parsed.error().description()));
    for (auto&& [key, node] : parsed.table()) {
      const Status read = Setting(key.str(), node);
      if (!read.ok()) return read.error();
    }
    return std::move(config_);
  }

 private:
  Error At(const toml::source_region& where, const std::string& what) const {
    return InvalidArgument(path_ + ":" + std::to_string(where.begin.line) + ": " + what);
  }
  Error At(const toml::node& node, std::string_view key, const std::string& what) const {
    return At(node.source(), std::string(key) + ": " + what);
  }
  Error WrongType(const toml::node& node, std::string_view key, std::string_view wanted) const {
    return At(node, key, std::string(wanted) + " is expected, not " + std::string(TypeName(node)));
  }

  Status Setting(std::string_view key, const toml::node& node) {
    for (const TextSetting& setting : kTextSettings) {
      if (setting.key == key) return Text(setting, node);
    }
    if (key == "doc-memory") {
      MERROW_ASSIGN(config_.doc_memory_bytes, Bytes(key, node));
      return {};
    }
    if (key == "stop-timeout") {
      if (!node.is_integer()) return WrongType(node, key, "a whole number of seconds");
      const int64_t seconds = node.value<int64_t>().value_or(-1);
      if (seconds < 0) return At(node, key, std::to_string(seconds) + " is negative");
      config_.stop_timeout_s = static_cast<uint64_t>(seconds);
      return {};
    }
    if (key == "replicate") {
      if (!node.is_boolean()) return WrongType(node, key, "true or false");
      config_.replicate = node.value<bool>();
      return {};
    }
    if (key == "peers") return Peers(key, node);
    if (key == "replication") return ReplicationLimits(key, node);
    return At(node, key, "there is no such setting");
  }

  Status Text(const TextSetting& setting, const toml::node& node) {
    if (!node.is_string()) return WrongType(node, setting.key, "a string");
    std::string text = node.value<std::string>().value_or("");
    if (text.find('\0') != std::string::npos) {
      return At(node, setting.key, "the string has a NUL in it");
    }
    if (setting.key == "log-level") {
      const auto& names = LogLevelNames();
      if (std::find(names.begin(), names.end(), text) == names.end()) {
        return At(node, setting.key, "there is no level \"" + text + "\"");
      }
    }
    if (setting.is_path) text = (directory_ / text).string();
    config_.*setting.member = std::move(text);
    return {};
  }

  // A whole number, or a string like "64MiB".
  Result<uint64_t> Bytes(std::string_view key, const toml::node& node) const {
    if (node.is_string()) {
      Result<uint64_t> bytes = ParseByteSize(node.value<std::string>().value_or(""));
      if (!bytes.ok()) return At(node, key, bytes.error().message());
      return bytes;
    }
    if (!node.is_integer()) return WrongType(node, key, "a whole number or a size like \"64MiB\"");
    const int64_t number = node.value<int64_t>().value_or(-1);
    if (number < 0) return At(node, key, std::to_string(number) + " is negative");
    return static_cast<uint64_t>(number);
  }

  Status Peers(std::string_view key, const toml::node& node) {
    if (!node.is_array()) return WrongType(node, key, "a list of strings");
    for (const toml::node& peer : *node.as_array()) {
      if (!peer.is_string()) return WrongType(peer, key, "a string in the list");
      config_.peers.push_back(peer.value<std::string>().value_or(""));
    }
    return {};
  }

  Status ReplicationLimits(std::string_view table, const toml::node& node) {
    if (!node.is_table()) return WrongType(node, table, "a table");
    for (auto&& [key, value] : *node.as_table()) {
      const std::string name(key.str());
      const std::string full = std::string(table) + "." + name;
      const std::vector<std::string> names = ReplicationLimitNames();
      if (!std::binary_search(names.begin(), names.end(), name)) {
        return At(value, full, "there is no such setting");
      }
      MERROW_ASSIGN(const uint64_t number, Bytes(full, value));
      ReplicationOptions ignored;
      const Status set = SetReplicationLimit(name, number, &ignored);
      if (!set.ok()) return At(value, full, set.error().message());
      config_.replication_limits[name] = number;
    }
    return {};
  }

  const std::string path_;
  const std::filesystem::path directory_;
  Config config_;
};

Result<net::ListenAddress> ParseAddress(const std::string& text, std::string_view flag) {
  Result<net::ListenAddress> address = net::ParseListenAddress(text);
  if (!address.ok()) return address.error().Within(flag);
  return address;
}

Result<ReplicationOptions> ToReplicationOptions(const Config& config) {
  ReplicationOptions options;
  const bool has_peers = !config.peers.empty() || config.peer_listen.has_value();
  if (has_peers && config.replicate == false) {
    return InvalidArgument("peers make no sense with replicate = false");
  }
  options.enabled = config.replicate.value_or(has_peers);
  for (const std::string& peer : config.peers) {
    Result<net::PeerUrl> url = net::ParsePeerUrl(peer);
    if (!url.ok()) return url.error().Within("--peer");
    if (std::find(options.peers.begin(), options.peers.end(), *url) != options.peers.end()) {
      return InvalidArgument("--peer: " + url->ToString() + " is there twice");
    }
    options.peers.push_back(std::move(url).value());
  }
  for (const auto& [name, value] : config.replication_limits) {
    MERROW_TRY(SetReplicationLimit(name, value, &options));
  }
  if (options.redial_ms_min > options.redial_ms_max ||
      options.limits.retry_ms_min > options.limits.retry_ms_max) {
    return InvalidArgument("a pause's min is above its max");
  }
  if (options.limits.keepalive_ms > options.limits.silence_ms_max / 2) {
    return InvalidArgument(
        "replication.keepalive_ms is above half of silence_ms_max: links would "
        "be taken for dead");
  }
  options.token_file = config.peer_token_file.value_or("");
  options.tls_cert = config.tls_cert.value_or("");
  options.tls_key = config.tls_key.value_or("");
  options.tls_ca = config.tls_ca.value_or("");
  options.zstd_dictionary_file = config.zstd_dictionary.value_or("");
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return InvalidArgument("--tls-cert and --tls-key go together");
  }
  if (!config.peer_listen.has_value()) return options;
  MERROW_ASSIGN(options.listen, ParseAddress(*config.peer_listen, "--peer-listen"));
  const bool is_mutual = !options.tls_cert.empty() && !options.tls_ca.empty();
  if (!options.listen->is_loopback && options.token_file.empty() && !is_mutual) {
    return InvalidArgument("--peer-listen " + options.listen->ToString() +
                           ": other machines need --peer-token-file, or --tls-cert, --tls-key and "
                           "--tls-ca");
  }
  return options;
}

template <typename T>
void Prefer(const std::optional<T>& flag, std::optional<T>* value) {
  if (flag.has_value()) *value = flag;
}

}  // namespace

Result<Config> ReadConfig(const std::string& path) {
  MERROW_ASSIGN(const std::string text, ReadFileBytes(path, kConfigBytesMax));
  return ParseConfig(text, path);
}

Result<Config> ParseConfig(std::string_view text, const std::string& path) {
  if (text.size() > kConfigBytesMax) {
    return LimitReached(path + " holds more than " + std::to_string(kConfigBytesMax) + " bytes");
  }
  return FileReader(path).Read(text);
}

Config Overlay(const Config& file, const Config& flags) {
  Config joined = file;
  for (const TextSetting& setting : kTextSettings) {
    Prefer(flags.*setting.member, &(joined.*setting.member));
  }
  Prefer(flags.doc_memory_bytes, &joined.doc_memory_bytes);
  Prefer(flags.stop_timeout_s, &joined.stop_timeout_s);
  Prefer(flags.replicate, &joined.replicate);
  if (!flags.peers.empty()) joined.peers = flags.peers;
  for (const auto& [name, number] : flags.replication_limits) {
    joined.replication_limits[name] = number;
  }
  return joined;
}

Result<uint64_t> ParseByteSize(std::string_view text) {
  constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1},
      {"B", 1},
      {"KB", 1000},
      {"MB", 1'000'000},
      {"GB", 1'000'000'000},
      {"KiB", uint64_t{1} << 10},
      {"MiB", uint64_t{1} << 20},
      {"GiB", uint64_t{1} << 30},
  };
  const Error error = InvalidArgument("\"" + std::string(text) + "\" is no size like \"64MiB\"");
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return error;
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const auto& [name, factor] : kUnits) {
    if (name != unit) continue;
    if (number > UINT64_MAX / factor) return error;
    return number * factor;
  }
  return error;
}

const std::vector<std::string>& LogLevelNames() {
  static const std::vector<std::string> kNames = {"trace", "debug", "info", "warn", "error", "off"};
  return kNames;
}

Result<ServerOptions> ToServerOptions(const Config& config) {
  if (!config.db.has_value()) return InvalidArgument("--db (db in the file) is required");
  if (!config.schema.has_value())
    return InvalidArgument("--schema (schema in the file) is required");
  ServerOptions options;
  options.database_path = *config.db;
  options.schema_path = *config.schema;
  options.static_directory = config.static_directory.value_or("");
  if (config.doc_memory_bytes.has_value()) {
    options.document_memory_bytes_max = *config.doc_memory_bytes;
  }
  if (config.stop_timeout_s.has_value()) {
    if (*config.stop_timeout_s < 1 || *config.stop_timeout_s > kStopTimeoutMaxS) {
      return InvalidArgument("--stop-timeout is from 1 to " + std::to_string(kStopTimeoutMaxS) +
                             " seconds");
    }
    options.stop_timeout = std::chrono::seconds(*config.stop_timeout_s);
  }
  MERROW_ASSIGN(options.listen, ParseAddress(config.listen.value_or(kDefaultListen), "--listen"));
  MERROW_ASSIGN(options.replication, ToReplicationOptions(config));
  return options;
}

}  // namespace merrow::server
