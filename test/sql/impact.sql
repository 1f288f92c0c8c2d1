-- SPDX-License-Identifier: Apache-2.0
--
-- crsql_rows_impacted: what merging changed, counted over one transaction; and merge-equal-values.
.site a
CREATE TABLE foo (a PRIMARY KEY NOT NULL, x);
SELECT crsql_as_crr('foo');
--> 'OK'
SELECT crsql_rows_impacted();
--> 0
BEGIN;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_rows_impacted();
--> 1
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0), ('foo', crsql_pack_columns(3), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_rows_impacted();
--> 3
COMMIT;
SELECT crsql_rows_impacted();
--> 0
-- Nothing: the same again, a smaller version, a smaller value.
BEGIN;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 9, 0, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 0, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_rows_impacted();
--> 0
-- One each: a larger value, a larger version, a delete; nothing: the delete again.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 2, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_rows_impacted();
--> 1
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 0, 2, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_rows_impacted();
--> 2
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), '-1', NULL, 2, 1, x'000102030405060708090a0b0c0d0e0f', 2, 0);
SELECT crsql_rows_impacted();
--> 3
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), '-1', NULL, 2, 1, x'000102030405060708090a0b0c0d0e0f', 2, 0);
SELECT crsql_rows_impacted();
--> 3
-- A cell of a later life is two: the row's return and its value.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 5, 1, 1, x'000102030405060708090a0b0c0d0e0f', 3, 0);
SELECT crsql_rows_impacted();
--> 5
COMMIT;
-- Writes of this site are not merging.
INSERT INTO foo VALUES (10, 1);
SELECT crsql_rows_impacted();
--> 0
-- Equal values of a larger site: the clock goes over, and counts only if that is wanted.
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(2), 'x', 1, 1, 1, x'ff0102030405060708090a0b0c0d0e0f', 1, 0);
SELECT hex(site_id) FROM crsql_changes WHERE pk = crsql_pack_columns(2);
--> 'FF0102030405060708090A0B0C0D0E0F'
SELECT crsql_config_get('merge-equal-values');
--> 0
SELECT crsql_config_set('merge-equal-values', 1);
--> 1
BEGIN;
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(3), 'x', 1, 1, 1, x'ff0102030405060708090a0b0c0d0e0f', 1, 0);
SELECT crsql_rows_impacted();
--> 1
COMMIT;
SELECT crsql_config_get('merge-equal-values');
--> 1
