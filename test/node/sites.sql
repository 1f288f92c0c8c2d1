-- SPDX-License-Identifier: Apache-2.0
--
-- The tables of the Node tests of replication.

CREATE TABLE note (
  id     TEXT PRIMARY KEY NOT NULL,
  title  TEXT,
  body   CRDT_TEXT,
  votes  CRDT_COUNTER
);

CREATE TABLE service (
  node    TEXT NOT NULL,
  name    TEXT NOT NULL,
  port    INTEGER,
  healthy INTEGER,
  PRIMARY KEY (node, name)
);

CREATE TABLE tests (
  id   INTEGER PRIMARY KEY NOT NULL,
  text TEXT
);
