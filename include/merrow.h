/* SPDX-License-Identifier: Apache-2.0
 *
 * Merrow's C interface: documents that merge. It is the same engine as merrow/document.h, with the
 * same rules and costs; that header says more about each call.
 *
 * Conventions:
 *   - A call that can fail returns a merrow_status and, if `error` is not NULL, says why in it. The
 *     outputs of one that failed are not set, and the document is as it was, but for edits that the
 *     call committed first and for ops that waited for others, which a failed import may forget.
 *     After MERROW_NO_MEMORY it may have changed in part: free it.
 *   - A NULL where none is allowed is an invalid argument. Calls that return no status take a NULL
 *     and then do nothing or return 0.
 *   - Strings are UTF-8 that ends with a zero byte. Bytes have a size. Neither is kept after the
 *     call.
 *   - What a call returns as merrow_bytes is the caller's: merrow_bytes_free. A zero byte follows
 *     the last byte, so that text can be used as a string.
 *   - Containers are named by Loro's id text: "cid:root-body:Text" for a root, which exists without
 *     being made; what creates a child returns its id.
 *   - Versions are bytes as loro-crdt's VersionVector.encode() and encodeFrontiers() write them.
 *   - Positions in text are in the unit that the call is given; in lists they are items.
 *   - A document and all that belongs to it is used by one thread at a time. Different documents
 *     are independent.
 */
#ifndef MERROW_H_
#define MERROW_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "merrow/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Errors --- */

typedef enum merrow_status {
  MERROW_OK = 0,
  MERROW_INVALID_ARGUMENT = 1, /* the call makes no sense; fix it */
  MERROW_CORRUPTION = 2,       /* bytes that do not decode; keep them aside */
  MERROW_UNSUPPORTED = 3,      /* well-formed, from another version; upgrade */
  MERROW_CONFLICT = 4,         /* contradicts what is known; resynchronise */
  MERROW_NOT_FOUND = 5,        /* the named thing does not exist */
  MERROW_LIMIT = 6,            /* a named limit was reached; ask for less */
  MERROW_BUSY = 7,             /* try again later */
  MERROW_IO = 8,               /* disk or network failed */
  MERROW_CANCELLED = 9,        /* the process is stopping */
  MERROW_NO_MEMORY = 10        /* allocation failed */
} merrow_status;

typedef struct merrow_error {
  merrow_status status;
  char message[256]; /* for a person; cut if longer */
} merrow_error;

/* --- Bytes --- */

typedef struct merrow_bytes {
  char* data;
  size_t size;
} merrow_bytes;

/* Frees the bytes and empties the struct. NULL and empty ones are fine. */
MERROW_API void merrow_bytes_free(merrow_bytes* bytes);

/* The library's version, "major.minor.patch". Never freed. */
MERROW_API const char* merrow_version(void);

/* --- Documents --- */

typedef struct merrow_doc merrow_doc;

/* An empty document whose edits will be `peer`'s: 64 random bits, one value for each session that
 * edits. UINT64_MAX is reserved. */
MERROW_API merrow_status merrow_doc_new(uint64_t peer, merrow_doc** doc, merrow_error* error);
/* NULL is fine. Subscriptions end. */
MERROW_API void merrow_doc_free(merrow_doc* doc);

MERROW_API uint64_t merrow_doc_peer(const merrow_doc* doc);
/* Makes later edits `peer`'s. Commits first. */
MERROW_API merrow_status merrow_doc_set_peer(merrow_doc* doc, uint64_t peer, merrow_error* error);
/* Atoms in the history. */
MERROW_API uint64_t merrow_doc_op_count(const merrow_doc* doc);
/* Bytes of memory that the document holds, about. */
MERROW_API size_t merrow_doc_memory_bytes(const merrow_doc* doc);

/* Nothing can be imported or edited any more: an import failed and the state before could not be
 * derived again, or a loaded snapshot turned out to be damaged. Make the document anew. */
MERROW_API bool merrow_doc_is_broken(const merrow_doc* doc);
/* Some op waits for ops that it depends on. */
MERROW_API bool merrow_doc_has_pending(const merrow_doc* doc);
/* Forgets ops that wait. */
MERROW_API void merrow_doc_drop_pending(merrow_doc* doc);
/* The history is trimmed: what is before merrow_doc_shallow_frontiers() is not here, and updates
 * that depend on it are conflicts. */
