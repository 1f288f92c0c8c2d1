// SPDX-License-Identifier: Apache-2.0
//
// JSON updates and mergeable children between the engine and loro-crdt, in both directions: random documents of every
// container, made by either side, cross as text and mean the same; and children that both sides make concurrently are
// one, and stay editable.
//
// MERROW_JSON_CASES and MERROW_SEED choose how many random documents there are and from which seed.
// MERROW_DOC_WORKER replaces the engine under test, as in differential.test.mjs.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { merrowBinary } from "./lib/binary.mjs";
import {
  comparableJson,
  expectSameUpdates,
} from "./lib/differential_compare.mjs";
import { containersOf, planEdit } from "./lib/differential_edits.mjs";
import { LoroEngine, WorkerEngine } from "./lib/doc_engines.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";

const command = process.env.MERROW_DOC_WORKER?.split(" ") ?? [
  merrowBinary(),
  "doc",
  "worker",
];
const features = new Set(["marks", "movable", "tree", "mergeable"]);
const roots = [
  "cid:root-body:Text",
  "cid:root-row:Map",
  "cid:root-tags:List",
  "cid:root-votes:Counter",
  "cid:root-cards:MovableList",
  "cid:root-outline:Tree",
];

const loro = new LoroEngine();
const tested = new WorkerEngine(command);
after(() => tested.close());

// A few edits of `engine`'s document, planned on what loro-crdt shows of `model`. Some may be refused.
async function editAtRandom(engine, name, model, random, count) {
  for (let i = 0; i < count; i += 1) {
    const containers = containersOf(model.getDeepValueWithID(), roots);
    const plan = planEdit(random, containers, features);
    for (const op of plan.ops)
      await engine.edit(name, plan.id, op).catch(() => {});
    await engine.commit(
      name,
      random.chance(0.3)
        ? { message: random.pick(["one", "zwei 𝄞", '"']), timestamp: i }
        : {},
    );
    if (engine === tested) model.import(await tested.export(name, "update"));
  }
}

test(
  "random documents cross as JSON updates in both directions",
  { timeout: 600_000 },
  async () => {
    const cases = Number(process.env.MERROW_JSON_CASES ?? 150);
    const firstSeed = seedFromEnvironment(1);
    for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
      const random = new Random(seed);
      const names = ["ours", "theirs", "copy"].map((name) => `${name}${seed}`);
      const [ours, theirs, copy] = names;
      await tested.create(ours, "3");
      await loro.create(theirs, "18446744073709551614");
      await loro.create(`model${seed}`, "7");
      const model = loro.doc(`model${seed}`);
      const other = loro.doc(theirs);
      // Concurrent edits, an exchange, and edits that follow both.
      for (let round = 0; round < 2; round += 1) {
        await editAtRandom(tested, ours, model, random, random.between(2, 8));
        await editAtRandom(loro, theirs, other, random, random.between(2, 8));
        other.import(await tested.export(ours, "update"));
        await tested.import(ours, other.export({ mode: "update" }));
        model.import(other.export({ mode: "update" }));
      }
      const shown = comparableJson(await tested.json(ours));
      assert.deepEqual(shown, comparableJson(other.toJSON()), `seed ${seed}`);
      const written = {
        tested: await tested.jsonUpdates(ours),
        loro: other.exportJsonUpdates(),
      };
      expectSameUpdates(`seed ${seed}`, written.tested, written.loro);

      // Theirs, read by us, is what the binary form is; and so is ours.
      for (const [who, updates] of Object.entries(written)) {
        await tested.create(copy, "9");
        const { pending } = await tested.importJsonUpdates(copy, updates);
        assert.deepEqual(pending, {});
        assert.deepEqual(
          comparableJson(await tested.json(copy)),
          shown,
          `seed ${seed}: ${who}'s updates, read by the engine`,
        );
        assert.deepEqual(
          (await tested.version(copy)).vv,
          (await tested.version(ours)).vv,
        );
        expectSameUpdates(
          `seed ${seed}: ${who}'s updates, read by the engine`,
          await tested.jsonUpdates(copy),
          written.loro,
        );
        // What was read can be sent on as blobs.
        const blob = await tested.export(
          copy,
          random.pick(["update", "snapshot"]),
        );
        await loro.create(copy, "9");
        await loro.import(copy, blob);
        assert.deepEqual(
          comparableJson(await loro.json(copy)),
          shown,
          `seed ${seed}: ${who}'s updates, read by the engine, as a blob`,
        );
        await tested.free(copy);
      }

      // Ours, read by loro-crdt, is what theirs is, to it: a marker of a mergeable child is a list of numbers then.
      const read = [written.tested, written.loro].map((updates) => {
        loro.create(copy, "9");
        loro.doc(copy).importJsonUpdates(JSON.stringify(updates));
        return loro.doc(copy).toJSON();
      });
      assert.deepEqual(
        comparableJson(read[0]),
        comparableJson(read[1]),
        `seed ${seed}: the engine's updates, read by loro-crdt`,
      );
      if (!JSON.stringify(written.loro).includes('"value":[0,76,77,1,'))
        assert.deepEqual(comparableJson(read[0]), shown, `seed ${seed}`);
      await tested.free(ours);
      for (const name of [theirs, copy, `model${seed}`]) await loro.free(name);
    }
  },
);

