// SPDX-License-Identifier: Apache-2.0
#include "testing/sim_world.h"

#include <algorithm>
#include <cstdio>

#include "testing/sim_world_site.h"

namespace merrow::testing {
namespace {

using replication::LogLevel;
using replication::Redial;
using replication::Replicator;
using replication::Report;

constexpr int64_t kDocuments = 2;

}  // namespace

class SimWorld::Events final : public SimEndEvents {
 public:
  Events(SimWorld& world, size_t edge, int side, Site& site)
      : world_(world), edge_(edge), side_(side), site_(site) {}

  void OnMessage(BytesView message) override { site_.replicator->OnMessage(link, message); }
  void OnDrained() override { site_.replicator->OnDrained(link); }
  void OnDown() override {
    site_.replicator->OnLinkDown(link);
    world_.OnDown(edge_, side_, connection);
  }
  replication::LinkId link = 0;
  const SimConnection* connection = nullptr;

 private:
  SimWorld& world_;
  size_t edge_;
  int side_;
  Site& site_;
};

SimWorld::SimWorld(const SimPlan& plan) : plan_(plan), random_(plan.seed) {
  DrawPlan();
  DrawOptions();
  DrawTopology();
}

SimWorld::~SimWorld() {
  for (const auto& site : sites_) Stop(*site, /*crash=*/true);
}

void SimWorld::Trace(const std::string& text) const {
  if (plan_.traces) printf("%8ld %s\n", static_cast<long>(loop_.now_ms()), text.c_str());
}

// --- What is drawn before the start.

void SimWorld::DrawPlan() {
  const auto chance = [this](uint64_t of_hundred) { return random_.Below(100) < of_hundred; };
  faults_.crashes = chance(60);
  faults_.restores = chance(25);
  faults_.partitions = chance(40);
  faults_.breaks = chance(70);
  faults_.silence = chance(25);
  faults_.clock_jumps = chance(30);
  faults_.lost_rows = chance(12);
  faults_.poison = chance(20);
  faults_.late_schema = chance(40);
  // Restored sites are heard of in time, if clocks are right; it is in time that backups have an
  // age. A damaged database does not know which of its rows somebody else has collected.
  collects_ = !faults_.restores || (!faults_.clock_jumps && !faults_.lost_rows);
  if (faults_.restores) tombstone_keep_ms_ = 10'000 + static_cast<int64_t>(random_.Below(10'000));
  if (chance(50)) disk_.busy = random_.Below(300);
  if (chance(15)) {
    disk_.stuck = 20;
    disk_.stuck_ms = 9000;
  }
  wire_.delay_ms = 1 + static_cast<int64_t>(random_.Below(60));
  wire_.jitter_ms = static_cast<int64_t>(random_.Below(100));
  wire_.bytes_per_ms = chance(25) ? 2 : 1000;
}

void SimWorld::DrawOptions() {
  // Small, so that every limit that a well-behaved site can meet is met.
  options_.chunk_bytes = 500;
  options_.push_bytes_max = 1500;
  options_.unsent_bytes_max = 3000;
  options_.requests_per_link_max = 1 + random_.Below(4);
  options_.request_bytes = 1000 + random_.Below(4000);
  options_.request_sites_max = 1 + random_.Below(8);
  options_.request_ranges_max = 1 + random_.Below(16);
  options_.request_timeout_ms = 4000;
  options_.answer_bytes_max = 6000;
  options_.read_tries_max = 3;
  options_.apply_changesets_max = 1 + random_.Below(20);
  options_.apply_bytes_max = 4000;
  options_.apply_queue_bytes_max = 12'000 + random_.Below(40'000);
  options_.apply_timeout_ms = 6000;
  options_.waiting_bytes_max = 1000 + random_.Below(5000);
  options_.waiting_retry_ms = 100;
  options_.retry_ms_min = 50;
  options_.retry_ms_max = 2000;
  options_.lazy_timeout_ms = 300;
  options_.acknowledge_delay_ms = 200;
  options_.confirm_interval_ms = 500;
  options_.handshake_timeout_ms = 5000;
  options_.keepalive_ms = 2000;
  options_.silence_ms_max = 7000;
  // It would cover up for a notice that is lost.
  options_.refresh_ms = random_.Below(8) == 0 ? 60'000 : 100'000'000;
  // Without digests nothing covers up for what replication itself may lose. Restored and damaged
  // databases need them.
  const bool needs_digests = faults_.restores || faults_.lost_rows;
  options_.digest_interval_ms = needs_digests || random_.Below(2) == 0 ? 20'000 : 0;
  options_.digest_second_round_ms = 1500;
  options_.digest_rows_max = 2 + random_.Below(4);
  options_.zstd_level = random_.Below(4) == 0 ? 1 : 0;
}

