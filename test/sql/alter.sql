-- SPDX-License-Identifier: Apache-2.0
--
-- Tables that change: what their clocks say afterwards.
.site a
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x, y);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
DELETE FROM foo WHERE a = 3;
-- A column that is added holds its default and has no cells; nothing is written.
SELECT crsql_begin_alter('foo');
--> 'OK'
ALTER TABLE foo ADD COLUMN z DEFAULT 'd';
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT crsql_db_version();
--> 2
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'x'|1|1|1|1|0
--> 'foo'|x'010901'|'y'|1|1|1|1|1
--> 'foo'|x'010902'|'x'|2|1|1|1|2
--> 'foo'|x'010902'|'y'|2|1|1|1|3
--> 'foo'|x'010903'|'-1'|NULL|2|2|2|0
UPDATE foo SET z = 'new' WHERE a = 1;
SELECT cid, val, col_version FROM crsql_changes WHERE cid = 'z';
--> 'z'|'new'|1
INSERT INTO foo (a, x) VALUES (4, 4);
SELECT cid, val, col_version FROM crsql_changes WHERE pk = crsql_pack_columns(4);
--> 'x'|4|1
--> 'y'|NULL|1
--> 'z'|'d'|1
-- Without the two calls, writes are refused until the table is tracked again.
ALTER TABLE foo ADD COLUMN w;
UPDATE foo SET w = 1;
--! merrow: table foo: its columns changed since it was tracked; run SELECT merrow_track('foo')
SELECT count(*) FROM foo WHERE w = 1;
--> 0
SELECT merrow_track('foo');
--> 'OK'
UPDATE foo SET w = 1 WHERE a = 1;
SELECT cid, val, col_version FROM crsql_changes WHERE cid = 'w';
--> 'w'|1|1
-- A dropped column takes its cells along, also if one of that name comes back.
SELECT crsql_begin_alter('foo');
--> 'OK'
ALTER TABLE foo DROP COLUMN x;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version FROM crsql_changes ORDER BY pk, cid;
--> x'010901'|'w'|1|1
--> x'010901'|'y'|1|1
--> x'010901'|'z'|'new'|1
--> x'010902'|'y'|2|1
--> x'010903'|'-1'|NULL|2
--> x'010904'|'y'|NULL|1
--> x'010904'|'z'|'d'|1
SELECT crsql_begin_alter('foo');
--> 'OK'
ALTER TABLE foo ADD COLUMN x;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT count(*) FROM crsql_changes WHERE cid = 'x';
--> 0
-- A renamed column is a dropped and an added one.
SELECT crsql_begin_alter('foo');
--> 'OK'
ALTER TABLE foo RENAME COLUMN y TO yy;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version FROM crsql_changes WHERE cid IN ('y', 'yy') ORDER BY pk, cid;
--> x'010901'|'yy'|1|1
--> x'010902'|'yy'|2|1
-- Rows that come, change and go meanwhile: no tombstones, for others do the same.
SELECT crsql_begin_alter('foo');
--> 'OK'
DELETE FROM foo WHERE a = 1;
INSERT INTO foo (a, yy) VALUES (9, 'nine');
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'010902'|'yy'|2|1|1
--> x'010903'|'-1'|NULL|2|2
--> x'010904'|'z'|'d'|1|1
--> x'010909'|'w'|NULL|1|1
--> x'010909'|'x'|NULL|1|1
--> x'010909'|'yy'|'nine'|1|1
--> x'010909'|'z'|'d'|1|1
-- The twelve steps, with another type.
SELECT crsql_begin_alter('foo');
--> 'OK'
CREATE TABLE new_foo (a INTEGER PRIMARY KEY NOT NULL, yy TEXT, z DEFAULT 'd', w, x);
INSERT INTO new_foo SELECT a, yy, z, w, x FROM foo;
DROP TABLE foo;
ALTER TABLE new_foo RENAME TO foo;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'010902'|'yy'|'2'|1|1
--> x'010903'|'-1'|NULL|2|2
--> x'010904'|'z'|'d'|1|1
--> x'010909'|'w'|NULL|1|1
--> x'010909'|'x'|NULL|1|1
--> x'010909'|'yy'|'nine'|1|1
--> x'010909'|'z'|'d'|1|1
INSERT INTO foo (a, yy) VALUES (10, 10);
SELECT pk, cid, val FROM crsql_changes WHERE pk = crsql_pack_columns(10);
--> x'01090a'|'z'|'d'
--> x'01090a'|'w'|NULL
--> x'01090a'|'x'|NULL
--> x'01090a'|'yy'|'10'
-- Another key: everything begins anew.
SELECT crsql_begin_alter('foo');
--> 'OK'
CREATE TABLE new_foo (a INTEGER NOT NULL, b TEXT NOT NULL, yy, PRIMARY KEY (a, b));
INSERT INTO new_foo SELECT a, 'b', yy FROM foo;
DROP TABLE foo;
ALTER TABLE new_foo RENAME TO foo;
SELECT crsql_commit_alter('foo');
--> 'OK'
SELECT pk, cid, val, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'0209020b0162'|'yy'|'2'|1|1
--> x'0209040b0162'|'yy'|NULL|1|1
--> x'0209090b0162'|'yy'|'nine'|1|1
--> x'02090a0b0162'|'yy'|'10'|1|1
-- A renamed table is still tracked.
ALTER TABLE foo RENAME TO bar;
UPDATE bar SET yy = 'renamed' WHERE a = 2;
SELECT "table", pk, cid, val FROM crsql_changes WHERE val = 'renamed';
--> 'bar'|x'0209020b0162'|'yy'|'renamed'
-- Rolled back.
SELECT crsql_begin_alter('bar');
--> 'OK'
ALTER TABLE bar ADD COLUMN gone;
ROLLBACK;
UPDATE bar SET yy = 'still' WHERE a = 2;
SELECT "table", pk, cid, val FROM crsql_changes WHERE val = 'still';
--> 'bar'|x'0209020b0162'|'yy'|'still'
-- No longer tracked.
SELECT crsql_as_table('bar');
--> 'OK'
UPDATE bar SET yy = 1;
SELECT count(*) FROM crsql_changes;
--> 0
SELECT name FROM sqlite_master WHERE type = 'trigger' OR name LIKE '_merrow_clock%';
-- Tracked again: rows that are there count as written now.
SELECT crsql_as_crr('bar');
--> 'OK'
SELECT pk, cid, val, col_version FROM crsql_changes;
--> x'0209020b0162'|'yy'|1|1
--> x'0209040b0162'|'yy'|1|1
--> x'0209090b0162'|'yy'|1|1
--> x'02090a0b0162'|'yy'|1|1
-- A column that is added in the middle of a transaction: what was written before has no cell of it,
-- what is written to it afterwards is not lost, whether merrow_track hears of it or not.
.site middle
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x);
CREATE TABLE bar (a TEXT PRIMARY KEY NOT NULL, x);
SELECT merrow_track('foo'), merrow_track('bar');
--> 'OK'|'OK'
BEGIN;
INSERT INTO foo VALUES (1, 1), (2, 2);
INSERT INTO bar VALUES ('k', 1), ('l', 1);
ALTER TABLE foo ADD COLUMN y DEFAULT 5;
ALTER TABLE bar ADD COLUMN y;
INSERT INTO foo VALUES (3, 3, 33);
UPDATE foo SET y = 6 WHERE a = 1;
UPDATE bar SET y = 'new' WHERE a = 'k';
DELETE FROM bar WHERE a = 'l';
COMMIT;
SELECT "table", pk, cid, val, col_version, db_version, cl FROM merrow_changes ORDER BY "table", pk, cid;
--> 'bar'|x'010b016b'|'x'|1|1|1|1
--> 'bar'|x'010b016b'|'y'|'new'|1|1|1
--> 'bar'|x'010b016c'|'-1'|NULL|2|1|2
--> 'foo'|x'010901'|'x'|1|1|1|1
--> 'foo'|x'010901'|'y'|6|1|1|1
--> 'foo'|x'010902'|'x'|2|1|1|1
--> 'foo'|x'010903'|'x'|3|1|1|1
--> 'foo'|x'010903'|'y'|33|1|1|1
BEGIN;
INSERT INTO foo VALUES (4, 4, 44);
UPDATE foo SET x = 22 WHERE a = 2;
--! merrow: table foo: its columns changed since it was tracked; run SELECT merrow_track('foo')
ALTER TABLE foo ADD COLUMN z;
SELECT merrow_track('foo');
--> 'OK'
UPDATE foo SET z = 'z' WHERE a = 2;
COMMIT;
SELECT "table", pk, cid, val, col_version, db_version FROM merrow_changes WHERE db_version = 2;
--> 'foo'|x'010904'|'x'|4|1|2
--> 'foo'|x'010904'|'y'|44|1|2
--> 'foo'|x'010902'|'z'|'z'|1|2
-- Undone together with what was written since.
BEGIN;
INSERT INTO foo VALUES (5, 5, 5, 5);
SAVEPOINT before;
ALTER TABLE foo ADD COLUMN w;
UPDATE foo SET w = 1;
ROLLBACK TO before;
UPDATE foo SET x = 55 WHERE a = 5;
COMMIT;
SELECT "table", pk, cid, val, col_version, db_version FROM merrow_changes WHERE db_version = 3;
--> 'foo'|x'010905'|'y'|5|1|3
--> 'foo'|x'010905'|'z'|5|1|3
--> 'foo'|x'010905'|'x'|55|2|3

