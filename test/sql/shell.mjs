// SPDX-License-Identifier: Apache-2.0
//
// merrow.so in the sqlite3 shell, as a user would try it: two files that are written apart and merged by what .mode
// insert prints, opened again, and used without the extension.
//
// Usage: node test/sql/shell.mjs SHELL EXTENSION

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [shell, extension] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "merrow-shell-"));

function run(file, script, load = true) {
  const input = `${load ? `.load ${extension.replace(/\.so$/, "")}\n` : ""}${script}\n`;
  const done = spawnSync(shell, [join(folder, file)], { input, encoding: "utf8" });
  assert.equal(done.signal, null);
  return `${done.stdout}${done.stderr}`.trimEnd();
}

const schema = `CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT, done INTEGER DEFAULT 0);
SELECT merrow_track('note');`;

try {
  assert.equal(run("a.db", schema), "OK");
  assert.equal(run("b.db", schema), "OK");
  assert.equal(
    run(
      "a.db",
      `INSERT INTO note VALUES ('a', 'hello', 0);
SELECT "table", hex(pk), cid, val, col_version, db_version, cl, seq FROM merrow_changes;`,
    ),
    "note|010B0161|body|hello|1|1|1|0\nnote|010B0161|done|0|1|1|1|1",
  );
  const changes = (file) => run(file, ".mode insert crsql_changes\nSELECT * FROM crsql_changes;");
  assert.equal(run("b.db", changes("a.db")), "");
  run("a.db", "UPDATE note SET body = 'from a';");
  run("b.db", "UPDATE note SET done = 1;");
  run("a.db", changes("b.db"));
  run("b.db", changes("a.db"));
  for (const file of ["a.db", "b.db"])
    assert.equal(run(file, "SELECT * FROM note;"), "a|from a|1");

  // Without the extension the table is an ordinary one to read, and cannot be written behind its back.
  assert.equal(run("a.db", "SELECT * FROM note;", false), "a|from a|1");
  assert.match(
    run("a.db", "UPDATE note SET done = 2;", false),
    /no such function: merrow_cell_update/,
  );
  assert.equal(run("a.db", "PRAGMA integrity_check;"), "ok");

  // VACUUM moves everything but keys.
  run("a.db", "CREATE TABLE n (id INTEGER PRIMARY KEY, v); SELECT merrow_track('n');");
  run("a.db", "INSERT INTO n VALUES (5, 'five'), (900, 'last'); DELETE FROM n WHERE id = 5; VACUUM; UPDATE n SET v = 'x';");
  assert.equal(
    run("a.db", `SELECT hex(pk), cid, val, col_version, cl FROM merrow_changes WHERE "table" = 'n' ORDER BY pk;`),
    "010905|-1||2|2\n01110384|v|x|2|1",
  );

  // Nothing keeps the shell from closing, and loading twice is harmless.
  assert.equal(run("a.db", `.load ${extension.replace(/\.so$/, "")}\nSELECT count(*) FROM merrow_changes;`), "4");
  console.log("the shell test passed");
} finally {
  rmSync(folder, { recursive: true });
}
