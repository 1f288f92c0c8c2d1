-- SPDX-License-Identifier: Apache-2.0
--
-- The tables of the demo. A table with CRDT_ columns holds one Loro document per row; scalar columns live in the
-- document's root map `row`, every CRDT_ column in a root container of its own name.

CREATE TABLE board (              -- the list of notes: one row, board/main
  id     TEXT PRIMARY KEY NOT NULL,
  notes  CRDT_MAP                 -- note id -> when it was made, in milliseconds since 1970
);

CREATE TABLE note (
  id     TEXT PRIMARY KEY NOT NULL,
  title  TEXT,                    -- last writer wins
  body   CRDT_TEXT,               -- several people type at once
  votes  CRDT_COUNTER,
  tags   CRDT_LIST,
  props  CRDT_MAP                 -- colour
);
