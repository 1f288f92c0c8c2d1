-- SPDX-License-Identifier: Apache-2.0
--
-- merrow_changeset, merrow_apply and merrow_versions: both kinds of rows, in one file.

.site a
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
CREATE TABLE service (node TEXT NOT NULL, name TEXT NOT NULL, port INTEGER, PRIMARY KEY (node, name));
SELECT merrow_track('note'), merrow_track('service');
--> 'OK'|'OK'
INSERT INTO note VALUES ('n', 'first', 'hello', 1);
INSERT INTO service VALUES ('x', 'web', 80), ('x', 'db', 5432);
.site b
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
CREATE TABLE service (node TEXT NOT NULL, name TEXT NOT NULL, port INTEGER, PRIMARY KEY (node, name));
SELECT merrow_track('note'), merrow_track('service');
--> 'OK'|'OK'

.mail a b
--> 3
.equal a b SELECT * FROM note
.equal a b SELECT * FROM service ORDER BY name DESC
SELECT * FROM note;
--> 'n'|'first'|'hello'|1
SELECT * FROM service ORDER BY name DESC;
--> 'x'|'web'|80
--> 'x'|'db'|5432
-- Everything is known now.
.mail a b
--> 0
.mail b a
--> 0

-- Concurrent edits of one row.
UPDATE note SET body = body || ' world', votes = votes + 2;
UPDATE service SET port = 81 WHERE name = 'web';
DELETE FROM service WHERE name = 'db';
.site a
UPDATE note SET body = 'Oh, ' || body, votes = votes + 10;
UPDATE service SET port = 82 WHERE name = 'web';
UPDATE service SET port = 1 WHERE name = 'db';
.mail a b
--> 2
.mail b a
--> 2
.equal a b SELECT * FROM note
.equal a b SELECT * FROM service ORDER BY name DESC
SELECT * FROM note;
--> 'n'|'first'|'Oh, hello world'|13
SELECT node, name FROM service;
--> 'x'|'web'

-- A third site hears of everything from one of them.
.site c
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
CREATE TABLE service (node TEXT NOT NULL, name TEXT NOT NULL, port INTEGER, PRIMARY KEY (node, name));
SELECT merrow_track('note'), merrow_track('service');
--> 'OK'|'OK'
.mail b c
--> 4
.equal a c SELECT * FROM note
.equal a c SELECT * FROM service ORDER BY name DESC
SELECT length(merrow_versions()) - length(replace(merrow_versions(), ';', '')) + 1 AS sites;
--> 2
.mail a c
--> 0
.mail c a
--> 0

-- Rows of a table that is not there wait for it, and are passed on.
.site d
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
SELECT merrow_track('note');
--> 'OK'
.mail a d
--> 1
.equal a d SELECT * FROM note
.site e
CREATE TABLE service (node TEXT NOT NULL, name TEXT NOT NULL, port INTEGER, PRIMARY KEY (node, name));
SELECT merrow_track('service');
--> 'OK'
.mail d e
--> 2
.equal a e SELECT * FROM service ORDER BY name DESC
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes CRDT_COUNTER);
SELECT merrow_track('note');
--> 'OK'
.equal a e SELECT * FROM note
.site d
CREATE TABLE service (node TEXT NOT NULL, name TEXT NOT NULL, port INTEGER, PRIMARY KEY (node, name));
SELECT merrow_track('service');
--> 'OK'
.equal a d SELECT * FROM service ORDER BY name DESC

-- An import by hand travels as well.
.site a
SELECT merrow_document_import('note', 'copy', merrow_document_export('note', 'n')) IS NOT NULL;
--> 1
.mail a e
--> 1
.equal a e SELECT * FROM note

-- A rollback undoes a merge, and what was seen.
INSERT INTO service VALUES ('y', 'new', 1);
.site b
SELECT count(*) FROM service;
--> 1
BEGIN;
SELECT merrow_versions() IS NOT NULL;
--> 1
ROLLBACK;
.mail a b
--> 2
SELECT count(*) FROM service;
--> 2

-- Others must not rely on what may be undone.
BEGIN;
INSERT INTO service VALUES ('z', 'open', 1);
SELECT merrow_changeset();
--! merrow: this transaction has written, and others must not rely on what may be undone; commit first
SELECT merrow_versions();
--! merrow: this transaction has written, and others must not rely on what may be undone; commit first
ROLLBACK;

-- What cannot be.
SELECT merrow_apply(x'');
--! merrow: this is not a changeset file
SELECT merrow_apply('text');
--! merrow: a changeset file is a blob, not 'text'
SELECT merrow_apply(NULL);
--! merrow: a changeset file is a blob, not NULL
SELECT merrow_apply(x'4d4552524f574353ff');
--! merrow: frame 1, at offset 8: the file is cut off after 9 bytes
SELECT merrow_apply(x'4d4552524f57435305ff');
--! merrow: frame 1, at offset 8: the file is cut off after 10 bytes
SELECT merrow_changeset('nonsense');
--! merrow: version vector: not a site id of 32 hexadecimal digits at byte 0
SELECT merrow_changeset(1);
--! merrow: versions are text, not 1
SELECT merrow_changeset('', '');
--! merrow: the argument is what merrow_versions() says elsewhere, or none
-- A file of nothing is fine.
SELECT merrow_apply(merrow_changeset(merrow_versions()));
--> 0
-- So is what one wrote oneself.
SELECT merrow_apply(merrow_changeset());
--> 0

-- What was written before a table is tracked is passed on, whatever of the transaction is undone
-- after that: by a savepoint, or by a statement that fails.
.site kept
CREATE TABLE page (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
CREATE TABLE service (name TEXT PRIMARY KEY NOT NULL, state, port);
SELECT merrow_track('page'), merrow_versions();
--> 'OK'|''
INSERT INTO page VALUES ('p', 'one');
BEGIN;
UPDATE page SET body = 'two';
SELECT merrow_track('service');
--> 'OK'
INSERT INTO page VALUES ('q', 'x'), ('p', 'twice');
--! UNIQUE constraint failed: page.id
COMMIT;
BEGIN;
UPDATE page SET body = body || ' three';
SELECT merrow_document_json('page', 'p');
--> '{"body":"two three"}'
SAVEPOINT s;
UPDATE page SET body = body || ' undone';
SELECT merrow_track('service');
--> 'OK'
ROLLBACK TO s;
COMMIT;
.site got
CREATE TABLE page (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT);
CREATE TABLE service (name TEXT PRIMARY KEY NOT NULL, state, port);
SELECT merrow_track('page'), merrow_track('service');
--> 'OK'|'OK'
.mail kept got
--> 1
SELECT merrow_document_json('page', 'p');
--> '{"body":"two three"}'

-- What is committed may be asked for several times in a transaction, until it writes.
BEGIN;
SELECT merrow_versions() = merrow_versions(), length(merrow_changeset()) > 0;
--> 1|1
SELECT merrow_apply(merrow_changeset());
--> 0
SELECT length(merrow_changeset()) > 0;
--> 1
INSERT INTO service VALUES ('late', 'open', 1);
SELECT merrow_versions();
--! merrow: this transaction has written, and others must not rely on what may be undone; commit first
COMMIT;
BEGIN;
SELECT merrow_versions() IS NOT NULL;
--> 1
UPDATE page SET body = 'x';
SELECT merrow_changeset();
--! merrow: this transaction has written, and others must not rely on what may be undone; commit first
ROLLBACK;
