// SPDX-License-Identifier: Apache-2.0
#include "cli/status.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/doc_file.h"
#include "cli/http_get.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::milliseconds kTimeout{10'000};

// "850 ms", "12.3 s", "5 min", "3 h", "2 d"
std::string Duration(int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  if (ms < 3'600'000) return fmt::format("{} min", ms / 60'000);
  if (ms < 48 * 3'600'000LL) return fmt::format("{} h", ms / 3'600'000);
  return fmt::format("{} d", ms / 86'400'000);
}

std::string Size(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double size = static_cast<double>(bytes) / 1024;
  for (const char* unit : {"KiB", "MiB"}) {
    if (size < 1024) return fmt::format("{:.1f} {}", size, unit);
    size /= 1024;
  }
  return fmt::format("{:.1f} GiB", size);
}

// The start of a site id is enough to tell sites apart.
std::string Short(const Json& site) {
  return site.is_string() ? Printable(site.get<std::string>().substr(0, 8)) : "?";
}
std::string Text(const Json& object, const char* key) { return Printable(object.value(key, "")); }

// Columns as wide as what is in them, two spaces apart.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }

  std::string ToString() const {
    std::vector<size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line = " ";
      for (size_t i = 0; i < row.size(); ++i) {
        line += " " + row[i] + std::string(widths[i] - row[i].size() + 1, ' ');
      }
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string Links(const Json& links) {
  TextTable table({"peer", "state", "address", "open", "lag", "lacks here", "lacks there", "in",
                   "out", "digest"});
  for (const Json& link : links) {
    const Json digest = link.value("digest", Json::object());
    std::string equal = Text(digest, "result");
    if (const auto error = Text(digest, "error"); !error.empty()) equal += " (" + error + ")";
    const std::string url = Text(link, "url");
    table.Add({Short(link.value("peer", Json())), Text(link, "state"),
               url.empty() ? "from " + Text(link, "address") : url,
               Duration(link.value("open_ms", int64_t{0})),
               Duration(link.value("lag_ms", int64_t{0})),
               std::to_string(link.value("lacking_here", int64_t{0})),
               std::to_string(link.value("lacking_there", int64_t{0})),
               Size(link.value("bytes_in", uint64_t{0})),
               Size(link.value("bytes_out", uint64_t{0})), equal});
  }
  return table.empty() ? "links: none\n" : "links\n" + table.ToString();
}

// Those that are dialed and not connected.
std::string Dials(const Json& dials) {
  std::string text;
  for (const Json& dial : dials) {
    const std::string state = Text(dial, "state");
    if (state == "connected") continue;
    text += "  " + Text(dial, "url") + "  ";
    if (state == "standby") {
      text += "another link to the same site stands";
    } else if (state == "self") {
      text += "is this very site";
    } else {
      text += fmt::format("{}, {} attempts", state, dial.value("attempts", int64_t{0}));
      if (dial.contains("next_ms")) {
        text += ", next in " + Duration(dial.value("next_ms", int64_t{0}));
      }
      if (const auto error = Text(dial, "last_error"); !error.empty()) text += ": " + error;
    }
    text += "\n";
  }
  return text.empty() ? "" : "not connected\n" + text;
}

std::string Sites(const Json& sites, const std::string& own) {
  TextTable table({"site", "last", "needs", "delay"});
  for (const Json& site : sites) {
    const bool is_own = site.value("site", "") == own;
    table.Add({Short(site.value("site", Json())) + (is_own ? " (this)" : ""),
               std::to_string(site.value("last", int64_t{0})),
               std::to_string(site.value("needs", int64_t{0})),
               is_own ? "" : Duration(site.value("delay_ms", int64_t{0}))});
  }
  return table.empty() ? "" : "sites\n" + table.ToString();
}

// What sites should have in common and do not.
std::string Differences(const Json& status) {
  constexpr int64_t kClockMsMax = 5000;
  const Json& replication = status.at("replication");
  const std::string schema = Text(status, "schema");
  std::string text;
  for (const Json& link : replication.at("links")) {
    const std::string peer = "  " + Short(link.value("peer", Json()));
    const std::string its_schema = Text(link, "schema");
    if (Text(link, "state") == "open" && !schema.empty() && its_schema != schema) {
      text += peer + " has another schema\n";
    }
    const int64_t ahead_ms = link.value("clock_ahead_ms", int64_t{0});
    if (ahead_ms > kClockMsMax || ahead_ms < -kClockMsMax) {
      text += fmt::format("{}: its clock was {} {} when the link opened\n", peer,
                          Duration(ahead_ms < 0 ? -ahead_ms : ahead_ms),
                          ahead_ms < 0 ? "behind" : "ahead");
    }
  }
  const int64_t now_ms = status.value("unix_ms", int64_t{0});
  for (const Json& site : replication.at("sites")) {
    const int64_t ahead_ms = site.value("timestamp_ms", int64_t{0}) - now_ms;
    if (now_ms > 0 && ahead_ms > kClockMsMax) {
      text += fmt::format("  {}: its changes are dated {} ahead\n",
                          Short(site.value("site", Json())), Duration(ahead_ms));
    }
  }
  return text.empty() ? "" : "differences\n" + text;
}

std::string Refused(const Json& list) {
  std::string text;
  for (const Json& refused : list) {
    const Json versions = refused.value("versions", Json::array());
    text += fmt::format("  {} {} to {}, from {}: {}\n", Short(refused.value("site", Json())),
                        versions.at(0).get<int64_t>(), versions.at(1).get<int64_t>(),
                        Short(refused.value("from", Json())), Text(refused, "reason"));
  }
  return text.empty() ? "" : "refused changesets\n" + text;
}

// Transactions that are here, and that the database's own rules keep out of its rows.
std::string KeptOut(const Json& store) {
  if (!store.is_object()) return "";
  std::string text;
  const Json list = store.value("refused", Json::array());
  for (const Json& refused : list) {
    const Json versions = refused.value("versions", Json::array());
    text += fmt::format("  {} {} to {}: {}\n", Short(refused.value("site", Json())),
                        versions.at(0).get<int64_t>(), versions.at(1).get<int64_t>(),
                        Text(refused, "reason"));
  }
  const uint64_t count = store.value("transactions_refused", uint64_t{0});
  if (count > list.size()) text += fmt::format("  and {} more\n", count - list.size());
  return text.empty() ? "" : "kept out by this database, tried again every minute\n" + text;
}

std::string Tombstones(const Json& store) {
  const uint64_t count = store.is_object() ? store.value("tombstones", uint64_t{0}) : 0;
  if (count == 0) return "";
  std::string text = fmt::format("tombstones: {}", count);
  const uint64_t young = store.value("tombstones_young", uint64_t{0});
  if (young > 0) text += fmt::format(", of which {} are kept for some time", young);
  text += "\n";
  for (const Json& holder : store.value("tombstones_held_by", Json::array())) {
    const Json until = holder.value("until", Json::object());
    text += fmt::format("  {} until {} has version {} of {}\n",
                        holder.value("tombstones", int64_t{0}), Short(holder.value("site", Json())),
                        until.value("version", int64_t{0}), Short(until.value("site", Json())));
  }
  return text;
}

std::string Identities(const Json& list) {
  std::string text;
  for (const Json& change : list) {
    text += fmt::format("  {} became {}, agreed up to {} with {}\n",
                        Short(change.value("before", Json())), Short(change.value("after", Json())),
                        change.value("agreed", int64_t{0}), Short(change.value("peer", Json())));
  }
  return text.empty() ? "" : "new identities (the database was restored from a backup)\n" + text;
}

std::string Waiting(const Json& status) {
  const Json& replication = status.at("replication");
  std::string text;
  const Json store = status.value("store", Json());
  if (const auto count = store.is_object() ? store.value("transactions_waiting", uint64_t{0}) : 0;
      count > 0) {
    text += fmt::format("  {} transactions wait for the schema or for what they follow\n", count);
  }
  const auto add = [&](const char* key, const char* what) {
    const uint64_t bytes = replication.value(key, uint64_t{0});
    if (bytes > 0) text += fmt::format("  {} {}\n", Size(bytes), what);
  };
  add("apply_queue_bytes", "of changesets wait for the database");
  add("waiting_bytes", "of changesets wait for others that they follow");
  const int64_t applying = replication.value("applying_ms", int64_t{0});
  if (applying > 1000) text += "  the database works on a batch since " + Duration(applying) + "\n";
  return text.empty() ? "" : "waiting\n" + text;
}

// When the tokens and certificates in use were read, and whether newer ones could not be.
std::string Secrets(const Json& status) {
  const Json secrets = status.at("replication").value("secrets", Json());
  if (!secrets.is_object()) return "";
  const int64_t now_ms = status.value("unix_ms", int64_t{0});
  const auto ago = [&](const char* key) {
    return Duration(std::max<int64_t>(now_ms - secrets.value(key, int64_t{0}), 0)) + " ago";
  };
  std::string text = "tokens and certificates: read " + ago("read_unix_ms");
  if (const int64_t expires_ms = secrets.value("certificate_expires_unix_ms", int64_t{0});
      expires_ms != 0) {
    text += expires_ms <= now_ms ? ", the certificate has expired"
                                 : ", the certificate expires in " + Duration(expires_ms - now_ms);
  }
  if (const std::string error = Text(secrets, "error"); !error.empty()) {
    text += "; could not be read again " + ago("error_unix_ms") + ": " + error;
  }
  return text + "\n";
}

std::string WholeText(const Json& status) {
  std::string text;
  const Json replication = status.at("replication");
  const std::string own = replication.is_null() ? "" : status.at("site").get<std::string>();
  if (replication.is_null()) {
    text += "no replication\n";
  } else {
    text += fmt::format("site {}, version {}\n", Printable(own),
                        status.at("db_version").get<int64_t>());
  }
  text += "clients at " + Text(status, "listen");
  if (status.contains("peer_listen")) text += ", sites at " + Text(status, "peer_listen");
  text += ", up " + Duration(status.value("uptime_ms", int64_t{0}));
  if (status.contains("release")) text += ", release " + Text(status, "release");
  text += "\n";
  const Json store = status.value("store", Json());
  if (store.is_null()) text += "the database does not answer\n";
  if (store.is_object()) {
    if (const std::string error = Text(store, "write_error"); !error.empty()) {
      text += "the database takes no writes since " +
              Duration(store.value("write_failing_ms", int64_t{0})) + ": " + error + "\n";
    }
  }
  if (replication.is_null()) return text;
  text += Secrets(status) + Links(replication.at("links")) + Dials(replication.at("dials")) +
          Sites(replication.at("sites"), own) + Differences(status) + Waiting(status) +
          Refused(replication.at("refused")) + KeptOut(store) + Tombstones(store) +
          Identities(replication.at("identity_changes"));
  return text;
}

int Status(const std::string& url_text, bool is_json) {
  Result<HttpUrl> url = ParseHttpUrl(url_text);
  const auto fail = [](const Error& error) {
    std::cerr << "merrow: " << error.ToString() << std::endl;
    return 1;
  };
  if (!url.ok()) return fail(url.error());
  if (url->path == "/") url->path = "/v1/status";
  const Result<HttpReply> reply = HttpGet(*url, kTimeout);
  if (!reply.ok()) return fail(reply.error());
  if (reply->status != 200) {
    return fail(IoError(url_text + " answers with status " + std::to_string(reply->status)));
  }
  if (is_json) {
    std::cout << reply->body << std::flush;
    return 0;
  }
  const Result<std::string> text = StatusText(reply->body);
  if (!text.ok()) return fail(text.error());
  std::cout << *text << std::flush;
  return 0;
}

}  // namespace

Result<std::string> StatusText(BytesView json) {
  const Json status = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  try {
    return WholeText(status);
  } catch (const Json::exception&) {
    // A member that is missing or of another type.
    return Corruption("the answer is not the status of a Merrow server");
  }
}

void AddStatus(CLI::App& app, int& exit_code) {
  struct Flags {
    std::string url = "http://127.0.0.1:6377";
    bool json = false;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App* status = app.add_subcommand("status", "Show a running server, its links and its lag");
  status->add_option("--url", flags->url, "http://HOST:PORT of the server")->capture_default_str();
  status->add_flag("--json", flags->json, "print the JSON as it came");
  status->callback([flags, &exit_code] { exit_code = Status(flags->url, flags->json); });
}

}  // namespace merrow::cli