void SimWorld::AddEdge(size_t from, size_t to) {
  auto edge = std::make_unique<Edge>();
  edge->from = from;
  edge->to = to;
  edges_.push_back(std::move(edge));
}

void SimWorld::DrawTopology() {
  size_t count = 3 + random_.Below(3);
  const uint64_t size = random_.Below(100);
  if (size >= 75) count = 6 + random_.Below(5);
  if (size >= 95) count = 11 + random_.Below(20);
  count = std::min(count, plan_.sites_max);
  for (size_t i = 0; i < count; ++i) {
    auto site = std::make_unique<Site>(loop_);
    site->index = i;
    Site& added = *site;
    const bool has_second = !faults_.late_schema || random_.Below(2) == 0;
    site->database = plan_.make_database(
        {[&added] { return added.WallMs(); }, random_, has_second, tombstone_keep_ms_});
    site->database->SetStrict(faults_.poison);
    sites_.push_back(std::move(site));
  }
  const auto edge = [this](size_t a, size_t b) {
    if (random_.Below(2) == 0) std::swap(a, b);
    AddEdge(a, b);
    if (random_.Below(8) == 0) AddEdge(b, a);  // both dial
  };
  switch (random_.Below(4)) {
    case 0:  // chain
      for (size_t i = 1; i < count; ++i) edge(i - 1, i);
      break;
    case 1:  // ring
      for (size_t i = 1; i < count; ++i) edge(i - 1, i);
      edge(count - 1, 0);
      break;
    case 2:  // star
      for (size_t i = 1; i < count; ++i) edge(0, i);
      break;
    default: {  // sparse graph: a tree and some more
      std::set<std::pair<size_t, size_t>> there;
      for (size_t i = 1; i < count; ++i) {
        const size_t other = random_.Below(i);
        there.insert({other, i});
        edge(other, i);
      }
      for (size_t i = random_.Below(count + 1); i > 0; --i) {
        const size_t a = random_.Below(count);
        const size_t b = random_.Below(count);
        if (a < b && there.insert({a, b}).second) edge(a, b);
      }
    }
  }
}

SimWorld::Site& SimWorld::AnySite() { return *sites_[random_.Below(sites_.size())]; }

// --- Sites that come and go.

void SimWorld::Start(Site& site) {
  ++site.life;
  site.database->Crash();
  site.replica = std::make_unique<SimReplica>(
      *site.database, loop_, random_, disk_, [&site](std::vector<SharedChangeset> published) {
        site.replicator->OnLocalCommits(std::move(published));
      });
  replication::Logger logger;
  if (plan_.traces) {
    logger = [this, &site](LogLevel, std::string_view text) {
      Trace("site " + std::to_string(site.index) + ": " + std::string(text));
    };
  }
  site.replicator =
      std::make_unique<Replicator>(options_, site.database->site(), site.database->seen(),
                                   *site.replica, site, random_, std::move(logger));
  Tick(site, site.life);
  for (size_t i = 0; i < edges_.size(); ++i) {
    if (edges_[i]->from == site.index) DialLater(i, static_cast<int64_t>(random_.Below(50)));
  }
}

void SimWorld::Stop(Site& site, bool crash) {
  if (!site.is_up()) return;
  ++site.life;
  if (!crash) site.replicator->CloseAll();
  for (const Wired& wired : wired_) {
    for (int side = 0; side < 2; ++side) {
      if (wired.sites[side] == site.index) wired.connection->Detach(side);
    }
  }
  for (const auto& edge : edges_) {
    if (edge->from == site.index) edge->connection.reset();
  }
  site.reports.push_back(site.replicator->report());
  site.replicator.reset();
  site.replica.reset();
}

// Lets the site's timers run, and comes again when the next is due.
void SimWorld::Tick(Site& site, uint64_t life) {
  if (!site.is_up() || life != site.life) return;
  site.replicator->OnTick();
  const int64_t next = site.replicator->next_tick_ms();
  const int64_t delay = std::clamp<int64_t>(next - loop_.now_ms(), 5, tick_ms_max_);
  loop_.After(delay, [this, &site, life] { Tick(site, life); });
}