MERROW_API bool merrow_doc_is_shallow(const merrow_doc* doc);
/* The ops with which the history starts; no ids if nothing is trimmed. */
MERROW_API merrow_status merrow_doc_shallow_frontiers(const merrow_doc* doc, merrow_bytes* out,
                                                      merrow_error* error);

/* Packs the document into one buffer until it is used again. Commits first. Nothing if ops wait, an
 * earlier version is shown, someone is subscribed, or it is shallow or broken. */
MERROW_API void merrow_doc_rest(merrow_doc* doc);
MERROW_API bool merrow_doc_is_resting(const merrow_doc* doc);
/* Decodes all that rests. Corruption if the document is broken. */
MERROW_API merrow_status merrow_doc_wake(merrow_doc* doc, merrow_error* error);

/* --- Exchange --- */

/* Ops [start, end) of one peer. */
typedef struct merrow_id_span {
  uint64_t peer;
  int32_t start;
  int32_t end;
} merrow_id_span;

/* What an import did. */
typedef struct merrow_import_status {
  merrow_id_span* success; /* newly part of the document */
  size_t success_count;
  merrow_id_span* pending; /* waits for ops that it depends on */
  size_t pending_count;
} merrow_import_status;

/* Frees the arrays and empties the struct. */
MERROW_API void merrow_import_status_free(merrow_import_status* status);

/* Merges an update or a snapshot from anywhere. Commits first. `status` may be NULL. */
MERROW_API merrow_status merrow_doc_import(merrow_doc* doc, const void* bytes, size_t size,
                                           merrow_import_status* status, merrow_error* error);
/* Merges several blobs as one: all of them or none. */
MERROW_API merrow_status merrow_doc_import_batch(merrow_doc* doc, const void* const* blobs,
                                                 const size_t* sizes, size_t count,
                                                 merrow_import_status* status, merrow_error* error);
/* Merges JSON updates, as loro-crdt's exportJsonUpdates() writes them. */
MERROW_API merrow_status merrow_doc_import_json(merrow_doc* doc, const char* json,
                                                merrow_import_status* status, merrow_error* error);

/* Takes over a snapshot of merrow_doc_export_snapshot() with its state as it is: for bytes that are
 * trusted. What is inside is decoded when it is needed first; if it is damaged, the document is
 * broken from then on, and merrow_doc_wake() tells at once. `doc` must be empty. */
MERROW_API merrow_status merrow_doc_load(merrow_doc* doc, const void* bytes, size_t size,
                                         merrow_import_status* status, merrow_error* error);

/* The ops that the version vector `from` lacks, as an update; all of them if `from` is NULL. */
MERROW_API merrow_status merrow_doc_export_updates(merrow_doc* doc, const void* from,
                                                   size_t from_size, merrow_bytes* out,
                                                   merrow_error* error);
/* Exactly the ops of `spans`, as far as they are here. */
MERROW_API merrow_status merrow_doc_export_range(merrow_doc* doc, const merrow_id_span* spans,
                                                 size_t count, merrow_bytes* out,
                                                 merrow_error* error);
/* History and state in one blob. */
MERROW_API merrow_status merrow_doc_export_snapshot(merrow_doc* doc, merrow_bytes* out,
                                                    merrow_error* error);
/* The same with a history that starts at `frontiers` or a little before, at a critical version. */
MERROW_API merrow_status merrow_doc_export_shallow(merrow_doc* doc, const void* frontiers,
                                                   size_t frontiers_size, merrow_bytes* out,
                                                   merrow_error* error);
/* The whole history as JSON updates. */
MERROW_API merrow_status merrow_doc_export_json(merrow_doc* doc, merrow_bytes* out,
                                                merrow_error* error);

/* --- Versions --- */

/* What is imported and committed, as a version vector and as frontiers. */
MERROW_API merrow_status merrow_doc_version(const merrow_doc* doc, merrow_bytes* out,
                                            merrow_error* error);
