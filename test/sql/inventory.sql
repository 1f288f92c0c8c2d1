-- SPDX-License-Identifier: Apache-2.0
--
-- Scenarios of cr-sqlite's own tests that the other files do not have; each section names theirs.

-- sync: merging on defaults. A default that was there before the table was tracked is a value like another, so of two
-- the larger one stays; one that is filled in for a row that arrives in part is none.
.site a
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b);
INSERT INTO foo VALUES (1, 2);
SELECT crsql_as_crr('foo');
--> 'OK'
SELECT crsql_begin_alter('foo');
--> 'OK'
ALTER TABLE foo ADD COLUMN c NOT NULL DEFAULT 0;
SELECT crsql_commit_alter('foo');
--> 'OK'
.site b
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b, c NOT NULL DEFAULT 4);
INSERT INTO foo VALUES (1, 2, 4);
SELECT crsql_as_crr('foo');
--> 'OK'
.both a b
.equal a b SELECT * FROM foo
SELECT * FROM foo;
--> 1|2|4
.site a
INSERT INTO foo (a, b) VALUES (2, 1);
.site b
INSERT INTO foo (a, b) VALUES (2, 1);
.both a b
.equal a b SELECT * FROM foo ORDER BY a
SELECT c FROM foo WHERE a = 2;
--> 4

-- sync: a larger clock wins with a larger, a smaller and the same value; a smaller clock never.
.site a
UPDATE foo SET b = 10 WHERE a = 1;
UPDATE foo SET b = 11 WHERE a = 1;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 99, 4, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT b FROM foo WHERE a = 1;
--> 99
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 1, 5, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT b FROM foo WHERE a = 1;
--> 1
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 1, 6, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT b, (SELECT col_version FROM crsql_changes WHERE cid = 'b' AND pk = crsql_pack_columns(1)) FROM foo WHERE a = 1;
--> 1|6
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 500, 5, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT b FROM foo WHERE a = 1;
--> 1

-- sync, seq: through a proxy, in parts, out of order.
.site origin
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b, c);
SELECT crsql_as_crr('foo');
--> 'OK'
.site proxy
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b, c);
SELECT crsql_as_crr('foo');
--> 'OK'
.site far
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b, c);
SELECT crsql_as_crr('foo');
--> 'OK'
.site origin
INSERT INTO foo VALUES (1, 1, 1);
.sync origin proxy
INSERT INTO foo VALUES (2, 2, 2);
DELETE FROM foo WHERE a = 1;
INSERT INTO foo VALUES (1, 'second life', 1);
UPDATE foo SET a = 3 WHERE a = 2;
.sync origin proxy 3
.sync proxy far 2
.sync origin proxy 1
.sync proxy far
.equal origin far SELECT * FROM foo ORDER BY a
.equal origin far SELECT pk, cid, val, col_version, site_id, cl, seq FROM crsql_changes ORDER BY pk, cid
.site far
UPDATE foo SET b = 'back';
.sync far proxy
.sync proxy origin
.equal origin far SELECT * FROM foo ORDER BY a

-- cl_merging: a dead row comes to life by a cell that is not the sentinel; what it had besides is gone.
.site cl
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b, c DEFAULT 'd');
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 1, 1);
DELETE FROM foo;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 'alive', 1, 9, x'000102030405060708090a0b0c0d0e0f', 3, 0);
SELECT * FROM foo;
--> 1|'alive'|'d'
SELECT cid, val, col_version, cl FROM crsql_changes ORDER BY cid;
--> '-1'|NULL|3|3
--> 'b'|'alive'|1|3
-- A live one goes to its next life by a cell; the db_version of what it had moves on, so that others hear of it.
INSERT INTO foo VALUES (2, 1, 1);
SELECT crsql_db_version();
--> 10
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'b', 'next', 1, 2, x'000102030405060708090a0b0c0d0e0f', 3, 0);
SELECT * FROM foo WHERE a = 2;
--> 2|'next'|1
SELECT cid, val, col_version, db_version, cl FROM crsql_changes WHERE pk = crsql_pack_columns(2) ORDER BY cid;
--> '-1'|NULL|3|11|3
--> 'b'|'next'|1|11|3
--> 'c'|1|0|11|3
-- A cell of an earlier life says nothing, whatever its version.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'c', 'zzz', 100, 99, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT * FROM foo WHERE a = 2;
--> 2|'next'|1