test("what one side lacks crosses as JSON updates", async () => {
  await tested.create("a", "1");
  await loro.create("b", "2");
  const other = loro.doc("b");
  await tested.edit("a", "cid:root-body:Text", { insert: [0, "hello"] });
  await tested.commit("a", { message: "greeting", timestamp: 1_700_000_000 });
  other.importJsonUpdates(JSON.stringify(await tested.jsonUpdates("a")));
  const known = await tested.version("a");
  other.getText("body").insert(5, " world");
  other.commit({ message: "more" });
  const since = await loro.jsonUpdates("b", known.vv);
  assert.deepEqual(since.start_version, { 1: 4 });
  await tested.importJsonUpdates("a", since);
  assert.deepEqual(await tested.json("a"), { body: "hello world" });
  const ours = await tested.jsonUpdates("a", known.vv);
  assert.deepEqual(ours, since);
});

test("loro-crdt and the engine refuse the same JSON updates", async () => {
  const valid = {
    schema_version: 1,
    start_version: {},
    peers: ["7"],
    changes: [
      {
        id: "0@0",
        timestamp: 0,
        deps: [],
        lamport: 0,
        msg: null,
        ops: [
          {
            container: "cid:root-m:Map",
            counter: 0,
            content: { type: "insert", key: "k", value: 1 },
          },
          {
            container: "cid:root-t:Text",
            counter: 1,
            content: { type: "insert", pos: 0, text: "abc" },
          },
          {
            container: "cid:root-l:List",
            counter: 4,
            content: {
              type: "insert",
              pos: 0,
              value: ["🦜:cid:4@0:Map", null],
            },
          },
        ],
      },
    ],
  };
  const values = [
    null,
    true,
    -1,
    1.5,
    7,
    2 ** 40,
    "",
    "x",
    "0@0",
    "1@1",
    "cid:root-z:Text",
    "🦜:cid:0@0:Map",
    [],
    ["7"],
    {},
  ];
  const places = (node, path = []) =>
    node !== null && typeof node === "object"
      ? Object.keys(node).flatMap((key) => [
          [...path, key],
          ...places(node[key], [...path, key]),
        ])
      : [];
  let [accepted, refused] = [0, 0];
  for (const path of places(valid)) {
    for (const value of [...values, undefined]) {
      const changed = structuredClone(valid);
      const parent = path
        .slice(0, -1)
        .reduce((node, key) => node[key], changed);
      if (value !== undefined) parent[path.at(-1)] = value;
      else if (Array.isArray(parent)) parent.splice(Number(path.at(-1)), 1);
      else delete parent[path.at(-1)];
      const what = `${path.join(".")} = ${JSON.stringify(value)}`;
      await loro.create("c", "9");
      let theirs = null;
      try {
        loro.doc("c").importJsonUpdates(JSON.stringify(changed));
        theirs = loro.doc("c").toJSON();
      } catch {
        refused += 1;
      }
      await tested.create("c", "9");
      const ours = await tested.importJsonUpdates("c", changed).then(
        () => tested.json("c"),
        () => null,
      );
      if (theirs === null) {
        assert.equal(ours, null, `${what}: loro-crdt refuses it`);
        continue;
      }
      accepted += 1;
      assert.notEqual(ours, null, `${what}: loro-crdt reads it`);
      assert.deepEqual(comparableJson(ours), comparableJson(theirs), what);
    }
  }
  assert.ok(accepted > 20 && refused > 100, `${accepted}, ${refused}`);
});

