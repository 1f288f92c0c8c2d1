-- SPDX-License-Identifier: Apache-2.0
--
-- Which tables can be document tables, what happens to rows that are there, and new columns.

.site a
CREATE TABLE two (a TEXT NOT NULL, b TEXT NOT NULL, body CRDT_TEXT, PRIMARY KEY (a, b));
SELECT merrow_track('two');
--! merrow: schema: table two has CRDT_ columns, so it needs exactly one key column, TEXT PRIMARY KEY NOT NULL; it has 2
CREATE TABLE number (id INTEGER PRIMARY KEY, body CRDT_TEXT);
SELECT merrow_track('number');
--! merrow: schema: table number, column id: the key of a document table must be TEXT PRIMARY KEY NOT NULL
CREATE TABLE maybe (id TEXT PRIMARY KEY, body CRDT_TEXT);
SELECT merrow_track('maybe');
--! merrow: schema: table maybe, column id: the key of a document table must be TEXT PRIMARY KEY NOT NULL
CREATE TABLE wrong (id TEXT PRIMARY KEY NOT NULL, body CRDT_SOMETHING);
SELECT merrow_track('wrong');
--! merrow: schema: table wrong, column body: there is no type CRDT_SOMETHING; there are CRDT_TEXT, CRDT_LIST, CRDT_MOVABLE_LIST, CRDT_MAP, CRDT_TREE and CRDT_COUNTER
CREATE TABLE row_name (id TEXT PRIMARY KEY NOT NULL, row CRDT_TEXT);
SELECT merrow_track('row_name');
--! merrow: schema: table row_name, column row: a CRDT_ column cannot be named row, which is the name of the container of the scalar columns
CREATE TABLE expression (id TEXT PRIMARY KEY NOT NULL, t TEXT DEFAULT (random()), body CRDT_TEXT);
SELECT merrow_track('expression');
--! merrow: schema: table expression, column t: the default of a document table's column must be a literal, not random()
-- Nothing is left of what was refused.
SELECT count(*) FROM sqlite_master WHERE name LIKE '\_merrow%' ESCAPE '\';
--> 0

-- Rows that are there become documents; copies of a database that do so apart make the same ones.
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
INSERT INTO note VALUES ('a', 'A', 'text of a', 5), ('b', NULL, NULL, NULL);
SELECT merrow_track('note');
--> 'OK'
SELECT * FROM note;
--> 'a'|'A'|'text of a'|5
--> 'b'|NULL|''|0
SELECT merrow_document_json('note', 'a');
--> '{"body":"text of a","row":{"title":"A"},"votes":5}'
SELECT merrow_document_json('note', 'b');
--> '{"row":{"id":"b"}}'
.site b
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
INSERT INTO note VALUES ('a', 'A', 'text of a', 5), ('b', NULL, NULL, NULL);
SELECT merrow_track('note');
--> 'OK'
UPDATE note SET body = body || ' and b' WHERE id = 'a';
.mail a b
--> 0
.mail b a
--> 1
.equal a b SELECT * FROM note
SELECT * FROM note;
--> 'a'|'A'|'text of a and b'|5
--> 'b'|NULL|''|0

-- Tracking again is harmless, and brings rows up to their documents.
SELECT merrow_track('note');
--> 'OK'
SELECT count(*) FROM _merrow_table;
--> 1

-- New columns: they show what documents from elsewhere have had all along.
.site a
ALTER TABLE note ADD COLUMN extra TEXT DEFAULT 'none';
SELECT merrow_track('note');
--> 'OK'
UPDATE note SET extra = 'something' WHERE id = 'a';
.mail a b
--> 1
.site b
SELECT * FROM note;
--> 'a'|'A'|'text of a and b'|5
--> 'b'|NULL|''|0
ALTER TABLE note ADD COLUMN extra TEXT DEFAULT 'none';
SELECT merrow_track('note');
--> 'OK'
SELECT * FROM note;
--> 'a'|'A'|'text of a and b'|5|'something'
--> 'b'|NULL|''|0|'none'
UPDATE note SET extra = extra || '!' WHERE id = 'a';
.mail b a
--> 1
.equal a b SELECT * FROM note

-- A database with marks of its own is not taken over.
.site c
PRAGMA user_version = 7;
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note VALUES ('a', 'x');
SELECT merrow_document_json('note', 'a');
--> '{"body":"x"}'
PRAGMA user_version;
--> 7
PRAGMA application_id;
--> 0
