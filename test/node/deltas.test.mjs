// SPDX-License-Identifier: Apache-2.0
//
// Deltas, events, reverts, cursors and undo beside loro-crdt. In random documents with every kind of container, what a
// version shows plus either side's delta to another version is what that shows; so are either side's events composed.
// Reverts to one version look the same on both sides, cursors have the same bytes and stand at the same places, and
// undo gives the same looks.
//
// MERROW_DELTA_CASES and MERROW_SEED choose how many random documents there are and from which seed.
// MERROW_DOC_WORKER replaces the engine under test, as in differential.test.mjs.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { LoroDoc, UndoManager } from "loro-crdt";
import { merrowBinary } from "./lib/binary.mjs";
import { DeltaMirror } from "./lib/delta_mirror.mjs";
import {
  comparableDelta,
  comparableJson,
} from "./lib/differential_compare.mjs";
import { containersOf, planEdit } from "./lib/differential_edits.mjs";
import { LoroEngine, textStyles, WorkerEngine } from "./lib/doc_engines.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";

const command = process.env.MERROW_DOC_WORKER?.split(" ") ?? [
  merrowBinary(),
  "doc",
  "worker",
];
const features = new Set(["marks", "movable", "tree"]);
const roots = [
  "cid:root-body:Text",
  "cid:root-row:Map",
  "cid:root-tags:List",
  "cid:root-votes:Counter",
  "cid:root-cards:MovableList",
  "cid:root-outline:Tree",
];
const cases = Number(process.env.MERROW_DELTA_CASES ?? 60);
const firstSeed = seedFromEnvironment(1);

const loro = new LoroEngine();
const tested = new WorkerEngine(command);
after(() => tested.close());

const turn = () => new Promise((resolve) => setImmediate(resolve));

// What both sides show, without what reverts and undo cannot bring back.
function lookOf(json) {
  const strip = (value) => {
    if (Array.isArray(value)) return value.map(strip);
    if (!value || typeof value !== "object") return value;
    const { id, parent, fractional_index, ...rest } = value;
    const kept = fractional_index === undefined ? value : rest;
    return Object.fromEntries(
      Object.entries(kept).map(([key, item]) => [key, strip(item)]),
    );
  };
  return strip(comparableJson(json));
}

async function editAtRandom(doc, random, count) {
  await loro.adopt("editor", doc);
  for (let i = 0; i < count; i += 1) {
    const containers = containersOf(doc.getDeepValueWithID(), roots);
    const plan = planEdit(random, containers, features);
    for (const op of plan.ops)
      await loro.edit("editor", plan.id, op).catch(() => {});
  }
  doc.commit();
}

const newLoro = (peer) => {
  const doc = new LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle(textStyles);
  return doc;
};

// A document of loro-crdt that two peers edit, and some of its versions.
async function randomHistory(random) {
  const doc = newLoro("3");
  const other = newLoro(random.pick(["2", "18446744073709551614"]));
  const versions = [[]];
  for (let step = random.between(4, 14); step > 0; step -= 1) {
    await editAtRandom(random.chance(0.5) ? doc : other, random, 3);
    if (random.chance(0.4)) {
      doc.import(other.export({ mode: "update", from: doc.version() }));
      other.import(doc.export({ mode: "update", from: other.version() }));
    }
    if (random.chance(0.4)) versions.push(doc.oplogFrontiers());
  }
  versions.push(doc.oplogFrontiers());
  return { doc, other, versions };
}

function expectShows(what, mirror, doc) {
  assert.deepEqual(
    comparableJson(mirror.json()),
    comparableJson(doc.toJSON()),
    what,
  );
  for (const [id, delta] of Object.entries(mirror.texts()))
    assert.deepEqual(
      comparableDelta(delta),
      comparableDelta(doc.getContainerById(id).toDelta()),
      `${what}: ${id}`,
    );
}

