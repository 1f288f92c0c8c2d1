// SPDX-License-Identifier: Apache-2.0
//
// C functions of whole documents: life, exchange, versions, reading. See merrow.h.

#include "merrow/document.h"

#include "base/release.h"
#include "capi/convert.h"
#include "capi/guard.h"
#include "loro/delta_json.h"

using merrow::Bytes;
using merrow::BytesView;
using merrow::Result;
using merrow::Status;
using merrow::capi::Give;
using merrow::capi::Guard;
using merrow::capi::NotNull;
using merrow::capi::ToBytes;
using merrow::capi::ToContainer;
using merrow::capi::ToFrontiers;
using merrow::capi::ToText;
using merrow::capi::ToUnit;
using merrow::capi::ToVersion;
namespace loro = merrow::loro;

namespace {

// Runs `make`, which returns a Result<Bytes>, and hands the bytes out.
template <typename Make>
merrow_status GiveBytes(const merrow_doc* doc, merrow_bytes* out, merrow_error* error,
                        Make&& make) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(out, "out"));
    MERROW_ASSIGN(const Bytes bytes, make());
    Give(bytes, out);
    return {};
  });
}

// The same of an import's status.
template <typename Import>
merrow_status GiveStatus(merrow_doc* doc, merrow_import_status* out, merrow_error* error,
                         Import&& import) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_ASSIGN(const loro::ImportStatus status, import());
    Give(status, out);
    return {};
  });
}

}  // namespace

extern "C" {

const char* merrow_version(void) { return merrow::kRelease; }

// --- Life ---

merrow_status merrow_doc_new(uint64_t peer, merrow_doc** doc, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    if (peer == loro::kNoPeer) {
      return merrow::InvalidArgument("peer " + std::to_string(peer) + " is reserved");
    }
    *doc = new merrow_doc{loro::Document(peer)};
    return {};
  });
}

void merrow_doc_free(merrow_doc* doc) { delete doc; }

uint64_t merrow_doc_peer(const merrow_doc* doc) {
  return doc == nullptr ? 0 : doc->document.peer();
}
uint64_t merrow_doc_op_count(const merrow_doc* doc) {
  return doc == nullptr ? 0 : doc->document.op_count();
}
size_t merrow_doc_memory_bytes(const merrow_doc* doc) {
  return doc == nullptr ? 0 : doc->document.MemoryBytes();
}

merrow_status merrow_doc_set_peer(merrow_doc* doc, uint64_t peer, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    return doc->document.SetPeer(peer);
  });
}

bool merrow_doc_is_broken(const merrow_doc* doc) {
  return doc != nullptr && doc->document.is_broken();
}
bool merrow_doc_has_pending(const merrow_doc* doc) {
  return doc != nullptr && doc->document.has_pending();
}
void merrow_doc_drop_pending(merrow_doc* doc) {
  if (doc != nullptr) doc->document.DropPending();
}
bool merrow_doc_is_shallow(const merrow_doc* doc) {
  return doc != nullptr && doc->document.is_shallow();
}
merrow_status merrow_doc_shallow_frontiers(const merrow_doc* doc, merrow_bytes* out,
                                           merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    return loro::EncodeFrontiers(doc->document.shallow_frontiers());
  });
}

void merrow_doc_rest(merrow_doc* doc) {
  Guard(nullptr, [&]() -> Status {
    if (doc != nullptr) doc->document.Rest();
    return {};
  });
}
bool merrow_doc_is_resting(const merrow_doc* doc) {
  return doc != nullptr && doc->document.is_resting();
}
merrow_status merrow_doc_wake(merrow_doc* doc, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    return doc->document.Wake();
  });
}

// --- Exchange ---

merrow_status merrow_doc_load(merrow_doc* doc, const void* bytes, size_t size,
                              merrow_import_status* status, merrow_error* error) {
  return GiveStatus(doc, status, error, [&]() -> Result<loro::ImportStatus> {
    MERROW_ASSIGN(const BytesView snapshot, ToBytes(bytes, size, "bytes"));
    return doc->document.Load(snapshot);
  });
}