-- cl_merging, pk_only: rows of nothing but keys are made, deleted and made again on another site; a junction table.
.site left
CREATE TABLE tag (a INTEGER NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b));
SELECT crsql_as_crr('tag');
--> 'OK'
.site right
CREATE TABLE tag (a INTEGER NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b));
SELECT crsql_as_crr('tag');
--> 'OK'
.site left
INSERT INTO tag VALUES (1, 'x'), (1, 'y');
.sync left right
.site right
DELETE FROM tag WHERE b = 'x';
UPDATE tag SET b = 'z';
.both left right
.equal left right SELECT * FROM tag ORDER BY a, b
.site left
INSERT INTO tag VALUES (1, 'x');
INSERT OR IGNORE INTO tag VALUES (1, 'x'), (1, 'z');
INSERT OR REPLACE INTO tag VALUES (1, 'z');
UPDATE tag SET a = a;
.both left right
.equal left right SELECT * FROM tag ORDER BY a, b
SELECT cell FROM crsql_changes, crsql_unpack_columns(pk) WHERE cl % 2 = 1;
--> 1
--> 'x'
--> 1
--> 'z'
.equal left right SELECT pk, cid, col_version, cl FROM crsql_changes ORDER BY pk

-- cl_triggers: a key that changes in a row with many lives, twice, and to one with as many.
.site moves
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 'v', 1, 9, x'000102030405060708090a0b0c0d0e0f', 7, 0);
UPDATE foo SET a = 2;
SELECT pk, cid, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'010901'|'-1'|8|8
--> x'010902'|'-1'|1|1
--> x'010902'|'b'|2|1
UPDATE foo SET a = 1;
SELECT pk, cid, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'010901'|'-1'|9|9
--> x'010901'|'b'|3|9
--> x'010902'|'-1'|2|2
DELETE FROM foo;
DELETE FROM foo;
SELECT pk, cid, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'010901'|'-1'|10|10
--> x'010902'|'-1'|2|2

-- sentinel_omission: no sentinel for inserts, replaces and merges of rows that were never deleted, nor for merges that
-- lose; one for a delete, and for what comes of it.
.site from
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
.site to
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
.site from
INSERT INTO foo VALUES (1, 1);
INSERT OR REPLACE INTO foo VALUES (1, 2);
INSERT INTO foo VALUES (1, 3) ON CONFLICT DO UPDATE SET b = 4;
.sync from to
.sync from to
UPDATE foo SET b = 5;
.sync from to
.sync to from
SELECT count(*) FROM crsql_changes WHERE cid = '-1';
--> 0
.equal from to SELECT count(*) FROM crsql_changes WHERE cid = '-1'
DELETE FROM foo;
INSERT INTO foo VALUES (1, 6);
.sync from to
.equal from to SELECT pk, cid, val, col_version, cl FROM crsql_changes
SELECT count(*) FROM crsql_changes WHERE cid = '-1';
--> 1