test("deltas between versions", { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
    const random = new Random(seed);
    const { doc, versions } = await randomHistory(random);
    await tested.create("d", "9");
    await tested.import("d", doc.export({ mode: "update" }));
    for (let pair = 0; pair < 4; pair += 1) {
      const [a, b] = [random.pick(versions), random.pick(versions)];
      const mirror = new DeltaMirror();
      for (const [from, to] of [
        [[], a],
        [a, b],
      ]) {
        const ours = await tested.request("diff", "d", { from, to });
        mirror.apply(ours.value);
        doc.checkout(to);
        expectShows(`seed ${seed}: ours`, mirror, doc);
        doc.checkoutToLatest();
      }
    }
    await tested.free("d");
  }
});

test("events", { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
    const random = new Random(seed);
    const doc = newLoro("3");
    const theirs = new DeltaMirror("utf16");
    doc.subscribe(({ events }) =>
      theirs.apply(
        events.map(({ target, diff }) => [target, withContainerIds(diff)]),
      ),
    );
    const other = newLoro("5");
    await tested.create("d", "9");
    const ours = new DeltaMirror();
    await tested.request("events", "d");
    for (let step = random.between(4, 14); step > 0; step -= 1) {
      await editAtRandom(doc, random, 2);
      await editAtRandom(other, random, 2);
      const update = other.export({ mode: "update", from: doc.version() });
      if (random.chance(0.5)) doc.import(update);
      await turn();
      const { vv } = await tested.version("d");
      await tested.import("d", await exportSince(doc, vv));
      const told = await tested.request("events", "d");
      for (const { delta } of told.value) ours.apply(delta);
      expectShows(`seed ${seed}: ours`, ours, doc);
      expectSameText(`seed ${seed}`, ours, theirs);
    }
    await tested.free("d");
  }
});

async function exportSince(doc, from) {
  await loro.adopt("exported", doc);
  return loro.export("exported", "update", { from });
}

// loro-crdt's events hold the containers themselves.
function withContainerIds(diff) {
  const name = (value) =>
    value && typeof value.kind === "function" ? `🦜:${value.id}` : value;
  if (diff.type === "list")
    return {
      ...diff,
      diff: diff.diff.map((step) =>
        step.insert ? { insert: step.insert.map(name) } : step,
      ),
    };
  if (diff.type === "map")
    return {
      ...diff,
      updated: Object.fromEntries(
        Object.entries(diff.updated).map(([key, value]) => [key, name(value)]),
      ),
    };
  return diff;
}

function expectSameText(what, ours, theirs) {
  const [a, b] = [ours.texts(), theirs.texts()];
  for (const id of Object.keys(a))
    assert.deepEqual(
      comparableDelta(a[id]),
      comparableDelta(b[id] ?? []),
      `${what}: ${id}`,
    );
}

test("reverts", { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
    const random = new Random(seed);
    const { doc, versions } = await randomHistory(random);
    await tested.create("d", "9");
    await tested.import("d", doc.export({ mode: "update" }));
    const frontiers = random.pick(versions);
    await tested.request("revert", "d", { frontiers });
    doc.checkout(frontiers);
    const expected = lookOf(doc.toJSON());
    doc.checkoutToLatest();
    assert.deepEqual(lookOf(await tested.json("d")), expected, `seed ${seed}`);
    // loro-crdt takes what the revert wrote.
    doc.import(await tested.export("d", "update"));
    assert.deepEqual(lookOf(doc.toJSON()), expected, `seed ${seed}`);
    await tested.free("d");
  }
});