void SimWorld::CrashSite(Site& site) {
  if (!site.is_up()) return;
  ++totals_.crashes;
  Trace("site " + std::to_string(site.index) + " crashes");
  Stop(site, /*crash=*/random_.Below(4) != 0);
  loop_.After(static_cast<int64_t>(random_.Below(3000)), [this, &site, life = site.life] {
    if (site.life == life) Start(site);
  });
}

bool SimWorld::Has(SimDatabase& database, const Acknowledged& commit) {
  return commit.document < 0 ? database.HasRow(commit.marker, commit.id)
                             : database.HasMarker(commit.document, commit.marker);
}

bool SimWorld::IsAnywhere(const Acknowledged& commit) const {
  return std::any_of(sites_.begin(), sites_.end(),
                     [&](const auto& site) { return Has(*site->database, commit); });
}

void SimWorld::TakeBackup(Site& site) {
  site.backup = site.database->Backup();
  site.backup_ms = std::min(loop_.now_ms(), site.data_ms);
}

void SimWorld::RestoreSite(Site& site, const Site& from) {
  if (from.backup == nullptr) return;
  if (collects_ && loop_.now_ms() >= from.backup_ms + tombstone_keep_ms_) return;  // too old
  ++totals_.restores;
  if (&site != &from) ++totals_.copies;
  Trace("site " + std::to_string(site.index) + " is restored from a backup of " +
        std::to_string(from.index));
  Stop(site, /*crash=*/true);
  site.database = from.backup->Backup();
  site.data_ms = from.backup_ms;
  site.catches_up_with.clear();
  for (const auto& other : sites_) {
    if (other.get() == &site) continue;
    for (const auto& [id, ranges] : other->database->seen()) {
      site.catches_up_with[id].Add(ranges);
    }
  }
  site.database->SetStrict(faults_.poison && !is_healed_);
  // What nobody else has is gone with the disk.
  totals_.lost_unseen += std::erase_if(
      acknowledged_, [this](const Acknowledged& commit) { return !IsAnywhere(commit); });
  // Deletes may be gone, too.
  std::erase_if(deleted_, [&](const auto& entry) {
    const Deleted& deleted = entry.second;
    return deleted.by == site.index && (&site != &from || deleted.ms >= from.backup_ms);
  });
  Start(site);
}

// --- Links.

bool SimWorld::AreApart(size_t a, size_t b) const {
  return is_parted_ && side_of_[a] != side_of_[b];
}

void SimWorld::DialLater(size_t index, int64_t delay_ms) {
  const uint64_t number = ++edges_[index]->number;
  loop_.After(delay_ms, [this, index, number] { Dial(index, number); });
}

void SimWorld::Dial(size_t index, uint64_t number) {
  Edge& edge = *edges_[index];
  if (number != edge.number || edge.connection != nullptr) return;
  Site& from = *sites_[edge.from];
  Site& to = *sites_[edge.to];
  if (!from.is_up()) return;
  // What dials knows whom it has a link to. (Before, more duplicates are welcome.)
  const bool is_linked =
      is_quiet_ && std::any_of(edges_.begin(), edges_.end(), [&](const auto& other) {
        return other->connection != nullptr &&
               std::minmax(other->from, other->to) == std::minmax(edge.from, edge.to);
      });
  if (!to.is_up() || AreApart(edge.from, edge.to) || is_linked) {
    DialLater(index, 100 + static_cast<int64_t>(random_.Below(400)));
    return;
  }
  auto connection = std::make_shared<SimConnection>(loop_, random_, wire_, totals_.traffic);
  std::erase_if(wired_, [](const Wired& old) {
    return old.connection->end(0).is_closed() && old.connection->end(1).is_closed();
  });
  wired_.push_back({connection, {edge.from, edge.to}});
  edge.connection = connection;
  auto dialer = std::make_unique<Events>(*this, index, 0, from);
  auto acceptor = std::make_unique<Events>(*this, index, 1, to);
  Events& dialer_events = *dialer;
  Events& acceptor_events = *acceptor;
  dialer_events.connection = acceptor_events.connection = connection.get();
  connection->Attach(0, std::move(dialer));
  connection->Attach(1, std::move(acceptor));
  dialer_events.link = from.replicator->OnLinkUp(connection->end(0), true);
  acceptor_events.link = to.replicator->OnLinkUp(connection->end(1), false);
}

