-- SPDX-License-Identifier: Apache-2.0
--
-- Rows that a table has when it becomes tracked.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x, y DEFAULT 1);
INSERT INTO foo VALUES ('k', NULL, 2), ('l', 1, 1);
CREATE TABLE keys (a NOT NULL, b NOT NULL, PRIMARY KEY (a, b));
INSERT INTO keys VALUES (1, 'x');
CREATE TABLE empty (a INTEGER PRIMARY KEY NOT NULL);
SELECT crsql_as_crr('foo'), crsql_as_crr('keys'), crsql_as_crr('empty');
--> 'OK'|'OK'|'OK'
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010b016b'|'x'|NULL|1|1|1|0
--> 'foo'|x'010b016b'|'y'|2|1|1|1|1
--> 'foo'|x'010b016c'|'x'|1|1|1|1|2
--> 'foo'|x'010b016c'|'y'|1|1|1|1|3
--> 'keys'|x'0209010b0178'|'-1'|NULL|1|2|1|0
SELECT crsql_as_crr('foo');
--> 'OK'
SELECT crsql_db_version(), count(*) FROM crsql_changes;
--> 2|5
.site b
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x, y DEFAULT 1);
CREATE TABLE keys (a NOT NULL, b NOT NULL, PRIMARY KEY (a, b));
SELECT crsql_as_crr('foo'), crsql_as_crr('keys');
--> 'OK'|'OK'
.sync a b
.equal a b SELECT * FROM foo ORDER BY a
.equal a b SELECT * FROM keys
-- In a transaction that is rolled back.
.site a
CREATE TABLE late (a PRIMARY KEY NOT NULL, x);
INSERT INTO late VALUES (1, 1);
BEGIN;
SELECT crsql_as_crr('late');
--> 'OK'
INSERT INTO late VALUES (2, 2);
SELECT pk, val FROM crsql_changes WHERE "table" = 'late';
--> x'010901'|1
--> x'010902'|2
ROLLBACK;
INSERT INTO late VALUES (2, 2);
SELECT count(*) FROM crsql_changes WHERE "table" = 'late';
--> 0
SELECT count(*) FROM late;
--> 2
