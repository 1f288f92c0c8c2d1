// SPDX-License-Identifier: Apache-2.0
#include "capi/convert.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "loro/json_value.h"

namespace merrow::capi {
namespace {

void* Allocate(size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

struct Freed {
  void operator()(void* memory) const { std::free(memory); }
};
using Spans = std::unique_ptr<merrow_id_span[], Freed>;

Spans CopySpans(const std::vector<loro::IdSpan>& spans) {
  if (spans.empty()) return nullptr;
  Spans copy(static_cast<merrow_id_span*>(Allocate(spans.size() * sizeof(merrow_id_span))));
  for (size_t i = 0; i < spans.size(); ++i) {
    copy[i] = {spans[i].peer, spans[i].start, spans[i].end};
  }
  return copy;
}

Error Unknown(std::string_view what, int value) {
  return InvalidArgument(std::to_string(value) + " is not a " + std::string(what));
}

}  // namespace

Status NotNull(const void* pointer, std::string_view parameter) {
  if (pointer != nullptr) return {};
  return InvalidArgument(std::string(parameter) + " is NULL");
}

Result<BytesView> ToBytes(const void* data, size_t size, std::string_view parameter) {
  if (size > 0) MERROW_TRY(NotNull(data, parameter));
  return size == 0 ? BytesView() : BytesView(static_cast<const char*>(data), size);
}

Result<std::string_view> ToText(const char* text, std::string_view parameter) {
  MERROW_TRY(NotNull(text, parameter));
  return std::string_view(text);
}

Result<loro::ContainerId> ToContainer(const char* id) {
  MERROW_ASSIGN(const std::string_view text, ToText(id, "the container's id"));
  return loro::ContainerId::Parse(text);
}

Result<loro::ContainerKind> ToKind(merrow_container_kind kind) {
  switch (kind) {
    case MERROW_MAP:
      return loro::ContainerKind::kMap;
    case MERROW_LIST:
      return loro::ContainerKind::kList;
    case MERROW_RICH_TEXT:
      return loro::ContainerKind::kText;
    case MERROW_TREE:
      return loro::ContainerKind::kTree;
    case MERROW_MOVABLE_LIST:
      return loro::ContainerKind::kMovableList;
    case MERROW_COUNTER:
      return loro::ContainerKind::kCounter;
  }
  return Unknown("container kind", kind);
}

Result<loro::TextUnit> ToUnit(merrow_unit unit) {
  if (unit == MERROW_UNICODE) return loro::TextUnit::kUnicode;
  if (unit == MERROW_UTF16) return loro::TextUnit::kUtf16;
  return Unknown("unit", unit);
}

Result<loro::StyleExpand> ToExpand(merrow_expand expand) {
  switch (expand) {
    case MERROW_EXPAND_NONE:
      return loro::StyleExpand::kNone;
    case MERROW_EXPAND_BEFORE:
      return loro::StyleExpand::kBefore;
    case MERROW_EXPAND_AFTER:
      return loro::StyleExpand::kAfter;
    case MERROW_EXPAND_BOTH:
      return loro::StyleExpand::kBoth;
  }
  return Unknown("way to expand", expand);
}

Result<loro::Value> ToValue(const merrow_value* value) {
  MERROW_TRY(NotNull(value, "value"));
  const auto bytes = [value] {
    return ToBytes(value->as.bytes.data, value->as.bytes.size, "the value's data");
  };
  switch (value->kind) {
    case MERROW_NULL:
      return loro::Value();
    case MERROW_BOOL:
      return loro::Value(value->as.boolean);
    case MERROW_INT:
      return loro::Value(value->as.integer);
    case MERROW_DOUBLE:
      return loro::Value(value->as.number);
    case MERROW_TEXT: {
      MERROW_ASSIGN(const BytesView text, bytes());
      return loro::Value(std::string(text));
    }
    case MERROW_BINARY: {
      MERROW_ASSIGN(const BytesView binary, bytes());
      return loro::Value(loro::Value::Binary{Bytes(binary)});
    }
    case MERROW_JSON: {
      MERROW_ASSIGN(const BytesView json, bytes());
      return loro::ParseJsonValue(json);
    }
  }
  return Unknown("value kind", value->kind);
}

Result<loro::Frontiers> ToFrontiers(const void* data, size_t size) {
  MERROW_ASSIGN(const BytesView bytes, ToBytes(data, size, "frontiers"));
  return loro::DecodeFrontiers(bytes);
}

Result<loro::VersionVector> ToVersion(const void* data, size_t size) {
  MERROW_ASSIGN(const BytesView bytes, ToBytes(data, size, "version"));
  return loro::VersionVector::Decode(bytes);
}

void Give(BytesView bytes, merrow_bytes* out) {
  auto* const copy = static_cast<char*>(Allocate(bytes.size() + 1));
  std::memcpy(copy, bytes.data(), bytes.size());
  copy[bytes.size()] = '\0';
  *out = {copy, bytes.size()};
}

void Give(const loro::ImportStatus& status, merrow_import_status* out) {
  if (out == nullptr) return;
  // Both or none: who gets an error frees nothing.
  Spans success = CopySpans(status.success);
  Spans pending = CopySpans(status.pending);
  *out = {.success = success.release(),
          .success_count = status.success.size(),
          .pending = pending.release(),
          .pending_count = status.pending.size()};
}

}  // namespace merrow::capi

extern "C" {

void merrow_bytes_free(merrow_bytes* bytes) {
  if (bytes == nullptr) return;
  std::free(bytes->data);
  *bytes = {};
}

void merrow_import_status_free(merrow_import_status* status) {
  if (status == nullptr) return;
  std::free(status->success);
  std::free(status->pending);
  *status = {};
}

}  // extern "C"