-- lookaside: losing and refused merges leave no key behind; deleting all leaves one entry for each row.
.site keys
CREATE TABLE foo (a TEXT PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES ('one', 1), ('two', 2);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns('gone'), 'b', 1, 1, 9, x'000102030405060708090a0b0c0d0e0f', 0, 0);
--! merrow: table foo: cl 0 is out of range
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns('bad'), 'nope', 1, 1, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
--! merrow: table foo has no column nope
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns('one'), 'b', 1, 0, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT DISTINCT cell FROM crsql_changes, crsql_unpack_columns(pk);
--> 'one'
--> 'two'
DELETE FROM foo;
SELECT cell, cid, cl FROM crsql_changes, crsql_unpack_columns(pk);
--> 'one'|'-1'|2
--> 'two'|'-1'|2
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns('new'), '-1', NULL, 2, 9, x'000102030405060708090a0b0c0d0e0f', 2, 0);
SELECT cell, cid, cl FROM crsql_changes, crsql_unpack_columns(pk);
--> 'one'|'-1'|2
--> 'two'|'-1'|2
--> 'new'|'-1'|2

-- seq: rows that are written again, and again after a merge.
.site seq
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b, c);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 1, 1);
DELETE FROM foo;
BEGIN;
INSERT INTO foo VALUES (1, 2, 2);
INSERT INTO foo VALUES (2, 2, 2);
COMMIT;
SELECT pk, cid, db_version, seq FROM crsql_changes;
--> x'010901'|'-1'|3|0
--> x'010901'|'b'|3|1
--> x'010901'|'c'|3|2
--> x'010902'|'b'|3|3
--> x'010902'|'c'|3|4
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(3), 'b', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 5), ('foo', crsql_pack_columns(3), 'c', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 6);
SELECT cid, seq FROM crsql_changes WHERE pk = crsql_pack_columns(3);
--> 'b'|5
--> 'c'|6
INSERT OR REPLACE INTO foo VALUES (3, 9, 9);
SELECT cid, seq FROM crsql_changes WHERE pk = crsql_pack_columns(3);
--> 'b'|0
--> 'c'|1

-- dbversion, siteid, config: what a connection knows is what the file says, after it was closed and opened.
.file disk
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 1);
INSERT INTO foo VALUES (2, 2);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(3), 'b', 1, 1, 17, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_config_set('merge-equal-values', 1);
--> 1
CREATE TABLE was AS SELECT crsql_site_id() AS site, crsql_db_version() AS version;
.reopen disk
SELECT site = crsql_site_id(), version, crsql_db_version(), crsql_next_db_version() FROM was;
--> 1|17|17|18
SELECT crsql_config_get('merge-equal-values');
--> 1
INSERT INTO foo VALUES (4, 4);
SELECT pk, db_version, site_id = crsql_site_id() FROM crsql_changes;
--> x'010901'|1|1
--> x'010902'|2|1
--> x'010903'|17|0
--> x'010904'|18|1
SELECT count(*) FROM _merrow_site;
--> 2
BEGIN;
INSERT INTO foo VALUES (5, 5);
.reopen disk
SELECT crsql_db_version(), count(*) FROM foo;
--> 18|4

