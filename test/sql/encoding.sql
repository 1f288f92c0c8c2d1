-- SPDX-License-Identifier: Apache-2.0
--
-- A database whose texts are UTF-16 says the same as one whose texts are UTF-8, though it orders them otherwise.

.site wide
PRAGMA encoding = 'UTF-16';
CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, "ä" ANY);
SELECT merrow_track('t');
--> 'OK'
INSERT INTO t VALUES ('ключ', 'ü', 'x'), ('b', '', x'00ff'), ('🦆', '🦆🦆', 5);
UPDATE t SET "ä" = '🦆' WHERE id = 'ключ';
UPDATE t SET "ä" = '🦆' WHERE id = 'ключ';
SELECT "table", pk, cid, val, typeof(val), col_version FROM crsql_changes;
--> 't'|x'010b08d0bad0bbd18ed187'|'a'|'ü'|'text'|1
--> 't'|x'010b0162'|'a'|''|'text'|1
--> 't'|x'010b0162'|'ä'|x'00ff'|'blob'|1
--> 't'|x'010b04f09fa686'|'a'|'🦆🦆'|'text'|1
--> 't'|x'010b04f09fa686'|'ä'|5|'integer'|1
--> 't'|x'010b08d0bad0bbd18ed187'|'ä'|'🦆'|'text'|2
SELECT pk, val FROM crsql_changes WHERE "table" = 't' AND cid = 'ä';
--> x'010b0162'|x'00ff'
--> x'010b04f09fa686'|5
--> x'010b08d0bad0bbd18ed187'|'🦆'

.site narrow
CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, "ä" ANY);
SELECT merrow_track('t');
--> 'OK'
INSERT INTO t VALUES ('b', 'from narrow', 'ß');
.both wide narrow
.equal wide narrow SELECT * FROM t ORDER BY crsql_pack_columns(id)
SELECT id, a, "ä" FROM t ORDER BY crsql_pack_columns(id);
--> 'b'|'from narrow'|'ß'
--> '🦆'|'🦆🦆'|5
--> 'ключ'|'ü'|'🦆'

-- Changes that are known already change nothing, so equal texts are seen as equal.
.sync wide narrow
.sync narrow wide
.equal wide narrow SELECT * FROM t ORDER BY crsql_pack_columns(id)

.site third
PRAGMA encoding = 'UTF-16';
CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, "ä" ANY);
SELECT merrow_track('t');
--> 'OK'
.mail narrow third
--> 3
.equal narrow third SELECT * FROM t ORDER BY crsql_pack_columns(id)
