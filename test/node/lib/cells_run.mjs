// SPDX-License-Identifier: Apache-2.0
//
// Runs random cases (cells_case.mjs) on merrow.so and cr-sqlite and compares.
//
//   mixed   each site is one or the other engine, at least one of each. After an exchange in both directions, and at
//           the end between all, the tables are equal; and the clocks of merrow sites are equal too.
//   twin    each site exists twice, and every step is done in both worlds. After each step the tables are equal, and so
//           are the changes that both would send, and how many rows each says were touched. Changes of a key are left
//           out here: 0.16 keeps the versions of cells that move, by which it loses them (docs/data-model.md).
//
// Many cases share databases, each with rows of its own. A case that fails is run again alone and cut down to the steps
// that are needed.

import { CrSqliteEngine, MerrowEngine } from "./cells_engines.mjs";
import { keyNames, makeCase, makeSchema } from "./cells_case.mjs";
import { Random } from "./random.mjs";

const casesPerSchema = 25;
const changeColumns = `"table", pk, cid, val, col_version, db_version, site_id, cl, seq`;
const readChanges = `SELECT ${changeColumns} FROM crsql_changes WHERE db_version > ?`;
const writeChange = "INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

// FNV-1a, finished well enough that its top bits can be compared.
function hash(text, salt) {
  let h = (2166136261 ^ salt) >>> 0;
  for (let i = 0; i < text.length; ++i)
    h = Math.imul(h ^ text.charCodeAt(i), 16777619) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) >>> 0;
  return (h ^ (h >>> 13)) >>> 0;
}

const idOf = ([table, pk, cid]) => `${table}|${pk.b}|${cid}`;

function chooseChanges(changes, step) {
  let chosen = changes;
  if (step.keep !== undefined)
    chosen = chosen.filter(
      (change) => hash(idOf(change), step.salt) < step.keep * 2 ** 32,
    );
  if (step.order !== null) {
    const place = (change) =>
      hash(`${idOf(change)}|${change[4]}|${change[7]}`, step.order);
    chosen = [...chosen].sort((a, b) => place(a) - place(b));
    chosen = chosen.concat(chosen.filter((_, i) => i % 4 === 3));
  }
  return chosen;
}

class Site {
  constructor(engine, name) {
    this.engine = engine;
    this.name = name;
    this.start = 0;
  }

  async run(statements) {
    return this.engine.run(this.name, statements);
  }

  async rows(sql, args) {
    const [result] = await this.run([[sql, args]]);
    if (result.error)
      throw new Error(`${this.engine.name} ${this.name}: ${result.error} in ${sql}`);
    return result.rows;
  }

  async open(schema) {
    await this.engine.open(this.name);
    for (const table of schema) {
      await this.rows(table.sql);
      await this.rows(`SELECT crsql_as_crr('${table.name}')`);
    }
  }

  // Not crsql_db_version(), which cr-sqlite forgets to take back when a savepoint is rolled back.
  async begin() {
    [[this.start]] = await this.rows(
      "SELECT coalesce(max(db_version), 0) FROM crsql_changes",
      [],
    );
  }

  changes() {
    return this.rows(readChanges, [this.start]);
  }

  // Merges in one transaction; how many rows it touched.
  async apply(changes) {
    const results = await this.run([
      ["BEGIN"],
      ...changes.map((change) => [writeChange, change]),
      ["SELECT crsql_rows_impacted()", []],
      ["COMMIT"],
    ]);
    const failed = results.find((result) => result.error);
    if (failed) throw new Error(`${this.engine.name} ${this.name}: ${failed.error}`);
    return results.at(-2).rows[0][0];
  }

  // Which statements failed, by number.
  async write(list) {
    const results = await this.run([["BEGIN"], ...list.map((sql) => [sql]), ["COMMIT"]]);
    return results.flatMap((result, i) => (result.error ? [i] : []));
  }

  // Everything in the tables of the case's group, as text.
  async tables(schema, group) {
    const found = [];
    for (const table of schema) {
      const names = [...keyNames(table), ...table.columns.map((c) => `"${c.name}"`)];
      const own = table.rowid
        ? `k0 BETWEEN ${group * 16} AND ${group * 16 + 15}`
        : `g = ${group}`;
      const rows = await this.rows(
        `SELECT ${names.join(", ")} FROM "${table.name}" WHERE ${own}`,
        [],
      );
      found.push(...rows.map((row) => `${table.name} ${JSON.stringify(row)}`));
    }
    return found.sort().join("\n");
  }

  async clocks(withSite) {
    const rows = await this.changes();
    return rows
      .map((c) => JSON.stringify([c[0], c[1], c[2], c[3], c[4], c[7], withSite ? c[6] : 0]))
      .sort()
      .join("\n");
  }
}

class Mismatch extends Error {}

function expectEqual(what, a, b) {
  if (a !== b) throw new Mismatch(`${what} differ:\n--- first\n${a}\n--- second\n${b}`);
}

async function transfer(from, to, step) {
  return to.apply(chooseChanges(await from.changes(), step));
}

async function compareSites(a, b, schema, group) {
  expectEqual(
    `tables of ${a.name} (${a.engine.name}) and ${b.name} (${b.engine.name})`,
    await a.tables(schema, group),
    await b.tables(schema, group),
  );
}

// One world of a case: sites that exchange with each other.
class World {
  constructor(sites, schema) {
    this.sites = sites;
    this.schema = schema;
  }

  async begin() {
    for (const site of this.sites) await site.begin();
  }

