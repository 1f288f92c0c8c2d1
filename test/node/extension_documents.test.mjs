// SPDX-License-Identifier: Apache-2.0
//
// Document tables of merrow.so, with real loro-crdt clients on the other side: SQL here, edits there, exchanged by the
// extension's functions in any order; then files that go from the extension to `merrow serve` and back.
//
// MERROW_CASES and MERROW_SEED choose how many random cases run and from which seed.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LoroDoc, VersionVector } from "loro-crdt";
import { MerrowEngine } from "./lib/cells_engines.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";
import { startServer, testSchema } from "./lib/server.mjs";

const schema = `CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, done INTEGER, body CRDT_TEXT,
  votes CRDT_COUNTER, tags CRDT_LIST, cards CRDT_MOVABLE_LIST, props CRDT_MAP);
  SELECT merrow_track('note');`;

const hex = (bytes) => ({ b: Buffer.from(bytes).toString("hex") });
const bytes = (value) => new Uint8Array(Buffer.from(value.b, "hex"));

// One database of the worker.
class Site {
  constructor(engine, name) {
    this.engine = engine;
    this.name = name;
  }

  async try(sql, args) {
    const [result] = await this.engine.run(this.name, [[sql, args]]);
    return result;
  }

  async run(sql, args) {
    const result = await this.try(sql, args);
    assert.equal(result.error, undefined, `${sql}: ${result.error}`);
    return result.rows;
  }

  async value(sql, args = []) {
    return (await this.run(sql, args))[0][0];
  }

  async json(key) {
    return JSON.parse(
      await this.value("SELECT merrow_document_json('note', ?)", [key]),
    );
  }
}

// loro-crdt shows root containers that somebody looked at, even if nothing was ever written to them.
function withoutEmpty(json) {
  const isEmpty = (value) =>
    value === 0 ||
    value === "" ||
    (typeof value === "object" &&
      value !== null &&
      Object.keys(value).length === 0);
  return Object.fromEntries(
    Object.entries(json).filter(([, value]) => !isEmpty(value)),
  );
}

async function sendToClient(site, key, doc) {
  const result = await site.try("SELECT merrow_document_export('note', ?, ?)", [
    key,
    hex(doc.oplogVersion().encode()),
  ]);
  if (result.error) {
    assert.match(result.error, /there is no such document/);
    return;
  }
  doc.import(bytes(result.rows[0][0]));
}

async function sendToSite(site, key, doc) {
  if (doc.opCount() === 0) return;
  const version = await site.try("SELECT merrow_document_version('note', ?)", [
    key,
  ]);
  const from = version.error
    ? undefined
    : VersionVector.decode(bytes(version.rows[0][0]));
  const update = doc.export({ mode: "update", from });
  await site.run("SELECT merrow_document_import('note', ?, ?)", [
    key,
    hex(update),
  ]);
}

async function sendChanges(from, to) {
  const versions = await to.value("SELECT merrow_versions()");
  const file = await from.value("SELECT merrow_changeset(?)", [versions]);
  await to.run("SELECT merrow_apply(?)", [file]);
}

const words = [
  "the",
  "teh",
  "cat",
  "häl😀lo",
  " ",
  "sat\n",
  "on",
  "x".repeat(40),
];

function editText(random, text) {
  const scalars = [...text];
  const at = random.below(scalars.length + 1);
  const cut = random.below(Math.min(6, scalars.length - at + 1));
  scalars.splice(
    at,
    cut,
    random.below(3) === 0 ? "" : words[random.below(words.length)],
  );
  return scalars.join("");
}

function editList(random, list) {
  const copy = [...list];
  for (let edits = 1 + random.below(3); edits > 0; --edits) {
    const at = random.below(copy.length + 1);
    switch (random.below(3)) {
      case 0:
        copy.splice(
          at,
          0,
          [random.below(9), "s", null, { k: [1] }][random.below(4)],
        );
        break;
      case 1:
        copy.splice(at, 1);
        break;
      default:
        if (at < copy.length)
          copy.splice(random.below(copy.length), 0, ...copy.splice(at, 1));
    }
  }
  return copy;
}

function editMap(random, map) {
  const copy = { ...map };
  const key = ["a", "b", "c"][random.below(3)];
  if (random.below(3) === 0) delete copy[key];
  else
    copy[key] = [random.below(9), "s", [1, 2], { x: random.below(3) }][
      random.below(4)
    ];
  return copy;
}

