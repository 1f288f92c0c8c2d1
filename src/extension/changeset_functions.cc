// SPDX-License-Identifier: Apache-2.0
//
// Functions about everything that changed, in column rows and documents:
//
//     merrow_changeset([since])   what is here and not in `since`, as a changeset file
//     merrow_apply(file)          merges it, whole or not at all; how many rows changed
//     merrow_versions()           what this database has seen of every site: the `since` of others
//     merrow_new_site()           makes a copied database a site of its own; its id
//
// The file is that of `merrow changes` (changeset_file.h), the versions are text (version_set.h).
#include <string>

#include "extension/extension.h"
#include "store/cell_guard.h"

namespace merrow::extension {
namespace {

using store::ArgumentValue;
using store::GuardFunction;

void Changeset(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    if (count > 1) {
      return InvalidArgument("the argument is what merrow_versions() says elsewhere, or none");
    }
    changeset::SiteVersions since;
    if (count == 1 && sqlite3_value_type(values[0]) != SQLITE_NULL) {
      const cells::ValueView text = ArgumentValue(values[0]);
      if (text.type != cells::ValueType::kText) {
        return InvalidArgument("versions are text, not " + cells::Describe(text));
      }
      MERROW_ASSIGN(since, changeset::ParseSiteVersions(text.bytes));
    }
    store::DocumentCapture& capture = CaptureOf(context);
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(capture.store().db()));
    const auto bytes_max = static_cast<size_t>(
        sqlite3_limit(capture.store().db(), SQLITE_LIMIT_LENGTH, /*no change*/ -1));
    Bytes file;
    MERROW_TRY(capture.ExportChanges(
        since, store::DocumentCapture::kExportZstdLevel, [&](BytesView bytes) -> Status {
          if (bytes.size() > bytes_max - file.size()) {
            return LimitReached("the changes take more than the " + std::to_string(bytes_max) +
                                " bytes that a value may have; `merrow changes export` writes "
                                "them to a file");
          }
          file += bytes;
          return {};
        }));
    MERROW_TRY(savepoint.Release());
    SetResult(context, cells::ValueView::Blob(file));
    return {};
  });
}

void Apply(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    const cells::ValueView file = ArgumentValue(values[0]);
    if (file.type != cells::ValueType::kBlob) {
      return InvalidArgument("a changeset file is a blob, not " + cells::Describe(file));
    }
    store::DocumentCapture& capture = CaptureOf(context);
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(capture.store().db()));
    const store::DocumentCapture::ChangesFile input{"", changeset::SourceOf(file.bytes)};
    MERROW_ASSIGN(const auto applied, capture.ApplyChanges({&input, 1}));
    MERROW_TRY(savepoint.Release());
    sqlite3_result_int64(context, applied.rows);
    return {};
  });
}

void Versions(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    store::DocumentCapture& capture = CaptureOf(context);
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(capture.store().db()));
    MERROW_ASSIGN(const changeset::SiteVersions versions, capture.Versions());
    MERROW_TRY(savepoint.Release());
    SetResult(context, cells::ValueView::Text(changeset::ToText(versions)));
    return {};
  });
}

void NewSite(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    store::DocumentCapture& capture = CaptureOf(context);
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(capture.store().db()));
    MERROW_ASSIGN(const cells::SiteId site, capture.NewSite());
    MERROW_TRY(savepoint.Release());
    SetResult(context, cells::ValueView::Blob(site.view()));
    return {};
  });
}

}  // namespace

Status RegisterChangesets(store::CellStore& store) {
  constexpr int kAny = -1;
  MERROW_TRY(AddFunction(store, "merrow_changeset", kAny, SQLITE_DIRECTONLY, Changeset));
  MERROW_TRY(AddFunction(store, "merrow_apply", 1, SQLITE_DIRECTONLY, Apply));
  MERROW_TRY(AddFunction(store, "merrow_new_site", 0, SQLITE_DIRECTONLY, NewSite));
  return AddFunction(store, "merrow_versions", 0, SQLITE_DIRECTONLY, Versions);
}

}  // namespace merrow::extension
