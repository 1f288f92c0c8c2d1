-- SPDX-License-Identifier: Apache-2.0
--
-- Conditions on crsql_changes, pushed down or not, give the same.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x, y);
CREATE TABLE bar (a PRIMARY KEY NOT NULL, x);
SELECT crsql_as_crr('foo'), crsql_as_crr('bar');
--> 'OK'|'OK'
INSERT INTO foo VALUES (1, 1, 1);
INSERT INTO bar VALUES (1, 1);
UPDATE foo SET y = 2;
INSERT INTO foo VALUES (2, 5, 6);
DELETE FROM bar;
SELECT "table", pk, cid, val, col_version, db_version, cl, seq FROM crsql_changes;
--> 'foo'|x'010901'|'x'|1|1|1|1|0
--> 'foo'|x'010901'|'y'|2|2|3|1|0
--> 'foo'|x'010902'|'x'|5|1|4|1|0
--> 'foo'|x'010902'|'y'|6|1|4|1|1
--> 'bar'|x'010901'|'-1'|NULL|2|5|2|0
SELECT cid FROM crsql_changes WHERE db_version = 4;
--> 'x'
--> 'y'
SELECT db_version, cid FROM crsql_changes WHERE db_version >= 3 AND db_version < 5;
--> 3|'y'
--> 4|'x'
--> 4|'y'
SELECT db_version, cid FROM crsql_changes WHERE db_version BETWEEN 1 AND 3;
--> 1|'x'
--> 3|'y'
SELECT db_version, cid FROM crsql_changes WHERE db_version > 3.5;
--> 4|'x'
--> 4|'y'
--> 5|'-1'
SELECT db_version, cid FROM crsql_changes WHERE db_version IS 5;
--> 5|'-1'
SELECT db_version, cid FROM crsql_changes WHERE db_version > 100;
SELECT "table", cid FROM crsql_changes WHERE "table" = 'bar';
--> 'bar'|'-1'
SELECT "table", cid FROM crsql_changes WHERE "table" = 'none';
SELECT "table", cid FROM crsql_changes WHERE "table" IN ('foo', 'bar') AND cid = 'x';
--> 'foo'|'x'
--> 'foo'|'x'
SELECT cid, val FROM crsql_changes WHERE pk = crsql_pack_columns(2);
--> 'x'|5
--> 'y'|6
SELECT cid, val FROM crsql_changes WHERE seq = 1;
--> 'y'|6
SELECT cid, val FROM crsql_changes WHERE col_version > 1;
--> 'y'|2
--> '-1'|NULL
SELECT cid, val FROM crsql_changes WHERE cl = 2;
--> '-1'|NULL
SELECT cid, val FROM crsql_changes WHERE val = 5;
--> 'x'|5
SELECT db_version, seq FROM crsql_changes ORDER BY db_version DESC, seq ASC;
--> 5|0
--> 4|0
--> 4|1
--> 3|0
--> 1|0
SELECT db_version, seq FROM crsql_changes ORDER BY seq, db_version DESC;
--> 5|0
--> 4|0
--> 3|0
--> 1|0
--> 4|1
SELECT db_version, seq FROM crsql_changes LIMIT 2;
--> 1|0
--> 3|0
SELECT count(*), max(db_version) FROM crsql_changes;
--> 5|5
SELECT c.cid, d.cid FROM crsql_changes c JOIN crsql_changes d ON c.pk = d.pk AND c."table" = d."table" WHERE c.seq = 0;
--> 'x'|'x'
--> 'x'|'y'
--> 'y'|'x'
--> 'y'|'y'
--> 'x'|'x'
--> 'x'|'y'
--> '-1'|'-1'
SELECT count(*) FROM merrow_changes;
--> 5
-- Only SELECT and INSERT.
DELETE FROM crsql_changes;
--! merrow: changes: only SELECT and INSERT are possible
UPDATE crsql_changes SET val = 1;
--! merrow: changes: only SELECT and INSERT are possible