test("cursors", { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
    const random = new Random(seed);
    const { doc, other } = await randomHistory(random);
    await tested.create("d", "9");
    await tested.import("d", doc.export({ mode: "update" }));
    const cursors = [];
    for (const id of ["cid:root-body:Text", "cid:root-tags:List"]) {
      const target = doc.getContainerById(id);
      if (!target) continue;
      const length = [...(target.toString?.() ?? "")].length;
      const count = id.endsWith("Text") ? length : target.length;
      for (let i = 0; i < 4; i += 1) {
        const position = random.between(0, count);
        const text = id.endsWith("Text") ? target.toString() : "";
        const offset = id.endsWith("Text")
          ? [...text].slice(0, position).join("").length
          : position;
        const side = random.pick([-1, 0, 1]);
        const cursor = target.getCursor(offset, side);
        const ours = await tested.request("cursor", "d", {
          container: id,
          position,
          side,
        });
        // At the end of a text, the position in loro-crdt's bytes is in UTF-16.
        if (position < count)
          assert.equal(
            ours.cursor,
            Buffer.from(cursor.encode()).toString("base64"),
            `seed ${seed}: ${id} at ${position}`,
          );
        cursors.push({ id, cursor, encoded: ours.cursor });
      }
    }
    await editAtRandom(other, random, 6);
    await editAtRandom(doc, random, 6);
    doc.import(other.export({ mode: "update", from: doc.version() }));
    await tested.import("d", doc.export({ mode: "update" }));
    for (const { id, cursor, encoded } of cursors) {
      const found = doc.getCursorPos(cursor);
      if (!found) continue;
      const ours = await tested.request("cursorPosition", "d", {
        cursor: encoded,
      });
      const position = id.endsWith("Text")
        ? [...doc.getText("body").toString().slice(0, found.offset)].length
        : found.offset;
      assert.equal(ours.position, position, `seed ${seed}: ${id}`);
    }
    await tested.free("d");
  }
});

// Each side has a peer of its own, because the ops of an undo need not be the same.
test("undo", { timeout: 600_000 }, async () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
    const random = new Random(seed);
    const doc = newLoro("3");
    const undo = new UndoManager(doc, { mergeInterval: 0 });
    await tested.create("d", "3");
    await tested.request("trackUndo", "d");
    await loro.adopt("d", doc);
    const peers = { theirs: newLoro("5"), ours: newLoro("5") };
    const both = async (id, op) => {
      await loro.edit("d", id, op);
      await tested.edit("d", id, op);
    };
    for (let step = random.between(4, 16); step > 0; step -= 1) {
      const length = [...doc.getText("body").toString()].length;
      const at = random.between(0, length);
      if (random.chance(0.3) && at < length)
        await both("cid:root-body:Text", { delete: [at, 1] });
      else await both("cid:root-body:Text", { insert: [at, "a𝄞b"] });
      await both("cid:root-row:Map", {
        set: [random.pick(["x", "y"]), random.between(0, 9)],
      });
      await both("cid:root-tags:List", { insert: [0, step] });
      doc.commit();
      await tested.commit("d");
      if (random.chance(0.5)) {
        peers.theirs.import(doc.export({ mode: "update" }));
        peers.ours.import(await tested.export("d", "update"));
        const tags = peers.theirs.getList("tags");
        const place = random.between(0, tags.length);
        const end = random.chance(0.5);
        for (const peer of Object.values(peers)) {
          const text = peer.getText("body");
          text.insert(end ? text.length : 0, "R");
          peer.getMap("row").set("x", "remote");
          peer.getList("tags").insert(place, "remote");
          peer.commit();
        }
        doc.import(peers.theirs.export({ mode: "update" }));
        await tested.import("d", peers.ours.export({ mode: "update" }));
      }
      if (random.chance(0.4)) {
        const redo = random.chance(0.4);
        const theirs = redo ? undo.redo() : undo.undo();
        const { done } = await tested.request(redo ? "redo" : "undo", "d");
        assert.equal(done, theirs, `seed ${seed}`);
      }
      assert.deepEqual(
        lookOf(await tested.json("d")),
        lookOf(doc.toJSON()),
        `seed ${seed}`,
      );
    }
    await tested.free("d");
  }
});
