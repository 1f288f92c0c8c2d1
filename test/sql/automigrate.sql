-- SPDX-License-Identifier: Apache-2.0
--
-- crsql_automigrate: the database's tables become those of a schema.
.site a
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a PRIMARY KEY NOT NULL, x); SELECT crsql_as_crr(''foo'')');
--> 'migration complete'
INSERT INTO foo VALUES (1, 1);
SELECT cid, val FROM crsql_changes;
--> 'x'|1
-- The same again is nothing.
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a PRIMARY KEY NOT NULL, x); SELECT crsql_as_crr(''foo'')', 'SELECT crsql_finalize()');
--> 'migration complete'
SELECT crsql_db_version(), count(*) FROM crsql_changes;
--> 1|1
-- Columns, tables and indexes come and go.
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a PRIMARY KEY NOT NULL, y TEXT NOT NULL DEFAULT ''d''); CREATE INDEX IF NOT EXISTS fy ON foo (y); CREATE TABLE IF NOT EXISTS bar (b); SELECT crsql_as_crr(''foo'')');
--> 'migration complete'
SELECT name, sql FROM sqlite_master WHERE name IN ('foo', 'bar', 'fy') ORDER BY name;
--> 'bar'|'CREATE TABLE bar (b)'
--> 'foo'|'CREATE TABLE foo (a PRIMARY KEY NOT NULL, "y" TEXT NOT NULL DEFAULT (''d''))'
--> 'fy'|'CREATE INDEX fy ON foo (y)'
UPDATE foo SET y = 'v';
SELECT cid, val, col_version FROM crsql_changes;
--> 'y'|'v'|1
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a PRIMARY KEY NOT NULL, y TEXT NOT NULL DEFAULT ''d''); CREATE INDEX IF NOT EXISTS fy ON foo (y DESC); SELECT crsql_as_crr(''foo'')');
--> 'migration complete'
SELECT name, sql FROM sqlite_master WHERE name IN ('foo', 'bar', 'fy') ORDER BY name;
--> 'foo'|'CREATE TABLE foo (a PRIMARY KEY NOT NULL, "y" TEXT NOT NULL DEFAULT (''d''))'
--> 'fy'|'CREATE INDEX fy ON foo (y DESC)'
-- What fails leaves everything as it was.
SELECT crsql_automigrate('CREATE TABLE IF NOT EXISTS foo (a PRIMARY KEY NOT NULL, y TEXT, z NOT NULL)');
--! merrow: migrating table foo: Cannot add a NOT NULL column with default value NULL in: ALTER TABLE main."foo" ADD COLUMN "z"  NOT NULL;
SELECT crsql_automigrate('not sql');
--! merrow: near "not": syntax error in: not sql
UPDATE foo SET y = 'w';
SELECT cid, val, col_version FROM crsql_changes;
--> 'y'|'w'|2
SELECT crsql_automigrate(NULL);
--! merrow: a schema is text, not NULL
SELECT crsql_automigrate('CREATE TABLE foo (a PRIMARY KEY NOT NULL, y TEXT)');
--! merrow: table foo already exists in: CREATE TABLE foo (a PRIMARY KEY NOT NULL, y TEXT)
SELECT count(*) FROM foo;
--> 1
-- Everything goes.
SELECT crsql_automigrate('');
--> 'migration complete'
SELECT count(*) FROM sqlite_master WHERE name IN ('foo', 'bar', 'fy');
--> 0
SELECT count(*) FROM crsql_changes;
--> 0
