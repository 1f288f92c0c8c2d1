-- SPDX-License-Identifier: Apache-2.0
--
-- Document tables: SQL writes become ops of the row's document, in the transaction that makes them.

.site a
CREATE TABLE note (
  id TEXT PRIMARY KEY NOT NULL, title TEXT DEFAULT 'new', done INTEGER, size REAL, raw,
  body CRDT_TEXT, votes CRDT_COUNTER, tags CRDT_LIST, cards CRDT_MOVABLE_LIST, props CRDT_MAP,
  outline CRDT_TREE);
SELECT merrow_track('note');
--> 'OK'

-- A row of defaults is a document too, and shows what is empty as a server does.
INSERT INTO note (id) VALUES ('empty');
SELECT * FROM note;
--> 'empty'|'new'|NULL|NULL|NULL|''|0|'[]'|'[]'|'{}'|'[]'
SELECT merrow_document_json('note', 'empty');
--> '{"row":{"id":"empty"}}'

-- Values of every kind.
INSERT INTO note (id, title, done, size, raw, body, votes, tags, cards, props) VALUES
  ('a', 'A', 1, 2.5, x'00ff', 'häl😀lo', 3, '["x", 1]', '[1,2,3]', '{"k": {"deep": [1]}}');
SELECT merrow_document_json('note', 'a');
--> '{"body":"häl😀lo","cards":[1,2,3],"props":{"k":{"deep":[1]}},"row":{"done":1,"raw":[0,255],"size":2.5,"title":"A"},"tags":["x",1],"votes":3}'
SELECT tags, props FROM note WHERE id = 'a';
--> '["x",1]'|'{"k":{"deep":[1]}}'

-- What is not changed makes no op: not a write of the same, not JSON with other spaces.
SELECT count(*) FROM _merrow_log;
--> 2
UPDATE note SET title = title, body = body, tags = '[ "x", 1 ]', votes = 3.0;
SELECT count(*) FROM _merrow_log;
--> 3
SELECT tags FROM note WHERE id = 'a';
--> '["x",1]'

-- Every change is the smallest.
UPDATE note SET body = replace(body, 'lo', 'lo world'), votes = votes + 4, tags = '["x",2,1]',
  cards = '[3,1,2]', props = '{"k":{"deep":[1]},"l":null}', title = NULL WHERE id = 'a';
SELECT merrow_document_json('note', 'a');
--> '{"body":"häl😀lo world","cards":[3,1,2],"props":{"k":{"deep":[1]},"l":null},"row":{"done":1,"raw":[0,255],"size":2.5,"title":null},"tags":["x",2,1],"votes":7}'
SELECT title, body, votes, tags, cards, props FROM note WHERE id = 'a';
--> NULL|'häl😀lo world'|7|'["x",2,1]'|'[3,1,2]'|'{"k":{"deep":[1]},"l":null}'

-- Several writes of one row in one transaction are one entry.
SELECT count(*) FROM _merrow_log;
--> 4
BEGIN;
UPDATE note SET body = body || '1' WHERE id = 'a';
UPDATE note SET body = body || '2' WHERE id = 'a';
UPDATE note SET done = 0 WHERE id = 'a';
COMMIT;
SELECT count(*) FROM _merrow_log;
--> 5
SELECT body, done FROM note WHERE id = 'a';
--> 'häl😀lo world12'|0

-- Functions see what the transaction wrote.
BEGIN;
UPDATE note SET title = 'inside' WHERE id = 'a';
SELECT merrow_document_json('note', 'a') LIKE '%"inside"%';
--> 1
SELECT hex(merrow_document_version('note', 'a')) = hex(merrow_document_version('note', 'empty'));
--> 0
ROLLBACK;
SELECT merrow_document_json('note', 'a') LIKE '%"inside"%';
--> 0

-- A rollback undoes rows and documents alike, to any savepoint.
SELECT count(*) FROM _merrow_log;
--> 5
BEGIN;
UPDATE note SET title = 'one' WHERE id = 'a';
SAVEPOINT s;
UPDATE note SET title = 'two' WHERE id = 'a';
INSERT INTO note (id, title) VALUES ('b', 'B');
ROLLBACK TO s;
COMMIT;
SELECT merrow_document_json('note', 'a') LIKE '%"title":"one"%';
--> 1
SELECT merrow_document_json('note', 'b');
--! merrow: table note, row 'b': there is no such document
SELECT count(*) FROM _merrow_log;
--> 6