-- schema_modification: the key changes its columns or their names; a column without default; a table of keys alone.
.site schema
CREATE TABLE foo (a INTEGER NOT NULL, b TEXT NOT NULL DEFAULT 'x', c, PRIMARY KEY (a));
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 'y', 'z');
CREATE TABLE was AS SELECT crsql_site_id() AS site;
SELECT crsql_begin_alter('foo');
--> 'OK'
CREATE TABLE new (a INTEGER NOT NULL, b TEXT NOT NULL DEFAULT 'x', c, PRIMARY KEY (a, b));
INSERT INTO new SELECT a, b, c FROM foo;
DROP TABLE foo;
ALTER TABLE new RENAME TO foo;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version, cl FROM crsql_changes;
--> x'0209010b0179'|'c'|'z'|1|1
SELECT crsql_begin_alter('foo');
--> 'OK'
ALTER TABLE foo RENAME COLUMN b TO key;
ALTER TABLE foo ADD COLUMN d;
SELECT crsql_commit_alter('foo');
--> 'OK'
INSERT INTO foo VALUES (2, 'k', 'c', 'd');
SELECT pk, cid, val, col_version, cl FROM crsql_changes;
--> x'0209010b0179'|'c'|'z'|1|1
--> x'0209010b0179'|'d'|NULL|1|1
--> x'0209020b016b'|'c'|'c'|1|1
--> x'0209020b016b'|'d'|'d'|1|1
SELECT crsql_begin_alter('foo');
--> 'OK'
CREATE TABLE new (a INTEGER PRIMARY KEY NOT NULL);
INSERT INTO new SELECT a FROM foo;
DROP TABLE foo;
ALTER TABLE new RENAME TO foo;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version, cl FROM crsql_changes;
--> x'010901'|'-1'|NULL|1|1
--> x'010902'|'-1'|NULL|1|1
SELECT site = crsql_site_id() FROM was;
--> 1
CREATE TABLE only (a TEXT PRIMARY KEY NOT NULL);
INSERT INTO only VALUES ('k'), ('l');
SELECT crsql_as_crr('only');
--> 'OK'
SELECT pk, cid, val, col_version, cl FROM crsql_changes WHERE "table" = 'only';
--> x'010b016b'|'-1'|NULL|1|1
--> x'010b016c'|'-1'|NULL|1|1

-- automigrate: from nothing to something, with a unique index, a renamed column, and back to nothing.
.site migrate
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a INTEGER PRIMARY KEY NOT NULL, b); CREATE TABLE IF NOT EXISTS plain (x, y); CREATE UNIQUE INDEX IF NOT EXISTS u ON plain (x); SELECT crsql_as_crr(''foo'')');
--> 'migration complete'
INSERT INTO foo VALUES (1, 2);
INSERT INTO plain VALUES (1, 1);
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a INTEGER PRIMARY KEY NOT NULL, c); CREATE TABLE IF NOT EXISTS plain (x, y); CREATE INDEX IF NOT EXISTS u ON plain (x); SELECT crsql_as_crr(''foo'')');
--> 'migration complete'
INSERT INTO plain VALUES (1, 2);
SELECT * FROM foo;
--> 1|NULL
SELECT * FROM plain;
--> 1|1
--> 1|2
SELECT count(*) FROM crsql_changes;
--> 0
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS plain (x, y)');
--> 'migration complete'
SELECT name FROM sqlite_schema WHERE name IN ('foo', 'plain', 'u');
--> 'plain'

-- changes-vtab, e2e: many columns of a key, a condition on all of them, the rowid of a row that was read.
.site many
CREATE TABLE foo (a NOT NULL, b NOT NULL, c NOT NULL, d NOT NULL, v, w, PRIMARY KEY (c, a, d, b));
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 'b', x'0c', 4.5, 'v', 'w'), (1, 'b', x'0c', 5.5, 'v', 'w');
SELECT cid, val FROM crsql_changes WHERE pk = crsql_pack_columns(x'0c', 1, 5.5, 'b');
--> 'v'|'v'
--> 'w'|'w'
SELECT group_concat(quote(cell)) FROM crsql_unpack_columns(crsql_pack_columns(x'0c', 1, 5.5, 'b'));
--> 'X''0C'',1,5.5,''b'''
SELECT count(DISTINCT rowid) FROM crsql_changes;
--> 4
SELECT count(*) FROM crsql_changes AS c WHERE EXISTS (SELECT 1 FROM crsql_changes AS d WHERE d.rowid = c.rowid);
--> 4
UPDATE foo SET w = NULL, v = v WHERE d = 4.5;
SELECT cid, val, col_version FROM crsql_changes WHERE db_version = crsql_db_version();
--> 'w'|NULL|2
-- Only what is local.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(x'0c', 1, 6.5, 'b'), 'v', 1, 1, 9, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT count(*) FROM crsql_changes WHERE site_id = crsql_site_id();
--> 4
SELECT count(*) FROM crsql_changes WHERE site_id IS NOT crsql_site_id();
--> 1
