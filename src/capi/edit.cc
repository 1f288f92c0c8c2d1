// SPDX-License-Identifier: Apache-2.0
//
// C functions that edit documents. See merrow.h.

#include "capi/convert.h"
#include "capi/guard.h"
#include "merrow/document.h"

using merrow::BytesView;
using merrow::Result;
using merrow::Status;
using merrow::capi::Give;
using merrow::capi::Guard;
using merrow::capi::NotNull;
using merrow::capi::ToBytes;
using merrow::capi::ToContainer;
using merrow::capi::ToExpand;
using merrow::capi::ToKind;
using merrow::capi::ToText;
using merrow::capi::ToUnit;
using merrow::capi::ToValue;
namespace loro = merrow::loro;

namespace {

// Runs `edit(document, container id)`, which returns a Status.
template <typename Edit>
merrow_status EditContainer(merrow_doc* doc, const char* container, merrow_error* error,
                            Edit&& edit) {
  return Guard(error, [&]() -> Status {
    MERROW_TRY(NotNull(doc, "doc"));
    MERROW_ASSIGN(const loro::ContainerId id, ToContainer(container));
    return edit(doc->document, id);
  });
}

// The same of an edit that returns the id of a new container.
template <typename Edit>
merrow_status CreateChild(merrow_doc* doc, const char* container, merrow_container_kind kind,
                          merrow_bytes* child, merrow_error* error, Edit&& edit) {
  return EditContainer(
      doc, container, error, [&](loro::Document& document, const loro::ContainerId& id) -> Status {
        MERROW_TRY(NotNull(child, "child"));
        MERROW_ASSIGN(const loro::ContainerKind child_kind, ToKind(kind));
        MERROW_ASSIGN(const loro::ContainerId created, edit(document, id, child_kind));
        Give(created.ToString(), child);
        return {};
      });
}

std::optional<loro::Id> ToParent(const merrow_node* parent) {
  if (parent == nullptr) return std::nullopt;
  return loro::Id{parent->peer, parent->counter};
}

std::optional<uint32_t> ToIndex(uint32_t index) {
  return index == MERROW_LAST ? std::nullopt : std::optional(index);
}

}  // namespace

extern "C" {

// --- Map ---

merrow_status merrow_map_set(merrow_doc* doc, const char* map, const char* key,
                             const merrow_value* value, merrow_error* error) {
  return EditContainer(doc, map, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const std::string_view name, ToText(key, "key"));
                         MERROW_ASSIGN(const loro::Value plain, ToValue(value));
                         return document.MapSet(id, name, plain);
                       });
}

merrow_status merrow_map_delete(merrow_doc* doc, const char* map, const char* key,
                                merrow_error* error) {
  return EditContainer(doc, map, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const std::string_view name, ToText(key, "key"));
                         return document.MapDelete(id, name);
                       });
}

merrow_status merrow_map_set_container(merrow_doc* doc, const char* map, const char* key,
                                       merrow_container_kind kind, merrow_bytes* child,
                                       merrow_error* error) {
  return CreateChild(doc, map, kind, child, error,
                     [&](loro::Document& document, const loro::ContainerId& id,
                         loro::ContainerKind child_kind) -> Result<loro::ContainerId> {
                       MERROW_ASSIGN(const std::string_view name, ToText(key, "key"));
                       return document.MapSetContainer(id, name, child_kind);
                     });
}

merrow_status merrow_map_ensure_mergeable(merrow_doc* doc, const char* map, const char* key,
                                          merrow_container_kind kind, merrow_bytes* child,
                                          merrow_error* error) {
  return CreateChild(doc, map, kind, child, error,
                     [&](loro::Document& document, const loro::ContainerId& id,
                         loro::ContainerKind child_kind) -> Result<loro::ContainerId> {
                       MERROW_ASSIGN(const std::string_view name, ToText(key, "key"));
                       return document.MapEnsureMergeable(id, name, child_kind);
                     });
}

// --- List, MovableList ---

merrow_status merrow_list_insert(merrow_doc* doc, const char* list, size_t index,
                                 const merrow_value* value, merrow_error* error) {
  return EditContainer(doc, list, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const loro::Value plain, ToValue(value));
                         return document.ListInsert(id, index, plain);
                       });
}

merrow_status merrow_list_insert_container(merrow_doc* doc, const char* list, size_t index,
                                           merrow_container_kind kind, merrow_bytes* child,
                                           merrow_error* error) {
  return CreateChild(
      doc, list, kind, child, error,
      [&](loro::Document& document, const loro::ContainerId& id, loro::ContainerKind child_kind) {
        return document.ListInsertContainer(id, index, child_kind);
      });
}