-- The same if somebody looked in between, so that ops were written.
BEGIN;
UPDATE note SET title = 'three' WHERE id = 'a';
SAVEPOINT s;
UPDATE note SET title = 'four' WHERE id = 'a';
SELECT merrow_document_json('note', 'a') LIKE '%"title":"four"%';
--> 1
ROLLBACK TO s;
SELECT merrow_document_json('note', 'a') LIKE '%"title":"three"%';
--> 1
COMMIT;
SELECT merrow_document_json('note', 'a') LIKE '%"title":"three"%';
--> 1
SELECT title FROM note WHERE id = 'a';
--> 'three'

-- A statement that fails half-way leaves nothing.
INSERT INTO note (id, title) VALUES ('c', 'C'), ('a', 'again');
--! UNIQUE constraint failed: note.id
SELECT merrow_document_json('note', 'c');
--! merrow: table note, row 'c': there is no such document
INSERT OR REPLACE INTO note (id, title, body) VALUES ('a', 'replaced', 'häl');
SELECT merrow_document_json('note', 'a');
--> '{"body":"häl","cards":[],"props":{},"row":{"done":null,"raw":null,"size":null,"title":"replaced"},"tags":[],"votes":0}'
INSERT INTO note (id, title) VALUES ('a', 'x') ON CONFLICT DO UPDATE SET title = 'upserted';
SELECT merrow_document_json('note', 'a');
--> '{"body":"häl","cards":[],"props":{},"row":{"done":null,"raw":null,"size":null,"title":"upserted"},"tags":[],"votes":0}'

-- What cannot be.
DELETE FROM note WHERE id = 'a';
--! merrow: row 'a' is a document, which cannot be deleted: sites that are editing it would bring a part of it back; mark it in a column instead, or empty its columns
UPDATE note SET id = 'z' WHERE id = 'a';
--! merrow: the key of a document cannot change: 'a' is what other sites know it by
UPDATE note SET votes = 'many' WHERE id = 'a';
--! merrow: table note, row 'a': column votes: it holds a finite number, not 'many'
UPDATE note SET tags = '{"not": "a list"}' WHERE id = 'a';
--! merrow: table note, row 'a': column tags: it holds a JSON array, not '{"not": "a list"}'
UPDATE note SET props = 'not json' WHERE id = 'a';
--! merrow: table note, row 'a': column props: it holds a JSON object: not JSON at byte 2
UPDATE note SET body = x'ff' WHERE id = 'a';
--! merrow: table note, row 'a': column body: it holds text in UTF-8, not x'ff'
UPDATE note SET outline = '[{"id":"1@2"}]' WHERE id = 'a';
--! merrow: table note, row 'a': column outline: there is no node 1@2; a new one is written without id
INSERT INTO note (id) VALUES ('');
--! merrow: a key must be UTF-8 without zero bytes, from 1 to 512 bytes long (0)
INSERT INTO note (id) VALUES (x'00');
--! merrow: the key of a document is text, not x'00'
SELECT * FROM note WHERE id = 'a';
--> 'a'|'upserted'|NULL|NULL|NULL|'häl'|0|'[]'|'[]'|'{}'|'[]'
SELECT merrow_document_json('note', 'nothing');
--! merrow: table note, row 'nothing': there is no such document
SELECT merrow_document_json('nothing', 'a');
--! merrow: there is no document table nothing
SELECT merrow_document_json('note', 1);
--! merrow: a table and a key are text, not 'note' and 1
SELECT merrow_document_export('note', 'a', 'text');
--! merrow: a blob is expected, not 'text'
SELECT merrow_document_export('note', 'a', x'ffffff');
--! merrow: truncated varint at offset 0
SELECT merrow_document_export('note');
--! merrow: the arguments are table, key [, version vector]
SELECT merrow_document_import('note', 'a', x'00');
--! merrow: table note, row 'a': blob of 1 bytes has no envelope
SELECT merrow_document_import('note', 'a', 'text');
--! merrow: a blob is expected, not 'text'
SELECT merrow_document_import('note', '', merrow_document_export('note', 'a'));
--! merrow: a key must be UTF-8 without zero bytes, from 1 to 512 bytes long (0)
SELECT merrow_document_import('other', 'a', x'00');
--! merrow: there is no document table other
SELECT merrow_document_insert(77, 'a');
--! merrow: called outside a statement that writes
SELECT merrow_document_update('note', 'a', 'b');
--! merrow: the key of a document cannot change: 'b' is what other sites know it by