merrow_status merrow_doc_import(merrow_doc* doc, const void* bytes, size_t size,
                                merrow_import_status* status, merrow_error* error) {
  return GiveStatus(doc, status, error, [&]() -> Result<loro::ImportStatus> {
    MERROW_ASSIGN(const BytesView blob, ToBytes(bytes, size, "bytes"));
    return doc->document.Import(blob);
  });
}

merrow_status merrow_doc_import_batch(merrow_doc* doc, const void* const* blobs,
                                      const size_t* sizes, size_t count,
                                      merrow_import_status* status, merrow_error* error) {
  return GiveStatus(doc, status, error, [&]() -> Result<loro::ImportStatus> {
    if (count > 0) MERROW_TRY(NotNull(blobs, "blobs"));
    if (count > 0) MERROW_TRY(NotNull(sizes, "sizes"));
    std::vector<BytesView> views;
    for (size_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const BytesView blob, ToBytes(blobs[i], sizes[i], "a blob"));
      views.push_back(blob);
    }
    return doc->document.ImportBatch(views);
  });
}

merrow_status merrow_doc_import_json(merrow_doc* doc, const char* json,
                                     merrow_import_status* status, merrow_error* error) {
  return GiveStatus(doc, status, error, [&]() -> Result<loro::ImportStatus> {
    MERROW_ASSIGN(const std::string_view text, ToText(json, "json"));
    return doc->document.ImportJson(text);
  });
}

merrow_status merrow_doc_export_updates(merrow_doc* doc, const void* from, size_t from_size,
                                        merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    if (from == nullptr) return doc->document.ExportUpdates({});
    MERROW_ASSIGN(const loro::VersionVector version, ToVersion(from, from_size));
    return doc->document.ExportUpdates(version);
  });
}

merrow_status merrow_doc_export_range(merrow_doc* doc, const merrow_id_span* spans, size_t count,
                                      merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    if (count > 0) MERROW_TRY(NotNull(spans, "spans"));
    std::vector<loro::IdSpan> copies;
    for (size_t i = 0; i < count; ++i) {
      copies.push_back({spans[i].peer, spans[i].start, spans[i].end});
    }
    return doc->document.ExportUpdatesInRange(copies);
  });
}

merrow_status merrow_doc_export_snapshot(merrow_doc* doc, merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error,
                   [&]() -> Result<Bytes> { return doc->document.ExportSnapshot(); });
}

merrow_status merrow_doc_export_shallow(merrow_doc* doc, const void* frontiers,
                                        size_t frontiers_size, merrow_bytes* out,
                                        merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::Frontiers at, ToFrontiers(frontiers, frontiers_size));
    return doc->document.ExportShallowSnapshot(at);
  });
}

merrow_status merrow_doc_export_json(merrow_doc* doc, merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> { return doc->document.ExportJson(); });
}

// --- Versions ---

merrow_status merrow_doc_version(const merrow_doc* doc, merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error,
                   [&]() -> Result<Bytes> { return doc->document.version().Encode(); });
}

merrow_status merrow_doc_frontiers(const merrow_doc* doc, merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    return loro::EncodeFrontiers(doc->document.frontiers());
  });
}

merrow_status merrow_doc_version_of(const merrow_doc* doc, const void* frontiers, size_t size,
                                    merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::Frontiers heads, ToFrontiers(frontiers, size));
    const auto version = doc->document.VersionOf(heads);
    if (!version.has_value()) return merrow::NotFound("the frontiers are not in the history");
    return version->Encode();
  });
}

merrow_status merrow_doc_frontiers_of(const merrow_doc* doc, const void* version, size_t size,
                                      merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::VersionVector vector, ToVersion(version, size));
    return loro::EncodeFrontiers(doc->document.FrontiersOf(vector));
  });
}

merrow_status merrow_doc_compare(const merrow_doc* doc, const void* a, size_t a_size, const void* b,
                                 size_t b_size, merrow_order* order, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(order, "order"));
    MERROW_ASSIGN(const loro::Frontiers first, ToFrontiers(a, a_size));
    MERROW_ASSIGN(const loro::Frontiers second, ToFrontiers(b, b_size));
    const auto found = doc->document.Compare(first, second);
    if (!found.has_value()) return merrow::NotFound("the frontiers are not in the history");
    switch (*found) {
      case loro::VersionOrder::kEqual:
        *order = MERROW_EQUAL;
        break;
      case loro::VersionOrder::kBefore:
        *order = MERROW_BEFORE;
        break;
      case loro::VersionOrder::kAfter:
        *order = MERROW_AFTER;
        break;
      case loro::VersionOrder::kConcurrent:
        *order = MERROW_CONCURRENT;
        break;
    }
    return {};
  });
}