merrow_status merrow_list_delete(merrow_doc* doc, const char* list, size_t index, size_t count,
                                 merrow_error* error) {
  return EditContainer(doc, list, error,
                       [&](loro::Document& document, const loro::ContainerId& id) {
                         return document.ListDelete(id, index, count);
                       });
}

merrow_status merrow_list_set(merrow_doc* doc, const char* list, size_t index,
                              const merrow_value* value, merrow_error* error) {
  return EditContainer(doc, list, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const loro::Value plain, ToValue(value));
                         return document.MovableListSet(id, index, plain);
                       });
}

merrow_status merrow_list_move(merrow_doc* doc, const char* list, size_t from, size_t to,
                               merrow_error* error) {
  return EditContainer(doc, list, error,
                       [&](loro::Document& document, const loro::ContainerId& id) {
                         return document.MovableListMove(id, from, to);
                       });
}

// --- Text ---

merrow_status merrow_text_insert(merrow_doc* doc, const char* text, size_t position,
                                 const char* utf8, size_t size, merrow_unit unit,
                                 merrow_error* error) {
  return EditContainer(doc, text, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const BytesView inserted, ToBytes(utf8, size, "utf8"));
                         MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
                         return document.TextInsert(id, position, inserted, in);
                       });
}

merrow_status merrow_text_delete(merrow_doc* doc, const char* text, size_t position, size_t count,
                                 merrow_unit unit, merrow_error* error) {
  return EditContainer(doc, text, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
                         return document.TextDelete(id, position, count, in);
                       });
}

merrow_status merrow_text_mark(merrow_doc* doc, const char* text, size_t start, size_t end,
                               const char* key, const merrow_value* value, merrow_expand expand,
                               merrow_unit unit, merrow_error* error) {
  return EditContainer(doc, text, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const std::string_view name, ToText(key, "key"));
                         MERROW_ASSIGN(const loro::Value plain, ToValue(value));
                         MERROW_ASSIGN(const loro::StyleExpand edges, ToExpand(expand));
                         MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
                         return document.TextMark(id, start, end, name, plain, edges, in);
                       });
}

merrow_status merrow_text_unmark(merrow_doc* doc, const char* text, size_t start, size_t end,
                                 const char* key, merrow_expand expand, merrow_unit unit,
                                 merrow_error* error) {
  return EditContainer(doc, text, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_ASSIGN(const std::string_view name, ToText(key, "key"));
                         MERROW_ASSIGN(const loro::StyleExpand edges, ToExpand(expand));
                         MERROW_ASSIGN(const loro::TextUnit in, ToUnit(unit));
                         return document.TextUnmark(id, start, end, name, edges, in);
                       });
}

// --- Counter ---

merrow_status merrow_counter_add(merrow_doc* doc, const char* counter, double delta,
                                 merrow_error* error) {
  return EditContainer(doc, counter, error,
                       [&](loro::Document& document, const loro::ContainerId& id) {
                         return document.CounterIncrement(id, delta);
                       });
}

// --- Tree ---

merrow_status merrow_tree_create(merrow_doc* doc, const char* tree, const merrow_node* parent,
                                 uint32_t index, merrow_node* node, merrow_error* error) {
  return EditContainer(doc, tree, error,
                       [&](loro::Document& document, const loro::ContainerId& id) -> Status {
                         MERROW_TRY(NotNull(node, "node"));
                         MERROW_ASSIGN(const loro::Id created,
                                       document.TreeCreate(id, ToParent(parent), ToIndex(index)));
                         *node = {created.peer, created.counter};
                         return {};
                       });
}

merrow_status merrow_tree_move(merrow_doc* doc, const char* tree, merrow_node node,
                               const merrow_node* parent, uint32_t index, merrow_error* error) {
  return EditContainer(doc, tree, error,
                       [&](loro::Document& document, const loro::ContainerId& id) {
                         return document.TreeMoveNode(id, {node.peer, node.counter},
                                                      ToParent(parent), ToIndex(index));
                       });
}

merrow_status merrow_tree_delete(merrow_doc* doc, const char* tree, merrow_node node,
                                 merrow_error* error) {
  return EditContainer(doc, tree, error,
                       [&](loro::Document& document, const loro::ContainerId& id) {
                         return document.TreeDelete(id, {node.peer, node.counter});
                       });
}

}  // extern "C"
