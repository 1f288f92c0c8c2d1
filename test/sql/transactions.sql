-- SPDX-License-Identifier: Apache-2.0
--
-- One db_version per transaction, one seq per event; rollbacks leave nothing behind.
.site a
SELECT crsql_db_version(), crsql_next_db_version();
--> 0|1
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x, y);
SELECT crsql_as_crr('foo');
--> 'OK'
SELECT crsql_db_version(), crsql_next_db_version();
--> 0|1
INSERT INTO foo VALUES (1, 1, 1);
SELECT crsql_db_version(), crsql_next_db_version();
--> 1|2
BEGIN;
INSERT INTO foo VALUES (2, 1, 1);
UPDATE foo SET y = 2 WHERE a = 2;
DELETE FROM foo WHERE a = 1;
SELECT crsql_db_version(), crsql_next_db_version();
--> 1|2
COMMIT;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010902'|'x'|1|1|2|1|0
--> 'foo'|x'010902'|'y'|2|2|2|1|2
--> 'foo'|x'010901'|'-1'|NULL|2|2|2|3
SELECT crsql_db_version();
--> 2
-- Rolled back whole.
BEGIN;
INSERT INTO foo VALUES (3, 1, 1);
SELECT count(*) FROM crsql_changes;
--> 5
ROLLBACK;
SELECT crsql_db_version(), count(*) FROM crsql_changes;
--> 2|3
INSERT INTO foo VALUES (4, 1, 1);
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes WHERE db_version > 2;
--> 'foo'|x'010904'|'x'|1|1|3|1|0
--> 'foo'|x'010904'|'y'|1|1|3|1|1
-- Rolled back in part, before and after changes were read in between.
BEGIN;
INSERT INTO foo VALUES (5, 1, 1);
SAVEPOINT one;
INSERT INTO foo VALUES (6, 1, 1);
SELECT count(*) FROM crsql_changes WHERE db_version = 4;
--> 4
SAVEPOINT two;
UPDATE foo SET x = 99;
DELETE FROM foo WHERE a = 5;
SELECT count(*) FROM crsql_changes WHERE db_version = 4;
--> 5
ROLLBACK TO two;
SELECT count(*) FROM crsql_changes WHERE db_version = 4;
--> 4
ROLLBACK TO one;
INSERT INTO foo VALUES (7, 1, 1);
RELEASE one;
COMMIT;
SELECT a FROM foo;
--> 2
--> 4
--> 5
--> 7
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes WHERE db_version = 4;
--> 'foo'|x'010905'|'x'|1|1|4|1|0
--> 'foo'|x'010905'|'y'|1|1|4|1|1
--> 'foo'|x'010907'|'x'|1|1|4|1|2
--> 'foo'|x'010907'|'y'|1|1|4|1|3
-- A savepoint that is older than the first change.
SAVEPOINT outer;
INSERT INTO foo VALUES (8, 1, 1);
SELECT count(*) FROM crsql_changes WHERE db_version = 5;
--> 2
ROLLBACK TO outer;
SELECT count(*) FROM crsql_changes WHERE db_version = 5;
--> 0
INSERT INTO foo VALUES (9, 1, 1);
RELEASE outer;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes WHERE db_version = 5;
--> 'foo'|x'010909'|'x'|1|1|5|1|0
--> 'foo'|x'010909'|'y'|1|1|5|1|1
-- A statement that fails half way leaves what was before it.
CREATE TABLE checked (a INTEGER PRIMARY KEY NOT NULL, x CHECK (x < 10));
SELECT crsql_as_crr('checked');
--> 'OK'
BEGIN;
INSERT INTO checked VALUES (1, 1);
INSERT INTO checked VALUES (2, 2), (3, 30);
--! CHECK constraint failed: x < 10
INSERT OR FAIL INTO checked VALUES (4, 4), (5, 50);
--! CHECK constraint failed: x < 10
COMMIT;
SELECT * FROM checked;
--> 1|1
--> 4|4
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes WHERE "table" = 'checked';
--> 'checked'|x'010901'|'x'|1|1|6|1|0
--> 'checked'|x'010904'|'x'|4|1|6|1|1
INSERT OR ROLLBACK INTO checked VALUES (6, 6), (7, 70);
--! CHECK constraint failed: x < 10
SELECT crsql_db_version();
--> 6
-- Merges, local writes and rollbacks in one transaction.
BEGIN;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(20), 'x', 'merged', 1, 3, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SAVEPOINT s;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(20), 'x', 'later', 2, 3, x'000102030405060708090a0b0c0d0e0f', 1, 0);
UPDATE foo SET y = 'local' WHERE a = 20;
SELECT cid, val, col_version FROM crsql_changes WHERE pk = crsql_pack_columns(20);
--> 'x'|'later'|2
--> 'y'|'local'|1
ROLLBACK TO s;
UPDATE foo SET x = 'mine' WHERE a = 20;
COMMIT;
SELECT * FROM foo WHERE a = 20;
--> 20|'mine'|NULL
SELECT cid, val, col_version, site_id IS crsql_site_id() FROM crsql_changes WHERE pk = crsql_pack_columns(20);
--> 'x'|'mine'|2|1
-- A foreign version that is ahead takes the clock along.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(21), 'x', 1, 1, 1000, x'000102030405060708090a0b0c0d0e0f', 1, 17);
SELECT crsql_db_version();
--> 1000
SELECT cid, db_version, seq FROM crsql_changes WHERE pk = crsql_pack_columns(21);
--> 'x'|1000|17
INSERT INTO foo VALUES (22, 1, 1);
SELECT crsql_db_version();
--> 1001
-- Nothing to record.
BEGIN;
COMMIT;
CREATE TABLE other (a);
INSERT INTO other VALUES (1);
SELECT crsql_db_version();
--> 1001
