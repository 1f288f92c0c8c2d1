-- SPDX-License-Identifier: Apache-2.0
--
-- What is refused, with table, column and reason; and that nothing is left of it.
.site a
CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x TEXT);
SELECT crsql_as_crr('foo');
--> 'OK'
INSERT INTO crsql_changes VALUES ('nope', crsql_pack_columns(1), 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table nope is not tracked here
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'z', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo has no column z
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'a', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo: column a is part of the key and has no cells
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1, 2), 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: the key has 2 columns, not 1
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(NULL), 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: key column a is NULL
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns('one'), 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: key column a holds integers, not 'one'
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, 1, x'0102', 1, 0);
--! merrow: a site id has 16 bytes, not 2
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, 'later', NULL, 1, 0);
--! merrow: changes: db_version must be an integer, not 'later'
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, -1, 1, NULL, 1, 0);
--! merrow: table foo: col_version -1 is out of range
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, -5, NULL, 1, 0);
--! merrow: table foo: db_version -5 is out of range
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, 9223372036854775807, NULL, 1, 0);
--! merrow: table foo: db_version 9223372036854775807 is out of range
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), 'x', 1, 1, 1, NULL, 0, 0);
--! merrow: table foo: cl 0 is out of range
INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(1), '-1', NULL, 9, 1, NULL, 2, 0);
--! merrow: table foo: the sentinel's col_version 9 is not its cl 2
INSERT INTO crsql_changes VALUES ('foo', 5, 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: changes: pk must be a blob of packed columns, not 5
-- Keys that abort cr-sqlite's host.
INSERT INTO crsql_changes VALUES ('foo', x'', 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: need 1 byte, have 0 at offset 0
INSERT INTO crsql_changes VALUES ('foo', x'0149000000000000000001', 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: packed column: an integer of 9 bytes at offset 2
INSERT INTO crsql_changes VALUES ('foo', x'014b000000000000000001', 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: packed column: an integer of 9 bytes at offset 2
INSERT INTO crsql_changes VALUES ('foo', x'010b', 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: need 1 bytes, have 0 at offset 2
INSERT INTO crsql_changes VALUES ('foo', x'01090100', 'x', 1, 1, 1, NULL, 1, 0);
--! merrow: table foo, key: 1 bytes too many at offset 3
SELECT * FROM crsql_unpack_columns(x'');
--! merrow: need 1 byte, have 0 at offset 0
SELECT * FROM crsql_unpack_columns(x'0149000000000000000001');
--! merrow: packed column: an integer of 9 bytes at offset 2
SELECT * FROM crsql_unpack_columns('text');
--! merrow: crsql_unpack_columns takes a blob, not 'text'
SELECT * FROM crsql_unpack_columns;
--! merrow: crsql_unpack_columns needs a package: crsql_unpack_columns(blob)
SELECT count(*) FROM foo;
--> 0
SELECT count(*) FROM crsql_changes;
--> 0
SELECT crsql_db_version();
--> 0
-- Tables.
CREATE TABLE no_key (a, b);
SELECT crsql_as_crr('no_key');
--! merrow: table no_key: it has no PRIMARY KEY
CREATE TABLE null_key (a PRIMARY KEY, b);
SELECT crsql_as_crr('null_key');
--! merrow: table null_key: key column a may be NULL; declare it NOT NULL
CREATE TABLE null_in_key (a NOT NULL, b, PRIMARY KEY (a, b));
SELECT crsql_as_crr('null_in_key');
--! merrow: table null_in_key: key column b may be NULL; declare it NOT NULL
CREATE TABLE uniq (a PRIMARY KEY NOT NULL, b UNIQUE);
SELECT crsql_as_crr('uniq');
--! merrow: table uniq: unique index sqlite_autoindex_uniq_2 besides the key: two sites could not both keep their rows
CREATE TABLE uniq_index (a PRIMARY KEY NOT NULL, b);
CREATE UNIQUE INDEX ui ON uniq_index (b);
SELECT crsql_as_crr('uniq_index');
--! merrow: table uniq_index: unique index ui besides the key: two sites could not both keep their rows
CREATE TABLE fk (a PRIMARY KEY NOT NULL, b REFERENCES foo (a));
SELECT crsql_as_crr('fk');
--! merrow: table fk: column b has a foreign key, which rows that arrive in any order would break
CREATE TABLE not_null (a PRIMARY KEY NOT NULL, b NOT NULL);
SELECT crsql_as_crr('not_null');
--! merrow: table not_null: column b is NOT NULL without a DEFAULT, so a row cannot arrive in parts
CREATE TABLE minus_one (a PRIMARY KEY NOT NULL, "-1");
SELECT crsql_as_crr('minus_one');
--! merrow: table minus_one: a column named -1 would be taken for the row itself in crsql_changes
CREATE TABLE nocase (a TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, b);
SELECT crsql_as_crr('nocase');
--! merrow: table nocase: key column a has a collation, under which two keys could be one
CREATE VIEW v AS SELECT 1 AS a;
SELECT crsql_as_crr('v');
--! merrow: table v: it has no PRIMARY KEY
SELECT crsql_as_crr('nothing');
--! merrow: table nothing: there is no such table
SELECT crsql_as_crr('temp', 'foo');
--! merrow: only tables of the main database can be tracked, not of 'temp'
SELECT crsql_as_crr(1);
--! merrow: a table's name must be text, not 1
SELECT crsql_as_table('uniq');
--! merrow: table uniq is not tracked
SELECT crsql_begin_alter('uniq');
--! merrow: table uniq is not tracked
SELECT crsql_config_set('speed', 1);
--! merrow: there is no setting 'speed'; the only one is 'merge-equal-values'
SELECT crsql_config_set('merge-equal-values', 7);
--! merrow: merge-equal-values is 0 or 1, not 7
SELECT crsql_config_set('merge-equal-values', '1'), crsql_config_set('merge-equal-values', '0');
--> 1|0
-- Twice is once.
SELECT crsql_as_crr('foo'), crsql_as_crr('main', 'foo');
--> 'OK'|'OK'
-- Within a write nothing can be tracked.
INSERT INTO foo SELECT 1, merrow_track('uniq');
--! merrow: cannot open savepoint - SQL statements in progress in: SAVEPOINT merrow_cells
SELECT count(*) FROM foo;
--> 0
-- CHECK constraints hold for merges too.
CREATE TABLE checked (a PRIMARY KEY NOT NULL, x CHECK (x < 10));
SELECT crsql_as_crr('checked');
--> 'OK'
INSERT INTO crsql_changes VALUES ('checked', crsql_pack_columns(1), 'x', 11, 1, 1, NULL, 1, 0);
--! merrow: table checked, column x: CHECK constraint failed: x < 10 in: INSERT OR ABORT INTO main."checked" ("a", "x") VALUES (?1, ?2) ON CONFLICT ("a") DO UPDATE SET "x" = excluded."x"
SELECT count(*) FROM checked;
--> 0
SELECT count(*) FROM crsql_changes WHERE "table" = 'checked';
--> 0
-- Neither Merrow's own tables nor SQLite's.
SELECT merrow_track('_merrow_cell_config');
--! merrow: table _merrow_cell_config: tables whose names begin with _merrow_ are not the user's
SELECT merrow_track('_MERROW_cell_column');
--! merrow: table _MERROW_cell_column: tables whose names begin with _merrow_ are not the user's
SELECT merrow_track('sqlite_schema');
--! merrow: table sqlite_schema: tables whose names begin with sqlite_ are not the user's
