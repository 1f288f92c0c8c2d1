-- SPDX-License-Identifier: Apache-2.0
--
-- What each kind of write leaves in the clocks.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x, y);
SELECT crsql_as_crr('foo');
--> 'OK'
-- Upsert of a new row, of one that is there, and of one that was there.
INSERT INTO foo VALUES (1, 1, 1) ON CONFLICT DO UPDATE SET x = excluded.x;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'x'|1|1|1|1|0
--> 'foo'|x'010901'|'y'|1|1|1|1|1
INSERT INTO foo VALUES (1, 2, 5) ON CONFLICT DO UPDATE SET x = excluded.x;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'y'|1|1|1|1|1
--> 'foo'|x'010901'|'x'|2|2|2|1|0
DELETE FROM foo;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'-1'|NULL|2|3|2|0
INSERT INTO foo VALUES (1, 7, 7) ON CONFLICT DO UPDATE SET x = excluded.x;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'-1'|NULL|3|4|3|0
--> 'foo'|x'010901'|'x'|7|1|4|3|1
--> 'foo'|x'010901'|'y'|7|1|4|3|2
-- INSERT OR REPLACE of a live row in its second life begins a third.
INSERT OR REPLACE INTO foo VALUES (1, 7, 8);
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'-1'|NULL|5|5|5|0
--> 'foo'|x'010901'|'x'|7|2|5|5|1
--> 'foo'|x'010901'|'y'|8|2|5|5|2
-- In its first life it is an update of every column.
INSERT INTO foo VALUES (2, 1, 1);
INSERT OR REPLACE INTO foo VALUES (2, 1, 1);
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes WHERE pk = crsql_pack_columns(2);
--> 'foo'|x'010902'|'x'|1|2|7|1|0
--> 'foo'|x'010902'|'y'|1|2|7|1|1
-- INSERT OR IGNORE of what is there is nothing; so is an update that changes nothing.
SELECT crsql_db_version();
--> 7
INSERT OR IGNORE INTO foo VALUES (2, 9, 9);
UPDATE foo SET x = x, y = y;
DELETE FROM foo WHERE a = 100;
SELECT crsql_db_version();
--> 7
-- Values are compared with their class: 1 and 1.0 differ.
UPDATE foo SET x = 1.0 WHERE a = 2;
SELECT cid, val, col_version FROM crsql_changes WHERE pk = crsql_pack_columns(2) ORDER BY cid;
--> 'x'|1.0|3
--> 'y'|1|2
-- Insert, delete, insert, delete.
BEGIN;
INSERT INTO foo VALUES (3, 1, 1);
DELETE FROM foo WHERE a = 3;
INSERT INTO foo VALUES (3, 2, 2);
DELETE FROM foo WHERE a = 3;
COMMIT;
SELECT cid, val, col_version, cl FROM crsql_changes WHERE pk = crsql_pack_columns(3);
--> '-1'|NULL|4|4
-- A changed key: to a new one, to one that was deleted, to one that is there.
INSERT INTO foo VALUES (10, 'x', 'y');
UPDATE foo SET x = 'xx' WHERE a = 10;
UPDATE foo SET a = 11 WHERE a = 10;
SELECT pk, cid, val, col_version, cl, seq FROM crsql_changes WHERE pk IN (crsql_pack_columns(10), crsql_pack_columns(11));
--> x'01090a'|'-1'|NULL|2|2|0
--> x'01090b'|'-1'|NULL|1|1|1
--> x'01090b'|'x'|'xx'|3|1|2
--> x'01090b'|'y'|'y'|2|1|3
UPDATE foo SET a = 10 WHERE a = 11;
SELECT pk, cid, val, col_version, cl, seq FROM crsql_changes WHERE pk IN (crsql_pack_columns(10), crsql_pack_columns(11));
--> x'01090b'|'-1'|NULL|2|2|0
--> x'01090a'|'-1'|NULL|3|3|1
--> x'01090a'|'x'|'xx'|4|3|2
--> x'01090a'|'y'|'y'|3|3|3
INSERT INTO foo VALUES (11, 'old', 'old');
UPDATE OR REPLACE foo SET a = 11 WHERE a = 10;
SELECT pk, cid, val, col_version, cl, seq FROM crsql_changes WHERE pk IN (crsql_pack_columns(10), crsql_pack_columns(11));
--> x'01090a'|'-1'|NULL|4|4|0
--> x'01090b'|'-1'|NULL|5|5|1
--> x'01090b'|'x'|'xx'|5|5|2
--> x'01090b'|'y'|'y'|4|5|3
-- Several columns of a key, in an order of their own; quoted names; no rowid.
CREATE TABLE "it's" ("k 1" TEXT NOT NULL, v, "k""2" INTEGER NOT NULL, PRIMARY KEY ("k""2", "k 1")) WITHOUT ROWID;
SELECT crsql_as_crr('it''s');
--> 'OK'
INSERT INTO "it's" VALUES ('key', 'value', 5);
SELECT "table", pk, cid, val FROM crsql_changes WHERE "table" = 'it''s';
--> 'it''s'|x'0209050b036b6579'|'v'|'value'
SELECT cell FROM crsql_changes, crsql_unpack_columns(pk) WHERE "table" = 'it''s';
--> 5
--> 'key'
-- An INTEGER PRIMARY KEY, negative and large.
CREATE TABLE n (id INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('n');
--> 'OK'
INSERT INTO n VALUES (-1, 'a'), (9223372036854775807, 'b'), (-9223372036854775808, 'c'), (0, 'd');
SELECT pk, val FROM crsql_changes WHERE "table" = 'n';
--> x'0141ffffffffffffffff'|'a'
--> x'01417fffffffffffffff'|'b'
--> x'01418000000000000000'|'c'
--> x'0101'|'d'