MERROW_API merrow_status merrow_doc_frontiers(const merrow_doc* doc, merrow_bytes* out,
                                              merrow_error* error);
/* Converts between the two. Not found if the frontiers are not in the history. */
MERROW_API merrow_status merrow_doc_version_of(const merrow_doc* doc, const void* frontiers,
                                               size_t size, merrow_bytes* out, merrow_error* error);
MERROW_API merrow_status merrow_doc_frontiers_of(const merrow_doc* doc, const void* version,
                                                 size_t size, merrow_bytes* out,
                                                 merrow_error* error);

typedef enum merrow_order {
  MERROW_EQUAL = 0,
  MERROW_BEFORE = 1,
  MERROW_AFTER = 2,
  MERROW_CONCURRENT = 3
} merrow_order;
/* How the version at frontiers `a` stands to that at `b`. */
MERROW_API merrow_status merrow_doc_compare(const merrow_doc* doc, const void* a, size_t a_size,
                                            const void* b, size_t b_size, merrow_order* order,
                                            merrow_error* error);

/* Shows an earlier version to all calls that read; imports go on unseen, edits are refused. */
MERROW_API merrow_status merrow_doc_checkout(merrow_doc* doc, const void* frontiers, size_t size,
                                             merrow_error* error);
MERROW_API void merrow_doc_checkout_latest(merrow_doc* doc);
MERROW_API bool merrow_doc_is_checked_out(const merrow_doc* doc);

/* What turns version `a` into `b`, as JSON: docs/data-model.md, "JSON". */
MERROW_API merrow_status merrow_doc_diff(const merrow_doc* doc, const void* a, size_t a_size,
                                         const void* b, size_t b_size, merrow_bytes* json,
                                         merrow_error* error);
/* Edits after which the document looks as it did at `frontiers`. */
MERROW_API merrow_status merrow_doc_revert(merrow_doc* doc, const void* frontiers, size_t size,
                                           merrow_error* error);
/* A document of `peer` with the history up to `frontiers`, or all of it if NULL. */
MERROW_API merrow_status merrow_doc_fork(merrow_doc* doc, const void* frontiers, size_t size,
                                         uint64_t peer, merrow_doc** fork, merrow_error* error);

/* Seals the edits since the last commit as one change. `timestamp_s` is in seconds since the Unix
 * epoch, at most 2^60, 0 for none; what is recorded is at least that of the changes before.
 * `message` may be NULL. */
MERROW_API merrow_status merrow_doc_commit(merrow_doc* doc, int64_t timestamp_s,
                                           const char* message, merrow_error* error);

/* --- Reading --- */

/* The deep value of the document, or of one container ("null" if it does not exist). */
MERROW_API merrow_status merrow_doc_json(const merrow_doc* doc, merrow_bytes* out,
                                         merrow_error* error);
MERROW_API merrow_status merrow_json(const merrow_doc* doc, const char* container,
                                     merrow_bytes* out, merrow_error* error);
/* A text's characters; its rich text delta as JSON. */
MERROW_API merrow_status merrow_text(const merrow_doc* doc, const char* text, merrow_bytes* out,
                                     merrow_error* error);
MERROW_API merrow_status merrow_text_delta(const merrow_doc* doc, const char* text,
                                           merrow_bytes* out, merrow_error* error);
MERROW_API merrow_status merrow_counter(const merrow_doc* doc, const char* counter, double* sum,
                                        merrow_error* error);

/* Unit of a text position. */
typedef enum merrow_unit { MERROW_UNICODE = 0, MERROW_UTF16 = 1 } merrow_unit;

/* Length of a text in `unit`, of a list in items, of a map in entries; 0 if it does not exist. */
MERROW_API merrow_status merrow_length(const merrow_doc* doc, const char* container,
                                       merrow_unit unit, size_t* length, merrow_error* error);

/* --- Edits: visible at once, part of the history from the next commit on --- */

typedef enum merrow_value_kind {
  MERROW_NULL = 0,
  MERROW_BOOL = 1,
  MERROW_INT = 2,
  MERROW_DOUBLE = 3,
  MERROW_TEXT = 4,   /* `bytes`: UTF-8 */
  MERROW_BINARY = 5, /* `bytes` */
  MERROW_JSON = 6    /* `bytes`: any JSON value; its lists and maps become plain values */
} merrow_value_kind;