// A write by SQL, read back, maybe in a transaction that is undone.
async function writeSql(random, site, key) {
  const [row] = await site.run(
    "SELECT title, done, body, votes, tags, cards, props FROM note WHERE id = ?",
    [key],
  );
  if (row === undefined) {
    await site.run("INSERT INTO note (id, body) VALUES (?, ?)", [
      key,
      words[random.below(words.length)],
    ]);
    return;
  }
  const [, , body, , tags, cards, props] = row;
  const writes = [
    [
      "title = ?",
      random.below(4) === 0 ? null : words[random.below(words.length)],
    ],
    ["done = ?", random.below(3)],
    ["body = ?", editText(random, body)],
    ["votes = votes + ?", random.below(7) - 3],
    ["tags = ?", JSON.stringify(editList(random, JSON.parse(tags)))],
    ["cards = ?", JSON.stringify(editList(random, JSON.parse(cards)))],
    ["props = ?", JSON.stringify(editMap(random, JSON.parse(props)))],
  ];
  const chosen = writes.filter(() => random.below(3) === 0);
  if (chosen.length === 0) return;
  const sql = `UPDATE note SET ${chosen.map(([part]) => part).join(", ")} WHERE id = ?`;
  const args = [...chosen.map(([, value]) => value), key];
  if (random.below(4) > 0) {
    await site.run(sql, args);
    return;
  }
  const before = await site.json(key);
  await site.run("BEGIN");
  await site.run(sql, args);
  if (random.below(2) === 0) await site.json(key);
  await site.run("ROLLBACK");
  assert.deepEqual(await site.json(key), before);
}

// A position in UTF-16, not between the halves of a pair.
function placeIn(random, text) {
  const scalars = [...text];
  return scalars.slice(0, random.below(scalars.length + 1)).join("").length;
}

function editClient(random, doc) {
  const text = doc.getText("body");
  const list = doc.getList("tags");
  const cards = doc.getMovableList("cards");
  for (let edits = 1 + random.below(4); edits > 0; --edits) {
    switch (random.below(8)) {
      case 0:
        text.insert(placeIn(random, text.toString()), "ab");
        break;
      case 1:
        if (text.length > 0) {
          // Not between the halves of a pair.
          const at = text.toString().search(/[a-z ]/);
          if (at >= 0) text.delete(at, 1);
        }
        break;
      case 2:
        doc.getMap("row").set("title", words[random.below(words.length)]);
        break;
      case 3:
        doc.getCounter("votes").increment(random.below(5));
        break;
      case 4:
        list.insert(random.below(list.length + 1), random.below(9));
        break;
      case 5:
        if (cards.length > 1)
          cards.move(random.below(cards.length), random.below(cards.length));
        else cards.insert(0, "card");
        break;
      case 6:
        doc
          .getMap("props")
          .setContainer("a", new (doc.getMap("props").constructor)())
          .set("deep", random.below(9));
        break;
      default:
        if (list.length > 0) list.delete(random.below(list.length), 1);
    }
  }
  doc.commit();
}

async function runCase(engine, seed) {
  const random = new Random(seed);
  const sites = [];
  for (let i = 0; i < 2 + random.below(2); ++i) {
    const site = new Site(engine, 100 + i);
    await engine.open(site.name);
    await site.run(schema);
    sites.push(site);
  }
  const keys = ["a", "b"];
  const clients = [];
  for (let i = 0; i < 2; ++i) {
    const docs = new Map(keys.map((key) => [key, new LoroDoc()]));
    for (const doc of docs.values())
      doc.setPeerId(BigInt(seed) * 100n + BigInt(i + 1));
    clients.push(docs);
  }
  const one = (list) => list[random.below(list.length)];
  for (let step = 0; step < 25; ++step) {
    const key = one(keys);
    const site = one(sites);
    const doc = one(clients).get(key);
    switch (random.below(5)) {
      case 0:
      case 1:
        await writeSql(random, site, key);
        break;
      case 2:
        editClient(random, doc);
        break;
      case 3:
        if (random.below(2) === 0) await sendToClient(site, key, doc);
        else await sendToSite(site, key, doc);
        break;
      default:
        if (one(sites) !== site)
          await sendChanges(site, one(sites.filter((other) => other !== site)));
    }
  }
  // Everything everywhere: clients to the first site, sites to each other, and back.
  for (const key of keys) {
    for (const docs of clients) await sendToSite(sites[0], key, docs.get(key));
  }
  for (const site of sites.slice(1)) await sendChanges(site, sites[0]);
  for (const site of sites.slice(1)) await sendChanges(sites[0], site);
  const rows = await sites[0].run("SELECT * FROM note ORDER BY id");
  for (const site of sites) {
    assert.deepEqual(await site.run("SELECT * FROM note ORDER BY id"), rows);
    for (const [key] of rows) {
      for (const docs of clients) {
        await sendToClient(site, key, docs.get(key));
        assert.deepEqual(
          withoutEmpty(await site.json(key)),
          withoutEmpty(docs.get(key).toJSON()),
        );
      }
    }
    await engine.close(site.name);
  }
}