test("mergeable children of both sides are one and stay editable", async () => {
  const edits = {
    Map: [{ set: ["k", 1] }, { set: ["l", "x"] }],
    List: [{ insert: [0, "a"] }, { insert: [0, "b"] }],
    MovableList: [{ insert: [0, "a"] }, { insert: [0, "b"] }],
    Text: [{ insert: [0, "a"] }, { insert: [0, "b"] }],
    Counter: [{ increment: [1] }, { increment: [2] }],
    Tree: [{ create: [null, null] }, { create: [null, null] }],
  };
  const shown = {
    Map: { k: 1, l: "x" },
    Counter: 3,
  };
  for (const [kind, [first, second]] of Object.entries(edits)) {
    for (const parent of ["root", "nested", "node"]) {
      const names = { tested: `m${kind}${parent}`, loro: `n${kind}${parent}` };
      const engines = { tested, loro };
      await tested.create(names.tested, "1");
      await loro.create(names.loro, "2");
      const exchange = async (mode) => {
        const blobs = {
          tested: await tested.export(names.tested, mode),
          loro: await loro.export(names.loro, mode),
        };
        await tested.import(names.tested, blobs.loro);
        await loro.import(names.loro, blobs.tested);
        const json = await tested.json(names.tested);
        assert.deepEqual(
          comparableJson(json),
          comparableJson(await loro.json(names.loro)),
          `${kind} in ${parent}`,
        );
        return json;
      };
      let map = "cid:root-m:Map";
      if (parent === "node") {
        const { node } = await tested.edit(names.tested, "cid:root-t:Tree", {
          create: [null, null],
        });
        await exchange("update");
        map = `cid:${node}:Map`;
      }
      const childOf = {};
      for (const [which, op] of [
        ["tested", first],
        ["loro", second],
      ]) {
        let at = map;
        if (parent === "nested")
          at = (
            await engines[which].edit(names[which], map, {
              ensureMergeable: ["in > \\ /", "Map"],
            })
          ).container;
        const { container } = await engines[which].edit(names[which], at, {
          ensureMergeable: ["child", kind],
        });
        childOf[which] = container;
        await engines[which].edit(names[which], container, op);
        await engines[which].commit(names[which]);
      }
      assert.equal(childOf.tested, childOf.loro);
      const json = await exchange("update");
      if (parent === "root") {
        const child = json.m.child;
        if (shown[kind] !== undefined) assert.deepEqual(child, shown[kind]);
        else assert.equal(child.length, 2);
      }
      // Both go on; the engine from what loro-crdt's snapshot holds, and the other way round.
      for (const which of ["tested", "loro"]) {
        await engines[which].edit(names[which], childOf[which], second);
        await engines[which].commit(names[which]);
      }
      await exchange("snapshot");
      const late = `${names.tested} late`;
      for (const [name, engine, from] of [
        [late, tested, loro.export(names.loro, "snapshot")],
        [late, loro, tested.export(names.tested, "snapshot")],
      ]) {
        await engine.create(name, "4");
        await engine.import(name, await from);
        await engine.edit(name, childOf.tested, first);
        await engine.commit(name);
      }
      assert.deepEqual(
        comparableJson(await tested.json(late)),
        comparableJson(await loro.json(late)),
      );
    }
  }
});

test("what replaces a mergeable child hides it, on both sides", async () => {
  await tested.create("h", "1");
  await loro.create("i", "2");
  const map = "cid:root-m:Map";
  const { container } = await tested.edit("h", map, {
    ensureMergeable: ["x", "Text"],
  });
  await tested.edit("h", container, { insert: [0, "kept"] });
  const sync = async () => {
    await loro.import("i", await tested.export("h", "update"));
    await tested.import("h", await loro.export("i", "update"));
    const json = await tested.json("h");
    assert.deepEqual(json, await loro.json("i"));
    return json;
  };
  assert.deepEqual(await sync(), { m: { x: "kept" } });
  await loro.edit("i", map, { ensureMergeable: ["x", "Map"] });
  assert.deepEqual(await sync(), { m: { x: {} } });
  await assert.rejects(tested.edit("h", container, { insert: [0, "no"] }));
  await tested.edit("h", map, { delete: ["x"] });
  assert.deepEqual(await sync(), { m: {} });
  await loro.edit("i", map, { set: ["x", 5] });
  assert.deepEqual(await sync(), { m: { x: 5 } });
  await assert.rejects(
    tested.edit("h", map, { ensureMergeable: ["x", "Text"] }),
  );
  await assert.rejects(loro.edit("i", map, { ensureMergeable: ["x", "Text"] }));
  await tested.edit("h", map, { delete: ["x"] });
  await tested.edit("h", map, { ensureMergeable: ["x", "Text"] });
  assert.deepEqual(await sync(), { m: { x: "kept" } });
});
