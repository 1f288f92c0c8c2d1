/* SPDX-License-Identifier: Apache-2.0
 *
 * A note in C: written, saved as a snapshot, opened again, and followed by events. */

#include <merrow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(merrow_status status, const merrow_error* error) {
  if (status == MERROW_OK) return;
  fprintf(stderr, "merrow: %s\n", error->message);
  exit(1);
}

static void print_event(void* context, const char* delta_json, size_t size) {
  (void)size;
  printf("%s: %s\n", (const char*)context, delta_json);
}

int main(void) {
  merrow_error error;
  merrow_doc* note = NULL;
  require(merrow_doc_new(1, &note, &error), &error);

  const char* body = "cid:root-body:Text";
  const char* text = "Hello, world";
  require(merrow_text_insert(note, body, 0, text, strlen(text), MERROW_UNICODE, &error), &error);
  merrow_value tags = {.kind = MERROW_JSON};
  tags.as.bytes.data = "[\"first\", {\"stars\": 5}]";
  tags.as.bytes.size = strlen(tags.as.bytes.data);
  require(merrow_map_set(note, "cid:root-row:Map", "tags", &tags, &error), &error);
  require(merrow_doc_commit(note, 1700000000, "the first words", &error), &error);

  merrow_bytes snapshot = {0};
  require(merrow_doc_export_snapshot(note, &snapshot, &error), &error);

  merrow_doc* copy = NULL;
  require(merrow_doc_new(2, &copy, &error), &error);
  merrow_subscription* subscription = NULL;
  require(merrow_doc_subscribe(copy, print_event, "copy", &subscription, &error), &error);
  require(merrow_doc_import(copy, snapshot.data, snapshot.size, NULL, &error), &error);
  merrow_bytes_free(&snapshot);

  merrow_bytes json = {0};
  require(merrow_doc_json(copy, &json, &error), &error);
  printf("%s\n", json.data);
  merrow_bytes_free(&json);

  merrow_subscription_free(subscription);
  merrow_doc_free(copy);
  merrow_doc_free(note);
  return 0;
}