  // What there is to compare of the step, beside the tables.
  async step(step, group) {
    if (step.sql) return { failed: await this.sites[step.site].write(step.sql) };
    const [from, to] = [this.sites[step.from], this.sites[step.to]];
    const impacted = [await transfer(from, to, step)];
    if (!step.both) return { impacted };
    impacted.push(await transfer(to, from, { ...step, order: null }));
    await compareSites(from, to, this.schema, group);
    return { impacted };
  }

  // Everybody hears everything; then all tables are equal, and all clocks of merrow sites.
  async finish(group) {
    const [hub, ...others] = this.sites;
    for (const site of others) await transfer(site, hub, { order: null });
    for (const site of others) await transfer(hub, site, { order: null });
    for (const site of others) await compareSites(hub, site, this.schema, group);
    const ours = this.sites.filter((site) => site.engine.name === "merrow");
    for (const site of ours.slice(1))
      expectEqual(
        `clocks of ${ours[0].name} and ${site.name}`,
        await ours[0].clocks(true),
        await site.clocks(true),
      );
  }
}

async function runMixed(world, steps, group) {
  await world.begin();
  for (const step of steps) await world.step(step, group);
  await world.finish(group);
}

async function runTwin([ours, theirs], steps, group) {
  await ours.begin();
  await theirs.begin();
  for (const step of steps) {
    const a = await ours.step(step, group);
    const b = await theirs.step(step, group);
    expectEqual(`results of ${JSON.stringify(step)}`, JSON.stringify(a), JSON.stringify(b));
    for (const at of step.sql ? [step.site] : [step.from, step.to]) {
      await compareSites(ours.sites[at], theirs.sites[at], ours.schema, group);
      expectEqual(
        `changes of site ${at} after ${JSON.stringify(step)}`,
        await ours.sites[at].clocks(false),
        await theirs.sites[at].clocks(false),
      );
    }
  }
}

// The databases that the cases of one schema share.
class Group {
  constructor(engines, seed) {
    const random = new Random(seed);
    this.twin = random.chance(0.5);
    this.schema = makeSchema(random);
    const count = random.between(2, this.twin ? 3 : 4);
    const all = (engine) =>
      Array.from({ length: count }, (_, i) => new Site(engine, seed * 16 + i));
    this.worlds = this.twin
      ? engines.map((engine) => new World(all(engine), this.schema))
      : [
          new World(
            Array.from({ length: count }, (_, i) => {
              const engine = i < 2 ? engines[i] : random.pick(engines);
              return new Site(engine, seed * 16 + i);
            }),
            this.schema,
          ),
        ];
    this.cases = Array.from({ length: casesPerSchema }, (_, i) =>
      makeCase(random, this.schema, count, i + 1, !this.twin),
    );
  }

  sites() {
    return this.worlds.flatMap((world) => world.sites);
  }

  async open() {
    for (const site of this.sites()) await site.open(this.schema);
  }

  async close() {
    for (const site of this.sites()) await site.engine.close(site.name);
  }

  run(steps, group) {
    return this.twin
      ? runTwin(this.worlds, steps, group)
      : runMixed(this.worlds[0], steps, group);
  }
}

// What goes wrong if exactly `steps` are done in new databases; null if nothing.
async function tryAlone(engines, seed, steps, group) {
  const alone = new Group(engines, seed);
  await alone.open();
  try {
    await alone.run(steps, group);
    return null;
  } catch (error) {
    return error;
  } finally {
    await alone.close();
  }
}

const without = (list, at) => list.filter((_, i) => i !== at);

async function shrink(engines, seed, steps, group, error) {
  let last = error;
  let current = steps;
  const accept = async (candidate) => {
    const found = await tryAlone(engines, seed, candidate, group);
    if (!found) return false;
    [current, last] = [candidate, found];
    return true;
  };
  if (!(await accept(steps))) return { steps, error, alone: false };
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = current.length - 1; i >= 0; --i)
      changed = (await accept(without(current, i))) || changed;
    for (let i = 0; i < current.length; ++i) {
      for (let j = (current[i].sql?.length ?? 0) - 1; j >= 0 && current[i].sql.length > 1; --j) {
        const shorter = { ...current[i], sql: without(current[i].sql, j) };
        changed = (await accept(current.map((step, at) => (at === i ? shorter : step)))) || changed;
      }
    }
  }
  return { steps: current, error: last, alone: true };
}

function report(seed, group, { steps, error, alone }) {
  return [
    `schema seed ${seed}, case ${group.group}, ${alone ? "cut down" : "only together with the cases before it"}:`,
    error.stack,
    "",
    "schema:",
    ...new Group([{ name: "" }, { name: "" }], seed).schema.map((table) => `  ${table.sql}`),
    "steps:",
    ...steps.map((step) => `  ${JSON.stringify(step)}`),
    `Replay: MERROW_SEED=${seed} MERROW_CASES=${casesPerSchema} node --test test/node/cells.test.mjs`,
  ].join("\n");
}

// Runs `cases` cases from `firstSeed` on; a description of the first failure, or null.
export async function runCellCases({ firstSeed, cases, engines }) {
  const schemas = Math.ceil(cases / casesPerSchema);
  for (let i = 0; i < schemas; ++i) {
    const seed = firstSeed + i;
    const group = new Group(engines, seed);
    await group.open();
    for (const one of group.cases) {
      try {
        await group.run(one.steps, one.group);
      } catch (error) {
        const small = await shrink(engines, seed, one.steps, one.group, error);
        return report(seed, one, small);
      }
    }
    await group.close();
  }
  return null;
}

export async function makeEngines() {
  return [new MerrowEngine(), await CrSqliteEngine.create()];
}
