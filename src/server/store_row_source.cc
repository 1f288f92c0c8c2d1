// SPDX-License-Identifier: Apache-2.0
#include "server/store_row_source.h"

#include <utility>

#include "loro/envelope.h"
#include "merrow/check.h"
#include "merrow/document.h"

namespace merrow::server {
namespace {

sync::SharedVersion Share(loro::VersionVector version) {
  return std::make_shared<const loro::VersionVector>(std::move(version));
}

sync::SubmitOutcome ToOutcome(store::WriteResult result) {
  if (auto* applied = std::get_if<store::Applied>(&result)) {
    return sync::Applied{Share(std::move(applied->before)), Share(std::move(applied->after)),
                         std::move(applied->delta)};
  }
  if (auto* missing = std::get_if<store::MissingDependencies>(&result)) {
    return sync::MissingDependencies{Share(std::move(missing->version))};
  }
  return std::get<Error>(std::move(result));
}

Result<sync::RowData> ToRowData(Result<store::RowUpdates> updates, bool is_snapshot) {
  if (!updates.ok()) return updates.error();
  sync::SharedBytes bytes;
  if (!updates->bytes.empty()) bytes = std::make_shared<const Bytes>(std::move(updates->bytes));
  return sync::RowData{Share(std::move(updates->version)), std::move(bytes), is_snapshot};
}

}  // namespace

StoreRowSource::StoreRowSource(StoreThread& store, size_t key_bytes_max)
    : store_(store),
      key_bytes_max_(key_bytes_max),
      empty_snapshot_(std::make_shared<const Bytes>(loro::Document(1).ExportSnapshot())) {}

Status StoreRowSource::CheckRow(const sync::RowKey& row) const {
  if (store_.schema().Find(row.table) == nullptr) {
    return NotFound("no document table \"" + row.table + "\"");
  }
  if (row.key.empty() || row.key.size() > key_bytes_max_) {
    return InvalidArgument("a key of table \"" + row.table + "\" has 1 to " +
                           std::to_string(key_bytes_max_) + " bytes, not " +
                           std::to_string(row.key.size()));
  }
  if (!IsUtf8(row.key) || row.key.find('\0') != std::string::npos) {
    return InvalidArgument("a key of table \"" + row.table + "\" is UTF-8 text without NUL");
  }
  return {};
}

Result<loro::VersionVector> StoreRowSource::UpdateEnd(BytesView update) const {
  MERROW_ASSIGN(const loro::BlobMeta meta, loro::ReadBlobMeta(update));
  return meta.end;
}

sync::SharedBytes StoreRowSource::JoinUpdates(const std::vector<sync::SharedBytes>& updates) const {
  std::vector<BytesView> views;
  for (const sync::SharedBytes& update : updates) views.push_back(*update);
  Result<Bytes> joined = loro::JoinUpdates(views);
  MERROW_CHECK(joined.ok());  // they came from the store
  return std::make_shared<const Bytes>(std::move(joined).value());
}

void StoreRowSource::Submit(const sync::RowKey& row, sync::SharedBytes update, SubmitDone done) {
  store_.Write(
      row.table, row.key, std::move(update),
      [done = std::move(done)](store::WriteResult result) { done(ToOutcome(std::move(result))); });
}

void StoreRowSource::ReadSince(const sync::RowKey& row, sync::SharedVersion from, ReadDone done) {
  store_.Run([row, from = std::move(from), done = std::move(done),
              empty = empty_snapshot_](store::Store& store) -> std::function<void()> {
    const bool is_snapshot = from == nullptr;
    Result<store::RowUpdates> updates = is_snapshot ? store.ReadSnapshot(row.table, row.key)
                                                    : store.ReadUpdates(row.table, row.key, *from);
    Result<sync::RowData> data =
        !updates.ok() && updates.error().code() == ErrorCode::kNotFound
            ? sync::RowData{Share({}), is_snapshot ? empty : nullptr, is_snapshot}
            : ToRowData(std::move(updates), is_snapshot);
    return [done, data = std::move(data)]() mutable { done(std::move(data)); };
  });
}

}  // namespace merrow::server
