-- SPDX-License-Identifier: Apache-2.0
--
-- Document tables whose schema is not the simplest, or changes.

-- A REPLACE takes rows away without telling triggers. That would be a delete.
.site a
CREATE TABLE page (id TEXT PRIMARY KEY NOT NULL, slug TEXT UNIQUE, lang TEXT, body CRDT_TEXT);
CREATE UNIQUE INDEX page_lang ON page (lang COLLATE NOCASE, slug);
SELECT merrow_track('page');
--> 'OK'
INSERT INTO page VALUES ('a', 'start', 'en', 'x'), ('b', 'end', 'en', 'y');
INSERT OR REPLACE INTO page VALUES ('c', 'start', 'de', 'z');
--! merrow: table page, row 'a': another row replaced it, but it is a document, which cannot be deleted
UPDATE OR REPLACE page SET slug = 'start' WHERE id = 'b';
--! merrow: table page, row 'a': another row replaced it, but it is a document, which cannot be deleted
SELECT * FROM page;
--> 'a'|'start'|'en'|'x'
--> 'b'|'end'|'en'|'y'
SELECT merrow_document_json('page', 'c');
--! merrow: table page, row 'c': there is no such document
-- The row itself may be replaced, and so may what the key says anyway.
INSERT OR REPLACE INTO page VALUES ('a', 'start', 'de', 'z');
INSERT INTO page VALUES ('d', 'start', 'fr', '') ON CONFLICT DO NOTHING;
SELECT merrow_document_json('page', 'a');
--> '{"body":"z","row":{"lang":"de","slug":"start"}}'
-- An index that comes later is looked at after merrow_track; one that goes is forgotten.
CREATE UNIQUE INDEX page_body ON page (body);
SELECT merrow_track('page');
--> 'OK'
INSERT OR REPLACE INTO page VALUES ('e', 'new', 'en', 'z');
--! merrow: table page, row 'a': another row replaced it, but it is a document, which cannot be deleted
DROP INDEX page_body;
DROP INDEX page_lang;
SELECT merrow_track('page');
--> 'OK'
SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name;
--> '_merrow_document_1_delete'
--> '_merrow_document_1_insert'
--> '_merrow_document_1_replace_insert'
--> '_merrow_document_1_replace_update'
--> '_merrow_document_1_update'
SELECT merrow_untrack('page');
--> 'OK'
SELECT count(*) FROM sqlite_schema WHERE type = 'trigger';
--> 0

-- Another table of that name, which hides it from SQL, is not the one that is written.
.site b
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT, tags CRDT_LIST);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note VALUES ('a', 'x', '[1]');
CREATE TEMP TABLE note (id TEXT PRIMARY KEY NOT NULL, body, tags);
SELECT merrow_document_import('note', 'b', merrow_document_export('note', 'a')) IS NOT NULL;
--> 1
INSERT INTO main.note VALUES ('c', 'z', '[ 1 ]');
SELECT * FROM main.note;
--> 'a'|'x'|'[1]'
--> 'b'|'x'|'[1]'
--> 'c'|'z'|'[1]'
SELECT * FROM note;
DROP TABLE temp.note;

-- A table that is renamed stays what it is, and its old name is free.
ALTER TABLE note RENAME TO memo;
UPDATE memo SET body = 'renamed' WHERE id = 'a';
SELECT merrow_document_json('memo', 'a');
--> '{"body":"renamed","tags":[1]}'
SELECT merrow_document_json('note', 'a');
--! merrow: there is no document table note
SELECT name FROM _merrow_table;
--> 'memo'
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note VALUES ('a', 'another');
SELECT merrow_document_json('memo', 'a'), merrow_document_json('note', 'a');
--> '{"body":"renamed","tags":[1]}'|'{"body":"another"}'
BEGIN;
ALTER TABLE memo RENAME TO slip;
UPDATE slip SET body = 'undone';
ROLLBACK;
SELECT merrow_document_json('memo', 'a');
--> '{"body":"renamed","tags":[1]}'

-- One that is dropped leaves its documents, and gets them back; what was written to it before it is
-- tracked becomes documents too.
DROP TABLE note;
SELECT merrow_document_json('note', 'a');
--! merrow: document table note is not there
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
INSERT INTO note VALUES ('b', 'in between');
SELECT merrow_track('note');
--> 'OK'
SELECT * FROM note ORDER BY id;
--> 'a'|'another'
--> 'b'|'in between'
SELECT merrow_document_json('note', 'b');
--> '{"body":"in between"}'

