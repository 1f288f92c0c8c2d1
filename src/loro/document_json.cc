// SPDX-License-Identifier: Apache-2.0
//
// JSON updates in and out of a document (json_updates.h).

#include "loro/document_impl.h"
#include "loro/json_updates.h"

namespace merrow::loro {

Result<ImportStatus> Document::ImportJson(std::string_view json_updates) {
  MERROW_ASSIGN(const Bytes blob, JsonUpdatesToBlob(json_updates));
  return Import(blob);
}

std::string Document::ExportJson(const VersionVector& from, const VersionVector& to) {
  Commit();
  std::string json;
  AppendJsonUpdates(impl_->core().log, from, to, &json);
  return json;
}

}  // namespace merrow::loro
