-- SPDX-License-Identifier: Apache-2.0
--
-- A foreign value takes the column's affinity before it is compared, and a foreign key before it is looked up.
.site a
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, t TEXT, i INTEGER, r REAL, n NUMERIC, b BLOB);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 5, '5', 5, '5.0', 5);
SELECT t, i, r, n, b FROM foo;
--> '5'|5|5.0|5|5
-- None of these is larger than what is there.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 't', 5, 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT crsql_rows_impacted();
--> 0
BEGIN;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 't', 5, 1, 1, x'00000000000000000000000000000000', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'i', '5', 1, 1, x'00000000000000000000000000000000', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'i', 5.0, 1, 1, x'00000000000000000000000000000000', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'r', 5, 1, 1, x'00000000000000000000000000000000', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'n', '5.0', 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT crsql_rows_impacted();
--> 0
COMMIT;
-- The key '1' is the key 1.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns('1'), 't', 'six', 2, 1, x'00000000000000000000000000000000', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1.0), 'i', 6, 2, 1, x'00000000000000000000000000000000', 1, 0);
SELECT * FROM foo;
--> 1|'six'|6|5.0|5|5
SELECT pk, cid, val FROM crsql_changes ORDER BY cid;
--> x'010901'|'b'|5
--> x'010901'|'i'|6
--> x'010901'|'n'|5
--> x'010901'|'r'|5.0
--> x'010901'|'t'|'six'
CREATE TABLE bar (a TEXT PRIMARY KEY NOT NULL, x ANY);
SELECT crsql_as_crr('bar');
--> 'OK'
INSERT INTO bar VALUES (1, 1);
INSERT INTO crsql_changes VALUES ('bar', crsql_pack_columns(1), 'x', 'two', 2, 1, x'00000000000000000000000000000000', 1, 0);
SELECT * FROM bar;
--> '1'|'two'
SELECT pk, cid, val FROM crsql_changes WHERE "table" = 'bar';
--> x'010b0131'|'x'|'two'
-- The order of values at equal versions: NULL, BLOB, TEXT, REAL, INTEGER.
CREATE TABLE v (a INTEGER PRIMARY KEY NOT NULL, x);
SELECT crsql_as_crr('v');
--> 'OK'
INSERT INTO v VALUES (1, NULL);
INSERT INTO crsql_changes VALUES ('v', crsql_pack_columns(1), 'x', x'', 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT x FROM v;
--> x''
INSERT INTO crsql_changes VALUES ('v', crsql_pack_columns(1), 'x', '', 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT x FROM v;
--> ''
INSERT INTO crsql_changes VALUES ('v', crsql_pack_columns(1), 'x', 'a' || char(0) || 'b', 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT hex(x) FROM v;
--> '610062'
INSERT INTO crsql_changes VALUES ('v', crsql_pack_columns(1), 'x', -2.5, 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT x FROM v;
--> -2.5
INSERT INTO crsql_changes VALUES ('v', crsql_pack_columns(1), 'x', -5, 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT x FROM v;
--> -5
INSERT INTO crsql_changes VALUES ('v', crsql_pack_columns(1), 'x', 1e300, 1, 1, x'00000000000000000000000000000000', 1, 0);
SELECT x FROM v;
--> -5
