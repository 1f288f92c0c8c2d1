-- SPDX-License-Identifier: Apache-2.0
--
-- Deletes and returns to life: the larger causal length wins the row whole.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
.site b
CREATE TABLE foo (a PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('foo');
--> 'OK'
.site a
INSERT INTO foo VALUES (1, 1);
.sync a b
-- A delete beats updates that did not know of it.
DELETE FROM foo WHERE a = 1;
.site b
UPDATE foo SET b = 2;
UPDATE foo SET b = 3;
.both a b
SELECT * FROM foo;
SELECT cid, val, col_version, cl FROM crsql_changes;
--> '-1'|NULL|2|2
.equal a b SELECT pk, cid, val, col_version, site_id, cl FROM crsql_changes
-- A later life beats the delete.
INSERT INTO foo VALUES (1, 'again');
SELECT cid, val, col_version, cl FROM crsql_changes;
--> '-1'|NULL|3|3
--> 'b'|'again'|1|3
.both a b
.equal a b SELECT pk, cid, val, col_version, site_id, cl FROM crsql_changes
-- Both delete: equal causal lengths do not move anything but the clock's site.
DELETE FROM foo;
.site a
DELETE FROM foo;
SELECT crsql_db_version();
--> 7
.both a b
.equal a b SELECT pk, cid, col_version, site_id, cl FROM crsql_changes
-- An older delete is ignored, and so is an older life.
INSERT INTO foo VALUES (1, 'third');
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), '-1', NULL, 2, 99, x'000102030405060708090a0b0c0d0e0f', 2, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 'zzz', 50, 99, x'000102030405060708090a0b0c0d0e0f', 3, 0);
SELECT crsql_rows_impacted();
--> 0
SELECT * FROM foo;
--> 1|'third'
-- A delete that skips lives wins.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), '-1', NULL, 8, 99, x'000102030405060708090a0b0c0d0e0f', 8, 0);
SELECT * FROM foo;
SELECT cid, col_version, cl FROM crsql_changes;
--> '-1'|8|8
-- A dead row comes to life by its sentinel,
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), '-1', NULL, 9, 99, x'000102030405060708090a0b0c0d0e0f', 9, 0);
SELECT * FROM foo;
--> 1|NULL
-- or by one of its cells;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'b', 'cell', 4, 99, x'000102030405060708090a0b0c0d0e0f', 3, 0);
SELECT * FROM foo;
--> 1|NULL
--> 2|'cell'
SELECT pk, cid, val, col_version, cl FROM crsql_changes ORDER BY pk, cid;
--> x'010901'|'-1'|NULL|9|9
--> x'010902'|'-1'|NULL|3|3
--> x'010902'|'b'|'cell'|4|3
-- a live one keeps its values, which count as never written.
INSERT INTO foo VALUES (3, 'old');
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(3), '-1', NULL, 3, 99, x'000102030405060708090a0b0c0d0e0f', 3, 0);
SELECT * FROM foo WHERE a = 3;
--> 3|'old'
SELECT cid, val, col_version, cl FROM crsql_changes WHERE pk = crsql_pack_columns(3) ORDER BY cid;
--> '-1'|NULL|3|3
--> 'b'|'old'|0|3
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(3), 'b', 'a', 1, 99, x'000102030405060708090a0b0c0d0e0f', 3, 1);
SELECT * FROM foo WHERE a = 3;
--> 3|'a'
-- Tables without other columns.
.site a
CREATE TABLE bar (a PRIMARY KEY NOT NULL);
SELECT crsql_as_crr('bar');
--> 'OK'
.site b
CREATE TABLE bar (a PRIMARY KEY NOT NULL);
SELECT crsql_as_crr('bar');
--> 'OK'
INSERT INTO bar VALUES (1), (2);
DELETE FROM bar WHERE a = 1;
.sync b a
.equal a b SELECT * FROM bar
.site a
INSERT INTO bar VALUES (1);
DELETE FROM bar WHERE a = 2;
.sync a b
.equal a b SELECT * FROM bar
SELECT pk, cid, col_version, cl FROM crsql_changes WHERE "table" = 'bar' ORDER BY pk;
--> x'010901'|'-1'|3|3
--> x'010902'|'-1'|2|2