-- Two tables at a time, in any order, and names in any case.
.site two
CREATE TABLE a (id INTEGER PRIMARY KEY NOT NULL, v);
CREATE TABLE b (id INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('a'), crsql_as_crr('b');
--> 'OK'|'OK'
SELECT crsql_begin_alter('a'), crsql_begin_alter('B');
--> 'OK'|'OK'
ALTER TABLE a ADD COLUMN w;
ALTER TABLE b ADD COLUMN w;
SELECT crsql_commit_alter('a'), crsql_commit_alter('b');
--> 'OK'|'OK'
BEGIN;
COMMIT;
-- A commit in between would leave tables of which nothing is recorded.
BEGIN;
SELECT crsql_begin_alter('a');
--> 'OK'
ALTER TABLE a ADD COLUMN x;
COMMIT;
--! merrow: a table is being altered, and nothing would be recorded of it any more; crsql_commit_alter comes before the commit
INSERT INTO a VALUES (1, 2, 3);
SELECT cid, val FROM crsql_changes;
--> 'v'|2
--> 'w'|3
-- A rollback ends it, and the end of one that was not begun is harmless.
SELECT crsql_begin_alter('a');
--> 'OK'
ALTER TABLE a ADD COLUMN x;
ROLLBACK;
SELECT crsql_commit_alter('a');
--> 'OK'
INSERT INTO a VALUES (2, 3, 4);
SELECT count(*) FROM crsql_changes;
--> 4
