-- SPDX-License-Identifier: Apache-2.0
--
-- Triggers of the user's fire for merges too; what they write meanwhile is not recorded, since they fire everywhere.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x);
CREATE TABLE log (n INTEGER PRIMARY KEY NOT NULL, what);
SELECT crsql_as_crr('foo'), crsql_as_crr('log');
--> 'OK'|'OK'
CREATE TRIGGER tr AFTER INSERT ON foo BEGIN INSERT INTO log (what) VALUES ('insert ' || NEW.a); END;
CREATE TRIGGER tu AFTER UPDATE ON foo BEGIN INSERT INTO log (what) VALUES ('update ' || NEW.a); END;
CREATE TRIGGER td AFTER DELETE ON foo BEGIN INSERT INTO log (what) VALUES ('delete ' || OLD.a); END;
INSERT INTO foo VALUES (1, 1);
SELECT * FROM log;
--> 1|'insert 1'
SELECT "table", cid, val FROM crsql_changes;
--> 'log'|'what'|'insert 1'
--> 'foo'|'x'|1
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'x', 2, 2, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), '-1', NULL, 2, 1, x'000102030405060708090a0b0c0d0e0f', 2, 0);
SELECT * FROM log;
--> 1|'insert 1'
--> 2|'insert 2'
--> 3|'update 2'
--> 4|'delete 2'
SELECT "table", cid, val FROM crsql_changes;
--> 'log'|'what'|'insert 1'
--> 'foo'|'x'|1
--> 'foo'|'-1'|NULL
-- A trigger that fails undoes the merge.
CREATE TRIGGER tf BEFORE INSERT ON foo WHEN NEW.a = 5 BEGIN SELECT RAISE(ABORT, 'not five'); END;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(5), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
--! merrow: table foo, column x: not five in: INSERT OR ABORT INTO main."foo" ("a", "x") VALUES (?1, ?2) ON CONFLICT ("a") DO UPDATE SET "x" = excluded."x"
SELECT count(*) FROM crsql_changes WHERE pk = crsql_pack_columns(5);
--> 0
-- Writes through a view, and generated columns.
CREATE TABLE gen (a PRIMARY KEY NOT NULL, x INTEGER, double INTEGER AS (x * 2), stored INTEGER AS (x * 3) STORED);
SELECT crsql_as_crr('gen');
--> 'OK'
INSERT INTO gen (a, x) VALUES (1, 4);
UPDATE gen SET x = 5;
SELECT cid, val, col_version FROM crsql_changes WHERE "table" = 'gen';
--> 'x'|5|2
CREATE VIEW seen AS SELECT a, x FROM gen;
CREATE TRIGGER tv INSTEAD OF INSERT ON seen BEGIN INSERT INTO gen (a, x) VALUES (NEW.a, NEW.x); END;
INSERT INTO seen VALUES (2, 7);
SELECT pk, cid, val FROM crsql_changes WHERE "table" = 'gen';
--> x'010901'|'x'|5
--> x'010902'|'x'|7
