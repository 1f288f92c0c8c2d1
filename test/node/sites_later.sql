-- SPDX-License-Identifier: Apache-2.0
--
-- What sites.sql becomes: a column more, and a table more.

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
  region  TEXT,
  PRIMARY KEY (node, name)
);

CREATE TABLE tests (
  id   INTEGER PRIMARY KEY NOT NULL,
  text TEXT
);

CREATE TABLE job (
  id    TEXT PRIMARY KEY NOT NULL,
  state TEXT
);