void SimWorld::OnDown(size_t index, int side, const SimConnection* connection) {
  Edge& edge = *edges_[index];
  if (side != 0 || edge.connection.get() != connection) return;
  const auto reason = edge.connection->end(0).reason();
  edge.connection.reset();
  int64_t delay_ms = 50 + static_cast<int64_t>(random_.Below(500));
  if (reason.has_value()) {
    switch (replication::RedialAfter(*reason)) {
      case Redial::kAtOnce:
        delay_ms = 1;
        break;
      case Redial::kWhenAlone:
        ++totals_.duplicate_links;
        delay_ms = 4000;
        break;
      default:
        break;
    }
  }
  DialLater(index, delay_ms);
}

// --- Writing.

Write SimWorld::DrawWrite(Site& site) {
  Write write;
  const bool second = site.database->has_second_schema();
  const int64_t id = next_id_++;
  const auto log_row = [&](int64_t row_id, const std::string& text) {
    RowWrite row{"log", row_id, false, {{"text", text}}};
    if (second && random_.Below(3) == 0) row.texts["extra"] = "e" + std::to_string(row_id);
    return row;
  };
  const auto document = [&] {
    return DocumentWrite{static_cast<int64_t>(random_.Below(kDocuments)), "m" + std::to_string(id)};
  };
  switch (random_.Below(12)) {
    case 0:
    case 1:
    case 2:
      write.rows.push_back(log_row(id, "row " + std::to_string(id)));
      break;
    case 3:
    case 4:
    case 5: {
      RowWrite row{"kv", static_cast<int64_t>(random_.Below(kKeys)), false, {}};
      if (random_.Below(3) != 0) row.texts["a"] = "a" + std::to_string(random_.Below(5));
      if (random_.Below(3) != 0) row.texts["b"] = "b" + std::to_string(id);
      if (row.texts.empty() || random_.Below(4) == 0) {
        row.is_delete = true;
        row.texts.clear();
      }
      write.rows.push_back(std::move(row));
      break;
    }
    case 6:
    case 7:
    case 8:
      write.documents.push_back(document());
      break;
    case 9:
      write.rows.push_back(log_row(id, "with a document"));
      write.documents.push_back(document());
      break;
    case 10:
      if (second) {
        write.rows.push_back({"late", id, false, {{"text", "late"}}});
      } else if (faults_.poison && random_.Below(3) == 0) {
        write.rows.push_back(log_row(id, std::string(kPoison)));
        ++totals_.poisoned;
      }
      break;
    default:  // a large one
      if (random_.Below(3) == 0) {
        for (int64_t i = 0; i < 40; ++i) {
          write.rows.push_back(log_row(id + i, std::string(60, 'x')));
        }
        next_id_ = id + 40;
      } else if (faults_.poison && random_.Below(2) == 0) {
        write.rows.push_back(log_row(id, std::string(kPoison)));
        ++totals_.poisoned;
      }
  }
  return write;
}

void SimWorld::WriteSomething(Site& site) {
  if (!site.is_up()) return;
  const Write write = DrawWrite(site);
  if (!write.rows.empty() || !write.documents.empty()) Commit(site, write);
}

void SimWorld::Commit(Site& site, const Write& write) {
  site.replica->Commit(write, [this, &site, write]() -> std::function<void()> {
    std::string text;
    if (!write.rows.empty() && write.rows[0].is_delete) {
      text = site.database->TextOf(write.rows[0].id);
    }
    return [this, &site, write, text] { OnWritten(site, write, text); };
  });
}

void SimWorld::OnWritten(Site& site, const Write& write, const std::string& deleted_text) {
  // Committed: from here on it must not be lost.
  ++totals_.writes;
  for (const RowWrite& row : write.rows) totals_.deletes += row.is_delete ? 1 : 0;
  if (!deleted_text.empty()) deleted_[deleted_text] = {site.index, loop_.now_ms()};
  const cells::SiteId id = site.database->site();
  for (const RowWrite& row : write.rows) {
    if (row.table == "kv") continue;
    const auto text = row.texts.find("text");
    const bool is_poison = text != row.texts.end() && text->second == kPoison;
    acknowledged_.push_back({row.id, -1, row.table, id, is_poison});
  }
  for (const DocumentWrite& document : write.documents) {
    acknowledged_.push_back({0, document.id, document.marker, id, false});
  }
  if (random_.Below(8) == 0) RunUpkeep(site);
}