typedef struct merrow_value {
  merrow_value_kind kind;
  union {
    bool boolean;
    int64_t integer;
    double number;
    struct {
      const char* data;
      size_t size;
    } bytes;
  } as;
} merrow_value;

/* Kinds of containers, to create. */
typedef enum merrow_container_kind {
  MERROW_MAP = 0,
  MERROW_LIST = 1,
  MERROW_RICH_TEXT = 2,
  MERROW_TREE = 3,
  MERROW_MOVABLE_LIST = 4,
  MERROW_COUNTER = 5
} merrow_container_kind;

MERROW_API merrow_status merrow_map_set(merrow_doc* doc, const char* map, const char* key,
                                        const merrow_value* value, merrow_error* error);
MERROW_API merrow_status merrow_map_delete(merrow_doc* doc, const char* map, const char* key,
                                           merrow_error* error);
/* Sets the key to a new child container; `child` gets its id. */
MERROW_API merrow_status merrow_map_set_container(merrow_doc* doc, const char* map, const char* key,
                                                  merrow_container_kind kind, merrow_bytes* child,
                                                  merrow_error* error);
/* The same with a child that others who do so concurrently get, too. */
MERROW_API merrow_status merrow_map_ensure_mergeable(merrow_doc* doc, const char* map,
                                                     const char* key, merrow_container_kind kind,
                                                     merrow_bytes* child, merrow_error* error);

/* `list` is a List or a MovableList; set and move are for the movable one. */
MERROW_API merrow_status merrow_list_insert(merrow_doc* doc, const char* list, size_t index,
                                            const merrow_value* value, merrow_error* error);
MERROW_API merrow_status merrow_list_insert_container(merrow_doc* doc, const char* list,
                                                      size_t index, merrow_container_kind kind,
                                                      merrow_bytes* child, merrow_error* error);
MERROW_API merrow_status merrow_list_delete(merrow_doc* doc, const char* list, size_t index,
                                            size_t count, merrow_error* error);
MERROW_API merrow_status merrow_list_set(merrow_doc* doc, const char* list, size_t index,
                                         const merrow_value* value, merrow_error* error);
/* `to` is the index of the item after the move. */
MERROW_API merrow_status merrow_list_move(merrow_doc* doc, const char* list, size_t from, size_t to,
                                          merrow_error* error);

MERROW_API merrow_status merrow_text_insert(merrow_doc* doc, const char* text, size_t position,
                                            const char* utf8, size_t size, merrow_unit unit,
                                            merrow_error* error);
MERROW_API merrow_status merrow_text_delete(merrow_doc* doc, const char* text, size_t position,
                                            size_t count, merrow_unit unit, merrow_error* error);

/* At which edges a mark takes in what is inserted there. */
typedef enum merrow_expand {
  MERROW_EXPAND_NONE = 0,
  MERROW_EXPAND_BEFORE = 1,
  MERROW_EXPAND_AFTER = 2,
  MERROW_EXPAND_BOTH = 3
} merrow_expand;
/* Gives the text in [start, end) an attribute; all writers agree on `expand` for a key. */
MERROW_API merrow_status merrow_text_mark(merrow_doc* doc, const char* text, size_t start,
                                          size_t end, const char* key, const merrow_value* value,
                                          merrow_expand expand, merrow_unit unit,
                                          merrow_error* error);
MERROW_API merrow_status merrow_text_unmark(merrow_doc* doc, const char* text, size_t start,
                                            size_t end, const char* key, merrow_expand expand,
                                            merrow_unit unit, merrow_error* error);

MERROW_API merrow_status merrow_counter_add(merrow_doc* doc, const char* counter, double delta,
                                            merrow_error* error);

/* A node of a tree: the id of the op that created it. */
typedef struct merrow_node {
  uint64_t peer;
  int32_t counter;
} merrow_node;
/* As `index`: behind the last child. */
#define MERROW_LAST UINT32_MAX

/* `parent` is NULL for a root. A node's data is the Map container of its id,
 * "cid:counter@peer:Map". */