-- Triggers of another database are heard here, and cannot be told from our own.
.site c
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
CREATE TABLE row (id INTEGER PRIMARY KEY, v);
SELECT merrow_track('note'), merrow_track('row');
--> 'OK'|'OK'
ATTACH ':memory:' AS other;
CREATE TABLE other.row (id INTEGER PRIMARY KEY, v);
INSERT INTO other.row VALUES (1, 'not tracked');
INSERT INTO row SELECT * FROM other.row;
CREATE TRIGGER other._merrow_1_insert AFTER INSERT ON other.row BEGIN
  SELECT merrow_cell_insert(1, NEW.id);
END;
INSERT INTO other.row VALUES (2, 'tracked there');
--! merrow: attached database other has tracked tables, and this connection records what it writes to its main database; write there over a connection of its own
SELECT count(*) FROM other.row;
--> 1
INSERT INTO row VALUES (3, 'here');
SELECT pk, val FROM crsql_changes;
--> x'010901'|'not tracked'
--> x'010903'|'here'

-- A schema that a reader saw in a transaction that was undone is not taken for the next one of its
-- number.
.site d
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note VALUES ('a', 'x');
BEGIN;
ALTER TABLE note ADD COLUMN undone TEXT;
SELECT merrow_document_json('note', 'a');
--> '{"body":"x"}'
ROLLBACK;
ALTER TABLE note ADD COLUMN title TEXT;
UPDATE note SET title = 'T';
SELECT merrow_document_json('note', 'a');
--> '{"body":"x","row":{"title":"T"}}'
SAVEPOINT s;
CREATE TABLE plain (v);
ALTER TABLE note ADD COLUMN undone TEXT;
SELECT merrow_document_json('note', 'a');
--> '{"body":"x","row":{"title":"T"}}'
ROLLBACK TO s;
CREATE TABLE plain (v);
ALTER TABLE note ADD COLUMN size INTEGER;
UPDATE note SET size = 5;
RELEASE s;
SELECT merrow_document_json('note', 'a');
--> '{"body":"x","row":{"size":5,"title":"T"}}'
BEGIN;
SELECT merrow_untrack('note');
--> 'OK'
ROLLBACK;
UPDATE note SET body = 'y';
SELECT merrow_document_json('note', 'a');
--> '{"body":"y","row":{"size":5,"title":"T"}}'

-- With recursive triggers SQLite says of every REPLACE that the row is deleted first.
.site e
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note VALUES ('a', 'T', 'x');
PRAGMA recursive_triggers = 1;
REPLACE INTO note VALUES ('a', 'U', 'y');
--! merrow: row 'a' is a document, which cannot be deleted: sites that are editing it would bring a part of it back; mark it in a column instead, or empty its columns
INSERT INTO note VALUES ('a', 'U', 'y') ON CONFLICT DO UPDATE SET title = excluded.title;
SELECT title, body, merrow_document_json('note', 'a') FROM note;
--> 'U'|'x'|'{"body":"x","row":{"title":"U"}}'

-- A table that is written and dropped in one transaction: its documents stay as they were.
.site f
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
CREATE TABLE plain (id INTEGER PRIMARY KEY, v);
SELECT merrow_track('note'), merrow_track('plain');
--> 'OK'|'OK'
INSERT INTO note VALUES ('a', 'x');
BEGIN;
UPDATE note SET body = 'y';
INSERT INTO plain VALUES (1, 'kept');
DROP TABLE note;
COMMIT;
SELECT val FROM crsql_changes;
--> 'kept'
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
SELECT merrow_track('note');
--> 'OK'
SELECT * FROM note;
--> 'a'|'x'

-- A server's file has documents, but nothing of column rows until merrow_track makes it.
.site g
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note VALUES ('a', 'x');
DROP TABLE _merrow_site;
DROP TABLE _merrow_cell_config;
DROP TABLE _merrow_cell_table;
DROP TABLE _merrow_cell_peer;
DROP TABLE _merrow_cell_column;
DROP TABLE _merrow_tx;
SELECT merrow_document_json('note', 'a');
--> '{"body":"x"}'
UPDATE note SET body = 'y';
--! merrow: the database is one of a server, or an attached one; of a server's, run SELECT merrow_track() with the table first, and write an attached one over a connection of its own
BEGIN;
SELECT merrow_untrack('note');
--> 'OK'
ROLLBACK;
BEGIN;
SELECT merrow_document_import('note', 'b', merrow_document_export('note', 'a')) IS NOT NULL;
--> 1
ROLLBACK;
SELECT merrow_track('note');
--> 'OK'
UPDATE note SET body = 'y';
SELECT merrow_document_json('note', 'a');
--> '{"body":"y"}'
