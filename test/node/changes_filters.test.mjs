// SPDX-License-Identifier: Apache-2.0
//
// crsql_changes under random conditions, orders and limits gives what an ordinary table with the same rows gives,
// whatever of it is pushed down.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MerrowEngine } from "./lib/cells_engines.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";

const columns = [
  '"table"',
  "pk",
  "cid",
  "val",
  "col_version",
  "db_version",
  "site_id",
  "cl",
  "seq",
];
const copy = `CREATE TEMP TABLE copy ("table" TEXT NOT NULL, pk BLOB NOT NULL, cid TEXT NOT NULL, val, col_version INTEGER
  NOT NULL, db_version INTEGER NOT NULL, site_id BLOB NOT NULL, cl INTEGER NOT NULL, seq INTEGER NOT NULL)`;
const shown = columns.map((column) => `quote(${column})`).join(" || '|' || ");

const setup = [
  "CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x, y)",
  "CREATE TABLE bar (a TEXT PRIMARY KEY NOT NULL, x)",
  'CREATE TABLE "5" (a NOT NULL, b NOT NULL, PRIMARY KEY (a, b))',
  "SELECT merrow_track('foo'), merrow_track('bar'), merrow_track('5')",
  // An id that is a text as well.
  "UPDATE _merrow_site SET id = CAST('abcdefghijklmnop' AS BLOB)",
];

const sites = [
  "x'6162636465666768696a6b6c6d6e6f70'",
  "x'01020304050607080102030405060708'",
  "x'ffffffffffffffffffffffffffffffff'",
];

function write(random) {
  const number = random.below(8);
  return random.pick([
    `INSERT OR REPLACE INTO foo VALUES (${number}, ${random.below(3)}, 'y')`,
    `INSERT OR REPLACE INTO foo SELECT value, 1, 'many' FROM generate WHERE value < ${number}`,
    `UPDATE foo SET y = ${random.below(100)} WHERE a > ${number}`,
    `DELETE FROM foo WHERE a = ${number}`,
    `INSERT OR REPLACE INTO bar VALUES ('${number}', ${random.below(3)})`,
    `UPDATE OR IGNORE bar SET a = a || 'm' WHERE a = '${number}'`,
    `DELETE FROM bar WHERE a = '${number}'`,
    `INSERT OR IGNORE INTO "5" VALUES (${number}, 'b')`,
    `INSERT INTO crsql_changes VALUES ('foo', crsql_pack_columns(${number}), 'x', ${random.below(9)}, 5,
      ${random.below(40)}, ${random.pick(sites)}, 1, ${random.below(3)})`,
    `INSERT INTO crsql_changes VALUES ('bar', crsql_pack_columns('${number}'), '-1', NULL, 2, 1, ${random.pick(sites)},
      2, 0)`,
  ]);
}

const constants = {
  '"table"': ["'foo'", "'bar'", "'FOO'", "'5'", "5", "NULL", "x'666f6f'"],
  pk: [
    "crsql_pack_columns(1)",
    "crsql_pack_columns('1')",
    "'x'",
    "NULL",
    "x''",
  ],
  cid: ["'x'", "'-1'", "-1", "NULL", "'y'"],
  val: ["1", "'y'", "NULL", "'many'", "1.0"],
  col_version: ["1", "2", "5", "'5'", "NULL"],
  db_version: [
    ..."0 1 3 7 -1 2.5 7.0 '4' 'x' NULL 9223372036854775807 -9223372036854775808 1e300 8796093022207".split(
      " ",
    ),
    "x'05'",
  ],
  site_id: [...sites, "'abcdefghijklmnop'", "NULL", "x'00'", "1"],
  cl: ["1", "2", "3", "'2'"],
  seq: ["0", "1", "1.0", "NULL"],
};

function term(random) {
  const column = random.pick([
    ...columns,
    "db_version",
    "db_version",
    "site_id",
    '"table"',
  ]);
  const constant = () => random.pick(constants[column]);
  return random.pick([
    () => `${column} = ${constant()}`,
    () => `${column} IS ${constant()}`,
    () => `${constant()} ${random.pick(["<", "<=", "=", "<>"])} ${column}`,
    () =>
      `${column} ${random.pick([">", ">=", "<", "<=", "<>", "IS NOT"])} ${constant()}`,
    () => `${column} IN (${constant()}, ${constant()}, ${constant()})`,
    () => `${column} NOT IN (${constant()}, ${constant()})`,
    () => `${column} IS ${random.pick(["", "NOT "])}NULL`,
    () => `${column} BETWEEN ${constant()} AND ${constant()}`,
    () => `${column} LIKE 'f%'`,
  ])();
}

function condition(random, depth = 0) {
  if (depth > 2 || random.chance(0.4)) return term(random);
  const both = [condition(random, depth + 1), condition(random, depth + 1)];
  return `(${both.join(random.pick([" AND ", " OR "]))})`;
}

function query(random) {
  const where = random.chance(0.9) ? ` WHERE ${condition(random)}` : "";
  const kind = random.below(4);
  const direction = () => random.pick(["", " DESC"]);
  if (kind === 0)
    return (from) =>
      `SELECT count(*), min(db_version), max(seq) FROM ${from}${where}`;
  if (kind === 1)
    return (from) =>
      `SELECT DISTINCT db_version, cid FROM ${from}${where} ORDER BY 1, 2`;
  if (kind === 2) {
    const by = `db_version${direction()}, seq${direction()}`;
    const limit = random.chance(0.5)
      ? ` LIMIT ${random.below(5)} OFFSET ${random.below(4)}`
      : "";
    return (from) =>
      `SELECT db_version, seq FROM ${from}${where} ORDER BY ${by}${limit}`;
  }
  return (from) => `SELECT ${shown} FROM ${from}${where} ORDER BY 1`;
}

test("conditions on crsql_changes", { timeout: 600_000 }, async (t) => {
  const engine = new MerrowEngine();
  t.after(() => engine.stop());
  const cases = Number(process.env.MERROW_CASES ?? 20);
  const firstSeed = seedFromEnvironment(1);
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new Random(seed);
    const name = seed;
    await engine.open(name);
    const writes = Array.from({ length: 25 }, () => write(random));
    const made = await engine.run(
      name,
      [
        ...setup,
        "CREATE TEMP TABLE generate AS WITH RECURSIVE g (value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM g LIMIT 8) SELECT * FROM g",
        ...writes,
        copy,
        "INSERT INTO copy SELECT * FROM crsql_changes",
      ].map((sql) => [sql]),
    );
    for (const result of made) assert.equal(result.error, undefined);
    for (let i = 0; i < 150; i++) {
      const sql = query(random);
      const [pushed, scanned] = await engine.run(name, [
        [sql("crsql_changes")],
        [sql("copy")],
      ]);
      assert.deepEqual(
        pushed,
        scanned,
        `seed ${seed}: ${sql("crsql_changes")}`,
      );
    }
    await engine.close(name);
  }
});
