-- SPDX-License-Identifier: Apache-2.0
--
-- The tables of the Node tests.

CREATE TABLE note (
  id     TEXT PRIMARY KEY NOT NULL,
  title  TEXT,
  stars  INTEGER,
  body   CRDT_TEXT,
  votes  CRDT_COUNTER,
  tags   CRDT_LIST,
  props  CRDT_MAP
);

CREATE TABLE page (
  id     TEXT PRIMARY KEY NOT NULL,
  body   CRDT_TEXT
);