merrow_status merrow_doc_checkout(merrow_doc* doc, const void* frontiers, size_t size,
                                  merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_ASSIGN(const loro::Frontiers heads, ToFrontiers(frontiers, size));
    return doc->document.Checkout(heads);
  });
}

void merrow_doc_checkout_latest(merrow_doc* doc) {
  if (doc != nullptr) doc->document.CheckoutToLatest();
}
bool merrow_doc_is_checked_out(const merrow_doc* doc) {
  return doc != nullptr && doc->document.is_checked_out();
}

merrow_status merrow_doc_diff(const merrow_doc* doc, const void* a, size_t a_size, const void* b,
                              size_t b_size, merrow_bytes* json, merrow_error* error) {
  return GiveBytes(doc, json, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::Frontiers first, ToFrontiers(a, a_size));
    MERROW_ASSIGN(const loro::Frontiers second, ToFrontiers(b, b_size));
    MERROW_ASSIGN(const loro::DocumentDelta delta, doc->document.Diff(first, second));
    return loro::ToJson(delta);
  });
}

merrow_status merrow_doc_revert(merrow_doc* doc, const void* frontiers, size_t size,
                                merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_ASSIGN(const loro::Frontiers heads, ToFrontiers(frontiers, size));
    return doc->document.RevertTo(heads);
  });
}

merrow_status merrow_doc_fork(merrow_doc* doc, const void* frontiers, size_t size, uint64_t peer,
                              merrow_doc** fork, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(fork, "fork"));
    loro::Frontiers heads;
    if (frontiers != nullptr) {
      MERROW_ASSIGN(heads, ToFrontiers(frontiers, size));
    }
    auto forked =
        frontiers == nullptr ? doc->document.Fork(peer) : doc->document.ForkAt(heads, peer);
    if (!forked.ok()) return forked.error();
    *fork = new merrow_doc{std::move(forked).value()};
    return {};
  });
}

merrow_status merrow_doc_commit(merrow_doc* doc, int64_t timestamp_s, const char* message,
                                merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    return doc->document.Commit(
        {.timestamp = timestamp_s,
         .message = message == nullptr ? std::string_view() : std::string_view(message)});
  });
}

// --- Reading ---

merrow_status merrow_doc_json(const merrow_doc* doc, merrow_bytes* out, merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> { return doc->document.ToJson(); });
}

merrow_status merrow_json(const merrow_doc* doc, const char* container, merrow_bytes* out,
                          merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(container));
    Bytes json;
    doc->document.AppendJson(id, &json);
    return json;
  });
}

merrow_status merrow_text(const merrow_doc* doc, const char* text, merrow_bytes* out,
                          merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(text));
    return doc->document.Text(id);
  });
}

merrow_status merrow_text_delta(const merrow_doc* doc, const char* text, merrow_bytes* out,
                                merrow_error* error) {
  return GiveBytes(doc, out, error, [&]() -> Result<Bytes> {
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(text));
    Bytes json;
    doc->document.AppendDelta(id, &json);
    return json;
  });
}

merrow_status merrow_counter(const merrow_doc* doc, const char* counter, double* sum,
                             merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(sum, "sum"));
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(counter));
    *sum = doc->document.CounterValue(id);
    return {};
  });
}

merrow_status merrow_length(const merrow_doc* doc, const char* container, merrow_unit unit,
                            size_t* length, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(length, "length"));
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(container));
    MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
    *length = doc->document.Length(id, in);
    return {};
  });
}

// --- Blobs ---

merrow_status merrow_blob_info_read(const void* bytes, size_t size, merrow_blob_info* info,
                                    merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(info, "info"));
    MERROW_ASSIGN(const BytesView blob, ToBytes(bytes, size, "bytes"));
    MERROW_ASSIGN(const loro::BlobMeta meta, loro::ReadBlobMeta(blob));
    *info = {meta.is_snapshot, meta.is_shallow, meta.change_count};
    return {};
  });
}

}  // extern "C"