void SimWorld::DeleteRows(Site& site) {
  for (int64_t id = 0; id < kKeys; ++id) {
    Write write;
    write.rows.push_back({"kv", id, /*is_delete=*/true, {}});
    Commit(site, write);
  }
}

// --- What goes wrong.

void SimWorld::Misfortune() {
  Site& site = AnySite();
  switch (random_.Below(10)) {
    case 0:
      if (faults_.crashes) CrashSite(site);
      break;
    case 1:
      if (faults_.restores) RestoreSite(site, random_.Below(3) == 0 ? AnySite() : site);
      break;
    case 2:
      if (faults_.restores) TakeBackup(site);
      break;
    case 3:
      if (!faults_.partitions) break;
      is_parted_ = !is_parted_ || random_.Below(2) == 0;
      side_of_.clear();
      for (size_t i = 0; i < sites_.size(); ++i) {
        side_of_.push_back(static_cast<int>(random_.Below(2)));
      }
      if (!is_parted_) break;
      ++totals_.partitions;
      for (const auto& edge : edges_) {
        if (edge->connection == nullptr || !AreApart(edge->from, edge->to)) continue;
        if (random_.Below(2) == 0) {
          edge->connection->Break();
        } else {
          edge->connection->GoSilent();
        }
      }
      break;
    case 4:
    case 5:
    case 6: {
      if (edges_.empty()) break;
      Edge& edge = *edges_[random_.Below(edges_.size())];
      if (edge.connection == nullptr) break;
      if (faults_.silence && random_.Below(3) == 0) {
        ++totals_.silent_links;
        edge.connection->GoSilent();
      } else if (faults_.breaks) {
        ++totals_.broken_links;
        edge.connection->Break();
      }
      break;
    }
    case 7:
      if (!faults_.clock_jumps) break;
      ++totals_.clock_jumps;
      site.wall_off_ms = static_cast<int64_t>(random_.Below(400'000)) - 200'000;
      break;
    case 8:
      if (faults_.lost_rows && random_.Below(3) == 0 && site.database->LoseRow()) {
        ++totals_.lost_rows;
      }
      break;
    default:
      if (!faults_.late_schema || site.database->has_second_schema()) break;
      ++totals_.schema_changes;
      site.database->TakeSecondSchema();
      if (site.is_up()) site.replicator->OnSchemaChanged(2);
  }
}

void SimWorld::Heal() {
  Trace("--- healing");
  is_healed_ = true;
  is_parted_ = false;
  disk_ = {};
  for (const auto& site : sites_) {
    if (!site->database->has_second_schema()) ++totals_.schema_changes;
    site->database->TakeSecondSchema();
    site->wall_off_ms = 0;
    if (site->is_up()) {
      site->replicator->OnSchemaChanged(2);
    } else {
      Start(*site);
    }
  }
}

// When all is well: a site is restored from a backup that is young enough, but lacks deletes that
// all others have known of for a while, some of them for longer than tombstones are kept.
std::optional<std::string> SimWorld::RestoreLate() {
  if (!faults_.restores || !collects_ || random_.Below(2) == 0) return std::nullopt;
  Site& site = AnySite();
  Site& other = *sites_[(site.index + 1) % sites_.size()];
  const bool was_away = random_.Below(2) == 0;
  const auto wait = [this](int64_t ms) {
    for (const int64_t end_ms = loop_.now_ms() + ms; loop_.now_ms() < end_ms;) {
      ForgetFormerSites();  // or they would hold back all tombstones
      loop_.RunUntil(std::min(end_ms, loop_.now_ms() + kHealStepMs));
      for (const auto& each : sites_) RunUpkeep(*each);
    }
  };
  Trace("--- a late restore");
  if (was_away) {
    Stop(site, /*crash=*/false);
  } else {
    TakeBackup(site);
  }
  DeleteRows(other);
  if (was_away) {
    wait(tombstone_keep_ms_ + kHealStepMs);
    TakeBackup(site);
    Start(site);
  }
  wait(tombstone_keep_ms_ * 3 / 4);
  ++totals_.late_restores;
  RestoreSite(site, site);
  return BecomeEqual();
}

// A site overwrites a cell, passes on the transaction that wrote it before, without the cell, and
// loses its own before anybody has it. Nobody lacks a version then, and yet rows differ.
std::optional<std::string> SimWorld::LoseOverwriter() {
  if (!faults_.restores || random_.Below(2) == 0) return std::nullopt;
  Site& middle = AnySite();
  std::vector<Site*> neighbours;
  for (const auto& edge : edges_) {
    if (edge->from == middle.index) neighbours.push_back(sites_[edge->to].get());
    if (edge->to == middle.index) neighbours.push_back(sites_[edge->from].get());
  }
  Site& writer = *neighbours.front();
  Site& reader = *neighbours.back();
  if (&writer == &reader) return std::nullopt;
  Trace("--- an overwriter is lost");
  for (const auto& site : sites_) {
    if (site.get() != &middle && site.get() != &writer) Stop(*site, /*crash=*/false);
  }
  const auto until = [this](const auto& what) {
    for (int i = 0; i < 10'000 && !what(); ++i) loop_.RunUntil(loop_.now_ms() + 1);
    return what();
  };
  constexpr int64_t kRow = 0;
  const auto write = [&](Site& site, const std::string& text) {
    Write one;
    one.rows.push_back({"kv", kRow, /*is_delete=*/false, {{"b", text}}});
    Commit(site, one);
    return until([&] { return site.database->TextOf(kRow) == text; });
  };
  TakeBackup(middle);
  const std::string first = "first " + std::to_string(next_id_++);
  if (write(writer, first) && until([&] { return middle.database->TextOf(kRow) == first; })) {
    const VersionRanges older = writer.database->seen()[writer.database->site()];
    Stop(writer, /*crash=*/false);
    write(middle, "second " + std::to_string(next_id_++));
    const VersionRanges newer = middle.database->seen()[middle.database->site()];
    Start(reader);
    const bool has_older =
        until([&] { return reader.database->seen()[writer.database->site()] == older; });
    if (has_older && reader.database->seen()[middle.database->site()] != newer) {
      ++totals_.lost_overwriters;
      RestoreSite(middle, middle);
    }
  }
  for (const auto& site : sites_) {
    if (!site->is_up()) Start(*site);
  }
  return BecomeEqual();
}

void SimWorld::TakeAll() {
  for (const auto& site : sites_) {
    site->database->SetStrict(false);
    site->replicator->OnSchemaChanged(2);
  }
}

std::optional<std::string> SimWorld::Run() {
  for (const auto& site : sites_) Start(*site);
  const uint64_t steps = 60 + random_.Below(140);
  const uint64_t pause_ms = 1 + random_.Below(200);
  for (uint64_t i = 0; i < steps; ++i) {
    loop_.RunUntil(loop_.now_ms() + static_cast<int64_t>(random_.Below(pause_ms)));
    for (uint64_t n = random_.Below(3); n > 0; --n) WriteSomething(AnySite());
    if (random_.Below(3) == 0) Misfortune();
    if (random_.Below(3) == 0) {
      if (Site& site = AnySite(); site.is_up()) RunUpkeep(site);
    }
    if (random_.Below(4) == 0) {
      if (auto wrong = CheckSeen()) return wrong;
    }
  }
  Heal();
  if (auto kept_out = CheckGoodOnesArrive()) return kept_out;
  TakeAll();
  if (auto wrong = BecomeEqual()) return wrong;
  if (auto wrong = LoseOverwriter()) return wrong;
  if (auto wrong = RestoreLate()) return wrong;
  if (auto wrong = CheckTombstones()) return wrong;
  return CheckQuiet();
}

void SimWorld::AddTo(SimTotals* totals) const {
  // All of them are numbers of one kind.
  const auto add = [](auto* sum, const auto& more) {
    constexpr size_t kNumbers = sizeof(more) / sizeof(uint64_t);
    auto* const to = reinterpret_cast<uint64_t*>(sum);
    const auto* const from = reinterpret_cast<const uint64_t*>(&more);
    for (size_t i = 0; i < kNumbers; ++i) to[i] += from[i];
  };
  const int64_t heal_ms_max = std::max(totals->heal_ms_max, totals_.heal_ms_max);
  const int64_t collect_ms_max = std::max(totals->collect_ms_max, totals_.collect_ms_max);
  add(totals, totals_);
  totals->heal_ms_max = heal_ms_max;
  totals->collect_ms_max = collect_ms_max;
  for (const auto& site : sites_) {
    std::vector<Report> reports = site->reports;
    if (site->is_up()) reports.push_back(site->replicator->report());
    for (const Report& report : reports) {
      add(&totals->counters, report.counters);
      totals->identity_changes += report.identity_changes.size();
    }
  }
}

}  // namespace merrow::testing
