-- SPDX-License-Identifier: Apache-2.0
--
-- Site ids: one per database, kept with what each site wrote.
.site a
SELECT typeof(crsql_site_id()), length(crsql_site_id()), crsql_site_id() = merrow_site_id();
--> 'blob'|16|1
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO foo VALUES (1, 1);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(3), 'x', 1, 1, 1, x'ff0102030405060708090a0b0c0d0e0f', 1, 0);
SELECT pk, site_id IS crsql_site_id() FROM crsql_changes;
--> x'010901'|1
--> x'010902'|0
--> x'010903'|0
SELECT pk FROM crsql_changes WHERE site_id = crsql_site_id();
--> x'010901'
SELECT pk FROM crsql_changes WHERE site_id IS NOT crsql_site_id();
--> x'010902'
--> x'010903'
SELECT pk FROM crsql_changes WHERE site_id != x'000102030405060708090a0b0c0d0e0f' AND db_version > 1;
--> x'010903'
SELECT pk FROM crsql_changes WHERE site_id IS x'000102030405060708090a0b0c0d0e0f';
--> x'010902'
SELECT pk FROM crsql_changes WHERE site_id IS NULL;
SELECT pk FROM crsql_changes WHERE site_id = x'22';
-- A local write makes the cell ours again.
UPDATE foo SET x = 2 WHERE a = 2;
SELECT pk, site_id IS crsql_site_id() FROM crsql_changes ORDER BY pk;
--> x'010901'|1
--> x'010902'|1
--> x'010903'|0
SELECT ordinal, id IS crsql_site_id() FROM _merrow_site;
--> 0|1
--> 1|0
--> 2|0
