-- SPDX-License-Identifier: Apache-2.0
--
-- A database that cr-sqlite 0.16 made (test/vectors/crsqlite) becomes Merrow's by one call: the same site, the same
-- changes, the same versions.
.copy a vectors/crsqlite/crsqlite-0.16.db
SELECT * FROM foo;
--> 1|'one'|11
--> 3|'three'|x'03'
--> 9|'merged'|NULL
UPDATE foo SET y = 1;
--! no such function: crsql_internal_sync_bit
SELECT merrow_track('foo');
--! merrow: table foo belongs to cr-sqlite; SELECT merrow_take_over() makes it Merrow's
SELECT merrow_take_over();
--> 3
SELECT crsql_db_version(), crsql_site_id() = x'BAA5A22699E84B00B7D66934EEE21FBB';
--> 20|1
SELECT "table", pk, cid, val, col_version, db_version, hex(site_id), cl, seq FROM crsql_changes ORDER BY db_version, seq, "table", pk;
--> 'foo'|x'010901'|'x'|'one'|1|1|'BAA5A22699E84B00B7D66934EEE21FBB'|1|0
--> 'foo'|x'010903'|'x'|'three'|1|1|'BAA5A22699E84B00B7D66934EEE21FBB'|1|4
--> 'foo'|x'010903'|'y'|x'03'|1|1|'BAA5A22699E84B00B7D66934EEE21FBB'|1|5
--> 'foo'|x'010901'|'y'|11|2|2|'BAA5A22699E84B00B7D66934EEE21FBB'|1|0
--> 'foo'|x'010902'|'-1'|NULL|2|3|'BAA5A22699E84B00B7D66934EEE21FBB'|2|0
--> 'bc'|x'0209050b016b'|'v'|'v'|1|4|'BAA5A22699E84B00B7D66934EEE21FBB'|1|0
--> 'bc'|x'0209060b016c'|'-1'|NULL|3|6|'BAA5A22699E84B00B7D66934EEE21FBB'|3|0
--> 'bc'|x'0209060b016c'|'v'|'again'|1|6|'BAA5A22699E84B00B7D66934EEE21FBB'|3|1
--> 'only'|x'010902'|'-1'|NULL|1|7|'BAA5A22699E84B00B7D66934EEE21FBB'|1|1
--> 'only'|x'010901'|'-1'|NULL|2|8|'BAA5A22699E84B00B7D66934EEE21FBB'|2|0
--> 'foo'|x'010909'|'x'|'merged'|3|20|'000102030405060708090A0B0C0D0E0F'|1|4
UPDATE foo SET y = 12 WHERE a = 1;
INSERT INTO bc VALUES ('l', 7, 'new');
SELECT "table", pk, cid, val, col_version, db_version FROM crsql_changes WHERE db_version > 20;
--> 'foo'|x'010901'|'y'|12|3|21
--> 'bc'|x'0209070b016c'|'v'|'new'|1|22
SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%crsql%';
--> 'crsql_tracked_peers'
PRAGMA integrity_check;
--> 'ok'
SELECT merrow_take_over();
--! merrow: this is not a database of cr-sqlite
.site b
SELECT merrow_take_over();
--! merrow: this is not a database of cr-sqlite
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x TEXT, y);
CREATE TABLE bc (k TEXT NOT NULL, n INTEGER NOT NULL, v, PRIMARY KEY (n, k));
CREATE TABLE only (a PRIMARY KEY NOT NULL);
SELECT crsql_as_crr('foo'), crsql_as_crr('bc'), crsql_as_crr('only');
--> 'OK'|'OK'|'OK'
.sync a b
.equal a b SELECT * FROM foo ORDER BY a
.equal a b SELECT * FROM bc ORDER BY n
.equal a b SELECT * FROM only
