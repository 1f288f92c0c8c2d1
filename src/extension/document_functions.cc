// SPDX-License-Identifier: Apache-2.0
//
// Functions about one document, for whoever exchanges with loro-crdt clients:
//
//     merrow_document_import(table, key, blob)      merges an update or snapshot. What was new, as
//     an
//                                                   update; NULL if nothing was
//     merrow_document_export(table, key)            the whole document, as a snapshot
//     merrow_document_export(table, key, version)   what that version vector lacks, as an update
//     merrow_document_version(table, key)           the document's version vector
//     merrow_document_json(table, key)              its deep value, as toJSON() of loro-crdt
//
// What SQL wrote in the same transaction is in the document. Blobs and version vectors are those of
// loro-crdt's export(), import(), VersionVector.encode() and decode().
#include <array>
#include <optional>
#include <string>

#include "extension/extension.h"
#include "merrow/version_vector.h"
#include "store/cell_guard.h"

namespace merrow::extension {
namespace {

using store::ArgumentValue;
using store::GuardFunction;

struct RowName {
  std::string table;
  std::string key;
};

Result<RowName> RowArgument(sqlite3_value** values) {
  const cells::ValueView table = ArgumentValue(values[0]);
  const cells::ValueView key = ArgumentValue(values[1]);
  if (table.type != cells::ValueType::kText || key.type != cells::ValueType::kText) {
    return InvalidArgument("a table and a key are text, not " + cells::Describe(table) + " and " +
                           cells::Describe(key));
  }
  return RowName{std::string(table.bytes), std::string(key.bytes)};
}

Result<BytesView> BlobArgument(sqlite3_value* value) {
  const cells::ValueView blob = ArgumentValue(value);
  if (blob.type != cells::ValueType::kBlob) {
    return InvalidArgument("a blob is expected, not " + cells::Describe(blob));
  }
  return blob.bytes;
}

Error Missing(const RowName& row, const loro::VersionVector& version) {
  return Conflict(
      "table " + row.table + ", row " + cells::Describe(cells::ValueView::Text(row.key)) +
      ": the update follows ops that are not here; what is here is " + version.ToString());
}

void Import(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const RowName row, RowArgument(values));
    MERROW_ASSIGN(const BytesView blob, BlobArgument(values[2]));
    store::DocumentCapture& capture = CaptureOf(context);
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(capture.store().db()));
    MERROW_TRY(capture.store().tables().Initialize());
    MERROW_TRY(capture.store().Join());
    MERROW_TRY(capture.Settle());
    MERROW_ASSIGN(auto outcome, capture.rows().Merge(row.table, row.key, blob));
    MERROW_TRY(outcome);
    if (outcome->is_waiting) {
      return Missing(row, outcome->before);
    }
    if (!outcome->spans.empty()) {
      capture.rows().NoteOps({outcome->document_id, false, outcome->spans});
    }
    MERROW_TRY(savepoint.Release());
    SetResult(context, outcome->delta.empty() ? cells::ValueView::Null()
                                              : cells::ValueView::Blob(outcome->delta));
    return {};
  });
}

void Export(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    if (count < 2 || count > 3) {
      return InvalidArgument("the arguments are table, key [, version vector]");
    }
    MERROW_ASSIGN(const RowName row, RowArgument(values));
    std::optional<loro::VersionVector> from;
    if (count == 3 && sqlite3_value_type(values[2]) != SQLITE_NULL) {
      MERROW_ASSIGN(const BytesView bytes, BlobArgument(values[2]));
      MERROW_ASSIGN(from, loro::VersionVector::Decode(bytes));
    }
    MERROW_TRY(CaptureOf(context).Settle());
    MERROW_ASSIGN(const Bytes blob, CaptureOf(context).rows().ExportBlob(row.table, row.key, from));
    SetResult(context, cells::ValueView::Blob(blob));
    return {};
  });
}

void Version(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const RowName row, RowArgument(values));
    MERROW_TRY(CaptureOf(context).Settle());
    MERROW_ASSIGN(const loro::VersionVector version,
                  CaptureOf(context).rows().Version(row.table, row.key));
    SetResult(context, cells::ValueView::Blob(version.Encode()));
    return {};
  });
}

void Json(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const RowName row, RowArgument(values));
    MERROW_TRY(CaptureOf(context).Settle());
    MERROW_ASSIGN(const std::string json, CaptureOf(context).rows().Json(row.table, row.key));
    SetResult(context, cells::ValueView::Text(json));
    return {};
  });
}

}  // namespace

Status RegisterDocuments(store::CellStore& store) {
  constexpr int kAny = -1;
  MERROW_TRY(AddFunction(store, "merrow_document_import", 3, SQLITE_DIRECTONLY, Import));
  MERROW_TRY(AddFunction(store, "merrow_document_export", kAny, 0, Export));
  MERROW_TRY(AddFunction(store, "merrow_document_version", 2, 0, Version));
  return AddFunction(store, "merrow_document_json", 2, 0, Json);
}

}  // namespace merrow::extension