test(
  "SQL and loro-crdt clients edit the same documents",
  { timeout: 600_000 },
  async (t) => {
    const cases = Number(process.env.MERROW_CASES ?? 200);
    const firstSeed = seedFromEnvironment(1);
    const engine = new MerrowEngine();
    for (let seed = firstSeed; seed < firstSeed + cases; ++seed) {
      try {
        await runCase(engine, seed);
      } catch (error) {
        t.diagnostic(`MERROW_SEED=${seed}`);
        throw error;
      }
    }
    await engine.stop();
    t.diagnostic(`${cases} cases from seed ${firstSeed}`);
  },
);

test("a replaced word merges with what a client types in between", async () => {
  const engine = new MerrowEngine();
  const site = new Site(engine, 1);
  await engine.open(1);
  await site.run(schema);
  await site.run(
    "INSERT INTO note (id, body) VALUES ('n', 'teh cat sat on teh mat')",
  );
  const doc = new LoroDoc();
  await sendToClient(site, "n", doc);
  doc.getText("body").insert(7, "erpillar");
  doc.commit();
  await site.run("UPDATE note SET body = replace(body, 'teh', 'the')");
  await sendToSite(site, "n", doc);
  assert.equal(
    await site.value("SELECT body FROM note"),
    "the caterpillar sat on the mat",
  );
  await engine.stop();
});

test("no blob ends the process that loaded the extension", async () => {
  const engine = new MerrowEngine();
  const site = new Site(engine, 1);
  await engine.open(1);
  await site.run(schema);
  const doc = new LoroDoc();
  editClient(new Random(5), doc);
  doc.getText("body").insert(0, "some text to damage");
  doc.commit();
  const random = new Random(6);
  for (const good of [
    doc.export({ mode: "update" }),
    doc.export({ mode: "snapshot" }),
  ]) {
    for (let round = 0; round < 400; ++round) {
      const bad = good.slice(
        0,
        random.below(4) === 0 ? random.below(good.length) : good.length,
      );
      // Bytes 4 to 15 of a blob mean nothing.
      const at = random.below(bad.length + 1);
      if (at < bad.length && (at < 4 || at >= 16))
        bad[at] ^= 1 << random.below(8);
      else if (bad.length === good.length) continue;
      const result = await site.try(
        "SELECT merrow_document_import('note', 'x', ?)",
        [hex(bad)],
      );
      assert.ok(result.error, `damage of round ${round} went unnoticed`);
    }
  }
  assert.equal(await site.value("SELECT count(*) FROM note"), 0);
  await site.run("SELECT merrow_document_import('note', 'x', ?)", [
    hex(doc.export({ mode: "update" })),
  ]);
  assert.deepEqual(
    withoutEmpty(await site.json("x")),
    withoutEmpty(doc.toJSON()),
  );
  await engine.stop();
});

test(
  "a file goes from the extension to a server and back",
  { timeout: 120_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "merrow-extension-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const db = join(folder, "shared.db");
    const engine = new MerrowEngine();
    const site = new Site(engine, 1);
    await engine.open(1, db);
    await site.run(readFileSync(testSchema, "utf8"));
    await site.run("SELECT merrow_track('note'), merrow_track('page')");
    await site.run(
      "INSERT INTO note (id, title, body) VALUES ('n', 'made by SQL', 'hello')",
    );
    await engine.close(1);

    const server = await startServer(t, { db });
    const row = async () =>
      (await fetch(`http://127.0.0.1:${server.port}/v1/rows/note/n`)).json();
    assert.equal((await row()).body, "hello");
    const written = await fetch(
      `http://127.0.0.1:${server.port}/v1/transactions`,
      {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify([
          ["UPDATE note SET body = body || ?, votes = votes + 2", [" world"]],
        ]),
      },
    );
    assert.equal(written.status, 200, await written.text());
    assert.equal((await row()).body, "hello world");

    // While the server has it, nobody else writes.
    await engine.open(1, db);
    const refused = await site.try("UPDATE note SET title = 'no'");
    assert.match(refused.error, /another merrow process/);
    await engine.close(1);
    await server.stop();

    await engine.open(1, db);
    assert.deepEqual(await site.run("SELECT title, body, votes FROM note"), [
      ["made by SQL", "hello world", 2],
    ]);
    await site.run("UPDATE note SET body = upper(body)");
    assert.equal((await site.json("n")).body, "HELLO WORLD");
    await engine.close(1);
    await server.start();
    assert.equal((await row()).body, "HELLO WORLD");
    await server.stop();
    await engine.stop();
  },
);
