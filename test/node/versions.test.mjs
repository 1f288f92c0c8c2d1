// SPDX-License-Identifier: Apache-2.0
//
// Versions and trimmed history, case by case, between `merrow doc worker` and loro-crdt: where a shallow snapshot
// starts, what each engine makes of the other's, what is refused, ranges, and what every version of a concurrent
// history shows. The differential test does the same with random documents.
//
// Environment: MERROW_BIN (build/release/merrow).

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { merrowBinary } from "./lib/binary.mjs";
import { LoroEngine, WorkerEngine } from "./lib/doc_engines.mjs";

const merrow = new WorkerEngine([merrowBinary(), "doc", "worker"]);
const loro = new LoroEngine();
after(() => Promise.all([merrow.close(), loro.close()]));

const text = "cid:root-t:Text";
const list = "cid:root-l:MovableList";
const tree = "cid:root-tree:Tree";
const at = (peer, counter) => [{ peer, counter }];

// An op of `engine` on one document, as a commit of its own.
async function edit(engine, doc, container, op) {
  const made = await engine.edit(doc, container, op);
  await engine.commit(doc, {});
  return made;
}

async function transfer(from, fromDoc, to, toDoc) {
  const { vv } = await to.version(toDoc);
  await to.import(toDoc, await from.export(fromDoc, "update", { from: vv }));
}

// Roots that are empty are shown or not, by what a document happens to hold.
function withoutEmptyRoots(json) {
  const isEmpty = (value) => value === "" || Object.keys(value).length === 0;
  return Object.fromEntries(
    Object.entries(json).filter(([, value]) => !isEmpty(value)),
  );
}

async function assertSame(doc, other = doc) {
  assert.deepEqual(await merrow.json(doc), await loro.json(other));
  const [ours, theirs] = await Promise.all([
    merrow.version(doc),
    loro.version(other),
  ]);
  assert.deepEqual(ours.vv, theirs.vv);
}

// Documents "a" and "b" of peers 1 and 2 in loro-crdt: something of everything, then both edit concurrently, and "a"
// has it all. Returns the version before they did.
async function concurrentHistory() {
  await loro.create("a", "1");
  await loro.create("b", "2");
  await edit(loro, "a", text, { insert: [0, "hello 👋 world"] });
  await edit(loro, "a", text, { mark: [0, 5, "bold", true] });
  for (const value of ["x", "y", "z"])
    await edit(loro, "a", list, { insert: [0, value] });
  const { node } = await edit(loro, "a", tree, { create: [null, null] });
  await edit(loro, "a", tree, { create: [node, null] });
  const { container } = await edit(loro, "a", list, {
    insertContainer: [0, "Map"],
  });
  await edit(loro, "a", container, { set: ["k", 1] });
  await transfer(loro, "a", loro, "b");
  const { frontiers } = await loro.version("a");
  await edit(loro, "a", text, { insert: [5, " there"] });
  await edit(loro, "a", list, { move: [1, 3] });
  await edit(loro, "a", tree, { delete: [node] });
  await edit(loro, "b", text, { mark: [2, 9, "link", "u"] });
  await edit(loro, "b", text, { delete: [0, 3] });
  await edit(loro, "b", list, { set: [1, "w"] });
  await edit(loro, "b", container, { set: ["k", 2] });
  await transfer(loro, "b", loro, "a");
  return frontiers;
}

test("a shallow snapshot of either engine starts a document in the other", async () => {
  const start = await concurrentHistory();
  await merrow.create("whole", "3");
  await transfer(loro, "a", merrow, "whole");
  const option = { frontiers: start };
  const theirs = await loro.export("a", "shallow-snapshot", option);
  const ours = await merrow.export("whole", "shallow-snapshot", option);
  await merrow.create("from loro", "11");
  await merrow.import("from loro", theirs);
  await assertSame("from loro", "a");
  await loro.create("from merrow", "12");
  await loro.import("from merrow", ours);
  await assertSame("whole", "from merrow");
  assert.deepEqual(
    loro.doc("from merrow").shallowSinceFrontiers(),
    start,
    "both start at the version asked for, which is critical",
  );

  // Both go on, in containers of which only the state is left.
  await edit(merrow, "from loro", list, { move: [0, 2] });
  await edit(merrow, "from loro", list, { set: [1, "s"] });
  await edit(merrow, "from loro", text, { mark: [1, 4, "bold", null] });
  await edit(loro, "from merrow", text, { insert: [3, "!"] });
  await edit(loro, "from merrow", list, { delete: [0, 1] });
  const [root] = loro.doc("from merrow").getTree("tree").roots();
  if (root) await edit(loro, "from merrow", tree, { delete: [root.id] });
  await transfer(merrow, "from loro", loro, "from merrow");
  await transfer(loro, "from merrow", merrow, "from loro");
  await transfer(loro, "from merrow", loro, "a");
  await assertSame("from loro", "from merrow");
  await assertSame("from loro", "a");

  // A snapshot of a trimmed document is one itself.
  await loro.create("again", "13");
  await loro.import("again", await merrow.export("from loro", "snapshot"));
  assert.ok(loro.doc("again").isShallow());
  await assertSame("from loro", "again");
});

