-- SPDX-License-Identifier: Apache-2.0
--
-- Tombstones go when every site that was ever heard of has confirmed them, and no sooner.
.site a
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x);
SELECT crsql_as_crr('foo');
--> 'OK'
.site b
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x);
SELECT crsql_as_crr('foo');
--> 'OK'
.site a
INSERT INTO foo VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(4), 'x', 4, 1, 1, x'000102030405060708090a0b0c0d0e0f', 1, 0);
.sync a b
DELETE FROM foo WHERE a < 3;
.sync a b
SELECT count(*) FROM crsql_changes WHERE cl = 2;
--> 2
-- Nobody has confirmed.
SELECT merrow_collect();
--> 0
-- One of two has.
SELECT merrow_confirm(x'ff0102030405060708090a0b0c0d0e0f', 100);
--> NULL
SELECT merrow_collect();
--> 0
-- Both have, the one not far enough.
SELECT merrow_confirm(x'000102030405060708090a0b0c0d0e0f', 2);
--> NULL
SELECT merrow_collect();
--> 0
SELECT merrow_confirm(x'000102030405060708090a0b0c0d0e0f', 3);
--> NULL
SELECT merrow_collect();
--> 2
SELECT merrow_collect();
--> 0
SELECT pk, cid, cl FROM crsql_changes;
--> x'010903'|'x'|1
--> x'010904'|'x'|1
-- Site b still has its tombstones. A new row under such a key wins there all the same.
INSERT INTO foo VALUES (1, 'again');
SELECT pk, cid, val, col_version, cl FROM crsql_changes WHERE pk = crsql_pack_columns(1);
--> x'010901'|'-1'|NULL|3|3
--> x'010901'|'x'|'again'|1|3
.both a b
.equal a b SELECT * FROM foo ORDER BY a
-- A site that is gone for good keeps nothing in place.
DELETE FROM foo WHERE a = 1;
SELECT merrow_collect();
--> 0
SELECT merrow_forget_site(x'ff0102030405060708090a0b0c0d0e0f'), merrow_forget_site(x'000102030405060708090a0b0c0d0e0f');
--> NULL|NULL
-- Two: the one just deleted, and the one that b still had and sent.
SELECT merrow_collect();
--> 2
SELECT merrow_confirm(crsql_site_id(), 1);
--! merrow: a site does not confirm to itself
SELECT merrow_confirm(x'00', 1);
--! merrow: a site id has 16 bytes, not 1
