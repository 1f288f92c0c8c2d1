-- SPDX-License-Identifier: Apache-2.0
--
-- What one site sends and another takes: changes since a version, merges by version, then value, then nothing.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, b, c DEFAULT 0);
SELECT crsql_as_crr('foo');
--> 'OK'
.site b
CREATE TABLE foo (a PRIMARY KEY NOT NULL, b, c DEFAULT 0);
SELECT crsql_as_crr('foo');
--> 'OK'
.site a
INSERT INTO foo VALUES (1, 2, 3);
INSERT INTO foo (a, b) VALUES (2, 'two');
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'b'|2|1|1|1|0
--> 'foo'|x'010901'|'c'|3|1|1|1|1
--> 'foo'|x'010902'|'b'|'two'|1|2|1|0
--> 'foo'|x'010902'|'c'|0|1|2|1|1
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes WHERE db_version > 1;
--> 'foo'|x'010902'|'b'|'two'|1|2|1|0
--> 'foo'|x'010902'|'c'|0|1|2|1|1
.sync a b
.equal a b SELECT * FROM foo ORDER BY a
.equal a b SELECT "table", pk, cid, val, col_version, site_id, cl, seq FROM crsql_changes
-- The same again changes nothing.
.site b
SELECT crsql_db_version();
--> 4
.sync a b
SELECT crsql_db_version();
--> 4
-- A larger version wins, whatever the value.
UPDATE foo SET b = 1 WHERE a = 1;
.sync b a
.site a
SELECT * FROM foo WHERE a = 1;
--> 1|1|3
-- Equal versions: the larger value wins on both sides.
UPDATE foo SET c = 10 WHERE a = 1;
.site b
UPDATE foo SET c = 9 WHERE a = 1;
.both a b
.equal a b SELECT * FROM foo ORDER BY a
SELECT c FROM foo WHERE a = 1;
--> 10
-- Equal versions and values: nothing to see, and the clocks agree afterwards.
UPDATE foo SET c = 77 WHERE a = 2;
.site a
UPDATE foo SET c = 77 WHERE a = 2;
.both a b
.equal a b SELECT pk, cid, val, col_version, site_id, cl FROM crsql_changes ORDER BY pk, cid
-- A smaller version loses, whatever the value.
UPDATE foo SET b = 5 WHERE a = 2;
UPDATE foo SET b = 6 WHERE a = 2;
.site b
UPDATE foo SET b = 'zzz' WHERE a = 2;
.both a b
.equal a b SELECT * FROM foo ORDER BY a
SELECT b FROM foo WHERE a = 2;
--> 6
-- A delete is one change.
DELETE FROM foo WHERE a = 1;
SELECT pk, cid, val, col_version, cl FROM crsql_changes WHERE pk = crsql_pack_columns(1);
--> x'010901'|'-1'|NULL|2|2
.sync b a
.site a
SELECT * FROM foo;
--> 2|6|77
.equal a b SELECT pk, cid, val, col_version, site_id, cl FROM crsql_changes ORDER BY pk, cid
-- Drivers that bind every number as a real, or as a text, are understood.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(7), 'b', 1, 2.0, 50.0, x'000102030405060708090a0b0c0d0e0f', 1.0, 3.0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(7), 'c', 1, '2', '50', x'000102030405060708090a0b0c0d0e0f', '1', '4');
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(7), 'c', 1, 2.5, 50, x'000102030405060708090a0b0c0d0e0f', 1, 4);
--! merrow: changes: col_version must be an integer, not 2.5
SELECT cid, col_version, db_version, cl, seq FROM crsql_changes WHERE pk = crsql_pack_columns(7);
--> 'b'|2|50|1|3
--> 'c'|2|51|1|4
.both a b
-- What a third site hears from the second is what the first said.
.site c
CREATE TABLE foo (a PRIMARY KEY NOT NULL, b, c DEFAULT 0);
SELECT crsql_as_crr('foo');
--> 'OK'
.sync b c
.equal b c SELECT * FROM foo ORDER BY a
.equal b c SELECT pk, cid, val, col_version, site_id, cl FROM crsql_changes ORDER BY pk, cid