test("every version shows the same", async () => {
  await concurrentHistory();
  await merrow.create("seen", "4");
  await transfer(loro, "a", merrow, "seen");
  const { vv } = await loro.version("a");
  for (const [peer, end] of Object.entries(vv)) {
    for (let counter = 0; counter < end; counter += 1) {
      await loro.checkout("a", at(peer, counter));
      await merrow.checkout("seen", at(peer, counter));
      const place = `${counter}@${peer}`;
      assert.deepEqual(
        withoutEmptyRoots(await merrow.json("seen")),
        withoutEmptyRoots(await loro.json("a")),
        place,
      );
      assert.deepEqual(
        await merrow.delta("seen", text),
        await loro.delta("a", text),
        place,
      );
    }
  }
  await merrow.checkoutToLatest("seen");
  await loro.checkoutToLatest("a");
  await assertSame("seen", "a");
});

test("what depends on trimmed history is refused and changes nothing", async () => {
  await loro.create("a", "1");
  await edit(loro, "a", text, { insert: [0, "hello"] });
  await loro.create("late", "2");
  await transfer(loro, "a", loro, "late");
  await edit(loro, "late", text, { insert: [5, "?"] });
  await edit(loro, "a", text, { insert: [5, " world"] });
  const shallow = await loro.export("a", "shallow-snapshot", {
    frontiers: at("1", 7),
  });
  await merrow.create("trimmed", "3");
  await loro.create("trimmed", "3");
  await merrow.import("trimmed", shallow);
  await loro.import("trimmed", shallow);
  const update = await loro.export("late", "update");
  await assert.rejects(merrow.import("trimmed", update), /conflict: .*4@1/);
  await assert.rejects(loro.import("trimmed", update));
  await assertSame("trimmed");
  for (const before of [[], at("1", 6)]) {
    await assert.rejects(merrow.checkout("trimmed", before), /not_found/);
    await assert.rejects(loro.checkout("trimmed", before));
    const option = { frontiers: before };
    await assert.rejects(
      merrow.export("trimmed", "shallow-snapshot", option),
      /not_found/,
    );
    await assert.rejects(loro.export("trimmed", "shallow-snapshot", option));
  }
  await assertSame("trimmed");

  // To somebody who has nothing, what is left is pending; so it is from a shallow snapshot to who has something.
  for (const blob of [
    await merrow.export("trimmed", "update"),
    await merrow.export("trimmed", "shallow-snapshot"),
  ]) {
    for (const engine of [merrow, loro]) {
      await engine.create("behind", "4");
      await edit(engine, "behind", text, { insert: [0, "mine"] });
      const { success, pending } = await engine.import("behind", blob);
      assert.deepEqual(success, {});
      assert.equal(pending["1"][1], 11);
      assert.deepEqual(await engine.json("behind"), { t: "mine" });
    }
  }
});

test("a start is critical, and not inside a mark", async () => {
  await concurrentHistory();
  const start = async (frontiers) => {
    await merrow.create("m", "5");
    await transfer(loro, "a", merrow, "m");
    const blob = await merrow.export("m", "shallow-snapshot", { frontiers });
    await loro.create("started", "6");
    await loro.import("started", blob);
    assert.deepEqual(await loro.json("started"), await loro.json("a"));
    return loro.doc("started").shallowSinceFrontiers();
  };
  // The mark that both ops of a commit make is at 13 and 14.
  assert.deepEqual(await start(at("1", 13)), at("1", 14));
  const { frontiers } = await loro.version("a");
  assert.equal(frontiers.length, 2);
  // Before both heads there is the last op that everything later follows.
  assert.deepEqual(await start(frontiers), at("1", 21));
  assert.deepEqual(await start(at("2", 0)), at("1", 21));
});

test("ranges carry exactly their ops", async () => {
  await concurrentHistory();
  await merrow.create("whole", "7");
  await transfer(loro, "a", merrow, "whole");
  const spans = [
    { id: { peer: "1", counter: 0 }, len: 9 },
    { id: { peer: "2", counter: 1 }, len: 3 },
  ];
  const ours = await merrow.export("whole", "updates-in-range", { spans });
  const theirs = await loro.export("a", "updates-in-range", { spans });
  const answers = [];
  for (const blob of [ours, theirs]) {
    for (const engine of [merrow, loro]) {
      await engine.create("part", "8");
      answers.push({
        status: await engine.import("part", blob),
        json: await engine.json("part"),
      });
    }
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.deepEqual(answers[0].status.success, { 1: [0, 9] });
  assert.deepEqual(answers[0].status.pending, { 2: [1, 4] });
});

test("an op id that is used twice is refused", async () => {
  for (const [doc, words] of [
    ["one", ["hello", " world"]],
    ["two", ["hellO", " world and more"]],
  ]) {
    await loro.create(doc, "1");
    await edit(loro, doc, text, { insert: [0, words[0]] });
    await edit(loro, doc, text, { insert: [5, words[1]] });
  }
  await merrow.create("victim", "9");
  await transfer(loro, "one", merrow, "victim");
  const update = await loro.export("two", "update");
  await assert.rejects(merrow.import("victim", update), /conflict: .*0@1/);
  await assert.rejects(loro.import("one", update), /unique/);
  await assertSame("victim", "one");
});