-- Documents go from one database to another by hand.
.site b
CREATE TABLE note (
  id TEXT PRIMARY KEY NOT NULL, title TEXT DEFAULT 'new', done INTEGER, size REAL, raw,
  body CRDT_TEXT, votes CRDT_COUNTER, tags CRDT_LIST, cards CRDT_MOVABLE_LIST, props CRDT_MAP,
  outline CRDT_TREE);
SELECT merrow_track('note');
--> 'OK'
INSERT INTO note (id, body) VALUES ('copy', 'mine');
SELECT merrow_document_import('note', 'other', merrow_document_export('note', 'copy')) IS NOT NULL;
--> 1
SELECT merrow_document_import('note', 'other', merrow_document_export('note', 'copy'));
--> NULL
SELECT id, body FROM note;
--> 'copy'|'mine'
--> 'other'|'mine'
UPDATE note SET body = body || ' and yours' WHERE id = 'copy';
SELECT length(merrow_document_import('note', 'other', merrow_document_export('note', 'copy', merrow_document_version('note', 'other')))) <
  length(merrow_document_export('note', 'copy', x'00')) AS only_what_is_new;
--> 1
SELECT id, body FROM note;
--> 'copy'|'mine and yours'
--> 'other'|'mine and yours'

-- An import is part of its transaction.
UPDATE note SET body = 'later' WHERE id = 'copy';
BEGIN;
SELECT merrow_document_import('note', 'other', merrow_document_export('note', 'copy')) IS NOT NULL;
--> 1
SELECT body FROM note WHERE id = 'other';
--> 'later'
ROLLBACK;
SELECT body FROM note WHERE id = 'other';
--> 'mine and yours'
SELECT merrow_document_json('note', 'other');
--> '{"body":"mine and yours"}'

-- An update whose dependencies are missing is refused whole.
SELECT merrow_document_import('note', 'third', merrow_document_export('note', 'copy', merrow_document_version('note', 'other')));
--! merrow: table note, row 'third': the update follows ops that are not here; what is here is {}
SELECT merrow_document_json('note', 'third');
--! merrow: table note, row 'third': there is no such document
SELECT count(*) FROM note;
--> 2

-- Constraints hold for imports.
.site c
CREATE TABLE task (id TEXT PRIMARY KEY NOT NULL, title TEXT CHECK (length(title) < 5), body CRDT_TEXT);
CREATE TABLE free (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);
SELECT merrow_track('task'), merrow_track('free');
--> 'OK'|'OK'
INSERT INTO free VALUES ('a', 'too long', 'x');
SELECT merrow_document_import('task', 'a', merrow_document_export('free', 'a'));
--! merrow: table task, row 'a': row task/a: CHECK constraint failed: length(title) < 5 (sqlite code 19) in: INSERT OR ABORT INTO main."task" ("id", "title", "body") VALUES (?1, ?2, ?3) ON CONFLICT ("id") DO UPDATE SET "title" = excluded."title", "body" = excluded."body"
SELECT * FROM task;
SELECT merrow_document_json('task', 'a');
--! merrow: table task, row 'a': there is no such document
UPDATE free SET title = 'ok';
SELECT merrow_document_import('task', 'a', merrow_document_export('free', 'a')) IS NOT NULL;
--> 1
SELECT * FROM task;
--> 'a'|'ok'|'x'

-- The user's own triggers see every write, and may write documents as well.
CREATE TABLE log (event TEXT);
CREATE TRIGGER task_log AFTER UPDATE ON task BEGIN
  INSERT INTO log VALUES (OLD.body || ' -> ' || NEW.body);
  UPDATE free SET body = NEW.body WHERE id = NEW.id;
END;
UPDATE task SET body = 'y';
SELECT * FROM log;
--> 'x -> y'
SELECT merrow_document_json('free', 'a');
--> '{"body":"y","row":{"title":"ok"}}'

-- No longer tracked.
SELECT merrow_untrack('task');
--> 'OK'
DELETE FROM task;
SELECT count(*) FROM _merrow_document;
--> 1
SELECT merrow_document_json('task', 'a');
--! merrow: there is no document table task
SELECT merrow_untrack('task');
--! merrow: table task is not tracked
