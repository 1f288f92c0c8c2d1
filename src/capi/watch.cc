// SPDX-License-Identifier: Apache-2.0
//
// C functions that follow a document: events, cursors, undo. See merrow.h.

#include <memory>

#include "capi/convert.h"
#include "capi/guard.h"
#include "loro/delta_json.h"
#include "merrow/document.h"
#include "merrow/undo.h"

using merrow::BytesView;
using merrow::Status;
using merrow::capi::Give;
using merrow::capi::Guard;
using merrow::capi::NotNull;
using merrow::capi::ToBytes;
using merrow::capi::ToContainer;
using merrow::capi::ToUnit;
namespace loro = merrow::loro;

struct merrow_subscription {
  loro::Subscription subscription;
};

struct merrow_undo {
  // Behind a pointer, because the manager's clock refers to it.
  std::unique_ptr<int64_t> now_ms = std::make_unique<int64_t>(0);
  loro::UndoManager manager;

  merrow_undo(loro::Document* document, int64_t merge_interval_ms, size_t step_count_max)
      : manager(document, {.merge_interval_ms = merge_interval_ms,
                           .now_ms = [now = now_ms.get()] { return *now; },
                           .step_count_max = step_count_max}) {}
};

namespace {

// Runs `step`, which returns a Result<bool>.
template <typename Step>
merrow_status TakeStep(merrow_undo* undo, bool* did, merrow_error* error, Step&& step) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(undo, "undo"));
    MERROW_TRY(NotNull(did, "did"));
    MERROW_ASSIGN(*did, step(undo->manager));
    return {};
  });
}

// Runs `change`, which returns nothing.
template <typename Body>
merrow_status Change(merrow_undo* undo, merrow_error* error, Body&& change) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(undo, "undo"));
    change(undo->manager);
    return {};
  });
}

}  // namespace

extern "C" {

// --- Events ---

merrow_status merrow_doc_subscribe(merrow_doc* doc, merrow_event_callback callback, void* context,
                                   merrow_subscription** subscription, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(subscription, "subscription"));
    if (callback == nullptr) return merrow::InvalidArgument("callback is NULL");
    *subscription = new merrow_subscription{
        doc->document.Subscribe([callback, context](const loro::DocumentEvent& event) {
          const std::string json = loro::ToJson(event.delta);
          callback(context, json.c_str(), json.size());
        })};
    return {};
  });
}

void merrow_subscription_free(merrow_subscription* subscription) { delete subscription; }

// --- Cursors ---

merrow_status merrow_cursor_at(const merrow_doc* doc, const char* container, size_t position,
                               int side, merrow_unit unit, merrow_bytes* cursor,
                               merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(cursor, "cursor"));
    if (side < -1 || side > 1) {
      return merrow::InvalidArgument("side " + std::to_string(side) + " is not -1, 0 or 1");
    }
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(container));
    MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
    MERROW_ASSIGN(const loro::Cursor made,
                  doc->document.CursorAt(id, position, static_cast<loro::CursorSide>(side), in));
    Give(made.Encode(), cursor);
    return {};
  });
}

merrow_status merrow_cursor_position(const merrow_doc* doc, const void* cursor, size_t size,
                                     merrow_unit unit, size_t* position, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(position, "position"));
    MERROW_ASSIGN(const BytesView bytes, ToBytes(cursor, size, "cursor"));
    MERROW_ASSIGN(const loro::Cursor decoded, loro::Cursor::Decode(bytes));
    MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
    MERROW_ASSIGN(*position, doc->document.PositionOf(decoded, in));
    return {};
  });
}

// --- Undo ---

merrow_status merrow_undo_new(merrow_doc* doc, int64_t merge_interval_ms, size_t step_count_max,
                              merrow_undo** undo, merrow_error* error) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_TRY(NotNull(undo, "undo"));
    *undo = new merrow_undo(&doc->document, merge_interval_ms, step_count_max);
    return {};
  });
}

void merrow_undo_free(merrow_undo* undo) { delete undo; }
void merrow_undo_set_time(merrow_undo* undo, int64_t now_ms) {
  if (undo != nullptr) *undo->now_ms = now_ms;
}
size_t merrow_undo_count(const merrow_undo* undo) {
  return undo == nullptr ? 0 : undo->manager.undo_count();
}
size_t merrow_redo_count(const merrow_undo* undo) {
  return undo == nullptr ? 0 : undo->manager.redo_count();
}

merrow_status merrow_undo_step(merrow_undo* undo, bool* did, merrow_error* error) {
  return TakeStep(undo, did, error, [](loro::UndoManager& manager) { return manager.Undo(); });
}

merrow_status merrow_redo_step(merrow_undo* undo, bool* did, merrow_error* error) {
  return TakeStep(undo, did, error, [](loro::UndoManager& manager) { return manager.Redo(); });
}

merrow_status merrow_undo_begin_group(merrow_undo* undo, merrow_error* error) {
  return Change(undo, error, [](loro::UndoManager& manager) { manager.BeginGroup(); });
}
merrow_status merrow_undo_end_group(merrow_undo* undo, merrow_error* error) {
  return Change(undo, error, [](loro::UndoManager& manager) { manager.EndGroup(); });
}
merrow_status merrow_undo_set_recording(merrow_undo* undo, bool is_recording, merrow_error* error) {
  return Change(undo, error,
                [=](loro::UndoManager& manager) { manager.SetRecording(is_recording); });
}
merrow_status merrow_undo_clear(merrow_undo* undo, merrow_error* error) {
  return Change(undo, error, [](loro::UndoManager& manager) { manager.Clear(); });
}

}  // extern "C"
