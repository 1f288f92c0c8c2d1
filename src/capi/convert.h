// SPDX-License-Identifier: Apache-2.0
//
// C arguments to what the engine takes, and results back. A NULL where the interface does not allow
// one is an invalid argument that names the parameter.

#pragma once

#include <string_view>

#include "merrow.h"
#include "merrow/document.h"

struct merrow_doc {
  merrow::loro::Document document;
};

namespace merrow::capi {

/// REQUIRES that `pointer` is not NULL, as an error.
Status NotNull(const void* pointer, std::string_view parameter);

/// `size` bytes; NULL is fine if `size` is 0.
Result<BytesView> ToBytes(const void* data, size_t size, std::string_view parameter);
Result<std::string_view> ToText(const char* text, std::string_view parameter);
Result<loro::ContainerId> ToContainer(const char* id);
Result<loro::ContainerKind> ToKind(merrow_container_kind kind);
Result<loro::TextUnit> ToUnit(merrow_unit unit);
Result<loro::StyleExpand> ToExpand(merrow_expand expand);
Result<loro::Value> ToValue(const merrow_value* value);
Result<loro::Frontiers> ToFrontiers(const void* data, size_t size);
Result<loro::VersionVector> ToVersion(const void* data, size_t size);

/// A copy that merrow_bytes_free frees. REQUIRES: `out` is not NULL.
void Give(BytesView bytes, merrow_bytes* out);
/// The same of an import's status; nothing if `out` is NULL.
void Give(const loro::ImportStatus& status, merrow_import_status* out);

}  // namespace merrow::capi