MERROW_API merrow_status merrow_tree_create(merrow_doc* doc, const char* tree,
                                            const merrow_node* parent, uint32_t index,
                                            merrow_node* node, merrow_error* error);
/* `index` counts the other children of the new parent. Conflict if that is below the node. */
MERROW_API merrow_status merrow_tree_move(merrow_doc* doc, const char* tree, merrow_node node,
                                          const merrow_node* parent, uint32_t index,
                                          merrow_error* error);
/* Hides the node and all below it. */
MERROW_API merrow_status merrow_tree_delete(merrow_doc* doc, const char* tree, merrow_node node,
                                            merrow_error* error);

/* --- Events --- */

/* After each import, commit or checkout that changed what is shown: `delta_json` as
 * merrow_doc_diff's, valid during the call. It may read the document; what would change it is
 * MERROW_BUSY and changes nothing. It must not free the document, and must return: no exception,
 * no longjmp. */
typedef void (*merrow_event_callback)(void* context, const char* delta_json, size_t size);

typedef struct merrow_subscription merrow_subscription;
MERROW_API merrow_status merrow_doc_subscribe(merrow_doc* doc, merrow_event_callback callback,
                                              void* context, merrow_subscription** subscription,
                                              merrow_error* error);
/* Ends it; before the document is freed, or after. NULL is fine. */
MERROW_API void merrow_subscription_free(merrow_subscription* subscription);

/* --- Cursors: places in a sequence that stay with what they are next to --- */

/* `side`: -1 sticks to what is left, 1 to what is right, 0 to the element at the position. */
MERROW_API merrow_status merrow_cursor_at(const merrow_doc* doc, const char* container,
                                          size_t position, int side, merrow_unit unit,
                                          merrow_bytes* cursor, merrow_error* error);
MERROW_API merrow_status merrow_cursor_position(const merrow_doc* doc, const void* cursor,
                                                size_t size, merrow_unit unit, size_t* position,
                                                merrow_error* error);

/* --- Undo: takes back local edits, step by step, while what others did stays --- */

typedef struct merrow_undo merrow_undo;
/* Steps are the commits from now on; those less than `merge_interval_ms` after a step began, by the
 * times given to merrow_undo_set_time, are part of it. The document must outlive this. */
MERROW_API merrow_status merrow_undo_new(merrow_doc* doc, int64_t merge_interval_ms,
                                         size_t step_count_max, merrow_undo** undo,
                                         merrow_error* error);
/* NULL is fine. */
MERROW_API void merrow_undo_free(merrow_undo* undo);
/* The time of the commits from now on, in milliseconds of any epoch. */
MERROW_API void merrow_undo_set_time(merrow_undo* undo, int64_t now_ms);
MERROW_API size_t merrow_undo_count(const merrow_undo* undo);
MERROW_API size_t merrow_redo_count(const merrow_undo* undo);
/* `did` gets false if there was nothing left to take back. */
MERROW_API merrow_status merrow_undo_step(merrow_undo* undo, bool* did, merrow_error* error);
MERROW_API merrow_status merrow_redo_step(merrow_undo* undo, bool* did, merrow_error* error);
/* All commits between the two are one step, if no import comes in between. Both commit first. */
MERROW_API merrow_status merrow_undo_begin_group(merrow_undo* undo, merrow_error* error);
MERROW_API merrow_status merrow_undo_end_group(merrow_undo* undo, merrow_error* error);
/* While not recording, commits are treated as if somebody else had made them. Commits first. */
MERROW_API merrow_status merrow_undo_set_recording(merrow_undo* undo, bool is_recording,
                                                   merrow_error* error);
/* Forgets all steps. Commits first. */
MERROW_API merrow_status merrow_undo_clear(merrow_undo* undo, merrow_error* error);

/* --- Blobs --- */

typedef struct merrow_blob_info {
  bool is_snapshot;
  bool is_shallow;
  uint32_t change_count;
} merrow_blob_info;
/* What a blob holds, without importing it. */
MERROW_API merrow_status merrow_blob_info_read(const void* bytes, size_t size,
                                               merrow_blob_info* info, merrow_error* error);

#ifdef __cplusplus
}
#endif

#endif /* MERROW_H_ */
