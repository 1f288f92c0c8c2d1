// SPDX-License-Identifier: Apache-2.0
#include "server/status_page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/release.h"
#include "server/replication_counters.h"

namespace merrow::server {
namespace {

using Json = nlohmann::ordered_json;

std::string Hex(const cells::SiteId& site) { return ToHex(site.view()); }

// {"<site>":[[first,last],...]}, both ends inclusive.
Json RangesJson(const changeset::VersionRanges& ranges) {
  Json list = Json::array();
  for (const changeset::VersionRange& range : ranges.ranges()) {
    list.push_back({range.after + 1, range.until});
  }
  return list;
}

Json VersionsJson(const changeset::SiteVersions& versions) {
  Json json = Json::object();
  for (const auto& [site, ranges] : versions) json[Hex(site)] = RangesJson(ranges);
  return json;
}

Json SiteJson(const replication::SiteReport& site) {
  return {
      {"site", Hex(site.site)},    {"last", site.last},
      {"needs", site.needs},       {"timestamp_ms", site.timestamp.ms},
      {"delay_ms", site.delay_ms},
  };
}

Json DigestJson(const replication::LinkReport& link) {
  Json json = {
      {"result", replication::DigestResultName(link.digest)},
      {"age_ms", link.digest_age_ms},
      {"buckets_differing", link.digest_buckets_differing},
      {"rows_repaired", link.rows_repaired},
  };
  if (!link.digest_error.empty()) json["error"] = link.digest_error;
  return json;
}

Json LinkJson(const replication::LinkReport& link, const PeerLinksReport& links) {
  Json json = {
      {"id", link.id},
      {"peer", link.peer.has_value() ? Json(Hex(*link.peer)) : Json()},
      {"state", replication::LinkStateName(link.state)},
      {"dialed", link.dialed},
  };
  const auto connection = links.connections.find(link.id);
  if (connection != links.connections.end()) {
    if (!connection->second.url.empty()) json["url"] = connection->second.url;
    json["address"] = connection->second.address;
    json["tcp_bytes_in"] = connection->second.traffic.tcp_bytes_in;
    json["tcp_bytes_out"] = connection->second.traffic.tcp_bytes_out;
  }
  json.update(Json{
      {"open_ms", link.open_ms},
      {"silent_ms", link.silent_ms},
      {"protocol", link.protocol},
      {"schema", fmt::format("{:016x}", link.schema_hash)},
      {"clock_ahead_ms", link.clock_ahead_ms},
      {"lacking_here", link.lacking_here},
      {"lacking_there", link.lacking_there},
      {"lag_ms", link.lag_ms},
      {"confirmed", link.confirmed},
      {"bytes_in", link.bytes_in},
      {"bytes_out", link.bytes_out},
      {"messages_in", link.messages_in},
      {"messages_out", link.messages_out},
      {"changesets_in", link.changesets_in},
      {"changesets_out", link.changesets_out},
      {"duplicates_in", link.duplicates_in},
      {"unsent_bytes", link.unsent_bytes},
      {"requests_in_flight", link.requests_in_flight},
      {"answers_in_flight", link.answers_in_flight},
      {"pruned_here", link.pruned_here},
      {"pruned_there", link.pruned_there},
      {"digest", DigestJson(link)},
  });
  return json;
}

Json DialJson(const DialReport& dial) {
  Json json = {
      {"url", dial.url},           {"state", DialStateName(dial.state)},
      {"state_ms", dial.state_ms}, {"attempts", dial.attempts},
      {"failures", dial.failures},
  };
  if (dial.link.has_value()) json["link"] = *dial.link;
  if (dial.state == DialState::kWaiting || dial.state == DialState::kStandby) {
    json["next_ms"] = dial.next_ms;
  }
  if (!dial.last_error.empty()) json["last_error"] = dial.last_error;
  return json;
}

Json RefusedJson(const replication::RefusedReport& refused) {
  return {
      {"site", Hex(refused.site)},
      {"versions", {refused.range.after + 1, refused.range.until}},
      {"from", Hex(refused.from)},
      {"reason", refused.reason},
  };
}

Json IdentityJson(const replication::IdentityChange& change) {
  return {
      {"before", Hex(change.before)}, {"after", Hex(change.after)}, {"agreed", change.agreed},
      {"peer", Hex(change.peer)},     {"wall_ms", change.wall_ms},
  };
}

Json CountersJson(const replication::Counters& counters) {
  Json json = Json::object();
  ForEachCounter(counters, [&](std::string_view name, std::string_view, uint64_t value) {
    json[std::string(name)] = value;
  });
  return json;
}

Json SecretsJson(const PeerSecretsReport& secrets) {
  Json json = {
      {"read_unix_ms", secrets.read_unix_ms},
      {"reloads", secrets.reloads},
      {"reloads_failed", secrets.reloads_failed},
  };
  if (!secrets.error.empty()) {
    json["error"] = secrets.error;
    json["error_unix_ms"] = secrets.error_unix_ms;
  }
  if (secrets.certificate_unix_s.has_value()) {
    json["certificate_expires_unix_ms"] = *secrets.certificate_unix_s * 1000;
  }
  return json;
}

Json ReplicationJson(const ReplicationStatus& status) {
  const replication::Report& report = status.report;
  Json json = {
      {"seen", VersionsJson(report.seen)},
      {"needs", VersionsJson(report.needs)},
      {"apply_queue_bytes", report.apply_queue_bytes},
      {"applying_ms", report.applying_ms},
      {"waiting_bytes", report.waiting_bytes},
  };
  const auto list = [&json](const char* name, const auto& items, const auto& to_json) {
    json[name] = Json::array();
    for (const auto& item : items) json[name].push_back(to_json(item));
  };
  list("sites", report.sites, SiteJson);
  list("links", report.links,
       [&](const replication::LinkReport& link) { return LinkJson(link, status.links); });
  list("dials", status.links.dials, DialJson);
  list("refused", report.refused, RefusedJson);
  list("identity_changes", report.identity_changes, IdentityJson);
  json["secrets"] = status.secrets.has_value() ? SecretsJson(*status.secrets) : Json();
  json["counters"] = CountersJson(report.counters);
  return json;
}

// Those that are seen, and that the database's own rules keep out.
Json RefusedHereJson(const store::RefusedTransaction& refused) {
  return {
      {"site", Hex(refused.site)},
      {"versions", {refused.range.after + 1, refused.range.until}},
      {"reason", refused.reason},
  };
}

Json HolderJson(const store::TombstoneHolder& holder) {
  return {
      {"site", Hex(holder.site)},
      {"tombstones", holder.tombstones},
      {"until", {{"site", Hex(holder.publisher)}, {"version", holder.version}}},
  };
}

Json StoreJson(const store::StoreStats& store) {
  Json json = {
      {"transactions", store.transactions},
      {"sql_transactions", store.sql_transactions},
      {"updates_applied", store.updates_applied},
      {"updates_refused", store.updates_refused},
      {"changesets_applied", store.changesets_applied},
      {"changesets_refused", store.changesets_refused},
      {"transactions_waiting", store.transactions_waiting},
      {"transactions_parked", store.transactions_parked},
      {"transactions_refused", store.transactions_refused},
      {"documents_quarantined", store.documents_quarantined},
      {"write_failures", store.write_failures},
      {"write_error", store.write_error},
      {"write_failing_ms", store.write_failing_ms},
      {"tombstones", store.tombstones},
      {"tombstones_young", store.tombstones_young},
      {"tombstones_collected", store.tombstones_collected},
      {"tombstones_held_by", Json::array()},
      {"refused", Json::array()},
  };
  for (const auto& holder : store.tombstone_holders) {
    json["tombstones_held_by"].push_back(HolderJson(holder));
  }
  for (const auto& refused : store.refused) json["refused"].push_back(RefusedHereJson(refused));
  return json;
}

}  // namespace

std::string StatusJson(const ServerStatus& status) {
  Json json = {{"release", kRelease}};
  if (status.replication.has_value()) {
    const replication::Report& report = status.replication->report;
    json["site"] = Hex(report.site);
    const auto own = report.seen.find(report.site);
    json["schema"] = fmt::format("{:016x}", report.schema_hash);
    json["db_version"] = own == report.seen.end() ? 0 : own->second.last();
  }
  json["listen"] = status.urls.clients;
  if (!status.urls.sites.empty()) json["peer_listen"] = status.urls.sites;
  json["uptime_ms"] = status.uptime_ms;
  json["unix_ms"] = status.unix_ms;
  json["threads"] = Json::array();
  for (const Watchdog::Report& thread : status.threads) {
    json["threads"].push_back(
        {{"name", thread.name}, {"busy_ms", thread.busy_ms}, {"stalls", thread.stalls}});
  }
  json["store"] = status.store.has_value() ? StoreJson(*status.store) : Json();
  json["replication"] =
      status.replication.has_value() ? ReplicationJson(*status.replication) : Json();
  // Text from elsewhere (reasons, names) need not be UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string SitesJson(const std::vector<store::KnownSite>& sites) {
  Json json = Json::array();
  for (const store::KnownSite& site : sites) {
    json.push_back(
        {{"site", Hex(site.site)}, {"gone", site.is_gone}, {"forgotten_ms", site.forgotten_ms}});
  }
  return json.dump();
}

}  // namespace merrow::server
