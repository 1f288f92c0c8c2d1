// SPDX-License-Identifier: Apache-2.0
#include "changeset/context.h"

#include "base/bytes.h"
#include "changeset/changeset_format.h"

namespace merrow::changeset {
namespace {

Status CheckName(std::string_view what, std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || !IsUtf8(name)) {
    return Corruption("a " + std::string(what) + "'s name of " + std::to_string(name.size()) +
                      " bytes is not UTF-8 of 1 to " + std::to_string(kNameBytesMax) + " bytes");
  }
  return {};
}

}  // namespace

Context::Context(const std::vector<TableNames>& shared) {
  for (const TableNames& table : shared) {
    const Result<uint32_t> added = AddTable(table.name, table.key_columns);
    if (!added.ok()) return;
    for (const std::string& column : table.columns) {
      if (!AddColumn(*added, column).ok()) return;
    }
  }
}

std::optional<uint32_t> Context::FindSite(const cells::SiteId& id) const {
  const auto found = site_index_.find(id);
  return found == site_index_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint32_t> Context::FindTable(std::string_view name, uint32_t key_columns) const {
  const auto found = table_index_.find({std::string(name), key_columns});
  return found == table_index_.end() ? std::nullopt : std::optional(found->second);
}

Result<uint32_t> Context::AddSite(const cells::SiteId& id) {
  if (sites_.size() >= kContextSitesMax) return LimitReached("too many sites in one stream");
  const auto index = static_cast<uint32_t>(sites_.size());
  if (!site_index_.emplace(id, index).second) {
    return Corruption("site " + ToHex(id.view()) + " is named twice");
  }
  sites_.push_back({id, 0});
  return index;
}

Result<uint32_t> Context::AddTable(std::string_view name, uint32_t key_columns) {
  MERROW_TRY(CheckName("table", name));
  if (key_columns < 1 || key_columns > 255) {
    return Corruption("table " + std::string(name) + " has " + std::to_string(key_columns) +
                      " key columns");
  }
  if (tables_.size() >= kContextTablesMax) return LimitReached("too many tables in one stream");
  if (FindTable(name, key_columns).has_value()) {
    return Corruption("table " + std::string(name) + " is named twice");
  }
  MERROW_TRY(TakeName(name));
  const auto index = static_cast<uint32_t>(tables_.size());
  table_index_.emplace(std::pair(std::string(name), key_columns), index);
  tables_.push_back({{std::string(name), key_columns, {}}, {}});
  return index;
}

Result<uint32_t> Context::AddColumn(uint32_t table, std::string_view name) {
  MERROW_TRY(CheckName("column", name));
  Table& into = tables_[table];
  if (into.names.columns.size() >= kTableColumnsMax) {
    return LimitReached("table " + into.names.name + " has too many columns");
  }
  if (into.column_index.contains(std::string(name))) {
    return Corruption("column " + into.names.name + "." + std::string(name) + " is named twice");
  }
  MERROW_TRY(TakeName(name));
  const auto index = static_cast<uint32_t>(into.names.columns.size());
  into.column_index.emplace(std::string(name), index);
  into.names.columns.emplace_back(name);
  journal_.columns.push_back(table);
  return index;
}

Status Context::TakeName(std::string_view name) {
  if (name_bytes_ + name.size() + kNameOverhead > kContextNamesMax) {
    return LimitReached("too many names of tables and columns in one stream");
  }
  name_bytes_ += name.size() + kNameOverhead;
  return {};
}

void Context::ReturnName(std::string_view name) { name_bytes_ -= name.size() + kNameOverhead; }

void Context::NoteChangeset(uint32_t site, cells::DbVersion version, const Timestamp& timestamp) {
  journal_.last.emplace_back(site, sites_[site].last);
  sites_[site].last = version;
  last_timestamp_ = timestamp;
}

void Context::Begin() {
  journal_.sites = sites_.size();
  journal_.tables = tables_.size();
  journal_.columns.clear();
  journal_.last.clear();
  journal_.last_timestamp = last_timestamp_;
}

void Context::RollBack() {
  for (; !journal_.last.empty(); journal_.last.pop_back()) {
    const auto& [site, last] = journal_.last.back();
    sites_[site].last = last;
  }
  for (; !journal_.columns.empty(); journal_.columns.pop_back()) {
    Table& table = tables_[journal_.columns.back()];
    ReturnName(table.names.columns.back());
    table.column_index.erase(table.names.columns.back());
    table.names.columns.pop_back();
  }
  for (; tables_.size() > journal_.tables; tables_.pop_back()) {
    const TableNames& names = tables_.back().names;
    ReturnName(names.name);
    table_index_.erase({names.name, names.key_columns});
  }
  for (; sites_.size() > journal_.sites; sites_.pop_back()) {
    site_index_.erase(sites_.back().id);
  }
  last_timestamp_ = journal_.last_timestamp;
}

}  // namespace merrow::changeset
