// SPDX-License-Identifier: Apache-2.0
//
// One random case of the cells test, as data: a schema, how many sites, and the steps they take. A case is made from a
// seed and can be cut down step by step (cells_run.mjs), so everything random about it is decided here.
//
// Steps:
//   { site, sql: [...] }                       one transaction of statements
//   { from, to, order }                        every change since the start goes over; `order` seeds a shuffle, with
//                                              some changes twice; null: as read
//   { from, to, keep, order }                  only about that share of them, chosen by what they are about
//   { from, to, both: true }                   both directions, after which both must be equal

const texts = ["", "a", "b", "B", "ä", "zz", "10", "9", "1.0", "-1"];
const keyTypes = ["INTEGER", "TEXT", "BLOB", "REAL", "ANY", "NUMERIC"];
const columnTypes = [
  "TEXT",
  "INTEGER",
  "REAL",
  "",
  "NUMERIC",
  "BLOB",
  "TEXT DEFAULT 'd'",
  "INTEGER NOT NULL DEFAULT 3",
  "REAL DEFAULT 2.5",
];

const quote = (text) => `'${text.replaceAll("'", "''")}'`;

function literal(random) {
  switch (random.below(9)) {
    case 0:
      return "NULL";
    case 1:
      return String(random.between(-2, 12));
    case 2:
      return String(random.pick([255, 65536, -4294967296, 4503599627370496]));
    case 3:
      return random.pick(["0.5", "-2.25", "5.0", "1e300", "10.0"]);
    case 4:
      return random.pick(["x''", "x'00'", "x'ff10'", "x'61'"]);
    default:
      return quote(random.pick(texts));
  }
}

function keyLiteral(random, type) {
  switch (type) {
    case "INTEGER":
      return String(random.between(1, 3));
    case "TEXT":
      return quote(random.pick(["k", "K", "l"]));
    case "REAL":
      return random.pick(["1.5", "2", "3.0"]);
    case "BLOB":
      return random.pick(["x'01'", "x'0102'", "1"]);
    default:
      return random.pick(["1", "'k'", "2.5"]);
  }
}

function makeTable(random, name) {
  const keys = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, (_, i) => ({
    name: `k${i}`,
    type: random.pick(keyTypes),
  }));
  const columns = Array.from({ length: random.pick([0, 1, 2, 2, 3, 4]) }, (_, i) => ({
    name: ["x", "y two", "select", "w"][i],
    type: random.pick(columnTypes),
  }));
  // A key in another order than the columns, now and then.
  const order = random.chance(0.3) ? [...keys].reverse() : keys;
  const declared = [
    ...keys.map((key) => `"${key.name}" ${key.type} NOT NULL`),
    ...columns.map((column) => `"${column.name}" ${column.type}`),
  ];
  const rowless = random.chance(0.2) ? " WITHOUT ROWID" : "";
  return {
    name,
    keys,
    columns,
    sql: `CREATE TABLE "${name}" (g INTEGER NOT NULL, ${declared.join(", ")}, PRIMARY KEY (g, ${order
      .map((key) => `"${key.name}"`)
      .join(", ")}))${rowless}`,
  };
}

// With one INTEGER PRIMARY KEY, which has a layout of its own. The group is in the number.
function makeRowidTable(random, name) {
  const table = makeTable(random, name);
  table.rowid = true;
  table.keys = [{ name: "k0", type: "INTEGER" }];
  table.sql = `CREATE TABLE "${name}" (k0 INTEGER PRIMARY KEY NOT NULL${table.columns
    .map((column) => `, "${column.name}" ${column.type}`)
    .join("")})`;
  return table;
}

export function makeSchema(random) {
  return Array.from({ length: random.pick([1, 1, 2]) }, (_, i) =>
    random.chance(0.5)
      ? makeRowidTable(random, `t${i}`)
      : makeTable(random, `t${i}`),
  );
}

// Each case has rows of its own, so that many can share databases: group is in every key.
const rowKey = (random, table, group) =>
  table.rowid
    ? [String(group * 16 + random.between(1, 3))]
    : [String(group), ...table.keys.map((key) => keyLiteral(random, key.type))];

export const keyNames = (table) =>
  table.rowid ? ["k0"] : ["g", ...table.keys.map((key) => `"${key.name}"`)];

const whereKey = (table, key) =>
  keyNames(table)
    .map((name, i) => `${name} = ${key[i]}`)
    .join(" AND ");

// A value that the column takes; NOT NULL columns must not fail by chance.
const columnLiteral = (random, column) => {
  const value = literal(random);
  return value === "NULL" && column.type.includes("NOT NULL") ? "7" : value;
};

function assignments(random, columns) {
  const chosen = columns.filter(() => random.chance(0.5));
  return (chosen.length ? chosen : [random.pick(columns)]).map(
    (column) => `"${column.name}" = ${columnLiteral(random, column)}`,
  );
}

function statement(random, table, group, allowMoves) {
  const key = rowKey(random, table, group);
  const { columns } = table;
  const given = columns.filter(() => random.chance(0.8));
  const names = [...keyNames(table), ...given.map((c) => `"${c.name}"`)];
  const values = [...key, ...given.map((c) => columnLiteral(random, c))];
  const insert = (verb) =>
    `${verb} INTO "${table.name}" (${names.join(", ")}) VALUES (${values.join(", ")})`;
  const where = whereKey(table, key);
  const roll = random.below(20);
  if (roll < 5) return insert("INSERT OR IGNORE");
  if (roll < 8) return insert("INSERT OR REPLACE");
  if (roll < 11) return `DELETE FROM "${table.name}" WHERE ${where}`;
  if (roll < 13 && columns.length)
    return `${insert("INSERT")} ON CONFLICT DO UPDATE SET ${assignments(random, columns).join(", ")}`;
  if (roll === 13 && allowMoves) {
    const to = rowKey(random, table, group);
    const sets = keyNames(table).map((name, i) => `${name} = ${to[i]}`);
    return `UPDATE OR ${random.pick(["IGNORE", "IGNORE", "REPLACE"])} "${table.name}" SET ${sets.join(", ")} WHERE ${where}`;
  }
  if (!columns.length) return insert("INSERT OR IGNORE");
  return `UPDATE "${table.name}" SET ${assignments(random, columns).join(", ")} WHERE ${where}`;
}

function transaction(random, schema, group, allowMoves) {
  const one = () => statement(random, random.pick(schema), group, allowMoves);
  const count = random.pick([1, 1, 1, 2, 3, 5]);
  const list = Array.from({ length: count }, one);
  if (random.chance(0.1)) {
    const at = random.below(list.length + 1);
    list.splice(at, 0, "SAVEPOINT s", one(), one(), "ROLLBACK TO s", "RELEASE s");
  }
  return list;
}

function exchange(random, sites) {
  const from = random.below(sites);
  const to = (from + 1 + random.below(sites - 1)) % sites;
  const order = random.chance(0.5) ? random.uint32() : null;
  const roll = random.below(4);
  if (roll === 0) return { from, to, both: true, order };
  if (roll === 1) return { from, to, order };
  return { from, to, order, keep: random.pick([0.3, 0.5, 0.8]), salt: random.uint32() };
}

export function makeCase(random, schema, sites, group, allowMoves) {
  const steps = [];
  const count = random.between(4, 16);
  for (let i = 0; i < count; ++i) {
    if (random.chance(0.3)) steps.push(exchange(random, sites));
    else
      steps.push({
        site: random.below(sites),
        sql: transaction(random, schema, group, allowMoves),
      });
  }
  return { group, steps };
}
