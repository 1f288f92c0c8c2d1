-- SPDX-License-Identifier: Apache-2.0
--
-- The tables of the replication benchmark.

CREATE TABLE todos (
  id           TEXT PRIMARY KEY NOT NULL,
  title        TEXT,
  completed_at INTEGER,
  done         TEXT,
  user         TEXT
);

CREATE TABLE note (
  id    TEXT PRIMARY KEY NOT NULL,
  body  CRDT_TEXT
);
