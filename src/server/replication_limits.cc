// SPDX-License-Identifier: Apache-2.0
#include "server/replication_limits.h"

#include <algorithm>

namespace merrow::server {
namespace {

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kHourMs = 3'600'000;
constexpr uint64_t kDayMs = 24 * kHourMs;

struct Limit {
  std::string_view name;
  uint64_t min;
  uint64_t max;
  void (*set)(ReplicationOptions&, uint64_t);
};

template <auto Member>
void Set(ReplicationOptions& options, uint64_t value) {
  using Field = std::remove_reference_t<decltype(options.limits.*Member)>;
  options.limits.*Member = static_cast<Field>(value);
}

using Options = replication::Options;

// By name.
constexpr Limit kLimits[] = {
    {"acknowledge_delay_ms", 1, 60'000, Set<&Options::acknowledge_delay_ms>},
    {"answer_bytes_max", 64 * kKiB, kGiB, Set<&Options::answer_bytes_max>},
    {"apply_bytes_max", 64 * kKiB, kGiB, Set<&Options::apply_bytes_max>},
    {"apply_changesets_max", 1, 1'000'000, Set<&Options::apply_changesets_max>},
    {"apply_ms_target", 1, 60'000, Set<&Options::apply_ms_target>},
    {"apply_queue_bytes_max", kMiB, 64 * kGiB, Set<&Options::apply_queue_bytes_max>},
    {"apply_timeout_ms", 1'000, kHourMs, Set<&Options::apply_timeout_ms>},
    {"chunk_bytes", kKiB, 8 * kMiB, Set<&Options::chunk_bytes>},
    {"digest_interval_ms", 0, 30 * kDayMs, Set<&Options::digest_interval_ms>},
    {"digest_second_round_ms", 100, kHourMs, Set<&Options::digest_second_round_ms>},
    {"have_delay_ms", 1, 60'000, Set<&Options::have_delay_ms>},
    {"keepalive_ms", 100, kHourMs, Set<&Options::keepalive_ms>},
    {"lazy_timeout_ms", 10, 60'000, Set<&Options::lazy_timeout_ms>},
    {"part_bytes_max", kMiB, 1024 * kGiB,
     [](ReplicationOptions& options, uint64_t value) {
       options.store_limits.part_bytes_max = value;
     }},
    {"push_bytes_max", kKiB, 8 * kMiB, Set<&Options::push_bytes_max>},
    {"redial_ms_max", 10, kDayMs,
     [](ReplicationOptions& options, uint64_t value) {
       options.redial_ms_max = static_cast<int64_t>(value);
     }},
    {"redial_ms_min", 10, kDayMs,
     [](ReplicationOptions& options, uint64_t value) {
       options.redial_ms_min = static_cast<int64_t>(value);
     }},
    {"request_bytes", kKiB, kGiB, Set<&Options::request_bytes>},
    {"request_timeout_ms", 100, kHourMs, Set<&Options::request_timeout_ms>},
    {"requests_max", 1, 10'000, Set<&Options::requests_max>},
    {"requests_per_link_max", 1, 1'000, Set<&Options::requests_per_link_max>},
    {"retry_ms_max", 10, kDayMs, Set<&Options::retry_ms_max>},
    {"retry_ms_min", 10, kDayMs, Set<&Options::retry_ms_min>},
    {"silence_ms_max", 1'000, kDayMs, Set<&Options::silence_ms_max>},
    {"skew_ms_max", 1'000, 365 * kDayMs, Set<&Options::skew_ms_max>},
    {"tombstone_keep_ms", 0, 3650 * kDayMs,
     [](ReplicationOptions& options, uint64_t value) {
       options.store_limits.tombstone_keep_ms = static_cast<int64_t>(value);
     }},
    // Half of unsent_bytes_hard_max, at which a link ends.
    {"unsent_bytes_max", 64 * kKiB, 32 * kMiB, Set<&Options::unsent_bytes_max>},
    {"waiting_bytes_max", kMiB, 64 * kGiB, Set<&Options::waiting_bytes_max>},
    {"zstd_level", 0, 19, Set<&Options::zstd_level>},
};

}  // namespace

std::vector<std::string> ReplicationLimitNames() {
  std::vector<std::string> names;
  for (const Limit& limit : kLimits) names.emplace_back(limit.name);
  return names;
}

Status SetReplicationLimit(std::string_view name, uint64_t value, ReplicationOptions* options) {
  const auto* limit = std::find_if(std::begin(kLimits), std::end(kLimits),
                                   [&](const Limit& one) { return one.name == name; });
  if (limit == std::end(kLimits)) return NotFound("there is no limit " + std::string(name));
  if (value < limit->min || value > limit->max) {
    return InvalidArgument(std::to_string(value) + " is not between " + std::to_string(limit->min) +
                           " and " + std::to_string(limit->max));
  }
  limit->set(*options, value);
  return {};
}

}  // namespace merrow::server
