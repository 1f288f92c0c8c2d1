-- SPDX-License-Identifier: Apache-2.0
--
-- Rows that arrive in part: columns of which nothing was heard hold their default and have no cell.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, b NOT NULL DEFAULT 5, c DEFAULT 'd');
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'c', 'x', 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT * FROM foo;
--> 1|5|'x'
SELECT cid, val, col_version, cl FROM crsql_changes;
--> 'c'|'x'|1|1
-- The default is no version: anything that arrives for it wins, also what is smaller.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'b', 4, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 1);
SELECT * FROM foo;
--> 1|4|'x'
-- The first change of a column without a cell has version 1.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'c', 'x', 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 2);
UPDATE foo SET b = 6 WHERE a = 2;
SELECT cid, val, col_version, cl FROM crsql_changes WHERE pk = crsql_pack_columns(2) ORDER BY cid;
--> 'b'|6|1|1
--> 'c'|'x'|1|1
-- A default that an INSERT fills in is a value like another.
INSERT INTO foo (a) VALUES (3);
SELECT cid, val, col_version FROM crsql_changes WHERE pk = crsql_pack_columns(3);
--> 'b'|5|1
--> 'c'|'d'|1
